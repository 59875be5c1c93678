//! Who is calling: a token, or a signature made with `SDK-HMAC-SHA256` (`cloud-apis.md` §11.2), checked here by an implementation of its own.

use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::{
    keys::AccessKey,
    message::{Request, decode, pairs},
    state::Cloud,
};

const ALGORITHM: &str = "SDK-HMAC-SHA256";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// How far a request's clock may be off.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(15);

/// Who called.
#[derive(Debug, PartialEq, Eq)]
pub struct Caller {
    /// The id of the caller's account.
    pub domain: String,
    /// What the caller showed.
    pub by: By,
}

/// What a caller shows to be let in.
#[derive(Debug, PartialEq, Eq)]
pub enum By {
    /// A token; scoped to this project.
    Token(Option<String>),
    /// An access key, which opens every project of the account.
    AccessKey,
}

/// Why nobody could be recognised.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Neither token nor signature.
    Missing,
    /// A token that was never issued, or was revoked.
    TokenInvalid,
    /// A token past its end.
    TokenExpired,
    /// What is wrong with the signature.
    Signature(String),
}

/// Recognises the caller.
pub fn authenticate(cloud: &mut Cloud, request: &Request) -> Result<Caller, Refusal> {
    if let Some(value) = request.header("x-auth-token").filter(|value| !value.is_empty()) {
        let now = cloud.now();
        let token = cloud.tokens.iter().find(|token| token.value == value).ok_or(Refusal::TokenInvalid)?;
        return match token.expires {
            Some(end) if end <= now => Err(Refusal::TokenExpired),
            _ => Ok(Caller { domain: token.domain.clone(), by: By::Token(token.project.clone()) }),
        };
    }
    let Some(authorization) = request.header("authorization") else { return Err(Refusal::Missing) };
    let signed = Signed::parse(authorization).map_err(refuse)?;
    let now = cloud.now();
    let key = cloud.access_keys.iter().find(|key| key.access == signed.access);
    // One that is switched off is told the same (`cloud-apis.md` §11.2.2), and neither counts as a bad signature: nobody's key is guessed at.
    let Some(key) = key.filter(|key| !key.is_disabled) else { return Err(refuse("the AK does not exist")) };
    if cloud.ledger.key_is_locked(&key.access, now) {
        return Err(refuse("AK access failed to reach the limit,forbidden"));
    }
    let checked = signed.check(request, key, now);
    cloud.ledger.signature(&key.access, checked.is_ok(), now, &cloud.settings);
    checked.map_err(refuse)?;
    Ok(Caller { domain: key.domain.clone(), by: By::AccessKey })
}

/// The account of the token or access key that a request shows, whose one user is the caller. Nothing of it is checked.
pub fn claimed_account(cloud: &Cloud, request: &Request) -> Option<String> {
    if let Some(value) = request.header("x-auth-token") {
        return cloud.tokens.iter().find(|token| token.value == value).map(|token| token.domain.clone());
    }
    let signed = Signed::parse(request.header("authorization")?).ok()?;
    cloud.access_keys.iter().find(|key| key.access == signed.access).map(|key| key.domain.clone())
}

fn refuse(why: &str) -> Refusal {
    Refusal::Signature(why.to_owned())
}

/// A parsed `Authorization` header.
pub struct Signed {
    /// The access key.
    pub access: String,
    headers: Vec<String>,
    signature: String,
}

