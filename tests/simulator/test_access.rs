//! Who is let in, and how the others are told.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    PROJECT, TOKEN, dcs_line, gemini_list,
    probe::{Answer, Probe, headers},
    simulator::{
        ACCESS_KEY, DOMAIN, OTHER_ACCESS_KEY, OTHER_DOMAIN, OTHER_DOMAIN_ID, OTHER_PASSWORD, OTHER_PROJECTS, OTHER_SECRET_KEY, OTHER_USER,
        PASSWORD, PROJECTS, SECRET_KEY, USER,
        auth::{Signed, string_to_sign},
        keys::AccessKey,
        message::Request,
    },
    stage, taurus_list,
};

const AK: &str = "AKIDEXAMPLE0000000AB";
const SK: &str = "SKExampleSecretKey0123456789ABCDEFGHIJKL";
const DATE: &str = "20250102T030405Z";
const JSON: &str = "application/json";
const JSON_UTF8: &str = "application/json;charset=UTF-8";

struct Vector {
    line: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: &'static str,
    signed: &'static str,
    canonical_hash: &'static str,
    signature: &'static str,
}

impl Vector {
    fn request(&self) -> Request {
        let (method, target) = self.line.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Request {
            method: method.to_owned(),
            path: path.to_owned(),
            raw_query: query.to_owned(),
            headers: headers(&self.headers),
            body: self.body.as_bytes().to_vec(),
        }
    }

    fn authorization(&self, access: &str) -> String {
        format!("SDK-HMAC-SHA256 Access={access}, SignedHeaders={}, Signature={}", self.signed, self.signature)
    }
}

/// V1 to V5 of `cloud-apis.md` §11.2.1.
fn vectors() -> Vec<Vector> {
    let project = ("x-project-id", "054b04b03b8026fa2f50c011a0c5a02b");
    let date = ("x-sdk-date", DATE);
    vec![
        Vector {
            line: "GET /v3/054b04b03b8026fa2f50c011a0c5a02b/backups?begin_time=2025-01-01T00%3A00%3A00%2B0800&end_time=2025-01-02T00%3A00%3A00%2B0800&instance_id=3d39c18788b54a919bab633874c159dfin07&limit=100&name=nightly%20%2A~backup%2Bv1.0%2F%C3%A4%C3%9F&offset=0",
            headers: vec![("content-type", JSON), ("host", "gaussdb.cn-north-4.myhuaweicloud.com"), project, date],
            body: "",
            signed: "content-type;host;x-project-id;x-sdk-date",
            canonical_hash: "db711ed75abf963bc5a4f074aee6e621968863f9b5b55c161f053caf8494813a",
            signature: "ff1f2d3d27889c20d65f98ead67724a3c7b70862810b47e378375dcf9296b515",
        },
        Vector {
            line: "POST /v3/054b04b03b8026fa2f50c011a0c5a02b/backups/create",
            headers: vec![("content-type", JSON_UTF8), ("host", "gaussdb.cn-north-4.myhuaweicloud.com"), project, date],
            body: r#"{"instance_id":"3d39c18788b54a919bab633874c159dfin07","name":"nightly-20250102","description":"made by operator"}"#,
            signed: "content-type;host;x-project-id;x-sdk-date",
            canonical_hash: "0315387dae98cbd857df12039142aa06b724cd7f1626136df9916faaa12db7f4",
            signature: "7c9626d7fc1f1e2c7a25dec1fbb4b42df89e115a8e5a82b92370d88ed2b70046",
        },
        Vector {
            line: "POST /v2/054b04b03b8026fa2f50c011a0c5a02b/instances/c11d4e2e-2c5f-4b37-8f9c-1a2b3c4d5e6f/backups",
            headers: vec![
                ("content-type", JSON_UTF8),
                ("host", "dcs.eu-de.otc.t-systems.com"),
                project,
                date,
                ("x-security-token", "gQpjbi1ub3J0aC00EXAMPLETOKEN=="),
            ],
            body: r#"{"remark":"k8s ä","backup_format":"rdb"}"#,
            signed: "content-type;host;x-project-id;x-sdk-date;x-security-token",
            canonical_hash: "231d2767bacff9e05c991a0449a94b8062f85fd92ea9dce9ff76d658ee444b21",
            signature: "e69cd1a1554b89a57f3e224b8bf7e62748d0bdb399fe9a726080a1f3b5f79b04",
        },
        Vector {
            line: "DELETE /v3/054b04b03b8026fa2f50c011a0c5a02b/backups/a b%2Fc~1",
            headers: vec![("content-type", JSON), ("host", "gaussdb-nosql.eu-de.otc.t-systems.com"), date],
            body: "",
            signed: "content-type;host;x-sdk-date",
            canonical_hash: "c6533d0917ed008a3d4b349d084f542ee3767c7dc94cb0186d45af6c44fab3d8",
            signature: "6d7958c7f78ffa4773c8a0a3c6635169e06e2b5a6d912873f80ed5f5bfe9d2e2",
        },
        Vector {
            line: "GET /v3/projects?name=eu-de_my%20project",
            headers: vec![("host", "iam.eu-de.otc.t-systems.com"), date],
            body: "",
            signed: "host;x-sdk-date",
            canonical_hash: "244ec9908bc76500c600241d61aeaa0b2ec5883b3d8a01df9c779c92a86b61d9",
            signature: "1e09c0ec72491919769cf6d0279bcf1730592f2379b93680377f077df67df7f3",
        },
    ]
}

