//! A request as the services see it, and the answer they give.

use http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

/// One HTTP request, read to the end.
pub struct Request {
    /// Upper case.
    pub method: String,
    /// The path exactly as it was sent: signatures are made over it.
    pub path: String,
    /// The query exactly as it was sent, without `?`.
    pub raw_query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A header's text, if it is there and readable.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The decoded path segments. A trailing slash makes an empty last one, which no route has.
    pub fn segments(&self) -> Vec<String> {
        self.path.trim_start_matches('/').split('/').map(decode).collect()
    }

    /// Query parameters as a web server reads them: `+` is a blank here, which is why an offset's plus must be sent as `%2B`.
    pub fn query(&self) -> Vec<(String, String)> {
        pairs(&self.raw_query).into_iter().map(|(key, value)| (decode(&key.replace('+', " ")), decode(&value.replace('+', " ")))).collect()
    }

    /// One query parameter; an empty value counts as not given.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.query().into_iter().find(|(key, _)| key == name).map(|(_, value)| value).filter(|value| !value.is_empty())
    }

    /// Path and query, for the call log.
    pub fn target(&self) -> String {
        if self.raw_query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.raw_query) }
    }

    /// Whether the body is declared as JSON (in UTF-8, if a character set is named).
    pub fn is_json(&self) -> bool {
        let Some(value) = self.header("content-type") else { return false };
        let mut parts = value.split(';').map(|part| part.trim().to_ascii_lowercase());
        let json = parts.next().is_some_and(|media| media == "application/json");
        json && parts.filter_map(|part| part.strip_prefix("charset=").map(str::to_owned)).all(|set| set == "utf-8" || set == "utf8")
    }
}

/// Splits a raw query at `&` and `=`, decoding nothing.
pub fn pairs(raw: &str) -> Vec<(String, String)> {
    raw.split('&')
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Percent-decodes; bytes that are no UTF-8 are replaced.
pub fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// One answer.
#[derive(Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers beside the usual ones.
    pub headers: Vec<(&'static str, String)>,
    /// JSON body; `None` is no body at all.
    pub body: Option<Value>,
}

impl Reply {
    /// An answer with a JSON body.
    pub fn json(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Some(body) }
    }

    /// An answer without any body.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: None }
    }

    /// The error envelope of the database services.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, json!({ "error_code": code, "error_msg": message }))
    }

    /// The error envelope of DCS v2.
    pub fn dcs_error(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, json!({ "error_msg": message, "error_code": code, "error_ext_msg": null }))
    }

    /// The error envelope of the API gateway; the request id is filled in when the answer is sent.
    pub fn gateway_error(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, json!({ "error_msg": message, "error_code": code, "request_id": "" }))
    }

    /// The error envelope of IAM.
    pub fn iam_error(status: u16, title: &str, message: &str) -> Self {
        Self::json(status, json!({ "error": { "code": status, "message": message, "title": title } }))
    }

    /// What the gateway says of a path or method that nobody published.
    pub fn not_published() -> Self {
        Self::gateway_error(404, "APIGW.0101", "The API does not exist or has not been published in the environment")
    }

    /// What the gateway says when the caller is too fast.
    pub fn throttled() -> Self {
        Self::gateway_error(
            429,
            "APIGW.0308",
            "The throttling threshold has been reached: policy user over ratelimit,limit:60,time:1 minute",
        )
    }
}
