//! The cloud floor: what the vendor's services are asked and what they answer. Knows nothing of Kubernetes.
//!
//! | room | what lives there | I/O |
//! |---|---|---|
//! | [`engine`] | the engines and clouds by name | – |
//! | [`backup`] | a backup as asked for, as created, as listed | – |
//! | [`services`] | one file per engine: describes requests, reads answers | – |
//! | [`listing`] | when a listing counts as complete | – |
//! | [`errors`] | what an error means, by (service, code), then by HTTP status | – |
//! | [`json`] | what is kept of a JSON body, within bounds | – |
//! | [`parse`] | the clouds' times, sizes and texts | – |
//! | [`endpoints`] | which host serves an engine in a region | – |
//! | [`sign`], [`credentials`], [`iam`] | who is asking | – |
//! | [`permits`] | the account's request rate | waits |
//! | [`clock`] | the cloud's time, by the dates of its answers | – |
//! | [`client`] | the only file that sends bytes | yes |
//! | [`session`] | one verified account: signs, takes permits, sends, reads | through `client` |

pub mod backup;
pub mod client;
pub mod clock;
pub mod credentials;
pub mod endpoints;
pub mod engine;
pub mod errors;
pub mod iam;
pub mod json;
pub mod listing;
pub mod parse;
pub mod permits;
pub mod request;
pub mod services;
pub mod session;
pub mod sign;
