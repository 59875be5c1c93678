//! What a real Prometheus makes of the real operator: the scrape, every expression of the dashboard, every alert.

use crate::{
    scheduled::{YEARLY, child, manifest, says, until},
    support::{
        eventually,
        helm::CHART,
        prometheus::{JOB, Prometheus},
    },
    world::{PATIENCE, World},
};
use database_backup_operator::api::status::Phase;
use serde_json::Value;
use std::collections::BTreeSet;

const DASHBOARD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/helm/database-backup-operator/files/dashboard.json");

/// An operator to which all that a dashboard shows has happened.
async fn eventful() -> World {
    let mut world = World::without_operator().await;
    world.account("cloud", 1000).await;
    world.start_operator_with(&["--resync-interval=1s"]);
    for (engine, instance) in [("dcs", "i-well"), ("dcs", "i-failed"), ("taurusdb", "i-missing"), ("dcs", "i-deleting")] {
        world.cloud.add_instance(engine, instance);
    }
    world.cloud.fail_next_backups(1, Some("dcs"));
    world.plane.apply(&World::manifest("failed", "DCS", "i-failed", "backoffLimit: 0")).await;
    world.until_phase("failed", Phase::Failed).await;
    world.ask("well", "DCS", "i-well").await;
    world.ask("missing", "TaurusDB", "i-missing").await;
    world.ask("stuck", "DCS", "not-there").await;
    let id = world.until_phase("missing", Phase::Completed).await.backup_id.expect("an id");
    assert!(world.cloud.lose_backup(&id));
    world.until_phase("missing", Phase::Missing).await;
    world.until_phase("well", Phase::Completed).await;
    world.plane.apply(&World::manifest("deleted", "DCS", "i-deleting", "deletionPolicy: Delete")).await;
    world.until_phase("deleted", Phase::Completed).await;
    world.plane.kubectl_ok(&["delete", "dbb", "deleted", "--timeout=60s"]).await;
    world.until("stuck", "stalled", |status| crate::world::is_true(status, "Stalled")).await;
    world.annotate("well", "dbbackup.dev/hold=audit").await;
    let of_well = |manifest: String| manifest.replace("i-dcs", "i-well");
    world.plane.apply(&of_well(child("nightly", "202601010100", "DCS", ""))).await;
    world.until_phase("nightly-202601010100", Phase::Completed).await;
    world.plane.apply(&of_well(manifest("nightly", YEARLY, "DCS", "objective: {maxAgeSeconds: 93600}"))).await;
    until(&world, "nightly", "is protected", |status| says(status, "WithinObjective", "True", "Fresh")).await;
    world
}

/// The groups of the chart's PrometheusRule.
async fn rules(world: &World) -> Value {
    let values =
        "metrics.prometheusRule.enabled=true,metrics.prometheusRule.renderMode=alwaysRender,metrics.prometheusRule.backupTooOld.maxAge=26h";
    let rendered = world.plane.helm_ok(&["template", "database-backup-operator", CHART, "--set", values]).await;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&rendered).expect("YAML");
    objects.into_iter().find(|object| object["kind"] == "PrometheusRule").expect("rules")["spec"].clone()
}

/// Every expression of the dashboard, with its panel's title.
fn expressions(dashboard: &Value) -> Vec<(String, String)> {
    let panels = dashboard["panels"].as_array().expect("panels");
    let of_panel = |panel: &Value| {
        let title = panel["title"].as_str().expect("a title").to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets
            .into_iter()
            .map(move |target| (title.clone(), target["expr"].as_str().expect("an expression").to_owned()))
            .collect::<Vec<_>>()
    };
    panels.iter().flat_map(of_panel).collect()
}

/// An expression as Grafana sends it, with everything chosen.
fn filled(expression: &str) -> String {
    let filled = expression.replace("$namespace", ".*").replace("$engine", ".*").replace("$__rate_interval", "1m");
    assert!(!filled.contains('$'), "a variable that is not known: {expression}");
    filled
}

#[tokio::test]
async fn a_real_prometheus_takes_the_scrape_and_every_expression_of_the_dashboard_shows_something() {
    let world = eventful().await;
    let target = world.operator().url().await.replace("http://", "");
    let prometheus = Prometheus::start(&target, &rules(&world).await).await;
    // Series that are only half there show nothing: rates need two scrapes with a change in between.
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(DASHBOARD).expect("the dashboard")).expect("JSON");
    let expressions = expressions(&dashboard);
    assert!(expressions.len() > 25, "{}", expressions.len());
    eventually("every expression shows something", PATIENCE, async || {
        let mut empty = Vec::new();
        for (panel, expression) in &expressions {
            match prometheus.query(&filled(expression)).await {
                Ok(result) if result.is_empty() => empty.push(format!("{panel}: {expression}")),
                Ok(_) => {}
                Err(error) => panic!("{panel}: {expression}: {error}"),
            }
        }
        if empty.is_empty() { Ok(()) } else { Err(empty.join("\n")) }
    })
    .await;
    for variable in dashboard["templating"]["list"].as_array().expect("variables").iter().filter(|variable| variable["type"] == "query") {
        let query = variable["definition"].as_str().expect("a query");
        let (series, label) =
            query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')?.split_once(", ")).expect("values of a label");
        let values = prometheus.get(&format!("/api/v1/label/{label}/values?match[]={series}")).await.expect(query);
        assert!(values.as_array().is_some_and(|values| !values.is_empty()), "{query}: {values}");
    }
}

