//! What the API server takes and what it refuses.

use crate::{
    support::{control_plane::ControlPlane, helm::CHART},
    world::World,
};
use serde_json::Value;

/// What is wrong, the manifest's spec, and what the refusal has to say.
const REFUSED_BACKUPS: [(&str, &str, &str); 24] = [
    ("no source", "{}", "spec.source"),
    ("no engine", "{source: {instanceId: i-1}}", "spec.source.engine"),
    ("no instance", "{source: {engine: DCS}}", "spec.source.instanceId"),
    ("an unknown engine", "{source: {engine: Oracle, instanceId: i-1}}", "Unsupported value: \"Oracle\""),
    ("an engine in lower case", "{source: {engine: dcs, instanceId: i-1}}", "supported values"),
    ("an empty instance", "{source: {engine: DCS, instanceId: ''}}", "spec.source.instanceId"),
    ("an instance with a slash", "{source: {engine: DCS, instanceId: a/b}}", "should match"),
    ("an instance with a space", "{source: {engine: DCS, instanceId: 'a b'}}", "should match"),
    (
        "an instance that is too long",
        "{source: {engine: DCS, instanceId: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}}",
        "spec.source.instanceId: Too long",
    ),
    ("a description with a quote", "{source: {engine: DCS, instanceId: i-1, description: \"it's\"}}", "spec.source.description"),
    ("a description with an angle bracket", "{source: {engine: DCS, instanceId: i-1, description: 'a<b'}}", "spec.source.description"),
    ("a description beyond ASCII", "{source: {engine: DCS, instanceId: i-1, description: 'täglich'}}", "spec.source.description"),
    ("a description of two lines", "{source: {engine: DCS, instanceId: i-1, description: \"a\\nb\"}}", "spec.source.description"),
    (
        "dcs options with another engine",
        "{source: {engine: TaurusDB, instanceId: i-1, dcs: {backupFormat: RDB}}}",
        "dcs can only be set with engine DCS",
    ),
    ("an unknown backup format", "{source: {engine: DCS, instanceId: i-1, dcs: {backupFormat: ZIP}}}", "Unsupported value: \"ZIP\""),
    (
        "an import that would be deleted",
        "{source: {engine: DCS, instanceId: i-1, existingBackupId: b-1}, deletionPolicy: Delete}",
        "must be Retain",
    ),
    (
        "an import that would expire",
        "{source: {engine: DCS, instanceId: i-1, existingBackupId: b-1}, expireAfterDays: 3}",
        "expireAfterDays cannot be set",
    ),
    (
        "an import with a description",
        "{source: {engine: DCS, instanceId: i-1, existingBackupId: b-1, description: x}}",
        "the backup exists already",
    ),
    (
        "an import with dcs options",
        "{source: {engine: DCS, instanceId: i-1, existingBackupId: b-1, dcs: {backupFormat: RDB}}}",
        "the backup exists already",
    ),
    (
        "a delete that the API lacks",
        "{source: {engine: GaussDBforMySQL, instanceId: i-1}, deletionPolicy: Delete}",
        "cannot delete backups",
    ),
    ("an expiry that the API lacks", "{source: {engine: GaussDBforMySQL, instanceId: i-1}, expireAfterDays: 3}", "cannot delete backups"),
    ("an expiry of no days", "{source: {engine: DCS, instanceId: i-1}, expireAfterDays: 0}", "spec.expireAfterDays"),
    ("a backoff limit beyond ten", "{source: {engine: DCS, instanceId: i-1}, backoffLimit: 11}", "spec.backoffLimit"),
    ("a deadline of seconds", "{source: {engine: DCS, instanceId: i-1}, progressDeadlineSeconds: 59}", "spec.progressDeadlineSeconds"),
];

