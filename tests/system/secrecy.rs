//! No secret is ever shown.

use crate::{
    simulator::{
        ACCESS_KEY, DOMAIN, PASSWORD, SECRET_KEY, USER,
        faults::{Fault, FaultKind},
    },
    world::World,
};
use database_backup_operator::api::status::Phase;

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
