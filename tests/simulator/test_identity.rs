//! Whom IAM lets in for an ID token.

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    GEMINI, PROJECT, Stage, dcs_line, gemini_list,
    probe::{Answer, Probe},
    simulator::{
        DOMAIN, OTHER_DOMAIN, OTHER_DOMAIN_ID, OTHER_PROJECTS,
        identity::{Provider, Rejection},
        issuer::{Issuer, private_key_pem},
    },
    stage,
};

const LINE: &str = "POST /v3.0/OS-AUTH/id-token/tokens";
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const IDP: &str = "cluster-oidc";
const AUDIENCE: &str = "iam-client-id";
const SUBJECT: &str = "system:serviceaccount:shop:backups";

fn issuer() -> Issuer {
    Issuer::new(ISSUER, "first-key")
}

fn provider(issuer: &Issuer) -> Provider {
    Provider::new(IDP, AUDIENCE, ISSUER, &issuer.jwks()).admit(SUBJECT)
}

fn claims(issuer: &Issuer) -> Value {
    issuer.claims(AUDIENCE, "shop", "backups", Timestamp::now().as_second())
}

fn body(jwt: &str) -> String {
    json!({ "auth": { "id_token": { "id": jwt }, "scope": { "project": { "name": "eu-de" } } } }).to_string()
}

impl Stage {
    async fn trade(&self, jwt: &str) -> Answer {
        self.iam.clone().header("X-Idp-Id", IDP).ask(LINE, Some(&body(jwt))).await
    }
}

fn refused(answer: &Answer) -> (u16, String) {
    assert!(!answer.headers.contains_key("x-subject-token"), "{answer:?}");
    answer.error()
}

#[test]
fn the_published_example_of_a_signed_token_verifies() {
    // RFC 7515, A.2: signed by the same key as ours, with line ends in its claims, and neither a key id nor an audience.
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let now = Timestamp::from_second(1_300_819_000).unwrap();
    let of = |issuer: Issuer| Provider::new(IDP, AUDIENCE, "joe", &issuer.jwks());
    assert_eq!(of(Issuer::new("joe", "")).verify(token, now), Err(Rejection::Untrusted("it is meant for another audience")));
    assert_eq!(of(Issuer::another("joe", "")).verify(token, now), Err(Rejection::Untrusted("the signature is wrong")));
}

#[test]
fn an_api_server_can_be_given_the_key_of_the_first_issuer() {
    let pem = private_key_pem();
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let key = ring::rsa::KeyPair::from_der(&BASE64_STANDARD.decode(base64).unwrap()).unwrap();
    let public: ring::rsa::PublicKeyComponents<Vec<u8>> = key.public().into();
    let set: Value = serde_json::from_str(&issuer().jwks()).unwrap();
    assert_eq!(set["keys"][0]["n"], BASE64_URL_SAFE_NO_PAD.encode(public.n));
    assert_eq!(set["keys"][0]["e"], BASE64_URL_SAFE_NO_PAD.encode(public.e));
}

#[tokio::test]
async fn a_service_accounts_token_buys_a_token_of_its_account() {
    let stage = stage().await;
    let issuer = issuer();
    stage.cloud.add_identity_provider(provider(&issuer));
    let bought = stage.trade(&issuer.sign(&claims(&issuer))).await;
    assert_eq!(bought.status, 201, "{bought:?}");
    let told = &bought.json()["token"];
    assert_eq!((&told["methods"], &told["project"]["id"]), (&json!(["mapped"]), &json!(PROJECT)));
    assert_eq!(told["user"]["OS-FEDERATION"]["identity_provider"]["id"], IDP);
    assert_eq!(told["user"]["domain"]["name"], DOMAIN);
    let probe = Probe::new(&stage.cloud.endpoints().geminidb).token(&bought.headers["x-subject-token"]);
    assert_eq!(probe.ask(&gemini_list(&format!("?instance_id={GEMINI}")), None).await.status, 200);
    // Without a scope there is a token too, and no service takes it.
    let unscoped = json!({ "auth": { "id_token": { "id": issuer.sign(&claims(&issuer)) } } }).to_string();
    let bought = stage.iam.clone().header("X-Idp-Id", IDP).ask(LINE, Some(&unscoped)).await;
    assert_eq!((bought.status, &bought.json()["token"]["project"]), (201, &Value::Null));
    let probe = Probe::new(&stage.cloud.endpoints().dcs).token(&bought.headers["x-subject-token"]);
    assert_eq!(probe.ask(&dcs_line("GET", ""), None).await.error(), (401, "DCS.1004".to_owned()));
}

