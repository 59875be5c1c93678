//! What an error of the cloud means: by (service, code) first, then by HTTP status.

use super::{
    parse::clean,
    request::{Hints, Operation},
    services,
};
pub use codes::{COMMON, GATEWAY, IAM};
use envelope::{Envelope, first_characters};
use jiff::Timestamp;
use std::{borrow::Cow, fmt, time::Duration};

/// Longest id of a request in a message: theirs have 32 characters, and with it the longest message has 256, which is what a condition takes.
pub const REQUEST_ID_CHARS: usize = 48;

/// What an error means to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// No connection came about: the cloud never saw the request.
    NotSent,
    /// The last check before the socket said no: the cloud never saw the request.
    Withheld,
    /// The cloud failed, or did not answer.
    Unavailable,
    /// The answer makes no sense.
    Unreadable,
    /// Too many requests.
    Throttled,
    /// Something else is going on with the instance.
    Busy,
    /// Credentials that the cloud does not accept.
    Unauthenticated,
    /// A missing permission.
    Forbidden,
    /// No such instance.
    InstanceNotFound,
    /// No such backup.
    BackupNotFound,
    /// A backup of that name exists.
    NameExists,
    /// The backup is in use or not complete yet, and can be deleted later.
    DeleteLater,
    /// The request can never succeed as it is.
    Invalid,
    /// The instance's kind cannot be backed up.
    Unsupported,
    /// A quota is used up.
    Quota,
    /// The address does not serve this API, or serves another project.
    Misconfigured,
    /// The vendor lists the code, and it is treated as one that no table has: it belongs to calls that are not made here (changing an instance, say), or
    /// its meaning fits more than one class. No error has this class: its status decides, and it is not known.
    AsUnknown,
}

/// What the codes of one meaning are.
#[derive(Clone, Copy, Debug)]
pub struct Codes {
    /// What they mean.
    pub class: Class,
    /// The codes.
    pub codes: &'static [&'static str],
}

/// Whether the cloud can have seen the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// It cannot.
    NotSent,
    /// It answered.
    Answered,
    /// It may or may not.
    Unknown,
}

/// An error of the cloud, or on the way there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    /// What it means.
    pub class: Class,
    /// Whether its code is in a table.
    pub known: bool,
    /// Whether the cloud can have seen the request.
    pub delivery: Delivery,
    /// The service in metric labels.
    pub service: &'static str,
    /// What was asked.
    pub operation: Operation,
    /// HTTP status.
    pub status: Option<u16>,
    /// The cloud's code.
    pub code: Option<String>,
    /// The cloud's id of the request.
    pub request_id: Option<String>,
    /// How long the cloud asks to wait.
    pub retry_after: Option<Duration>,
    /// The cloud's time when it refused.
    pub date: Option<Timestamp>,
    /// What happened, cleaned and cut.
    pub message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (service, operation) = (services::display_name(self.service), self.operation.as_str());
        match self.delivery {
            Delivery::NotSent => return write!(f, "{service} {operation} was not sent: {}", self.message),
            Delivery::Unknown => return write!(f, "{service} {operation} was not answered: {}", self.message),
            Delivery::Answered => {}
        }
        write!(f, "{service} answered the {operation} with ")?;
        match (&self.code, self.status) {
            (Some(code), _) => write!(f, "{code}")?,
            (None, Some(status)) => write!(f, "HTTP {status}")?,
            (None, None) => write!(f, "nothing")?,
        }
        if !self.message.is_empty() {
            write!(f, " \"{}\"", self.message)?;
        }
        match (&self.code, self.status, &self.request_id) {
            (Some(_), Some(status), Some(id)) => write!(f, " (HTTP {status}, request {id})"),
            (None, _, Some(id)) => write!(f, " (request {id})"),
            (Some(_), Some(status), None) => write!(f, " (HTTP {status})"),
            _ => Ok(()),
        }
    }
}

impl Error {
    /// An error before or without an answer.
    pub fn without_answer(
        service: &'static str,
        operation: Operation,
        class: Class,
        delivery: Delivery,
        message: impl Into<String>,
    ) -> Self {
        let message = message.into();
        Self {
            class,
            known: false,
            delivery,
            service,
            operation,
            status: None,
            code: None,
            request_id: None,
            retry_after: None,
            date: None,
            message,
        }
    }

    /// A 2xx whose body cannot be used. What was asked may well have been done.
    pub fn unreadable(
        service: &'static str,
        operation: Operation,
        status: u16,
        request_id: Option<String>,
        what: &str,
        body: &[u8],
    ) -> Self {
        let quoted = first_characters(body);
        let message = if quoted.is_empty() { what.to_owned() } else { format!("{what}: {quoted}") };
        Self {
            status: Some(status),
            request_id,
            ..Self::without_answer(service, operation, Class::Unreadable, Delivery::Answered, message)
        }
    }

