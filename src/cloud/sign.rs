//! `SDK-HMAC-SHA256`, the clouds' signature of a request (vendor's API signing guide). Time is an argument.

use hmac::{Hmac, KeyInit, Mac};
use http::Method;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// What is not encoded besides letters and digits.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const ALGORITHM: &str = "SDK-HMAC-SHA256";

/// What is signed of a request. No `Debug`: the headers hold a security token.
#[derive(Clone)]
pub struct Signable<'a> {
    /// HTTP method.
    pub method: &'a Method,
    /// Path as it goes on the wire.
    pub path: &'a str,
    /// Query as it goes on the wire: see [`query`].
    pub query: &'a str,
    /// Headers to sign, lower-case names, in any order; `x-sdk-date` must be among them.
    pub headers: Vec<(&'a str, &'a str)>,
    /// Body.
    pub body: &'a [u8],
}

/// The date in the form of `X-Sdk-Date`.
pub fn sdk_date(now: Timestamp) -> String {
    now.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Query parameters sorted and encoded as they are signed; the wire has the same string.
pub fn query(parameters: &[(&str, String)]) -> String {
    let mut sorted: Vec<_> = parameters.iter().collect();
    sorted.sort();
    let pairs: Vec<String> = sorted.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}

/// The value of the `Authorization` header.
pub fn authorization(request: &Signable<'_>, access_key: &str, secret_key: &SecretString, date: &str) -> String {
    let (canonical, signed_headers) = canonical(request);
    let signature = signature(&string_to_sign(&canonical, date), secret_key);
    format!("{ALGORITHM} Access={access_key}, SignedHeaders={signed_headers}, Signature={signature}")
}

/// The canonical request, and the names of the signed headers.
fn canonical(request: &Signable<'_>) -> (String, String) {
    let mut headers = request.headers.clone();
    headers.sort_unstable();
    let lines = headers.iter().fold(String::new(), |lines, (name, value)| lines + name + ":" + value.trim() + "\n");
    let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let path = canonical_path(request.path);
    let body = hex::encode(Sha256::digest(request.body));
    (format!("{}\n{path}\n{}\n{lines}\n{names}\n{body}", request.method, request.query), names)
}

/// Decoded, encoded again segment by segment, and with a slash at the end: in the canonical form only.
fn canonical_path(path: &str) -> String {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let encoded = decoded.split('/').map(encode).collect::<Vec<_>>().join("/");
    if encoded.ends_with('/') { encoded } else { format!("{encoded}/") }
}

fn string_to_sign(canonical: &str, date: &str) -> String {
    format!("{ALGORITHM}\n{date}\n{}", hex::encode(Sha256::digest(canonical)))
}

fn signature(string_to_sign: &str, secret_key: &SecretString) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret_key.expose_secret().as_bytes()) else {
        // HMAC takes keys of any length.
        return String::new();
    };
    mac.update(string_to_sign.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

#[cfg(test)]
mod tests {
    //! The vectors V0 to V5: V0 is the vendor's published sample, the others were computed with its own SDK.
    use super::*;

    const ACCESS: &str = "AKIDEXAMPLE0000000AB";
    const SECRET: &str = "SKExampleSecretKey0123456789ABCDEFGHIJKL";
    const DATE: &str = "20250102T030405Z";
    const PROJECT: &str = "054b04b03b8026fa2f50c011a0c5a02b";

    struct Vector<'a> {
        method: Method,
        path: &'a str,
        query: Vec<(&'static str, String)>,
        headers: Vec<(&'a str, &'a str)>,
        body: &'a str,
        canonical: &'a str,
        hash: &'a str,
        authorization: &'a str,
    }

    impl Vector<'_> {
        fn check(&self, access: &str, secret: &str, date: &str) {
            let query = query(&self.query);
            let request = Signable {
                method: &self.method,
                path: self.path,
                query: &query,
                headers: self.headers.clone(),
                body: self.body.as_bytes(),
            };
            let canonical = canonical(&request).0;
            if !self.canonical.is_empty() {
                assert_eq!(canonical, self.canonical);
            }
            assert_eq!(string_to_sign(&canonical, date), format!("SDK-HMAC-SHA256\n{date}\n{}", self.hash));
            assert_eq!(authorization(&request, access, &SecretString::from(secret), date), self.authorization);
        }
    }

    #[test]
    fn v0_the_vendors_published_sample() {
        Vector {
            method: Method::GET,
            path: "/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs",
            query: vec![("limit", "2".into()), ("marker", "13551d6b-755d-4757-b956-536f674975c0".into())],
            headers: vec![("content-type", "application/json"), ("host", "service.region.example.com"), ("x-sdk-date", "20191115T033655Z")],
            body: "",
            canonical: "",
            hash: "b25362e603ee30f4f25e7858e8a7160fd36e803bb2dfe206278659d71a9bcd7a",
            authorization: "SDK-HMAC-SHA256 Access=QTWAOYTTINDUT2QVKYUC, SignedHeaders=content-type;host;x-sdk-date, \
                            Signature=7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe",
        }
        .check("QTWAOYTTINDUT2QVKYUC", "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc", "20191115T033655Z");
    }

    #[test]
    fn v1_special_characters_in_the_query() {
        Vector {
            method: Method::GET,
            path: &format!("/v3/{PROJECT}/backups"),
            query: vec![
                ("offset", "0".into()),
                ("limit", "100".into()),
                ("instance_id", "3d39c18788b54a919bab633874c159dfin07".into()),
                ("name", "nightly *~backup+v1.0/äß".into()),
                ("begin_time", "2025-01-01T00:00:00+0800".into()),
                ("end_time", "2025-01-02T00:00:00+0800".into()),
            ],
            headers: vec![
                ("x-sdk-date", DATE),
                ("host", "gaussdb.cn-north-4.myhuaweicloud.com"),
                ("content-type", "application/json"),
                ("x-project-id", PROJECT),
            ],
            body: "",
            canonical: "GET
/v3/054b04b03b8026fa2f50c011a0c5a02b/backups/
begin_time=2025-01-01T00%3A00%3A00%2B0800&end_time=2025-01-02T00%3A00%3A00%2B0800&instance_id=3d39c18788b54a919bab633874c159dfin07&limit=100&name=nightly%20%2A~backup%2Bv1.0%2F%C3%A4%C3%9F&offset=0
content-type:application/json
host:gaussdb.cn-north-4.myhuaweicloud.com
x-project-id:054b04b03b8026fa2f50c011a0c5a02b
x-sdk-date:20250102T030405Z

content-type;host;x-project-id;x-sdk-date
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            hash: "db711ed75abf963bc5a4f074aee6e621968863f9b5b55c161f053caf8494813a",
            authorization: "SDK-HMAC-SHA256 Access=AKIDEXAMPLE0000000AB, SignedHeaders=content-type;host;x-project-id;x-sdk-date, \
                            Signature=ff1f2d3d27889c20d65f98ead67724a3c7b70862810b47e378375dcf9296b515",
        }
        .check(ACCESS, SECRET, DATE);
    }

    #[test]
    fn v2_a_json_body() {
        Vector {
            method: Method::POST,
            path: &format!("/v3/{PROJECT}/backups/create"),
            query: vec![],
            headers: vec![
                ("content-type", "application/json;charset=UTF-8"),
                ("host", "gaussdb.cn-north-4.myhuaweicloud.com"),
                ("x-project-id", PROJECT),
                ("x-sdk-date", DATE),
            ],
            body: r#"{"instance_id":"3d39c18788b54a919bab633874c159dfin07","name":"nightly-20250102","description":"made by operator"}"#,
            canonical: "POST
/v3/054b04b03b8026fa2f50c011a0c5a02b/backups/create/

content-type:application/json;charset=UTF-8
host:gaussdb.cn-north-4.myhuaweicloud.com
x-project-id:054b04b03b8026fa2f50c011a0c5a02b
x-sdk-date:20250102T030405Z

content-type;host;x-project-id;x-sdk-date
a1a6d053c96ab92959b5701bad3cc0e91295ca86e00fb49968b408b8faa6a257",
            hash: "0315387dae98cbd857df12039142aa06b724cd7f1626136df9916faaa12db7f4",
            authorization: "SDK-HMAC-SHA256 Access=AKIDEXAMPLE0000000AB, SignedHeaders=content-type;host;x-project-id;x-sdk-date, \
                            Signature=7c9626d7fc1f1e2c7a25dec1fbb4b42df89e115a8e5a82b92370d88ed2b70046",
        }
        .check(ACCESS, SECRET, DATE);
    }

    #[test]
    fn v3_temporary_credentials_and_a_body_beyond_ascii() {
        Vector {
            method: Method::POST,
            path: &format!("/v2/{PROJECT}/instances/c11d4e2e-2c5f-4b37-8f9c-1a2b3c4d5e6f/backups"),
            query: vec![],
            headers: vec![
                ("content-type", "application/json;charset=UTF-8"),
                ("host", "dcs.eu-de.otc.t-systems.com"),
                ("x-project-id", PROJECT),
                ("x-sdk-date", DATE),
                ("x-security-token", "gQpjbi1ub3J0aC00EXAMPLETOKEN=="),
            ],
            body: r#"{"remark":"k8s ä","backup_format":"rdb"}"#,
            canonical: "POST
/v2/054b04b03b8026fa2f50c011a0c5a02b/instances/c11d4e2e-2c5f-4b37-8f9c-1a2b3c4d5e6f/backups/

content-type:application/json;charset=UTF-8
host:dcs.eu-de.otc.t-systems.com
x-project-id:054b04b03b8026fa2f50c011a0c5a02b
x-sdk-date:20250102T030405Z
x-security-token:gQpjbi1ub3J0aC00EXAMPLETOKEN==

content-type;host;x-project-id;x-sdk-date;x-security-token
bdf832e030d92c3ef76d389feba0fa97e763f05454f911e7a13d90400c34d7fd",
            hash: "231d2767bacff9e05c991a0449a94b8062f85fd92ea9dce9ff76d658ee444b21",
            authorization: "SDK-HMAC-SHA256 Access=AKIDEXAMPLE0000000AB, SignedHeaders=content-type;host;x-project-id;x-sdk-date;x-security-token, \
                            Signature=e69cd1a1554b89a57f3e224b8bf7e62748d0bdb399fe9a726080a1f3b5f79b04",
        }
        .check(ACCESS, SECRET, DATE);
    }

    #[test]
    fn v4_escapes_in_the_path() {
        Vector {
            method: Method::DELETE,
            path: &format!("/v3/{PROJECT}/backups/a b%2Fc~1"),
            query: vec![],
            headers: vec![("content-type", "application/json"), ("host", "gaussdb-nosql.eu-de.otc.t-systems.com"), ("x-sdk-date", DATE)],
            body: "",
            canonical: "DELETE
/v3/054b04b03b8026fa2f50c011a0c5a02b/backups/a%20b/c~1/

content-type:application/json
host:gaussdb-nosql.eu-de.otc.t-systems.com
x-sdk-date:20250102T030405Z

content-type;host;x-sdk-date
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            hash: "c6533d0917ed008a3d4b349d084f542ee3767c7dc94cb0186d45af6c44fab3d8",
            authorization: "SDK-HMAC-SHA256 Access=AKIDEXAMPLE0000000AB, SignedHeaders=content-type;host;x-sdk-date, \
                            Signature=6d7958c7f78ffa4773c8a0a3c6635169e06e2b5a6d912873f80ed5f5bfe9d2e2",
        }
        .check(ACCESS, SECRET, DATE);
    }

    #[test]
    fn v5_the_least_that_is_signed() {
        Vector {
            method: Method::GET,
            path: "/v3/projects",
            query: vec![("name", "eu-de_my project".into())],
            headers: vec![("host", "iam.eu-de.otc.t-systems.com"), ("x-sdk-date", DATE)],
            body: "",
            canonical: "GET
/v3/projects/
name=eu-de_my%20project
host:iam.eu-de.otc.t-systems.com
x-sdk-date:20250102T030405Z

host;x-sdk-date
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            hash: "244ec9908bc76500c600241d61aeaa0b2ec5883b3d8a01df9c779c92a86b61d9",
            authorization: "SDK-HMAC-SHA256 Access=AKIDEXAMPLE0000000AB, SignedHeaders=host;x-sdk-date, \
                            Signature=1e09c0ec72491919769cf6d0279bcf1730592f2379b93680377f077df67df7f3",
        }
        .check(ACCESS, SECRET, DATE);
    }

    #[test]
    fn the_date_has_the_vendors_form() {
        assert_eq!(sdk_date("2025-01-02T03:04:05.999Z".parse().unwrap()), DATE);
    }
}
