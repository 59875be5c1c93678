//! The metadata service and the pod identity agent of a node.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    Stage,
    probe::{Answer, Probe},
    simulator::{
        OTHER_DOMAIN_ID, OTHER_PROJECTS, PROJECTS,
        settings::{MetadataTokens, Spelling, Wrapping},
    },
    stage, taurus_list,
    test_access::sign_with,
};

const TOKEN: &str = "PUT /meta-data/latest/api/token";
const KEY: &str = "GET /openstack/latest/securitykey";
const LIFETIME: &str = "X-Metadata-Token-Ttl-Seconds";

impl Stage {
    fn metadata(&self) -> Probe {
        Probe::new(&self.cloud.metadata_url())
    }

    /// Asks a node's agent, which has no request ids.
    async fn node(&self, probe: &Probe, line: &str) -> Answer {
        probe.send(line, None).await.unwrap()
    }

    async fn metadata_token(&self, seconds: &str) -> Answer {
        self.node(&self.metadata().header(LIFETIME, seconds), TOKEN).await
    }

    async fn pod(&self, token: &str, body: &str) -> Answer {
        let uri = self.cloud.pod_identity_uri();
        let (host, path) = uri.trim_start_matches("http://").split_once('/').unwrap();
        Probe::new(&format!("http://{host}")).header("Authorization", token).send(&format!("POST /{path}"), Some(body)).await.unwrap()
    }

    /// Lists the TaurusDB backups of a project with the key in a credential.
    async fn use_key(&self, credential: &Value, project: &str) -> Answer {
        let field = |names: [&str; 3]| names.iter().find_map(|name| credential[*name].as_str()).expect("a field").to_owned();
        let access = field(["access", "access_key_id", "accessKeyId"]);
        let secret = field(["secret", "secret_access_key", "secretAccessKey"]);
        let token = field(["securitytoken", "security_token", "securityToken"]);
        let line = taurus_list("").replace(PROJECTS[0].1, project);
        let signed = sign_with(&Probe::new(&self.cloud.endpoints().taurusdb), &line, &access, &secret, self.cloud.cloud().now());
        signed.header("X-Security-Token", &token).ask(&line, None).await
    }
}

fn end_of(credential: &Value) -> Timestamp {
    let text = credential.get("expires_at").or(credential.get("expiration")).unwrap().as_str().unwrap();
    assert_eq!(text.len(), "2015-11-09T01:42:57.527363Z".len(), "{text}");
    text.parse().unwrap()
}

#[tokio::test]
async fn a_node_hands_out_a_temporary_access_key_that_ends_when_it_says() {
    let stage = stage().await;
    stage.cloud.settings(|dials| (dials.metadata.tokens, dials.metadata.key_lifetime_ms) = (MetadataTokens::Required, 3_600_000));
    let token = stage.metadata_token("21600").await;
    assert_eq!(token.status, 200);
    let told = stage.node(&stage.metadata().header("X-Metadata-Token", &token.text), KEY).await;
    assert_eq!((told.status, told.headers["content-type"].as_str()), (200, "application/json"));
    let credential = told.json()["credential"].clone();
    assert_eq!(credential.as_object().unwrap().len(), 4);
    let left = end_of(&credential).duration_since(Timestamp::now());
    assert!(left > SignedDuration::from_mins(59) && left <= SignedDuration::from_mins(60), "{left}");
    assert_eq!(stage.use_key(&credential, PROJECTS[0].1).await.status, 200);
    assert_eq!(stage.use_key(&credential, OTHER_PROJECTS[0].1).await.status, 403, "it is the key of one account");
    stage.cloud.settings(|dials| dials.clock_offset_seconds = 3_599);
    assert_eq!(stage.use_key(&credential, PROJECTS[0].1).await.status, 200);
    stage.cloud.settings(|dials| dials.clock_offset_seconds = 3_601);
    assert_eq!(stage.use_key(&credential, PROJECTS[0].1).await.error(), (401, "APIGW.0301".to_owned()));
}