fn hash_of_canonical(signed: &Signed, request: &Request) -> String {
    hex::encode(Sha256::digest(signed.canonical(request).unwrap()))
}

#[test]
fn the_signing_vectors_verify() {
    let now: Timestamp = "2025-01-02T03:05:00Z".parse().unwrap();
    for vector in vectors() {
        let request = vector.request();
        let key = AccessKey::new(AK, SK, request.header("x-security-token"), None);
        let signed = Signed::parse(&vector.authorization(AK)).unwrap();
        assert_eq!(hash_of_canonical(&signed, &request), vector.canonical_hash, "{}", vector.line);
        assert_eq!(signed.check(&request, &key, now), Ok(()), "{}", vector.line);
    }
}

#[test]
fn the_vendors_public_sample_verifies() {
    let vector = Vector {
        line: "GET /v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs?limit=2&marker=13551d6b-755d-4757-b956-536f674975c0",
        headers: vec![("content-type", JSON), ("host", "service.region.example.com"), ("x-sdk-date", "20191115T033655Z")],
        body: "",
        signed: "content-type;host;x-sdk-date",
        canonical_hash: "b25362e603ee30f4f25e7858e8a7160fd36e803bb2dfe206278659d71a9bcd7a",
        signature: "7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe",
    };
    let request = vector.request();
    let key = AccessKey::new("QTWAOYTTINDUT2QVKYUC", "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc", None, None);
    let signed = Signed::parse(&vector.authorization("QTWAOYTTINDUT2QVKYUC")).unwrap();
    assert_eq!(hash_of_canonical(&signed, &request), vector.canonical_hash);
    assert_eq!(signed.check(&request, &key, "2019-11-15T03:36:55Z".parse().unwrap()), Ok(()));
}

#[test]
fn the_order_of_the_query_does_not_matter() {
    let vector = &vectors()[0];
    let mut request = vector.request();
    let mut parts: Vec<&str> = request.raw_query.split('&').collect();
    parts.reverse();
    request.raw_query = parts.join("&");
    let signed = Signed::parse(&vector.authorization(AK)).unwrap();
    assert_eq!(hash_of_canonical(&signed, &request), vector.canonical_hash);
}

#[test]
fn a_signed_request_that_was_changed_does_not_verify() {
    let now: Timestamp = "2025-01-02T03:05:00Z".parse().unwrap();
    let key = AccessKey::new(AK, SK, None, None);
    let vector = &vectors()[1];
    let signed = Signed::parse(&vector.authorization(AK)).unwrap();
    let fails = |request: &Request| signed.check(request, &key, now).is_err();
    assert!(!fails(&vector.request()));
    assert!(fails(&Request { method: "PUT".to_owned(), ..vector.request() }));
    assert!(fails(&Request { path: "/v3/other/backups/create".to_owned(), ..vector.request() }));
    assert!(fails(&Request { raw_query: "limit=1".to_owned(), ..vector.request() }));
    assert!(fails(&Request { body: b"{}".to_vec(), ..vector.request() }));
    assert!(signed.check(&vector.request(), &AccessKey::new(AK, "another secret", None, None), now).is_err());
    assert!(signed.check(&vector.request(), &key, "2025-01-02T03:19:06Z".parse().unwrap()).is_err());
    assert!(Signed::parse(&vector.authorization(AK).replace(", SignedHeaders", ",SignedHeaders")).is_err());
    assert!(Signed::parse(&vector.authorization(AK).replace("x-sdk-date", "x-some-date")).is_err());
}

/// Signs a request without a body, for the moment given.
fn sign(probe: &Probe, line: &str, secret: &str, at: Timestamp) -> Probe {
    sign_with(probe, line, ACCESS_KEY, secret, at)
}

