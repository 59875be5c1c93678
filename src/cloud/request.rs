//! A request before anybody has signed or sent it, and its reply.

use super::api::Api;
use http::Method;
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::Value;
use std::{fmt, time::Duration};

/// What a call is for; the label in metrics and the word in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Operation {
    /// Ask for a backup.
    Create,
    /// Read a page of a listing.
    List,
    /// Delete a backup.
    Delete,
    /// Get an IAM token.
    Token,
    /// Look a project up at IAM.
    Projects,
}

impl Operation {
    /// The operation in metric labels and messages.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A request as a service describes it.
#[derive(Clone, PartialEq)]
pub struct Request {
    /// The service that it is for.
    pub api: &'static Api,
    /// What it is for.
    pub operation: Operation,
    /// HTTP method.
    pub method: Method,
    /// Path, from validated ids only: it goes on the wire as it is.
    pub path: String,
    /// Query parameters, not encoded.
    pub query: Vec<(&'static str, String)>,
    /// Headers of this request alone; they are not signed.
    pub headers: Vec<(&'static str, String)>,
    /// JSON body.
    pub body: Option<Value>,
    /// Nothing of its body or of the answer's may be quoted: they hold secrets, or may repeat them.
    pub confidential: bool,
}

impl fmt::Debug for Request {
    /// Without the body, which may be confidential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("query", &self.query)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// A request without query and body, and nothing in it that is confidential.
    pub fn new(api: &'static Api, operation: Operation, method: Method, path: String) -> Self {
        Self { api, operation, method, path, query: Vec::new(), headers: Vec::new(), body: None, confidential: false }
    }
}

/// A reply with a status of 2xx.
#[derive(Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `X-Subject-Token`: the token, in IAM's replies.
    pub subject_token: Option<SecretString>,
    /// `X-Request-Id`, for support cases.
    pub request_id: Option<String>,
    /// `Date`: the cloud's time.
    pub date: Option<Timestamp>,
    /// Body, bounded.
    pub body: Vec<u8>,
}

/// Longest id of a request in a message: theirs have 32 characters, and with it the longest message has 256, which is what a condition takes.
pub const REQUEST_ID_CHARS: usize = 48;

/// What the headers of a refusal say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// `X-Request-Id`.
    pub request_id: Option<String>,
    /// `Retry-After`, if it is a number of seconds.
    pub retry_after: Option<Duration>,
    /// `Date`: the cloud's time.
    pub date: Option<Timestamp>,
}