#[tokio::test]
async fn a_nodes_key_is_renewed_before_it_ends_and_the_old_one_stays_good() {
    let stage = stage().await;
    stage.cloud.settings(|dials| dials.metadata.key_lifetime_ms = 4_000_000);
    let ask = async || stage.node(&stage.metadata(), KEY).await.json()["credential"].clone();
    let first = ask().await;
    stage.cloud.settings(|dials| dials.clock_offset_seconds = 2_900);
    assert_eq!(ask().await, first);
    stage.cloud.settings(|dials| dials.clock_offset_seconds = 3_100);
    let second = ask().await;
    assert_ne!(second["access"], first["access"]);
    assert!(end_of(&second) > end_of(&first));
    assert_eq!(stage.use_key(&first, PROJECTS[0].1).await.status, 200);
    assert_eq!(stage.use_key(&second, PROJECTS[0].1).await.status, 200);
    stage.cloud.revoke_agency_keys();
    assert_eq!(stage.use_key(&second, PROJECTS[0].1).await.status, 401);
    let third = ask().await;
    assert_eq!(stage.use_key(&third, PROJECTS[0].1).await.status, 200);
}

#[tokio::test]
async fn a_metadata_token_is_asked_for_with_a_lifetime_and_ends_after_it() {
    let stage = stage().await;
    stage.cloud.settings(|dials| dials.metadata.tokens = MetadataTokens::Required);
    for wrong in ["0", "-1", "21601", "six hours", ""] {
        assert_eq!(stage.metadata_token(wrong).await.status, 400, "{wrong}");
    }
    assert_eq!(stage.node(&stage.metadata(), TOKEN).await.status, 400);
    let token = stage.metadata_token("60").await.text;
    let key = async |token: &str| stage.node(&stage.metadata().header("X-Metadata-Token", token), KEY).await;
    assert_eq!(key(&token).await.status, 200);
    for (offset, status) in [(59, 200), (61, 401), (0, 200)] {
        stage.cloud.settings(|dials| dials.clock_offset_seconds = offset);
        assert_eq!(key(&token).await.status, status, "after {offset} s");
    }
    stage.cloud.expire_metadata_tokens();
    let expired = key(&token).await;
    assert_eq!(expired.status, 401);
    assert!(!expired.text.contains("configure"), "{}", expired.text);
    assert_eq!(stage.node(&stage.metadata(), KEY).await.status, 401);
    assert_eq!(stage.node(&stage.metadata(), "GET /meta-data/latest/api/token").await.status, 405);
    assert_eq!(stage.node(&stage.metadata(), "GET /openstack/latest/meta_data.json").await.status, 404);
}

#[tokio::test]
async fn an_old_metadata_service_has_no_tokens_and_a_newer_one_may_do_without() {
    let stage = stage().await;
    let key = async |token: Option<&str>| {
        let probe = stage.metadata();
        let probe = if let Some(token) = token { probe.header("X-Metadata-Token", token) } else { probe };
        stage.node(&probe, KEY).await.status
    };
    stage.cloud.settings(|dials| dials.metadata.tokens = MetadataTokens::None);
    for status in [404, 405, 503] {
        stage.cloud.settings(|dials| dials.metadata.no_tokens_status = status);
        assert_eq!(stage.metadata_token("21600").await.status, status);
    }
    assert_eq!((key(None).await, key(Some("nonsense")).await), (200, 200));
    stage.cloud.settings(|dials| dials.metadata.tokens = MetadataTokens::Optional);
    let token = stage.metadata_token("21600").await.text;
    assert_eq!((key(None).await, key(Some(&token)).await, key(Some("nonsense")).await), (200, 200, 401));
}

