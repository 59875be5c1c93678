//! What went wrong with a request: it was not sent, not answered, refused, or the answer cannot be used.

use super::{
    api::{Api, Lists},
    codes::{Class, by_status},
    parse::clean,
    request::{Hints, Operation, Request},
};
use envelope::{Envelope, first_characters};
use jiff::Timestamp;
use std::{borrow::Cow, fmt, time::Duration};

/// Longest code in a message.
const CODE_CHARS: usize = 40;

/// An error of the cloud, or on the way there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    /// The service that was asked.
    pub api: &'static Api,
    /// What was asked of it.
    pub operation: Operation,
    /// What went wrong.
    pub failure: Failure,
}

/// What went wrong with a request. For a create call the difference is whether a backup may exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The cloud never saw the request.
    NotSent {
        /// Why.
        cause: NotSent,
        /// In one line, cleaned and cut.
        message: String,
    },
    /// The cloud may have seen it, and did not answer.
    NoAnswer {
        /// In one line, cleaned and cut.
        message: String,
    },
    /// The cloud answered, and not with 2xx.
    Refused(Refusal),
    /// The cloud answered with 2xx, and the body cannot be used. What was asked may well have been done.
    Unreadable {
        /// HTTP status.
        status: u16,
        /// The cloud's id of the request.
        request_id: Option<String>,
        /// In one line, cleaned and cut.
        message: String,
    },
}

/// Why a request was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotSent {
    /// No connection came about.
    NoConnection,
    /// The last check before the socket said no.
    Cancelled,
    /// There is no address to send it to, or it cannot be written as HTTP.
    Misconfigured,
    /// The service has no such call.
    Unsupported,
}

/// An answer that is not 2xx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// The cloud's code, where the body has one.
    pub code: Option<Code>,
    /// The cloud's id of the request.
    pub request_id: Option<String>,
    /// How long the cloud asks to wait.
    pub retry_after: Option<Duration>,
    /// The cloud's time when it refused.
    pub date: Option<Timestamp>,
    /// The cloud's own words, cleaned and cut; empty where there are none, or none that may be quoted.
    pub message: String,
}

/// A code in the body of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// As it came, cleaned and cut.
    pub text: String,
    /// What it means; absent where no table has it.
    pub class: Option<Class>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, operation) = (self.api.name, self.operation.as_str());
        let (what, message) = match &self.failure {
            Failure::NotSent { message, .. } => return write!(f, "{name} {operation} was not sent: {message}"),
            Failure::NoAnswer { message } => return write!(f, "{name} {operation} was not answered: {message}"),
            Failure::Unreadable { status, message, .. } => (format!("HTTP {status}"), message),
            Failure::Refused(refusal) => {
                (refusal.code.as_ref().map_or_else(|| format!("HTTP {}", refusal.status), |code| code.text.clone()), &refusal.message)
            }
        };
        write!(f, "{name} answered the {operation} with {what}")?;
        if !message.is_empty() {
            write!(f, " \"{message}\"")?;
        }
        match (self.code(), self.status(), self.request_id()) {
            (Some(_), Some(status), Some(id)) => write!(f, " (HTTP {status}, request {id})"),
            (None, _, Some(id)) => write!(f, " (request {id})"),
            (Some(_), Some(status), None) => write!(f, " (HTTP {status})"),
            _ => Ok(()),
        }
    }
}

impl Error {
    /// The cloud never saw the request.
    pub fn not_sent(api: &'static Api, operation: Operation, cause: NotSent, message: impl Into<String>) -> Self {
        Self { api, operation, failure: Failure::NotSent { cause, message: message.into() } }
    }

    /// The cloud may have seen the request, and did not answer.
    pub fn no_answer(api: &'static Api, operation: Operation, message: impl Into<String>) -> Self {
        Self { api, operation, failure: Failure::NoAnswer { message: message.into() } }
    }

    /// A 2xx whose body cannot be used. Its beginning is quoted, unless the request is confidential.
    pub fn unreadable(request: &Request, status: u16, request_id: Option<String>, what: &str, body: &[u8]) -> Self {
        let quoted = if request.confidential { String::new() } else { first_characters(body) };
        let message = if quoted.is_empty() { what.to_owned() } else { format!("{what}: {quoted}") };
        Self { api: request.api, operation: request.operation, failure: Failure::Unreadable { status, request_id, message } }
    }

    /// A refusal, from its status, headers and body.
    pub fn refused(request: &Request, status: u16, hints: Hints, body: &[u8]) -> Self {
        let Envelope { code, message, request_id } = envelope::read(body);
        // Who is asked something confidential, and does not answer as the clouds do, may be repeating the question.
        let message = if request.confidential && code.is_none() { String::new() } else { message };
        let code = code.map(|code| Code { class: request.api.class_of(&code, status), text: clean(&code, CODE_CHARS) });
        let request_id = hints.request_id.or(request_id);
        let refusal = Refusal { status, code, request_id, retry_after: hints.retry_after, date: hints.date, message };
        Self { api: request.api, operation: request.operation, failure: Failure::Refused(refusal) }
    }

    /// What it means to the caller: by the code first, then by the HTTP status.
    pub fn class(&self) -> Class {
        match &self.failure {
            Failure::NotSent { cause, .. } => match cause {
                NotSent::NoConnection => Class::NotSent,
                NotSent::Cancelled => Class::Cancelled,
                NotSent::Misconfigured => Class::Misconfigured,
                NotSent::Unsupported => Class::Unsupported,
            },
            Failure::NoAnswer { .. } => Class::Unavailable,
            Failure::Unreadable { .. } => Class::Unreadable,
            Failure::Refused(refusal) => refusal.known().unwrap_or_else(|| by_status(refusal.status)),
        }
    }

