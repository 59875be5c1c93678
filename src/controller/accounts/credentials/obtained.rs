//! What every source of credentials ends in.

use crate::cloud::login::Credentials;

/// Credentials, and a line that changes whenever they do.
pub struct Obtained {
    /// The credentials.
    pub credentials: Credentials,
    /// What they are, without any secret: a session is kept while that stays the same.
    pub version: String,
    /// Keys of the Secret whose values begin or end with white space, where that is hardly meant.
    pub blank_edges: Vec<&'static str>,
}