const REFUSED_ACCOUNTS: [(&str, &str, &str); 8] = [
    ("no credentials", "{cloud: HuaweiCloud, region: cn-north-4}", "spec.credentials"),
    ("empty credentials", "{cloud: HuaweiCloud, region: cn-north-4, credentials: {}}", "set exactly one of"),
    (
        "two kinds of credentials",
        "{cloud: HuaweiCloud, region: cn-north-4, credentials: {tokenSecretRef: {name: a}, passwordSecretRef: {name: b}}}",
        "set exactly one of",
    ),
    ("an unknown cloud", "{cloud: Nimbus, region: cn-north-4, credentials: {tokenSecretRef: {name: a}}}", "Unsupported value: \"Nimbus\""),
    ("a region with dots", "{cloud: HuaweiCloud, region: cn.north, credentials: {tokenSecretRef: {name: a}}}", "spec.region"),
    (
        "a project id with a slash",
        "{cloud: HuaweiCloud, region: cn-north-4, projectId: a/b, credentials: {tokenSecretRef: {name: a}}}",
        "spec.projectId",
    ),
    (
        "a rate of nothing",
        "{cloud: HuaweiCloud, region: cn-north-4, maxRequestsPerSecond: 0, credentials: {tokenSecretRef: {name: a}}}",
        "maxRequestsPerSecond",
    ),
    (
        "endpoints of its own",
        "{cloud: HuaweiCloud, region: cn-north-4, endpoints: {iam: 'https://x'}, credentials: {tokenSecretRef: {name: a}}}",
        "unknown field",
    ),
];

/// `TEMPLATE` stands for a template that is well.
const REFUSED_SCHEDULES: [(&str, &str, &str); 20] = [
    ("no schedule", "{backupTemplate: TEMPLATE}", "spec.schedule"),
    ("an empty schedule", "{schedule: '', backupTemplate: TEMPLATE}", "spec.schedule"),
    ("no template", "{schedule: '@daily'}", "spec.backupTemplate"),
    ("a template of nothing", "{schedule: '@daily', backupTemplate: {}}", "spec.backupTemplate.spec"),
    ("an empty zone", "{schedule: '@daily', timeZone: '', backupTemplate: TEMPLATE}", "spec.timeZone"),
    ("a deadline of seconds", "{schedule: '@daily', startingDeadlineSeconds: 59, backupTemplate: TEMPLATE}", "startingDeadlineSeconds"),
    ("a retention of nothing", "{schedule: '@daily', retention: {maxCount: 0}, backupTemplate: TEMPLATE}", "retention.maxCount"),
    ("a retention of no days", "{schedule: '@daily', retention: {maxAgeDays: 0}, backupTemplate: TEMPLATE}", "retention.maxAgeDays"),
    ("more days than ten years", "{schedule: '@daily', retention: {maxAgeDays: 3651}, backupTemplate: TEMPLATE}", "retention.maxAgeDays"),
    ("no floor", "{schedule: '@daily', retention: {maxCount: 3, minCount: 0}, backupTemplate: TEMPLATE}", "retention.minCount"),
    ("a history of more than 100", "{schedule: '@daily', failedHistoryLimit: 101, backupTemplate: TEMPLATE}", "failedHistoryLimit"),
    ("fresh for seconds", "{schedule: '@daily', skipIfFresherThanSeconds: 59, backupTemplate: TEMPLATE}", "skipIfFresherThanSeconds"),
    (
        "an objective of minutes",
        "{schedule: '@daily', objective: {maxAgeSeconds: 3599}, backupTemplate: TEMPLATE}",
        "objective.maxAgeSeconds",
    ),
    (
        "a template that adopts",
        "{schedule: '@daily', backupTemplate: {spec: {source: {engine: DCS, instanceId: i-1, existingBackupId: b-1}}}}",
        "existingBackupId cannot be set",
    ),
    (
        "a template that expires",
        "{schedule: '@daily', backupTemplate: {spec: {source: {engine: DCS, instanceId: i-1}, expireAfterDays: 3}}}",
        "unknown field \"spec.backupTemplate.spec.expireAfterDays\"",
    ),
    (
        "a template that lapses",
        "{schedule: '@daily', backupTemplate: {spec: {source: {engine: DCS, instanceId: i-1}, takeBefore: '2030-01-01T00:00:00Z'}}}",
        "unknown field \"spec.backupTemplate.spec.takeBefore\"",
    ),
    (
        "a retention that the API lacks",
        "{schedule: '@daily', retention: {maxCount: 3}, backupTemplate: {spec: {source: {engine: GaussDBforMySQL, instanceId: i-1}}}}",
        "retention cannot be set with engine GaussDBforMySQL",
    ),
    (
        "a delete that the API lacks",
        "{schedule: '@daily', backupTemplate: {spec: {source: {engine: GaussDBforMySQL, instanceId: i-1}, deletionPolicy: Delete}}}",
        "deletionPolicy must be Retain",
    ),
    (
        "dcs options with another engine",
        "{schedule: '@daily', backupTemplate: {spec: {source: {engine: TaurusDB, instanceId: i-1, dcs: {backupFormat: RDB}}}}}",
        "dcs can only be set with engine DCS",
    ),
    (
        "a label that is too long",
        "{schedule: '@daily', backupTemplate: {metadata: {labels: {team: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}}, \
         spec: {source: {engine: DCS, instanceId: i-1}}}}",
        "a value of at most 63",
    ),
];