    /// Whether it is a refusal with a code that is in a table.
    pub fn is_known(&self) -> bool {
        self.refusal().is_some_and(|refusal| refusal.known().is_some())
    }

    /// For a create call: whether nothing can have been created. True if it was not sent, and for a refusal that is sure of itself: 401, 403, 429, and
    /// a 4xx with a known code, unless the code tells of a failure in the cloud (GeminiDB's DBS.111205 is a timeout after which the backup may be
    /// there, and codes come with other statuses than documented). Everything else, any 5xx among it, leaves the outcome unknown.
    pub fn is_definite_rejection(&self) -> bool {
        match &self.failure {
            Failure::NotSent { .. } | Failure::Refused(Refusal { status: 401 | 403 | 429, .. }) => true,
            Failure::Refused(refusal @ Refusal { status: 400..=499, .. }) => {
                refusal.known().is_some_and(|class| class != Class::Unavailable)
            }
            Failure::Refused(_) | Failure::NoAnswer { .. } | Failure::Unreadable { .. } => false,
        }
    }

    /// Whether a create call was refused with something that no table knows, or with a known code and a 5xx (the vendor documents the quota codes of GeminiDB
    /// with 500): it may have made a backup all the same. Whoever has searched for that and found nothing may take the next refusal of the same kind at its
    /// word. Answers with what the refusal is recognised by: its code, else its HTTP status.
    pub fn unsure_refusal(&self) -> Option<String> {
        let refusal = self.refusal().filter(|_| !self.is_definite_rejection())?;
        let is_unsure = match (refusal.status, refusal.known()) {
            (300..=499, known) => known.is_none(),
            (500.., Some(class)) => class != Class::Unavailable,
            _ => false,
        };
        is_unsure.then(|| self.token())
    }

    /// Whether a listing of a service that lists per instance failed because there is no such instance, by one of the service's codes and not by a path
    /// that is not served. Where backups go with their instance (DCS) it says that they are gone; elsewhere (RDS) only that nobody can list them.
    pub fn tells_of_a_missing_instance(&self) -> bool {
        let is_listing = self.operation == Operation::List && self.api.lists == Lists::Instance;
        is_listing && self.is_known() && self.class() == Class::InstanceNotFound
    }

    /// What every message of this error has in it: the cloud's code, else the HTTP status, else whether it was sent. Ids of requests are left out.
    pub fn token(&self) -> String {
        match (&self.failure, self.code()) {
            (Failure::NotSent { .. }, _) => "was not sent".into(),
            (Failure::NoAnswer { .. }, _) => "was not answered".into(),
            (Failure::Refused(_), Some(code)) => code.to_owned(),
            (Failure::Refused(Refusal { status, .. }) | Failure::Unreadable { status, .. }, _) => format!("HTTP {status}"),
        }
    }

    /// The code as a metric label: only what is in a table, or one of a few words.
    pub fn label(&self) -> Cow<'static, str> {
        match (&self.failure, self.code()) {
            (Failure::NotSent { cause: NotSent::NoConnection, .. }, _) => "not_sent".into(),
            (Failure::NotSent { cause: NotSent::Cancelled, .. }, _) => "withheld".into(),
            (Failure::NotSent { .. } | Failure::NoAnswer { .. }, _) => "no_answer".into(),
            (Failure::Refused(refusal), Some(code)) if refusal.known().is_some() => Cow::Owned(code.to_owned()),
            (Failure::Refused(Refusal { status, .. }) | Failure::Unreadable { status, .. }, _) => format!("http_{}xx", status / 100).into(),
        }
    }

    /// HTTP status, where the cloud answered.
    pub fn status(&self) -> Option<u16> {
        match &self.failure {
            Failure::Refused(Refusal { status, .. }) | Failure::Unreadable { status, .. } => Some(*status),
            Failure::NotSent { .. } | Failure::NoAnswer { .. } => None,
        }
    }

    /// The cloud's code, where a refusal has one.
    pub fn code(&self) -> Option<&str> {
        self.refusal()?.code.as_ref().map(|code| code.text.as_str())
    }

    /// The cloud's id of the request, where it answered with one.
    pub fn request_id(&self) -> Option<&str> {
        match &self.failure {
            Failure::Refused(Refusal { request_id, .. }) | Failure::Unreadable { request_id, .. } => request_id.as_deref(),
            Failure::NotSent { .. } | Failure::NoAnswer { .. } => None,
        }
    }

    /// How long the cloud asks to wait, where it does.
    pub fn retry_after(&self) -> Option<Duration> {
        self.refusal()?.retry_after
    }

    /// The cloud's time when it refused, where the answer says it.
    pub fn date(&self) -> Option<Timestamp> {
        self.refusal()?.date
    }

    fn refusal(&self) -> Option<&Refusal> {
        match &self.failure {
            Failure::Refused(refusal) => Some(refusal),
            Failure::NotSent { .. } | Failure::NoAnswer { .. } | Failure::Unreadable { .. } => None,
        }
    }
}

impl Refusal {
    /// What its code means, if a table has it.
    fn known(&self) -> Option<Class> {
        self.code.as_ref().and_then(|code| code.class)
    }
}

mod envelope;
#[cfg(test)]
mod tests;