/// The same with another access key.
pub(super) fn sign_with(probe: &Probe, line: &str, access: &str, secret: &str, at: Timestamp) -> Probe {
    let date = at.strftime("%Y%m%dT%H%M%SZ").to_string();
    let (method, target) = line.split_once(' ').unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request_headers = http::HeaderMap::new();
    request_headers.insert("host", probe.host().parse().unwrap());
    request_headers.insert("x-sdk-date", date.parse().unwrap());
    let request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        raw_query: query.to_owned(),
        headers: request_headers,
        body: Vec::new(),
    };
    let unsigned = Signed::parse(&format!("SDK-HMAC-SHA256 Access={access}, SignedHeaders=host;x-sdk-date, Signature=00")).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(string_to_sign(&date, &unsigned.canonical(&request).unwrap()).as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    let authorization = format!("SDK-HMAC-SHA256 Access={access}, SignedHeaders=host;x-sdk-date, Signature={signature}");
    probe.clone().header("X-Sdk-Date", &date).header("Authorization", &authorization)
}

#[tokio::test]
async fn six_wrong_signatures_in_a_row_lock_the_access_key() {
    let stage = stage().await;
    let (probe, line) = (Probe::new(&stage.cloud.endpoints().taurusdb), taurus_list("?limit=1"));
    let good = sign(&probe, &line, SECRET_KEY, Timestamp::now());
    let bad = sign(&probe, &line, "wrong", Timestamp::now());
    assert_eq!(good.ask(&line, None).await.status, 200);
    for _ in 0..5 {
        assert_eq!(bad.ask(&line, None).await.error(), (401, "APIGW.0301".to_owned()));
    }
    assert_eq!(good.ask(&line, None).await.status, 200, "five are forgiven by one good signature");
    for _ in 0..6 {
        bad.ask(&line, None).await;
    }
    let locked = good.ask(&line, None).await;
    assert_eq!(locked.error(), (401, "APIGW.0301".to_owned()));
    assert!(locked.text.contains("reach the limit"));
    stage.cloud.unlock_access_keys();
    assert_eq!(good.ask(&line, None).await.status, 200);
}

#[tokio::test]
async fn a_signature_is_refused_when_the_clocks_are_too_far_apart() {
    let stage = stage().await;
    let (probe, line) = (Probe::new(&stage.cloud.endpoints().dcs), dcs_line("GET", ""));
    stage.cloud.settings(|settings| settings.clock_offset_seconds = 14 * 60);
    assert_eq!(sign(&probe, &line, SECRET_KEY, Timestamp::now()).ask(&line, None).await.status, 204);
    stage.cloud.settings(|settings| settings.clock_offset_seconds = 16 * 60);
    let refused = sign(&probe, &line, SECRET_KEY, Timestamp::now()).ask(&line, None).await;
    assert_eq!(refused.error(), (401, "APIGW.0301".to_owned()));
    assert!(refused.text.contains("expired"));
}

#[tokio::test]
async fn a_temporary_access_key_needs_its_security_token() {
    let stage = stage().await;
    stage.cloud.add_access_key(ACCESS_KEY, "temporary", Some("the-security-token"), None);
    let line = gemini_list("");
    let signed = sign(&Probe::new(&stage.cloud.endpoints().geminidb), &line, "temporary", Timestamp::now());
    assert_eq!(signed.ask(&line, None).await.error(), (401, "APIGW.0301".to_owned()));
    assert_eq!(signed.clone().header("X-Security-Token", "the-security-token").ask(&line, None).await.status, 200);
    let past = Timestamp::now().checked_sub(jiff::SignedDuration::from_secs(1)).unwrap();
    stage.cloud.add_access_key(ACCESS_KEY, "temporary", Some("the-security-token"), Some(past));
    assert_eq!(signed.header("X-Security-Token", "the-security-token").ask(&line, None).await.status, 401);
}

#[tokio::test]
async fn a_signed_call_reaches_a_sub_project_only_with_its_header() {
    let stage = stage().await;
    let sub = "aaaabbbbccccddddeeeeffff00001111";
    stage.cloud.add_project(sub, "eu-de_shop");
    let line = format!("GET /v3/{sub}/backups");
    let signed = sign(&Probe::new(&stage.cloud.endpoints().taurusdb), &line, SECRET_KEY, Timestamp::now());
    assert_eq!(signed.ask(&line, None).await.error(), (403, "DBS.200010".to_owned()));
    assert_eq!(signed.header("X-Project-Id", sub).ask(&line, None).await.status, 200);
}