fn object(kind: &str, name: &str, spec: &str) -> String {
    format!("{{apiVersion: dbbackup.dev/v1alpha1, kind: {kind}, metadata: {{name: {name}}}, spec: {spec}}}")
}

async fn refuses(plane: &ControlPlane, kind: &str, cases: &[(&str, &str, &str)]) {
    for (what, spec, expected) in cases {
        let spec = spec.replace("TEMPLATE", "{spec: {source: {engine: DCS, instanceId: i-1}}}");
        let said = plane.apply_refused(&object(kind, "wrong", &spec)).await;
        assert!(said.contains(expected), "{what}: expected {expected:?} in: {said}");
        assert!(said.trim().lines().count() <= 4, "{what}: readable, not a wall of text: {said}");
    }
}

#[tokio::test]
async fn what_can_never_work_is_refused_with_a_readable_message() {
    let world = World::without_operator().await;
    refuses(&world.plane, "DatabaseBackup", &REFUSED_BACKUPS).await;
    refuses(&world.plane, "DatabaseBackupSchedule", &REFUSED_SCHEDULES).await;
    refuses(&world.plane, "CloudAccount", &REFUSED_ACCOUNTS).await;
    let selector =
        "{cloud: HuaweiCloud, region: cn-north-4, credentials: {tokenSecretRef: {name: a}}, allowedNamespaces: {from: Selector}}";
    refuses(&world.plane, "ClusterCloudAccount", &[("a selector that is missing", selector, "selector must be set with from Selector")])
        .await;
}

#[tokio::test]
async fn the_source_and_the_account_are_immutable_and_the_policies_are_not() {
    let world = World::without_operator().await;
    let apply = |spec: &str| object("DatabaseBackup", "orders", spec);
    world.plane.apply(&apply("{source: {engine: DCS, instanceId: i-1}}")).await;
    for (spec, expected) in [
        ("{source: {engine: DCS, instanceId: i-2}}", "source is immutable"),
        ("{source: {engine: TaurusDB, instanceId: i-1}}", "source is immutable"),
        ("{source: {engine: DCS, instanceId: i-1, description: later}}", "source is immutable"),
        ("{source: {engine: DCS, instanceId: i-1}, accountRef: {name: other}}", "accountRef is immutable"),
    ] {
        let said = world.plane.apply_refused(&apply(spec)).await;
        assert!(said.contains(expected), "{said}");
    }
    world.plane.apply(&apply("{source: {engine: DCS, instanceId: i-1}, deletionPolicy: Delete, expireAfterDays: 7, backoffLimit: 0, progressDeadlineSeconds: 60}")).await;
    let account = |spec: &str| object("CloudAccount", "default", spec);
    world.plane.apply(&account("{cloud: HuaweiCloud, region: cn-north-4, credentials: {tokenSecretRef: {name: a}}}")).await;
    world.plane.apply(&account("{cloud: HuaweiCloud, region: cn-north-4, projectId: p-1, credentials: {tokenSecretRef: {name: b}}}")).await;
    for (spec, expected) in [
        ("{cloud: OpenTelekomCloud, region: cn-north-4, projectId: p-1, credentials: {tokenSecretRef: {name: b}}}", "cloud is immutable"),
        ("{cloud: HuaweiCloud, region: cn-north-1, projectId: p-1, credentials: {tokenSecretRef: {name: b}}}", "region is immutable"),
        ("{cloud: HuaweiCloud, region: cn-north-4, projectId: p-2, credentials: {tokenSecretRef: {name: b}}}", "projectId is immutable"),
        ("{cloud: HuaweiCloud, region: cn-north-4, credentials: {tokenSecretRef: {name: b}}}", "projectId is immutable"),
    ] {
        let said = world.plane.apply_refused(&account(spec)).await;
        assert!(said.contains(expected), "{said}");
    }
}

