//! The operator's signatures are those of the vendor's own SDK, for requests of every kind. The fixed vectors stand beside the operator's code.

use std::{
    env,
    io::Write,
    process::{Command, Stdio},
    time::SystemTime,
};

use database_backup_operator::cloud::sign::{Signable, authorization, query, sdk_date};
use http::Method;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{
    simulator::faults::next,
    test_sdk::{here, sdk_python},
};

const REQUESTS: usize = 800;
/// Signs and letters that are encoded, decoded or taken for something else here and there.
const ODD: &[char] = &[
    ' ', '+', '%', '~', '*', '/', '?', '#', '&', '=', ':', ';', ',', '.', '-', '_', '!', '\'', '(', ')', '@', '$', '"', '<', '>', '[', ']',
    '\\', '^', '`', '{', '|', '}', '\t', '\n', '\r', '\0', '\u{7f}', '\u{a0}', 'ä', 'ß', 'é', '\u{301}', '中', '\u{2028}', '\u{fffd}',
    '\u{ffff}', '😀', '\u{10ffff}', 'A', 'z', '0', '9',
];

/// A request as both sides are given it.
#[derive(Debug, Serialize)]
struct Wish {
    access_key: String,
    secret_key: String,
    security_token: Option<String>,
    project: Option<String>,
    date: String,
    method: &'static str,
    host: String,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(&'static str, String)>,
    body: String,
}

/// What the SDK makes of it.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Signed {
    authorization: String,
    query: String,
}