impl Signed {
    /// Reads the one form that is accepted; blanks and commas count.
    pub fn parse(authorization: &str) -> Result<Self, &'static str> {
        let rest = authorization
            .strip_prefix(ALGORITHM)
            .and_then(|rest| rest.strip_prefix(' '))
            .ok_or("the signing algorithm is not supported")?;
        let mut parts = rest.split(", ");
        let mut part = |name: &str| parts.next().and_then(|part| part.strip_prefix(name)).filter(|value| !value.is_empty());
        let access = part("Access=").ok_or("Access is missing")?.to_owned();
        let headers = part("SignedHeaders=").ok_or("SignedHeaders is missing")?;
        let signature = part("Signature=").ok_or("Signature is missing")?.to_owned();
        if parts.next().is_some() {
            return Err("the Authorization header is malformed");
        }
        let headers: Vec<String> = headers.split(';').map(str::to_owned).collect();
        if !headers.is_sorted() || headers.iter().any(|name| *name != name.to_ascii_lowercase()) {
            return Err("SignedHeaders must be sorted and lower case");
        }
        if !headers.iter().any(|name| name == "x-sdk-date") {
            return Err("X-Sdk-Date must be signed");
        }
        Ok(Self { access, headers, signature })
    }

    /// Checks the signature, the request's age and the key's own state.
    pub fn check(&self, request: &Request, key: &AccessKey, now: Timestamp) -> Result<(), &'static str> {
        let date = request.header("x-sdk-date").ok_or("X-Sdk-Date is missing")?;
        let at = sdk_date(date).ok_or("X-Sdk-Date is malformed")?;
        if now.duration_since(at).abs() > TOLERANCE {
            return Err("the signature has expired");
        }
        let canonical = self.canonical(request)?;
        let signature = hex::decode(&self.signature).map_err(|_| "verify aksk signature fail")?;
        let mut mac = Hmac::<Sha256>::new_from_slice(key.secret.as_bytes()).map_err(|_| "verify aksk signature fail")?;
        mac.update(string_to_sign(date, &canonical).as_bytes());
        mac.verify_slice(&signature).map_err(|_| "verify aksk signature fail")?;
        if self.signature != self.signature.to_ascii_lowercase() {
            return Err("verify aksk signature fail");
        }
        if key.expires.is_some_and(|end| end <= now) {
            return Err("the security token has expired");
        }
        // Accepted unsigned too: some of the vendor's tools add it after signing.
        if request.header("x-security-token") != key.security_token.as_deref() {
            return Err("the security token does not match the AK");
        }
        Ok(())
    }

    /// The canonical request.
    pub fn canonical(&self, request: &Request) -> Result<String, &'static str> {
        let mut headers = String::new();
        for name in &self.headers {
            let value = request.headers.get(name.as_str()).ok_or("a signed header is missing")?;
            headers.push_str(name);
            headers.push(':');
            headers.push_str(String::from_utf8_lossy(value.as_bytes()).trim());
            headers.push('\n');
        }
        Ok([
            request.method.to_ascii_uppercase(),
            canonical_path(&request.path),
            canonical_query(&request.raw_query),
            headers,
            self.headers.join(";"),
            body_hash(request)?,
        ]
        .join("\n"))
    }
}

/// What the HMAC is made over.
pub fn string_to_sign(date: &str, canonical: &str) -> String {
    [ALGORITHM, date, &hex::encode(Sha256::digest(canonical.as_bytes()))].join("\n")
}

fn body_hash(request: &Request) -> Result<String, &'static str> {
    let real = hex::encode(Sha256::digest(&request.body));
    let Some(claimed) = request.header("x-sdk-content-sha256") else { return Ok(real) };
    let json =
        request.header("content-type").is_some_and(|media| media.starts_with("application/json") || media.starts_with("application/bson"));
    if claimed == real || (claimed == UNSIGNED && !json) {
        Ok(claimed.to_owned())
    } else {
        Err("the body does not match X-Sdk-Content-Sha256")
    }
}

fn canonical_path(path: &str) -> String {
    let segments: Vec<String> = decode(path).split('/').map(encode).collect();
    let mut joined = segments.join("/");
    if !joined.ends_with('/') {
        joined.push('/');
    }
    joined
}

fn canonical_query(raw: &str) -> String {
    // A `+` stays a plus here: a client that means a blank has to write `%20`.
    let mut decoded: Vec<(String, String)> = pairs(raw).iter().map(|(key, value)| (decode(key), decode(value))).collect();
    decoded.sort();
    let encoded: Vec<String> = decoded.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
    encoded.join("&")
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, &UNRESERVED).to_string()
}

fn sdk_date(text: &str) -> Option<Timestamp> {
    if text.len() != "20250102T030405Z".len() {
        return None;
    }
    let at = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    at.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}