#[tokio::test]
async fn each_service_refuses_bad_tokens_in_its_own_words() {
    let stage = stage().await;
    let urls = stage.cloud.endpoints();
    let services = [
        (&urls.geminidb, gemini_list(""), (401, "APIGW.0301"), (403, "DBS.280056"), (400, "DBS.200010")),
        (&urls.taurusdb, taurus_list(""), (401, "APIGW.0301"), (403, "DBS.280056"), (403, "DBS.200010")),
        (&urls.dcs, dcs_line("GET", ""), (401, "DCS.1003"), (401, "DCS.1001"), (401, "DCS.1004")),
        (&urls.iam, "GET /v3/projects".to_owned(), (401, "401"), (401, "401"), (200, "null")),
    ];
    stage.cloud.add_token_in("eu-nl", "elsewhere");
    for (url, line, missing, invalid, elsewhere) in services {
        let probe = Probe::new(url);
        let told = |answer: Answer| answer.error();
        let expected = |(status, code): (u16, &str)| (status, code.to_owned());
        assert_eq!(told(probe.ask(&line, None).await), expected(missing), "{line}");
        assert_eq!(told(probe.clone().token("nonsense").ask(&line, None).await), expected(invalid), "{line}");
        assert_eq!(told(probe.token("elsewhere").ask(&line, None).await), expected(elsewhere), "{line}");
    }
}

#[tokio::test]
async fn a_permission_can_be_withdrawn_per_service() {
    let stage = stage().await;
    for service in ["geminidb", "taurusdb", "dcs", "iam"] {
        stage.cloud.deny(service, true);
    }
    assert_eq!(stage.create_gemini("denied").await.error(), (403, "DBS.280032".to_owned()));
    assert_eq!(stage.create_taurus("denied").await.error(), (403, "DBS.280015".to_owned()));
    assert_eq!(stage.create_dcs("denied").await.error(), (403, "DCS.2003".to_owned()));
    assert_eq!(stage.iam.clone().token(TOKEN).ask("GET /v3/projects", None).await.status, 403);
    assert_eq!(stage.iam.clone().token(TOKEN).ask("GET /v3/auth/projects", None).await.status, 200, "it needs no permission");
    stage.cloud.deny("dcs", false);
    assert_eq!(stage.create_dcs("granted").await.status, 200);
}

fn password_body(password: &str, scope: &serde_json::Value) -> String {
    body_of([DOMAIN, USER, password], scope)
}

pub(super) fn body_of([domain, user, password]: [&str; 3], scope: &serde_json::Value) -> String {
    json!({ "auth": {
        "identity": { "methods": ["password"], "password": { "user": { "name": user, "password": password, "domain": { "name": domain } } } },
        "scope": { "project": scope },
    }})
    .to_string()
}

