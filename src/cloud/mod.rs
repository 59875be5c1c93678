//! The cloud floor: what the vendor's services are asked and what they answer. Knows nothing of Kubernetes.
//!
//! | room | what lives there | I/O |
//! |---|---|---|
//! | [`engine`] | the engines and clouds by name | – |
//! | [`backup`] | a backup as asked for, as created, as listed | – |
//! | [`api`] | what is fixed of a service: names, codes, how it lists | – |
//! | [`request`] | a request before anybody has signed or sent it, and its reply | – |
//! | [`service`], [`services`] | what a service has to describe; one file for each | – |
//! | [`listing`] | when a listing counts as complete | – |
//! | [`errors`] | what went wrong with a request | – |
//! | [`codes`] | what error codes mean, by (service, code), then by HTTP status | – |
//! | [`json`] | what is kept of a JSON body, within bounds | – |
//! | [`parse`] | the clouds' times, sizes and texts | – |
//! | [`endpoints`] | which host serves an engine in a region | – |
//! | [`sign`], [`iam`] | signatures; what IAM is asked | – |
//! | [`permits`] | the calls of an account: how many, and whose turn it is | waits |
//! | [`digest`] | one hash of several texts | – |
//! | [`clock`] | the cloud's time, by the dates of its answers | – |
//! | [`client`] | the only file that sends bytes; `agents` asks for keys on the operator's own machine | yes |
//! | [`login`] | who asks: one file for each way to log in | through `client` |
//! | [`session`] | one verified account: signs, takes permits, sends, reads | through `client` |

pub mod api;
pub mod backup;
#[cfg(feature = "operator")]
pub mod client;
#[cfg(feature = "operator")]
pub mod clock;
pub mod codes;
#[cfg(feature = "operator")]
pub mod digest;
pub mod endpoints;
pub mod engine;
#[cfg(feature = "operator")]
pub mod errors;
#[cfg(feature = "operator")]
pub mod iam;
pub mod json;
#[cfg(feature = "operator")]
pub mod listing;
#[cfg(feature = "operator")]
pub mod login;
pub mod parse;
#[cfg(feature = "operator")]
pub mod permits;
pub mod request;
pub mod service;
pub mod services;
#[cfg(feature = "operator")]
pub mod session;
#[cfg(feature = "operator")]
pub mod sign;