#[tokio::test]
async fn a_fresh_object_has_its_defaults_and_does_not_look_finished() {
    let world = World::without_operator().await;
    world.plane.apply(&object("DatabaseBackup", "fresh", "{source: {engine: DCS, instanceId: i-1}}")).await;
    let fresh = world.object("fresh").await;
    assert_eq!(fresh.status.map(|status| status.observed_generation), Some(-1));
    assert_eq!(
        (fresh.spec.account_ref.name.as_str(), fresh.spec.backoff_limit, fresh.spec.progress_deadline_seconds),
        ("default", 2, 7200)
    );
    let stored = world.plane.kubectl_ok(&["get", "dbb", "fresh", "-o", "jsonpath={.spec.accountRef.kind}/{.spec.deletionPolicy}"]).await;
    assert_eq!(stored, "CloudAccount/Retain");
    let template = "{spec: {source: {engine: DCS, instanceId: i-1}}}";
    let nightly = format!("{{schedule: '@daily', retention: {{maxCount: 3}}, backupTemplate: {template}}}");
    world.plane.apply(&object("DatabaseBackupSchedule", "fresh", &nightly)).await;
    let fields = ".status.observedGeneration .spec.timeZone .spec.suspend .spec.failedHistoryLimit .spec.retention.minCount \
                  .spec.backupTemplate.spec.accountRef.name .spec.backupTemplate.spec.deletionPolicy .spec.backupTemplate.spec.backoffLimit";
    let path: Vec<String> = fields.split_whitespace().map(|field| format!("{{{field}}}")).collect();
    let stored = world.plane.kubectl_ok(&["get", "dbbs", "fresh", "-o", &format!("jsonpath={}", path.join(" "))]).await;
    assert_eq!(stored, "-1 Etc/UTC false 3 1 default Retain 2");
}

#[tokio::test]
async fn every_example_and_every_plain_manifest_is_valid() {
    let world = World::without_operator().await;
    for namespace in ["shop", "database-backup-operator"] {
        world.plane.kubectl_ok(&["create", "namespace", namespace]).await;
    }
    for (how, what) in [
        ("-f", "deploy/examples"),
        ("-f", "deploy/ci/job.yaml"),
        ("-f", "deploy/manifests"),
        ("-f", "crds"),
        ("-k", "deploy/manifests"),
        ("-k", "crds"),
    ] {
        let what = format!("{}/{what}", env!("CARGO_MANIFEST_DIR"));
        world.plane.kubectl_ok(&["apply", "--dry-run=server", "--validate=strict", how, &what]).await;
    }
    let chart = std::fs::read_to_string(format!("{CHART}/Chart.yaml")).expect("a chart");
    let chart: Value = serde_saphyr::from_str(&chart).expect("YAML");
    let examples: Vec<Value> =
        serde_saphyr::from_str(chart["annotations"]["artifacthub.io/crdsExamples"].as_str().expect("text")).expect("YAML");
    for example in examples {
        world.plane.with_input(&["apply", "--dry-run=server", "--validate=strict", "-f", "-"], &example.to_string()).await.expect("valid");
    }
}