#[tokio::test]
async fn what_is_no_such_request_is_400_and_an_unknown_provider_404() {
    let stage = stage().await;
    let issuer = issuer();
    stage.cloud.add_identity_provider(provider(&issuer));
    let jwt = issuer.sign(&claims(&issuer));
    let invalid = (400, "IAM.0011".to_owned());
    let idp = stage.iam.clone().header("X-Idp-Id", IDP);
    assert_eq!(refused(&stage.iam.ask(LINE, Some(&body(&jwt))).await), invalid);
    assert_eq!(refused(&idp.clone().header("Content-Type", "text/plain").ask(LINE, Some(&body(&jwt))).await), invalid);
    assert_eq!(refused(&idp.ask(LINE, Some("{")).await), invalid);
    assert_eq!(refused(&idp.ask(LINE, Some(r#"{"auth":{"id_token":{}}}"#)).await), invalid);
    let (head, _) = jwt.rsplit_once('.').unwrap();
    for malformed in ["nonsense", "a.b.c", head, &format!("{jwt}="), &format!("{jwt}.{jwt}"), &jwt.replacen('.', "", 1)] {
        assert_eq!(refused(&stage.trade(malformed).await), invalid, "{malformed}");
    }
    let stranger = stage.iam.clone().header("X-Idp-Id", "stranger").ask(LINE, Some(&body(&jwt))).await;
    assert_eq!(refused(&stranger), (404, "IAM.0004".to_owned()));
    let nowhere = json!({ "auth": { "id_token": { "id": jwt }, "scope": { "project": { "name": "nowhere" } } } }).to_string();
    assert_eq!(refused(&idp.ask(LINE, Some(&nowhere)).await), (404, "IAM.0004".to_owned()));
}

#[tokio::test]
async fn a_token_that_is_not_genuine_or_not_for_this_cloud_or_of_another_time_is_401() {
    let stage = stage().await;
    let issuer = issuer();
    stage.cloud.add_identity_provider(provider(&issuer));
    let now = Timestamp::now().as_second();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut changed = claims(&issuer);
        change(&mut changed);
        issuer.sign(&changed)
    };
    let good = with(&|_| {});
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let forged = issuer.sign(&issuer.claims(AUDIENCE, "shop", "another", now));
    let (forged, _) = forged.rsplit_once('.').unwrap();
    let cases = [
        ("of another key with the same id", Issuer::another(ISSUER, "first-key").sign(&claims(&issuer))),
        ("of a key that is not in the set", Issuer::new(ISSUER, "second-key").sign(&claims(&issuer))),
        ("of no key", issuer.sign_as(&json!({ "alg": "RS256" }), &claims(&issuer))),
        ("unsigned by its own word", issuer.sign_as(&json!({ "alg": "none", "kid": "first-key" }), &claims(&issuer))),
        ("with claims that were changed", format!("{forged}.{signature}")),
        ("without its signature", format!("{signed}.")),
        ("of another issuer", with(&|claims| claims["iss"] = json!("https://elsewhere"))),
        ("for the API server", with(&|claims| claims["aud"] = json!([ISSUER]))),
        ("for nobody", with(&|claims| claims["aud"] = json!([]))),
        ("past its end", with(&|claims| claims["exp"] = json!(now - 1))),
        ("without an end", with(&|claims| claims["exp"] = Value::Null)),
        ("before its time", with(&|claims| claims["nbf"] = json!(now + 60))),
    ];
    for (what, jwt) in cases {
        assert_eq!(refused(&stage.trade(&jwt).await), (401, "IAM.0001".to_owned()), "{what}");
    }
    assert_eq!(stage.trade(&with(&|claims| claims["aud"] = json!(AUDIENCE))).await.status, 201, "one audience may stand alone");
    assert_eq!(stage.trade(&good).await.status, 201);
    // It is the cloud's clock that counts.
    stage.cloud.settings(|settings| settings.clock_offset_seconds = 601);
    assert_eq!(refused(&stage.trade(&good).await), (401, "IAM.0001".to_owned()));
    stage.cloud.settings(|settings| settings.clock_offset_seconds = -60);
    assert_eq!(refused(&stage.trade(&good).await), (401, "IAM.0001".to_owned()));
}

#[tokio::test]
async fn only_subjects_with_a_rule_are_let_in_and_only_to_the_account_of_the_provider() {
    let stage = stage().await;
    let issuer = issuer();
    stage.cloud.add_identity_provider(provider(&issuer));
    let now = Timestamp::now().as_second();
    for (namespace, name) in [("shop", "default"), ("other", "backups")] {
        let jwt = issuer.sign(&issuer.claims(AUDIENCE, namespace, name, now));
        assert_eq!(refused(&stage.trade(&jwt).await), (403, "IAM.0003".to_owned()), "{namespace}/{name}");
    }
    stage.cloud.add_identity_provider(provider(&issuer).of(OTHER_DOMAIN_ID));
    let jwt = issuer.sign(&claims(&issuer));
    let theirs = stage.trade(&jwt).await.json();
    assert_eq!(
        (&theirs["token"]["project"]["id"], &theirs["token"]["user"]["domain"]["name"]),
        (&json!(OTHER_PROJECTS[0].1), &json!(OTHER_DOMAIN))
    );
    let ours = json!({ "auth": { "id_token": { "id": jwt }, "scope": { "project": { "id": PROJECT } } } }).to_string();
    assert_eq!(refused(&stage.iam.clone().header("X-Idp-Id", IDP).ask(LINE, Some(&ours)).await), (404, "IAM.0004".to_owned()));
}

#[tokio::test]
async fn keys_rotate_and_a_provider_that_is_taken_away_takes_its_tokens_along() {
    let stage = stage().await;
    let (old, new) = (issuer(), Issuer::another(ISSUER, "second-key"));
    stage.cloud.add_identity_provider(provider(&old));
    let [first, second] = [stage.trade(&old.sign(&claims(&old))).await, stage.trade(&old.sign(&claims(&old))).await];
    let status = async |answer: &Answer| {
        let probe = Probe::new(&stage.cloud.endpoints().dcs).token(&answer.headers["x-subject-token"]);
        probe.ask(&dcs_line("GET", ""), None).await.status
    };
    assert_eq!((status(&first).await, status(&second).await), (204, 204));
    stage.cloud.add_identity_provider(provider(&new));
    assert_eq!(refused(&stage.trade(&old.sign(&claims(&old))).await), (401, "IAM.0001".to_owned()));
    assert_eq!(status(&first).await, 204, "what was bought stays good");
    stage.cloud.revoke_federated_tokens(IDP);
    assert_eq!((status(&first).await, status(&second).await), (401, 401));
    let third = stage.trade(&new.sign(&claims(&new))).await;
    assert_eq!((third.status, status(&third).await), (201, 204));
    assert!(stage.cloud.remove_identity_provider(IDP));
    assert!(!stage.cloud.remove_identity_provider(IDP));
    assert_eq!(status(&third).await, 401);
    assert_eq!(refused(&stage.trade(&new.sign(&claims(&new))).await), (404, "IAM.0004".to_owned()));
    assert_eq!(stage.dcs.ask(&dcs_line("GET", ""), None).await.status, 204, "other tokens are none of its business");
}

#[tokio::test]
async fn identity_providers_are_on_the_admin_api_too() {
    let stage = stage().await;
    let admin = Probe::new(stage.cloud.admin_url());
    let issuer = issuer();
    let wish = json!({ "name": IDP, "audience": AUDIENCE, "issuer": ISSUER, "jwks": issuer.jwks(), "subjects": [SUBJECT] });
    let send = async |line: &str, body: Option<Value>| admin.send(line, body.map(|body| body.to_string()).as_deref()).await.unwrap();
    for wrong in
        [json!({ "jwks": "nonsense" }), json!({ "jwks": r#"{"keys":[]}"# }), json!({ "domain": "nobody's" }), json!({ "misspelt": 1 })]
    {
        let mut broken = wish.clone();
        broken.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        let answer = send("POST /identity-providers", Some(broken)).await;
        assert!((400..500).contains(&answer.status), "{wrong}: {answer:?}");
    }
    assert_eq!(send("POST /identity-providers", Some(wish.clone())).await.status, 200);
    let listed = send("GET /identity-providers", None).await.json();
    assert_eq!((&listed[0]["name"], &listed[0]["subjects"], listed.as_array().map(Vec::len)), (&json!(IDP), &json!([SUBJECT]), Some(1)));
    let bought = stage.trade(&issuer.sign(&claims(&issuer))).await;
    let probe = Probe::new(&stage.cloud.endpoints().dcs).token(&bought.headers["x-subject-token"]);
    assert_eq!((bought.status, probe.ask(&dcs_line("GET", ""), None).await.status), (201, 204));
    assert_eq!(send(&format!("DELETE /identity-providers/{IDP}/tokens"), None).await.status, 200);
    assert_eq!(probe.ask(&dcs_line("GET", ""), None).await.status, 401);
    assert_eq!(send(&format!("DELETE /identity-providers/{IDP}"), None).await.status, 200);
    assert_eq!(send(&format!("DELETE /identity-providers/{IDP}"), None).await.status, 404);
}