#[tokio::test]
async fn a_token_bought_by_password_works_until_it_expires() {
    let stage = stage().await;
    stage.cloud.token_lifetime(Duration::from_millis(700));
    let bought = stage.iam.ask("POST /v3/auth/tokens?nocatalog=1", Some(&password_body(PASSWORD, &json!({ "name": "eu-de" })))).await;
    assert_eq!(bought.status, 201);
    assert_eq!(
        bought.json()["token"]["project"],
        json!({ "id": PROJECT, "name": "eu-de", "domain": bought.json()["token"]["user"]["domain"] })
    );
    let end: Timestamp = bought.json()["token"]["expires_at"].as_str().unwrap().parse().unwrap();
    let token = &bought.headers["x-subject-token"];
    let probe = Probe::new(&stage.cloud.endpoints().dcs).token(token);
    assert_eq!(probe.ask(&dcs_line("GET", ""), None).await.status, 204);
    while Timestamp::now() <= end {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(probe.ask(&dcs_line("GET", ""), None).await.error(), (401, "DCS.1002".to_owned()));
}

#[tokio::test]
async fn iam_refuses_wrong_passwords_projects_and_bodies() {
    let stage = stage().await;
    let line = "POST /v3/auth/tokens";
    let scope = json!({ "id": PROJECT });
    let status = async |body: &str| stage.iam.ask(line, Some(body)).await.status;
    assert_eq!(status(&password_body("wrong", &scope)).await, 401);
    assert_eq!(status(&password_body(PASSWORD, &json!({ "id": "nowhere" }))).await, 404);
    assert_eq!(status(&password_body(PASSWORD, &json!({}))).await, 400);
    assert_eq!(status("{").await, 400);
    assert_eq!(status(r#"{"auth":{}}"#).await, 400);
    stage.cloud.set_password("changed");
    assert_eq!(status(&password_body(PASSWORD, &scope)).await, 401);
    assert_eq!(status(&password_body("changed", &scope)).await, 201);
    let wrong = stage.iam.ask(line, Some(&password_body("wrong", &scope))).await;
    assert_eq!(wrong.json()["error"]["code"], 401);
    assert!(wrong.headers.contains_key("x-iam-trace-id"));
}

#[tokio::test]
async fn revoked_tokens_are_invalid() {
    let stage = stage().await;
    assert_eq!(stage.gemini.ask(&gemini_list(""), None).await.status, 200);
    stage.cloud.revoke_tokens();
    assert_eq!(stage.gemini.ask(&gemini_list(""), None).await.error(), (403, "DBS.280056".to_owned()));
    stage.cloud.settings(|settings| settings.gateway_checks_tokens = true);
    assert_eq!(stage.gemini.ask(&gemini_list(""), None).await.error(), (401, "APIGW.0301".to_owned()));
}

#[tokio::test]
async fn projects_are_found_by_name() {
    let stage = stage().await;
    let found = stage.iam.clone().token(TOKEN).ask("GET /v3/projects?name=ap-southeast-1", None).await.json();
    assert_eq!(found["projects"].as_array().unwrap().len(), 1);
    assert_eq!(found["projects"][0]["id"], PROJECTS[2].1);
    let none = stage.iam.clone().token(TOKEN).ask("GET /v3/projects?name=nowhere", None).await.json();
    assert_eq!(none["projects"], json!([]));
}

#[tokio::test]
async fn another_account_has_projects_of_the_same_names_and_neither_sees_the_others() {
    let stage = stage().await;
    let line = "POST /v3/auth/tokens";
    let (own, other) = ([DOMAIN, USER, PASSWORD], [OTHER_DOMAIN, OTHER_USER, OTHER_PASSWORD]);
    let by_name = json!({ "name": "eu-de" });
    let mut tokens = Vec::new();
    for (who, project) in [(own, PROJECT), (other, OTHER_PROJECTS[0].1)] {
        let bought = stage.iam.ask(line, Some(&body_of(who, &by_name))).await;
        assert_eq!((bought.status, bought.json()["token"]["project"]["id"].as_str()), (201, Some(project)));
        assert_eq!(bought.json()["token"]["user"]["domain"]["name"], who[0]);
        tokens.push(bought.headers["x-subject-token"].clone());
    }
    let status = async |who: [&str; 3], scope: &serde_json::Value| stage.iam.ask(line, Some(&body_of(who, scope))).await.status;
    assert_eq!(status(other, &json!({ "id": PROJECT })).await, 404);
    assert_eq!(status([OTHER_DOMAIN, USER, PASSWORD], &by_name).await, 401);
    let taurus = Probe::new(&stage.cloud.endpoints().taurusdb);
    let theirs = taurus_list("").replace(PROJECT, OTHER_PROJECTS[0].1);
    for (token, own, foreign) in [(&tokens[0], taurus_list(""), &theirs), (&tokens[1], theirs.clone(), &taurus_list(""))] {
        let probe = taurus.clone().token(token);
        assert_eq!(probe.ask(&own, None).await.status, 200);
        assert_eq!(probe.ask(foreign, None).await.error(), (403, "DBS.200010".to_owned()));
    }
    let lookup = "GET /v3/projects?name=eu-de";
    for (access, secret, project, domain) in
        [(ACCESS_KEY, SECRET_KEY, PROJECTS[0].1, DOMAIN), (OTHER_ACCESS_KEY, OTHER_SECRET_KEY, OTHER_PROJECTS[0].1, OTHER_DOMAIN)]
    {
        let signed = |line: &str| sign_with(&stage.iam, line, access, secret, Timestamp::now());
        let found = signed(lookup).ask(lookup, None).await.json();
        assert_eq!((found["projects"].as_array().map(Vec::len), found["projects"][0]["id"].as_str()), (Some(1), Some(project)));
        let domains = "GET /v3/auth/domains";
        assert_eq!(signed(domains).ask(domains, None).await.json()["domains"][0]["name"], domain);
    }
    let signed = sign_with(&taurus, &theirs, ACCESS_KEY, SECRET_KEY, Timestamp::now());
    assert_eq!(signed.ask(&theirs, None).await.error(), (403, "DBS.200010".to_owned()));
    let token = &stage.iam.ask(line, Some(&body_of(other, &by_name))).await.headers["x-subject-token"];
    let found = stage.iam.clone().token(token).ask(lookup, None).await.json();
    assert_eq!(found["projects"][0]["domain_id"], OTHER_DOMAIN_ID);
}
