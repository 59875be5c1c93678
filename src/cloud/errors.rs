//! What an error of the cloud means: by (service, code) first, then by HTTP status.

use super::{
    parse::clean,
    request::{Hints, Operation},
    services,
};
use serde_json::Value;
use std::{borrow::Cow, fmt, time::Duration};

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
}

/// What the codes of one meaning are.
#[derive(Clone, Copy, Debug)]
pub struct Codes {
    /// What they mean.
    pub class: Class,
    /// The codes.
    pub codes: &'static [&'static str],
}

/// Codes of the API gateway, which come from any service (vendor's gateway error codes). Older gateways say `APIG.` for `APIGW.`.
pub const GATEWAY: &[Codes] = &[
    Codes { class: Class::Misconfigured, codes: &["0101"] },
    Codes { class: Class::Unavailable, codes: &["0103", "0104", "0105", "0106", "0601", "0605", "0606", "0608", "0609", "0610", "0611", "0613", "0705"] },
    Codes { class: Class::Invalid, codes: &["0201", "0602", "0607"] },
    Codes { class: Class::Unauthenticated, codes: &["0301", "0303", "0304", "0305", "0307"] },
    Codes { class: Class::Forbidden, codes: &["0302", "0306", "0310", "0401", "0402", "0404", "0801", "0802"] },
    Codes { class: Class::Throttled, codes: &["0308"] },
    Codes { class: Class::Quota, codes: &["0501", "0502"] },
];

/// Codes that come from more than one service.
pub const COMMON: &[Codes] = &[Codes { class: Class::Busy, codes: &["CBC.99003651"] }];

/// Codes of IAM.
pub const IAM: &[Codes] = &[
    Codes { class: Class::Unauthenticated, codes: &["IAM.0001", "IAM.0061", "IAM.0062", "IAM.0066", "IAM.0067", "IAM.1105", "IAM.1107", "IAM.1108"] },
    Codes { class: Class::Forbidden, codes: &["IAM.0002", "IAM.0003", "IAM.0080", "IAM.0081", "IAM.0082", "IAM.0083"] },
    Codes { class: Class::Throttled, codes: &["IAM.0012"] },
    Codes { class: Class::Unavailable, codes: &["IAM.0006"] },
    Codes { class: Class::Invalid, codes: &["IAM.1101", "IAM.1102", "IAM.1103", "IAM.1104", "IAM.1106", "IAM.1109"] },
];

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

/// Longest text of the cloud in a message.
const TEXT_CHARS: usize = 100;

impl Error {
    /// An error before or without an answer.
    pub fn without_answer(service: &'static str, operation: Operation, class: Class, delivery: Delivery, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { class, known: false, delivery, service, operation, status: None, code: None, request_id: None, retry_after: None, message }
    }

    /// A 2xx whose body cannot be used. What was asked may well have been done.
    pub fn unreadable(service: &'static str, operation: Operation, status: u16, request_id: Option<String>, what: &str, body: &[u8]) -> Self {
        let message = format!("{what}: {}", first_characters(body));
        Self { status: Some(status), request_id, ..Self::without_answer(service, operation, Class::Unreadable, Delivery::Answered, message) }
    }

    /// A refusal, from its status, headers and body.
    pub fn refusal(service: &'static str, operation: Operation, status: u16, hints: Hints, body: &[u8]) -> Self {
        let (code, message, body_id) = envelope(body);
        let known = code.as_deref().and_then(|code| by_code(service, code, status));
        Self {
            class: known.unwrap_or_else(|| by_status(status)),
            known: known.is_some(),
            delivery: Delivery::Answered,
            service,
            operation,
            status: Some(status),
            code: code.map(|code| clean(&code, 40)),
            request_id: hints.request_id.or(body_id),
            retry_after: hints.retry_after,
            message,
        }
    }