#[tokio::test]
async fn a_node_without_an_agency_says_so() {
    let stage = stage().await;
    stage.cloud.settings(|dials| dials.metadata.agency = None);
    let told = stage.node(&stage.metadata(), KEY).await;
    assert_eq!(told.status, 401);
    assert!(told.text.contains("Please configure Cloud Service Agency first"), "{}", told.text);
    stage.cloud.settings(|dials| dials.metadata.agency = Some(OTHER_DOMAIN_ID.to_owned()));
    let credential = stage.node(&stage.metadata(), KEY).await.json()["credential"].clone();
    assert_eq!(stage.use_key(&credential, OTHER_PROJECTS[0].1).await.status, 200);
}

#[tokio::test]
async fn the_pod_identity_agent_spells_a_credential_in_each_way_that_the_sdk_reads() {
    let stage = stage().await;
    let token = stage.cloud.pod_identity_token();
    for (spelling, names) in [
        (Spelling::Snake, ["access_key_id", "expiration", "secret_access_key", "security_token"]),
        (Spelling::Camel, ["accessKeyId", "expiration", "secretAccessKey", "securityToken"]),
        (Spelling::Short, ["access", "expires_at", "secret", "securitytoken"]),
    ] {
        for (wrapping, pointer) in [(Wrapping::Credential, "/credential"), (Wrapping::Credentials, "/credentials"), (Wrapping::Bare, "")] {
            stage.cloud.settings(|dials| (dials.pod_identity.spelling, dials.pod_identity.wrapping) = (spelling, wrapping));
            let told = stage.pod(&token, "{}").await;
            assert_eq!(told.status, 200, "{told:?}");
            let credential = told.json().pointer(pointer).unwrap().clone();
            assert_eq!(credential.as_object().unwrap().keys().collect::<Vec<_>>(), names);
            assert!(end_of(&credential) > Timestamp::now());
            assert_eq!(stage.use_key(&credential, PROJECTS[0].1).await.status, 200);
        }
    }
}