impl Wish {
    fn signed_by_us(&self) -> Signed {
        let parameters: Vec<(&str, String)> = self.query.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let query = query(&parameters);
        let lower: Vec<(String, &str)> = self.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.as_str())).collect();
        let mut headers: Vec<(&str, &str)> = lower.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        headers.extend([("host", self.host.as_str()), ("x-sdk-date", self.date.as_str())]);
        headers.extend(self.project.as_deref().map(|project| ("x-project-id", project)));
        headers.extend(self.security_token.as_deref().map(|token| ("x-security-token", token)));
        let method: Method = self.method.parse().unwrap();
        let request = Signable { method: &method, path: &self.path, query: &query, headers, body: self.body.as_bytes() };
        let authorization = authorization(&request, &self.access_key, &SecretString::from(self.secret_key.as_str()), &self.date);
        Signed { authorization, query }
    }

    fn line(&self) -> String {
        let mut json = serde_json::to_value(self).unwrap();
        // To the SDK headers are a dictionary.
        json["headers"] = self.headers.iter().cloned().collect::<std::collections::BTreeMap<_, _>>().into_iter().collect();
        json.to_string()
    }
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(next(&mut self.0) % end as u64).unwrap()
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn yes(&mut self) -> bool {
        self.below(2) == 0
    }

    /// Text of these characters, `least` to `most` of them.
    fn text(&mut self, of: &[char], least: usize, most: usize) -> String {
        let length = least + self.below(most - least + 1);
        (0..length).map(|_| self.one(of)).collect()
    }

    /// Text of odd characters, now and then with any other one.
    fn odd(&mut self, most: usize) -> String {
        let length = self.below(most + 1);
        (0..length).map(|_| if self.below(4) == 0 { self.any() } else { self.one(ODD) }).collect()
    }

    fn any(&mut self) -> char {
        loop {
            // Surrogates are no characters.
            if let Some(any) = u32::try_from(self.below(0x11_0000)).ok().and_then(char::from_u32) {
                return any;
            }
        }
    }

    /// A segment of a path: an id mostly, else anything, raw or escaped; a slash may be escaped, and an escape be half of one.
    fn segment(&mut self) -> String {
        const IDS: &[char] = &['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f', '-'];
        match self.below(4) {
            0 => self.one(&["v3", "v2", "v3.0", "backups", "create", "instances", "OS-AUTH"]).to_owned(),
            1 => self.text(IDS, 1, 40),
            2 => self.odd(12).replace('/', ""),
            _ => self
                .odd(12)
                .bytes()
                .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
                .collect(),
        }
    }

    fn path(&mut self) -> String {
        let segments = 1 + self.below(6);
        let path: String = (0..segments).map(|_| format!("/{}", self.segment())).collect();
        if self.below(8) == 0 { path + "/" } else { path }
    }

    fn query(&mut self) -> Vec<(String, String)> {
        let names: Vec<String> =
            (0..=self.below(4)).map(|_| if self.yes() { self.one(&["limit", "name", "offset"]).to_owned() } else { self.odd(6) }).collect();
        // Fewer names than parameters: some come more than once.
        (0..self.below(7)).map(|_| (names[self.below(names.len())].clone(), self.odd(10))).collect()
    }

    fn body(&mut self) -> String {
        match self.below(3) {
            0 => String::new(),
            1 => serde_json::json!({ "name": self.odd(20), "description": self.odd(40) }).to_string(),
            _ => self.odd(60),
        }
    }

    /// A content type is always JSON: of any other the SDK leaves the body unsigned, and the operator sends no other. Names of headers have no `_`, since
    /// the SDK leaves those out, and the operator has none.
    fn headers(&mut self) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        if self.below(4) > 0 {
            headers.push(("Content-Type", self.one(&["application/json", "application/json;charset=UTF-8"]).to_owned()));
        }
        if self.yes() {
            headers.push(("X-Language", self.one(&["en-us", " zh-cn ", ""]).to_owned()));
        }
        headers
    }

    fn wish(&mut self) -> Wish {
        let printable: Vec<char> = (' '..='~').collect();
        let letters: Vec<char> = ('A'..='Z').chain('0'..='9').collect();
        let base64: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/', '=']).collect();
        let hex: Vec<char> = ('0'..='9').chain('a'..='f').collect();
        let seconds = i64::try_from(self.below(4_000_000_000)).unwrap();
        Wish {
            access_key: self.text(&letters, 1, 20),
            secret_key: self.text(&printable, 1, 80),
            security_token: self.yes().then(|| self.text(&base64, 1, 900)),
            project: self.yes().then(|| self.text(&hex, 32, 32)),
            date: sdk_date(jiff::Timestamp::from_second(seconds).unwrap()),
            method: self.one(&["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"]),
            host: self.one(&["gaussdb.cn-north-4.myhuaweicloud.com", "127.0.0.1:8443", "iam.eu-de.otc.t-systems.com"]).to_owned(),
            path: self.path(),
            query: self.query(),
            headers: self.headers(),
            body: self.body(),
        }
    }
}

#[test]
fn the_vendors_python_sdk_signs_every_request_as_the_operator_does() {
    let given = env::var("SIGN_SEED").ok().map(|text| text.parse().expect("SIGN_SEED is a number"));
    let seed = given.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        now.as_secs() ^ u64::from(now.subsec_nanos())
    });
    let mut dice = Dice(seed);
    let wishes: Vec<Wish> = (0..REQUESTS).map(|_| dice.wish()).collect();
    let signed = sdk(&wishes.iter().map(|wish| wish.line() + "\n").collect::<String>());
    assert_eq!(signed.len(), REQUESTS, "SIGN_SEED={seed}");
    for (wish, theirs) in wishes.iter().zip(&signed) {
        assert_eq!(&wish.signed_by_us(), theirs, "SIGN_SEED={seed}: {wish:?}");
    }
}

/// All at once, by one process.
fn sdk(lines: &str) -> Vec<Signed> {
    let mut python = Command::new(sdk_python())
        .arg(here().join("sign_check.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the SDK's Python starts");
    // It reads to the end before it writes, so neither waits for the other.
    python.stdin.take().expect("its input").write_all(lines.as_bytes()).expect("it reads");
    let output = python.wait_with_output().expect("it ends");
    assert!(output.status.success(), "sign_check.py failed; what it said stands above");
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