    /// For a create call: whether nothing can have been created. True if it was not sent, and for a refusal that is sure of itself: a 4xx with a
    /// known code, 401 and 429. Everything else, any 5xx among it, leaves the outcome unknown.
    pub fn is_definite_rejection(&self) -> bool {
        match (self.delivery, self.status) {
            (Delivery::NotSent, _) | (Delivery::Answered, Some(401 | 429)) => true,
            (Delivery::Answered, Some(400..=499)) => self.known,
            _ => false,
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
    let own = if service == services::IAM { IAM } else { services::by_name(service).map_or(&[][..], |service| service.codes()) };
    find(own, code).or_else(|| find(COMMON, code))
}

fn find(table: &[Codes], code: &str) -> Option<Class> {
    table.iter().find(|row| row.codes.contains(&code)).map(|row| row.class)
}

fn by_status(status: u16) -> Class {
    match status {
        401 => Class::Unauthenticated,
        403 => Class::Forbidden,
        // A path that is not served says nothing about a backup.
        404 | 405 => Class::Misconfigured,
        409 => Class::Busy,
        413 => Class::Quota,
        429 => Class::Throttled,
        408 | 500.. => Class::Unavailable,
        _ => Class::Invalid,
    }
}

/// Code, message and request id of an error body in any of the services' shapes; of anything else, its first characters.
fn envelope(body: &[u8]) -> (Option<String>, String, Option<String>) {
    let Ok(Value::Object(outer)) = serde_json::from_slice::<Value>(body) else {
        return (None, if body.is_empty() { String::new() } else { first_characters(body) }, None);
    };
    let inner = outer.get("error").and_then(Value::as_object);
    let field = |names: &[&str]| names.iter().find_map(|name| outer.get(*name).or_else(|| inner?.get(*name)).and_then(scalar));
    let code = field(&["error_code", "errorCode", "errCode", "code"]);
    let message = field(&["error_msg", "errorMsg", "errMsg", "message"]).unwrap_or_default();
    (code, clean(&message, TEXT_CHARS), field(&["request_id"]).map(|id| clean(&id, 64)))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The beginning of a body that is not what was expected.
pub fn first_characters(body: &[u8]) -> String {
    let head = &body[..body.len().min(400)];
    clean(&String::from_utf8_lossy(head), 80)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::engine::Engine;

    fn refusal(service: &'static str, status: u16, body: &str) -> Error {
        Error::refusal(service, Operation::Create, status, Hints { request_id: Some("req-1".into()), retry_after: None }, body.as_bytes())
    }

    #[test]
    fn every_known_code_has_one_class_for_its_service() {
        for engine in Engine::ALL {
            let mut seen = std::collections::HashSet::new();
            for row in engine.service().codes() {
                for code in row.codes {
                    assert!(seen.insert(*code), "{} lists {code} twice", engine.as_str());
                    let error = refusal(engine.service_name(), 400, &format!(r#"{{"error_code":"{code}","error_msg":"m"}}"#));
                    assert_eq!((error.class, error.known), (row.class, true), "{code}");
                }
            }
            assert!(seen.len() > 30, "{}", engine.as_str());
        }
    }

    #[test]
    fn the_code_decides_before_the_status() {
        let busy = refusal("geminidb", 403, r#"{"error_code":"DBS.200019","error_msg":"another operation"}"#);
        assert_eq!(busy.class, Class::Busy);
        let missing = refusal("geminidb", 403, r#"{"error_code":"DBS.201028","error_msg":"no instance"}"#);
        assert_eq!(missing.class, Class::InstanceNotFound);
        let differs = refusal("taurusdb", 400, r#"{"error_code":"DBS.201204","error_msg":"wrong type"}"#);
        assert_ne!(differs.class, refusal("geminidb", 400, r#"{"error_code":"DBS.201204"}"#).class, "one code, two services, two meanings");
    }

    #[test]
    fn every_shape_of_an_error_body_is_read() {
        for body in [
            r#"{"error_code":"DCS.4096","error_msg":"busy","error_ext_msg":null}"#,
            r#"{"errorCode":"DCS.4096","errorMsg":"busy"}"#,
            r#"{"errCode":"DCS.4096","errMsg":"busy"}"#,
            r#"{"error":{"code":"DCS.4096","message":"busy"}}"#,
        ] {
            let error = refusal("dcs", 400, body);
            assert_eq!((error.code.as_deref(), error.class, error.message.as_str()), (Some("DCS.4096"), Class::Busy, "busy"), "{body}");
        }
        assert_eq!(refusal("iam", 401, r#"{"error":{"code":401,"message":"no","title":"Unauthorized"}}"#).class, Class::Unauthenticated);
    }

    #[test]
    fn a_gateway_code_means_the_same_from_every_service_and_an_old_gateway_too() {
        for prefix in ["APIGW", "APIG"] {
            let error = refusal("dcs", 429, &format!(r#"{{"error_code":"{prefix}.0308","error_msg":"throttled","request_id":"g"}}"#));
            assert_eq!((error.class, error.known), (Class::Throttled, true));
        }
        assert_eq!(refusal("dcs", 400, r#"{"error_code":"APIGW.0201"}"#).class, Class::Invalid);
        assert_eq!(refusal("dcs", 504, r#"{"error_code":"APIGW.0201"}"#).class, Class::Unavailable);
    }

    #[test]
    fn only_a_refusal_that_is_sure_of_itself_is_definite() {
        let known = r#"{"error_code":"DBS.280277","error_msg":"name"}"#;
        assert!(refusal("taurusdb", 400, known).is_definite_rejection());
        assert!(!refusal("taurusdb", 500, known).is_definite_rejection(), "any 5xx may have done the work");
        assert!(!refusal("taurusdb", 400, r#"{"error_code":"DBS.999999"}"#).is_definite_rejection());
        assert!(!refusal("taurusdb", 400, "<html>proxy</html>").is_definite_rejection());
        assert!(refusal("taurusdb", 401, "").is_definite_rejection());
        assert!(refusal("taurusdb", 429, "").is_definite_rejection());
        let lost = Error::without_answer("taurusdb", Operation::Create, Class::Unavailable, Delivery::Unknown, "cut");
        assert!(!lost.is_definite_rejection());
        let refused = Error::without_answer("taurusdb", Operation::Create, Class::NotSent, Delivery::NotSent, "refused");
        assert!(refused.is_definite_rejection());
        assert!(!Error::unreadable("taurusdb", Operation::Create, 201, None, "no id", b"{}").is_definite_rejection());
    }

    #[test]
    fn a_message_is_one_line_with_the_code_and_the_request_id() {
        let error = refusal("taurusdb", 400, "{\"error_code\":\"DBS.280277\",\"error_msg\":\"Invalid\\nname\"}");
        assert_eq!(error.to_string(), "TaurusDB answered the create with DBS.280277 \"Invalid name\" (HTTP 400, request req-1)");
        let html = refusal("taurusdb", 502, "<html>\n<b>Bad Gateway</b></html>");
        assert_eq!(html.to_string(), "TaurusDB answered the create with HTTP 502 \"<html> <b>Bad Gateway</b></html>\" (request req-1)");
        assert!(refusal("dcs", 400, &format!(r#"{{"error_code":"{}","error_msg":"{}"}}"#, "c".repeat(900), "m".repeat(900))).to_string().len() < 256);
    }

    #[test]
    fn labels_are_bounded_whatever_the_cloud_says() {
        assert_eq!(refusal("dcs", 400, r#"{"error_code":"DCS.4096"}"#).label(), "DCS.4096");
        assert_eq!(refusal("dcs", 418, r#"{"error_code":"surprise-1234"}"#).label(), "http_4xx");
    }
}