#[tokio::test]
async fn the_pod_identity_agent_answers_only_the_content_of_the_token_file() {
    let stage = stage().await;
    let token = stage.cloud.pod_identity_token();
    assert_eq!(stage.pod(&token, "{}").await.status, 200);
    for wrong in ["", "nonsense", &format!("Bearer {token}")] {
        assert_eq!(stage.pod(wrong, "{}").await.status, 401, "{wrong}");
    }
    assert_eq!(stage.pod(&token, "").await.status, 400);
    assert_eq!(stage.pod(&token, r#"{"more":1}"#).await.status, 400);
    stage.cloud.set_pod_identity_token("rotated\n");
    assert_eq!((stage.pod(&token, "{}").await.status, stage.pod("rotated", "{}").await.status), (401, 200));
    stage.cloud.settings(|dials| dials.pod_identity.agency = None);
    let told = stage.pod("rotated", "{}").await;
    assert_eq!(told.status, 401);
    assert!(told.text.contains("Please configure Cloud Service Agency first"), "{}", told.text);
    stage.cloud.settings(|dials| dials.pod_identity.no_agency_status = 404);
    assert_eq!(stage.pod("rotated", "{}").await.status, 404);
}

#[tokio::test]
async fn agents_can_hang_and_can_refuse_connections() {
    let stage = stage().await;
    stage.cloud.settings(|dials| (dials.metadata.hangs, dials.pod_identity.hangs) = (true, true));
    let pod = Probe::new(stage.cloud.pod_identity_uri().trim_end_matches("/v1/credentials"));
    for (probe, line) in [(&stage.metadata(), KEY), (&pod, "POST /v1/credentials")] {
        let waited = tokio::time::timeout(Duration::from_millis(300), probe.send(line, None)).await;
        assert!(waited.is_err(), "it answered: {waited:?}");
    }
    assert_eq!(stage.cloud.metadata_calls()[0].status, None);
    stage.cloud.settings(|dials| (dials.metadata.hangs, dials.pod_identity.hangs) = (false, false));
    stage.cloud.refuse_metadata(true);
    stage.cloud.refuse_pod_identity(true);
    stage.metadata().send(KEY, None).await.unwrap_err();
    pod.send("POST /v1/credentials", None).await.unwrap_err();
    stage.cloud.refuse_metadata(false);
    stage.cloud.refuse_pod_identity(false);
    assert_eq!(stage.node(&stage.metadata(), KEY).await.status, 200);
    assert_eq!(pod.send("POST /v1/credentials", None).await.unwrap().status, 401);
}

#[tokio::test]
async fn calls_of_agents_are_recorded_without_a_secret() {
    let stage = stage().await;
    let token = stage.metadata_token("60").await.text;
    let told = stage.node(&stage.metadata().header("X-Metadata-Token", &token), KEY).await.json()["credential"].clone();
    let pod_token = stage.cloud.pod_identity_token();
    let pod = stage.pod(&pod_token, "{}").await.json()["credential"].clone();
    stage.use_key(&told, PROJECTS[0].1).await;
    let seen: Vec<_> = stage.cloud.metadata_calls().into_iter().map(|call| (call.method, call.path, call.status)).collect();
    let call = |line: &str| {
        let (method, path) = line.split_once(' ').unwrap();
        (method.to_owned(), path.to_owned(), Some(200))
    };
    assert_eq!(seen, [call(TOKEN), call(KEY)]);
    assert_eq!(stage.cloud.pod_identity_calls().len(), 1);
    let admin = Probe::new(stage.cloud.admin_url());
    let [agents, calls] = [admin.send("GET /agents", None).await.unwrap().text, admin.send("GET /calls", None).await.unwrap().text];
    let all = format!("{agents}{calls}{:?}{:?}", stage.cloud.metadata_calls(), stage.cloud.calls());
    assert!(all.contains("/openstack/latest/securitykey"), "{all}");
    for credential in [told, pod] {
        for (name, value) in credential.as_object().unwrap() {
            assert!(name.starts_with("expir") || !all.contains(value.as_str().unwrap()), "{name} is in {all}");
        }
    }
    assert!(!all.contains(&token) && !all.contains(&pod_token));
}

#[tokio::test]
async fn agents_are_on_the_admin_api_too() {
    let stage = stage().await;
    let admin = Probe::new(stage.cloud.admin_url());
    let send = async |line: &str, body: Option<Value>| {
        let answer = admin.send(line, body.map(|body| body.to_string()).as_deref()).await.unwrap();
        assert_eq!(answer.status, 200, "{line}: {answer:?}");
        answer.json()
    };
    let agents = send("GET /agents", None).await;
    assert_eq!(agents["metadata"], stage.cloud.metadata_url());
    assert_eq!(agents["pod_identity"], stage.cloud.pod_identity_uri());
    let dials =
        send("POST /settings", Some(json!({ "metadata": { "tokens": "required" }, "pod_identity": { "spelling": "camel" } }))).await;
    assert_eq!((&dials["metadata"]["tokens"], &dials["metadata"]["hangs"]), (&json!("required"), &json!(false)));
    assert_eq!(admin.send("POST /settings", Some(r#"{"metadata":{"misspelt":1}}"#)).await.unwrap().status, 400);
    let token = stage.metadata_token("60").await.text;
    let key = async || stage.node(&stage.metadata().header("X-Metadata-Token", &token), KEY).await;
    let first = key().await.json()["credential"].clone();
    send("DELETE /agents/keys", None).await;
    assert_eq!(stage.use_key(&first, PROJECTS[0].1).await.status, 401);
    send("DELETE /agents/metadata-tokens", None).await;
    assert_eq!(key().await.status, 401);
    send("POST /agents/pod-token", Some(json!({ "token": "of-the-file" }))).await;
    assert!(stage.pod("of-the-file", "{}").await.json()["credential"]["accessKeyId"].is_string());
}
