//! No secret is ever shown.

use crate::{
    simulator::{
        ACCESS_KEY, DOMAIN, PASSWORD, SECRET_KEY, USER,
        faults::{Fault, FaultKind},
    },
    support::{
        api_proxy::{ApiProxy, Fault as ApiFault, Trouble},
        eventually,
    },
    world::{PATIENCE, World},
};
use database_backup_operator::api::status::Phase;
use k8s_openapi::ByteString;

#[tokio::test]
async fn no_secret_value_is_in_logs_status_events_or_metrics() {
    const TOKEN: &str = "given-token-0123456789";
    let mut world = World::without_operator().await;
    world.start_operator_with(&["--log-level=debug", "--log-format=json"]);
    world.cloud.add_token(TOKEN);
    world.secret("password", &[("domainName", DOMAIN), ("username", USER), ("password", PASSWORD)]).await;
    world.secret("keys", &[("accessKey", ACCESS_KEY), ("secretKey", SECRET_KEY)]).await;
    world.secret("token", &[("token", TOKEN)]).await;
    world.secret("wrong", &[("domainName", DOMAIN), ("username", USER), ("password", "wrong-password-987")]).await;
    let rows =
        [("password", "passwordSecretRef"), ("keys", "accessKeySecretRef"), ("token", "tokenSecretRef"), ("wrong", "passwordSecretRef")];
    for (name, field) in rows {
        world.account_with(name, &format!("{field}: {{name: {name}}}"), 1000).await;
        world.cloud.add_instance("dcs", name);
        // One call of each goes wrong, so that error paths are seen, too.
        world.cloud.inject(Fault::new(FaultKind::FailAfter { status: 500, code: "DCS.5000".into() }).at("create").containing(name));
        let manifest = World::manifest(name, "DCS", name, "").replace("name: cloud}", &format!("name: {name}}}"));
        world.plane.apply(&manifest).await;
    }
    for name in ["password", "keys", "token"] {
        world.until_phase(name, Phase::Completed).await;
    }
    world.until_reason("wrong", "AuthenticationFailed").await;
    world.cloud.revoke_tokens();
    let (_, metrics) = world.operator().get("/metrics").await.expect("metrics");
    let shown = [
        ("log", world.operator().logs()),
        ("objects", world.plane.kubectl_ok(&["get", "dbb,ccacct", "-o", "yaml"]).await),
        ("events", world.plane.kubectl_ok(&["get", "events", "-o", "yaml"]).await),
        ("metrics", metrics),
    ];
    for (place, text) in shown {
        assert!(text.len() > 200, "{place} is there");
        for secret in [PASSWORD, SECRET_KEY, TOKEN, "wrong-password-987", "SDK-HMAC-SHA256"] {
            assert!(!text.contains(secret), "{place} shows {secret}");
        }
    }
}

#[tokio::test]
async fn a_secret_whose_answer_is_cut_on_its_way_is_not_in_the_log_whatever_is_to_be_logged() {
    let mut world = World::without_operator().await;
    let proxy = ApiProxy::start(&world.plane);
    proxy.inject(ApiFault::new(Trouble::Halve).on("GET").containing("/secrets/").always());
    world.kubeconfig = proxy.kubeconfig().to_owned();
    world.start_operator_with(&[
        "--log-level=trace,kube=trace,kube_client=trace,kube_client::client=trace,hyper=trace,hyper_util=trace,h2=trace",
    ]);
    // Long, so that the half that comes holds all of it.
    let data = [("a", PASSWORD), ("domainName", DOMAIN), ("username", USER), ("password", PASSWORD), ("zz", &"z".repeat(4000))];
    world.secret("cloud", &data).await;
    world.account_with("cloud", "passwordSecretRef: {name: cloud}", 1000).await;
    eventually("the log says that it cannot be read", PATIENCE, async || {
        let logs = world.operator().logs();
        (logs.contains("a Secret could not be read") && logs.contains("its answer broke off")).then_some(()).ok_or(logs)
    })
    .await;
    let account = world.plane.kubectl_ok(&["get", "ccacct", "-o", "yaml"]).await;
    let encoded = serde_json::to_string(&ByteString(PASSWORD.into())).expect("text");
    for (place, text) in [("log", world.operator().logs()), ("account", account)] {
        for secret in [PASSWORD, encoded.trim_matches('"')] {
            assert!(!text.contains(secret), "{place} shows {secret}");
        }
    }
    proxy.clear();
    world.until_account_is_verified().await;
    let logs = world.operator().logs();
    assert!(!logs.contains(PASSWORD) && !logs.contains(encoded.trim_matches('"')), "nor afterwards");
    assert!(logs.contains("http.url"), "what is safe is there to be had");
}
