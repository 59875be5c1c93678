//! What every source of credentials is asked with, and what it ends in.

use crate::{
    api::backup::AccountKind,
    cloud::{
        client::agents::{AgencyOptions, Agents},
        login::Credentials,
    },
};
use jiff::Timestamp;
use kube::Client;

/// What the sources are asked with.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// For Secrets and tokens of ServiceAccounts.
    pub kubernetes: &'a Client,
    /// For agencies.
    pub agents: &'a Agents,
    /// Where these are.
    pub agencies: &'a AgencyOptions,
    /// The kind of the account.
    pub kind: AccountKind,
    /// The namespace of its Secrets and ServiceAccounts.
    pub namespace: &'a str,
    /// Now, by the wall clock.
    pub now: Timestamp,
}

/// Credentials, and a line that changes whenever they do.
pub struct Obtained {
    /// The credentials.
    pub credentials: Credentials,
    /// What they are, without any secret: a session is kept while that stays the same.
    pub version: String,
    /// Keys of the Secret whose values begin or end with white space, where that is hardly meant.
    pub blank_edges: Vec<&'static str>,
}
