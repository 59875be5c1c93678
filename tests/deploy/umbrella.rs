//! The chart as a part of another one.

use crate::render::{chart, helm, of_kind, parse};
use database_backup_operator::api::crds;
use serde_json::{Value, json};
use std::{fs, path::Path};

const PART: &str = "database-backup-operator";

/// A chart with this one as a dependency, and what belongs to another part.
fn umbrella(folder: &Path) -> String {
    let definition = format!(
        "apiVersion: v2\nname: platform\nversion: 1.0.0\ndependencies:\n  - name: {PART}\n    version: \">=0.0.0\"\n    repository: \
         file://{}\n    condition: {PART}.enabled\n",
        chart()
    );
    let templates = folder.join("templates");
    fs::create_dir(&templates).expect("a folder");
    fs::write(folder.join("Chart.yaml"), definition).expect("written");
    fs::write(templates.join("map.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: platform }\n").expect("written");
    let folder = folder.display().to_string();
    helm(&["dependency", "update", &folder]).unwrap_or_else(|error| panic!("{error}"));
    folder
}

/// What the whole renders with values in a file.
fn rendered(umbrella: &str, values: &Value) -> Vec<Value> {
    let file = Path::new(umbrella).join("site.json");
    fs::write(&file, values.to_string()).expect("written");
    let said = helm(&["template", "platform", umbrella, "--namespace", "platform", "-f", &file.display().to_string()]);
    parse(&said.unwrap_or_else(|error| panic!("{values}: {error}")))
}

#[test]
fn a_parent_decides_by_condition_whether_it_is_part_and_it_is_by_default() {
    let folder = tempfile::tempdir().expect("a folder");
    let umbrella = umbrella(folder.path());
    // Other parts have globals of their own, of any form.
    let global =
        json!({ "storageClass": "ssd", "postgresql": { "auth": {} }, "hosts": ["a"], "imagePullSecrets": null, "imageRegistry": null });
    for (part, is_there) in [(json!({}), true), (json!({ "enabled": true }), true), (json!({ "enabled": false }), false)] {
        let objects = rendered(&umbrella, &json!({ "global": global.clone(), PART: part }));
        assert_eq!(of_kind(&objects, "Deployment").len(), usize::from(is_there), "{part}");
        assert_eq!(of_kind(&objects, "CustomResourceDefinition").len(), if is_there { crds::all().len() } else { 0 }, "{part}");
        assert_eq!(of_kind(&objects, "ConfigMap").len(), 1, "{part}: the rest is there");
    }
}

#[test]
fn the_registry_and_the_pull_secrets_of_a_parent_count_for_every_pod() {
    let folder = tempfile::tempdir().expect("a folder");
    let umbrella = umbrella(folder.path());
    let pods = |global: Value, part: Value| -> Vec<(Value, Value)> {
        let objects = rendered(&umbrella, &json!({ "global": global, PART: part }));
        let operator = &of_kind(&objects, "Deployment")[0]["spec"]["template"]["spec"];
        let test = &of_kind(&objects, "Pod")[0]["spec"];
        let account = of_kind(&objects, "ServiceAccount")[0];
        assert_eq!(account["imagePullSecrets"], operator["imagePullSecrets"]);
        [operator, test].map(|pod| (pod["containers"][0]["image"].clone(), pod["imagePullSecrets"].clone())).into()
    };
    let own = json!({ "image": { "registry": "own.example.org", "tag": "x" }, "imagePullSecrets": ["own", { "name": "both" }] });
    for (image, secrets) in pods(json!({}), own.clone()) {
        assert_eq!(image, "own.example.org/database-backup-operator:x");
        assert_eq!(secrets, json!([{ "name": "own" }, { "name": "both" }]));
    }
    let global = json!({ "imageRegistry": "mirror.example.org/", "imagePullSecrets": ["mirror", { "name": "both" }] });
    for (image, secrets) in pods(global.clone(), own) {
        assert_eq!(image, "mirror.example.org/database-backup-operator:x", "it counts before the chart's own");
        assert_eq!(secrets, json!([{ "name": "mirror" }, { "name": "both" }, { "name": "own" }]), "each once");
    }
    for (image, secrets) in pods(global, json!({ "image": { "tag": "x" } })) {
        assert_eq!(image, "mirror.example.org/database-backup-operator:x", "it fills what the chart leaves open");
        assert_eq!(secrets, json!([{ "name": "mirror" }, { "name": "both" }]));
    }
}

#[test]
fn a_parent_takes_a_user_id_away_for_openshift() {
    let folder = tempfile::tempdir().expect("a folder");
    let umbrella = umbrella(folder.path());
    let objects = rendered(&umbrella, &json!({ PART: { "podSecurityContext": { "runAsUser": null, "runAsGroup": null } } }));
    let pod = &of_kind(&objects, "Deployment")[0]["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"], json!({ "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } }));
}

#[test]
fn a_parent_names_the_service_accounts_of_workload_identity() {
    let folder = tempfile::tempdir().expect("a folder");
    let umbrella = umbrella(folder.path());
    let objects = rendered(&umbrella, &json!({ PART: { "workloadIdentity": { "serviceAccounts": ["shop/backups"] } } }));
    let name = format!("platform-{PART}-tokens");
    let of = |kind: &str| *of_kind(&objects, kind).iter().find(|object| object["metadata"]["name"] == name).expect("one for tokens");
    assert_eq!((&of("Role")["metadata"]["namespace"], &of("Role")["rules"][0]["resourceNames"]), (&json!("shop"), &json!(["backups"])));
    let subject = json!({ "kind": "ServiceAccount", "name": format!("platform-{PART}"), "namespace": "platform" });
    assert_eq!(of("RoleBinding")["subjects"], json!([subject]));
}