#[tokio::test]
async fn a_real_prometheus_knows_each_series_and_raises_the_alerts_that_it_should() {
    let world = eventful().await;
    let target = world.operator().url().await.replace("http://", "");
    let prometheus = Prometheus::start(&target, &rules(&world).await).await;
    let up = prometheus.query(&format!("up{{job=\"{JOB}\"}}")).await.expect("an answer");
    assert_eq!(up[0]["value"][1], "1", "{up:?}");
    let metadata = prometheus.get("/api/v1/metadata").await.expect("an answer");
    let metadata = metadata.as_object().expect("a map");
    let exposed = world.operator().metrics().await;
    let families: Vec<(&str, &str)> = exposed.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    assert!(families.len() > 20, "{exposed}");
    for (family, kind) in families {
        let known = &metadata.get(family).unwrap_or_else(|| panic!("{family} is not known"))[0];
        assert_eq!(known["type"], kind, "{family}");
        assert!(known["help"].as_str().is_some_and(|help| help.len() > 10), "{family}");
    }
    // The namespace of a backup is its own, and nobody's name or id is a label.
    let standing = prometheus.query("dbbackup_last_success_timestamp_seconds{instance_id=\"i-well\"}").await.expect("an answer");
    let labels: BTreeSet<&str> = standing[0]["metric"].as_object().expect("labels").keys().map(String::as_str).collect();
    assert_eq!(standing[0]["metric"]["namespace"], "default");
    assert_eq!(labels, ["__name__", "engine", "instance", "instance_id", "job", "namespace", "pod"].into());
    let account = prometheus.query("dbbackup_account_ready{kind=\"ClusterCloudAccount\"}").await.expect("an answer");
    assert!(account[0]["metric"]["name"] == "cloud" && account[0]["metric"]["namespace"].is_null(), "it has none: {account:?}");

    let expected = [
        "DatabaseBackupFailing i-failed",
        "DatabaseBackupMissing i-missing",
        // The cloud knows no such instance: it has no series of its own.
        "DatabaseBackupNeverSucceeded other",
        "DatabaseBackupStuck other",
    ];
    eventually("these alerts and no others", PATIENCE, async || {
        let alerts = prometheus.get("/api/v1/alerts").await?;
        let name = |alert: &Value| {
            let label = |name: &str| alert["labels"][name].as_str().unwrap_or_default().to_owned();
            format!("{} {}", label("alertname"), label("instance_id"))
        };
        let raised: BTreeSet<String> = alerts["alerts"].as_array().into_iter().flatten().map(name).collect();
        if raised.iter().eq(&expected) { Ok(()) } else { Err(format!("{raised:?}")) }
    })
    .await;
    let groups = prometheus.get("/api/v1/rules").await.expect("an answer");
    let rules: Vec<&Value> =
        groups["groups"].as_array().expect("groups").iter().flat_map(|group| group["rules"].as_array().expect("rules")).collect();
    assert_eq!(rules.len(), 19);
    for rule in rules {
        assert!(rule["health"] == "ok" && rule["lastError"].is_null(), "{rule}");
    }
}

#[tokio::test]
async fn the_series_of_an_instance_go_with_its_last_object_and_those_of_an_account_with_the_account() {
    let world = World::start().await;
    world.cloud.add_instance("dcs", "i-1");
    world.ask("first", "DCS", "i-1").await;
    world.until_phase("first", Phase::Completed).await;
    let account = "dbbackup_account_ready{kind=\"ClusterCloudAccount\",namespace=\"\",name=\"cloud\"} 1\n";
    let text = world.operator().metrics().await;
    for line in [account, "dbbackup_backups_retained{namespace=\"default\",engine=\"DCS\",instance_id=\"i-1\"} 1\n"] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    world.plane.kubectl_ok(&["delete", "dbb", "first"]).await;
    world.plane.kubectl_ok(&["delete", "ccacct", "cloud"]).await;
    eventually("no series of what is gone", PATIENCE, async || {
        let text = world.operator().metrics().await;
        if text.contains("i-1") || text.contains("name=\"cloud\"") { Err(text) } else { Ok(()) }
    })
    .await;
}

#[tokio::test]
async fn instances_that_somebody_invents_make_no_series_and_the_objects_that_are_stuck_are_counted_all_the_same() {
    let world = World::start().await;
    let families = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
    world
        .plane
        .apply(&(0..2).map(|nth| World::manifest(&format!("real-{nth}"), "DCS", &format!("invented-{nth}"), "")).collect::<String>())
        .await;
    let all_stuck = async |number: usize| {
        let line = format!("dbbackup_backups_stalled{{namespace=\"default\",engine=\"DCS\",instance_id=\"other\"}} {number}\n");
        eventually("all are stuck", PATIENCE, async || {
            let text = world.operator().metrics().await;
            if text.contains(&line) { Ok(text) } else { Err(text) }
        })
        .await
    };
    let before = families(&all_stuck(2).await);
    world
        .plane
        .apply(&(2..40).map(|nth| World::manifest(&format!("real-{nth}"), "DCS", &format!("invented-{nth}"), "")).collect::<String>())
        .await;
    let text = all_stuck(40).await;
    assert!(!text.contains("invented"), "{text}");
    // Operations and codes of the cloud that were not seen before may be new; the histogram of an operation has 12 series. Instances would make hundreds.
    assert!(families(&text) <= before + 40, "{} series after {before}", families(&text));
}
