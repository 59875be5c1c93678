//! A small HTTP client for the simulator's own tests. It speaks over a bare socket, so that it can tell "no answer at all" from an answer.

use std::{collections::BTreeMap, io, time::Duration};

use http::HeaderMap;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body as it came.
    pub text: String,
}

impl Answer {
    /// The body as JSON; null when there is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// Status and error code, whichever envelope it came in.
    pub fn error(&self) -> (u16, String) {
        let body = self.json();
        let code = body.get("error_code").or_else(|| body.pointer("/error/code")).cloned().unwrap_or_default();
        (self.status, code.as_str().map_or_else(|| code.to_string(), str::to_owned))
    }
}

/// A request that is put together step by step.
#[derive(Clone)]
pub struct Probe {
    url: String,
    headers: Vec<(String, String)>,
}

impl Probe {
    /// Asks the service at this URL.
    pub fn new(url: &str) -> Self {
        Self { url: url.to_owned(), headers: Vec::new() }
    }

    /// With a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a token.
    pub fn token(self, value: &str) -> Self {
        self.header("X-Auth-Token", value)
    }

    /// Host and port of the service.
    pub fn host(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Sends `METHOD /target`, with a JSON body if one is given. No answer at all is an error.
    pub async fn send(&self, line: &str, body: Option<&str>) -> io::Result<Answer> {
        let mut stream = self.open(line, body).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(parse(&bytes))
    }

    /// The same for tests that expect an answer, which must then carry a request id.
    pub async fn ask(&self, line: &str, body: Option<&str>) -> Answer {
        let answer = self.send(line, body).await.expect("an answer");
        assert!(answer.headers.get("x-request-id").is_some_and(|id| id.len() == 32), "no request id: {answer:?}");
        answer
    }

    /// Sends and does not wait.
    pub async fn open(&self, line: &str, body: Option<&str>) -> io::Result<TcpStream> {
        let (method, target) = line.split_once(' ').expect("METHOD /target");
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.host());
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = body {
            if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                text.push_str("Content-Type: application/json;charset=UTF-8\r\n");
            }
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        text.push_str(body.unwrap_or_default());
        let mut stream = tokio::time::timeout(Duration::from_secs(5), TcpStream::connect(self.host())).await??;
        stream.write_all(text.as_bytes()).await?;
        Ok(stream)
    }
}

fn parse(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").expect("a complete head");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok()).expect("a status line");
    let headers =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Answer { status, headers, text: body.to_owned() }
}

/// Headers as a server sees them, for checks that need no socket.
pub fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    lines
        .iter()
        .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_bytes(value.as_bytes()).unwrap()))
        .collect()
}