    /// A refusal, from its status, headers and body.
    pub fn refusal(service: &'static str, operation: Operation, status: u16, hints: Hints, body: &[u8]) -> Self {
        let Envelope { code, message, request_id } = envelope::read(body);
        let known = code.as_deref().and_then(|code| by_code(service, code, status));
        // Who is asked for a token and does not answer as IAM does may be repeating the question, and the password is in it.
        let message = if operation == Operation::Token && code.is_none() { String::new() } else { message };
        Self {
            class: known.unwrap_or_else(|| by_status(status)),
            known: known.is_some(),
            delivery: Delivery::Answered,
            service,
            operation,
            status: Some(status),
            code: code.map(|code| clean(&code, 40)),
            request_id: hints.request_id.or(request_id),
            retry_after: hints.retry_after,
            date: hints.date,
            message,
        }
    }

    /// For a create call: whether nothing can have been created. True if it was not sent, and for a refusal that is sure of itself: 401, 403, 429, and
    /// a 4xx with a known code, unless the code tells of a failure in the cloud (GeminiDB's DBS.111205 is a timeout after which the backup may be
    /// there, and codes come with other statuses than documented). Everything else, any 5xx among it, leaves the outcome unknown.
    pub fn is_definite_rejection(&self) -> bool {
        match (self.delivery, self.status) {
            (Delivery::NotSent, _) | (Delivery::Answered, Some(401 | 403 | 429)) => true,
            (Delivery::Answered, Some(400..=499)) => self.known && self.class != Class::Unavailable,
            _ => false,
        }
    }

    /// Whether a create call was refused with something that no table knows: it may have made a backup all the same. Whoever has searched for that and found
    /// nothing may take the next refusal of the same kind at its word. Answers with what the refusal is recognised by: its code, else its HTTP status.
    pub fn unknown_refusal(&self) -> Option<String> {
        let status = self.status.filter(|status| self.delivery == Delivery::Answered && (300..500).contains(status))?;
        let is_unknown = !self.known && !self.is_definite_rejection();
        is_unknown.then(|| self.code.clone().unwrap_or_else(|| format!("HTTP {status}")))
    }

    /// Whether a listing failed because there is no such instance, by one of the service's codes and not by a path that is not served, and the service
    /// keeps backups only as long as their instance (DCS).
    pub fn tells_of_a_missing_instance(&self) -> bool {
        let keeps_backups = services::by_name(self.service).is_none_or(services::Service::lists_by_project);
        self.operation == Operation::List && self.class == Class::InstanceNotFound && self.known && !keeps_backups
    }

    /// What every message of this error has in it: the cloud's code, else the HTTP status, else whether it was sent. Ids of requests are left out.
    pub fn token(&self) -> String {
        match (self.delivery, &self.code, self.status) {
            (Delivery::Answered, Some(code), _) => code.clone(),
            (Delivery::Answered, None, Some(status)) => format!("HTTP {status}"),
            (Delivery::NotSent, ..) => "was not sent".into(),
            _ => "was not answered".into(),
        }
    }

    /// The code as a metric label: only what is in a table, or one of a few words.
    pub fn label(&self) -> Cow<'static, str> {
        match (&self.code, self.status) {
            (Some(code), _) if self.known => Cow::Owned(code.clone()),
            (_, Some(status)) => Cow::Owned(format!("http_{}xx", status / 100)),
            (_, None) => Cow::Borrowed(match self.class {
                Class::NotSent => "not_sent",
                Class::Withheld => "withheld",
                _ => "no_answer",
            }),
        }
    }
}

fn by_code(service: &str, code: &str, status: u16) -> Option<Class> {
    let gateway = code.strip_prefix("APIGW.").or_else(|| code.strip_prefix("APIG."));
    if let Some(number) = gateway {
        // The gateway has one code for what the client and what the backend did wrong.
        return find(GATEWAY, number).map(|class| if number == "0201" && status >= 500 { Class::Unavailable } else { class });
    }
    let service = services::by_name(service);
    let own = service.map_or(&[][..], services::Service::codes);
    let code = service.map_or(Cow::Borrowed(code), |service| service.own_spelling(code));
    [own, COMMON, IAM].into_iter().find_map(|table| find(table, &code))
}

fn find(table: &[Codes], code: &str) -> Option<Class> {
    table.iter().find(|row| row.codes.contains(&code)).map(|row| row.class).filter(|class| *class != Class::AsUnknown)
}

fn by_status(status: u16) -> Class {
    match status {
        401 => Class::Unauthenticated,
        403 => Class::Forbidden,
        // A redirect, or a path that is not served, is a matter of the address and says nothing about a backup.
        300..=399 | 404 | 405 => Class::Misconfigured,
        409 => Class::Busy,
        413 => Class::Quota,
        429 => Class::Throttled,
        408 | 500.. => Class::Unavailable,
        _ => Class::Invalid,
    }
}

mod codes;
mod envelope;
#[cfg(test)]
mod tests;
