//! The chart: what it renders, and what it refuses.

use crate::render::{RELEASE, chart, helm, objects, of_kind, parse, path, run, same_as_committed, template};
use crate::support::tools::Tools;
use clap::CommandFactory;
use database_backup_operator::{api::crds, process::config::Cli};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The sets of values in `ci/`: name and path.
fn cases() -> Vec<(String, String)> {
    let mut cases: Vec<_> = std::fs::read_dir(path("deploy/helm/database-backup-operator/ci"))
        .expect("ci/ is there")
        .map(|entry| entry.expect("a file").path())
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().replace("-values.yaml", "");
            (name, path.display().to_string())
        })
        .collect();
    cases.sort();
    assert!(cases.len() >= 4, "{cases:?}");
    cases
}

#[test]
fn every_set_of_values_passes_the_strict_lint() {
    for (name, values) in cases() {
        let said = helm(&["lint", "--strict", &chart(), "-f", &values]).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!said.contains("[WARNING]"), "{name}: {said}");
    }
}

#[test]
fn every_set_of_values_renders_what_is_committed() {
    for (name, values) in cases() {
        let rendered = template(&["-f", &values]).unwrap_or_else(|error| panic!("{name}: {error}"));
        // The definitions have a test of their own.
        let without = rendered.split_inclusive("---\n").filter(|part| !part.contains("\nkind: CustomResourceDefinition\n"));
        same_as_committed(&path(&format!("tests/deploy/snapshots/{name}.yaml")), &without.collect::<String>());
    }
}

#[test]
fn a_value_that_cannot_be_meant_is_refused_with_its_place() {
    for (set, expected) in [
        ("replicaCout=2", "replicaCout"),
        ("image.digets=x", "digets"),
        ("image.digest=latest", "/image/digest"),
        ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
        ("image.repository=", "/image/repository"),
        ("replicaCount=-1", "/replicaCount"),
        ("replicaCount=two", "/replicaCount"),
        ("operator.pollInterval=15", "/operator/pollInterval"),
        ("operator.settleDelay=5 minutes", "/operator/settleDelay"),
        ("operator.logFormat=xml", "/operator/logFormat"),
        ("operator.port=80", "/operator/port"),
        ("operator.concurrency=0", "/operator/concurrency"),
        ("operator.allowedEndpointHosts={https://cloud.example.org}", "/operator/allowedEndpointHosts/0"),
        ("operator.allowedEndpointHosts={cloud.example.org:443}", "/operator/allowedEndpointHosts/0"),
        ("operator.allowedEndpointHosts={*.example.org}", "/operator/allowedEndpointHosts/0"),
        ("operator.watchNamespaces={Shop}", "/operator/watchNamespaces/0"),
        ("operator.watchNamespaces={shop,shop}", "/operator/watchNamespaces"),
        ("operator.watchNamespaces=shop", "/operator/watchNamespaces"),
        ("terminationGracePeriodSeconds=10", "/terminationGracePeriodSeconds"),
        ("crds.enabled=maybe", "/crds/enabled"),
        ("commonLabels.a=1", "/commonLabels/a"),
        ("resources.request.cpu=1", "request"),
        ("rbac.userRoles.aggregat=true", "aggregat"),
        ("podDisruptionBudget.minAvailable=half", "/podDisruptionBudget/minAvailable"),
        ("metrics.serviceMonitor.renderMode=never", "/metrics/serviceMonitor/renderMode"),
        ("metrics.serviceMonitor.interval=soon", "/metrics/serviceMonitor/interval"),
        ("networkPolicy.apiServerPorts={}", "/networkPolicy/apiServerPorts"),
        ("networkPolicy.instanceMetadata=yes please", "/networkPolicy/instanceMetadata"),
        ("workloadIdentity.serviceAccount={shop/backups}", "serviceAccount"),
        ("enabled=maybe", "/enabled"),
        ("imagePullSecrets[0].nam=a", "/imagePullSecrets/0"),
        ("global.imageRegistry.a=b", "/global/imageRegistry"),
        ("clusterName=prod & test", "/clusterName"),
        ("clusterName=a-name-that-is-longer-than-forty-characters", "/clusterName"),
        ("caBundle=ca.pem", "/caBundle"),
        ("caBundleFrom.configMapKeyRef.name=roots", "/caBundleFrom/configMapKeyRef"),
        ("caBundleFrom.configMapRef.name=roots", "configMapRef"),
        ("metrics.service.ipFamilyPolicy=DualStack", "/metrics/service/ipFamilyPolicy"),
        ("metrics.service.ipFamilies={v6}", "/metrics/service/ipFamilies/0"),
        // What the schema cannot say.
        ("enabled=false", "condition: database-backup-operator.enabled"),
        ("podSpecExtra.nodeSelector.a=b", "podSpecExtra.nodeSelector is set, but the chart sets this field by a value of its own"),
        ("podSpecExtra.containers={}", "podSpecExtra.containers is set"),
        ("caBundle=-----BEGIN CERTIFICATE----- -----BEGIN PRIVATE KEY-----", "caBundle holds a private key"),
        (
            "caBundle=-----BEGIN CERTIFICATE-----,caBundleFrom.secretKeyRef.name=a,caBundleFrom.secretKeyRef.key=b",
            "caBundle and caBundleFrom are both set",
        ),
        ("replicaCount=2,leaderElection.enabled=false", "replicaCount > 1 needs leaderElection.enabled"),
        ("metrics.serviceMonitor.enabled=true,metrics.podMonitor.enabled=true", "both enabled"),
        (
            "metrics.serviceMonitor.enabled=true,metrics.serviceMonitor.renderMode=failIfMissing",
            "does not serve monitoring.coreos.com/v1 ServiceMonitor",
        ),
        (
            "metrics.serviceMonitor.enabled=true,metrics.serviceMonitor.renderMode=alwaysRender,metrics.service.enabled=false",
            "needs metrics.service.enabled",
        ),
    ] {
        let said = template(&["--set", set]).expect_err(set);
        assert!(said.contains(expected), "{set}: expected {expected:?} in: {said}");
    }
}

#[test]
fn a_monitor_waits_for_its_kind_and_an_umbrella_chart_may_pass_its_globals() {
    let monitors = |args: &[&str]| {
        of_kind(&objects(&[&["--set", "metrics.serviceMonitor.enabled=true,global.x=y"], args].concat()), "ServiceMonitor").len()
    };
    assert_eq!(monitors(&[]), 0, "no such kind");
    assert_eq!(monitors(&["--api-versions", "monitoring.coreos.com/v1/ServiceMonitor"]), 1);
}

#[test]
fn every_value_has_a_line_in_the_readme_which_a_tool_made() {
    let flags = ["--dry-run", "--log-level=error", "--chart-search-root"];
    let made = run(&Tools::HelmDocs.program("helm-docs"), &[&flags[..], &[&chart()]].concat()).expect("helm-docs");
    let rows: Vec<&str> = made.lines().filter(|line| line.starts_with("| ") && line.matches(" | ").count() >= 3).collect();
    assert!(rows.len() > 80, "a table: {made}");
    for row in rows {
        assert!(!row.ends_with("|  |"), "without a description (`# -- …` above it in values.yaml): {row}");
    }
    same_as_committed(&path("deploy/helm/database-backup-operator/README.md"), &format!("{}\n", made.trim()));
}

/// Every path in the values, up to maps that are the user's own.
fn leaves(value: &Value, schema: &Value, at: &str, found: &mut BTreeSet<String>) {
    match (value.as_object(), schema["properties"].as_object()) {
        (Some(fields), Some(_)) => {
            for (name, field) in fields {
                leaves(field, &schema["properties"][name], &format!("{at}.{name}"), found);
            }
        }
        _ => drop(found.insert(at.to_owned())),
    }
}

fn schema_leaves(schema: &Value, at: &str, found: &mut BTreeSet<String>) {
    match schema["properties"].as_object() {
        Some(fields) => fields.iter().for_each(|(name, field)| schema_leaves(field, &format!("{at}.{name}"), found)),
        None => drop(found.insert(at.to_owned())),
    }
}

#[test]
fn the_schema_knows_exactly_the_values_that_there_are() {
    let read = |file: &str| std::fs::read_to_string(path(&format!("deploy/helm/database-backup-operator/{file}"))).expect(file);
    let schema: Value = serde_json::from_str(&read("values.schema.json")).expect("JSON");
    let (mut values, mut known) = (BTreeSet::new(), BTreeSet::new());
    leaves(&parse(&read("values.yaml"))[0], &schema, "", &mut values);
    schema_leaves(&schema, "", &mut known);
    // Refused where they are misspelt, and absent by default.
    let absent = BTreeSet::from([".resources.claims".to_owned()]);
    assert_eq!(known.difference(&values).cloned().collect::<BTreeSet<_>>(), absent);
    assert_eq!(values.difference(&known).count(), 0, "{values:?}");
}

#[test]
fn the_definitions_are_those_of_the_types_and_stay_when_the_release_goes() {
    for crd in crds::all() {
        let text = std::fs::read_to_string(path("crds").join(crds::file_name(&crd))).expect("make generate");
        same_as_committed(&path("deploy/helm/database-backup-operator/files/crds").join(crds::file_name(&crd)), &text);
    }
    for (args, keep) in [(&[][..], true), (&["--set", "crds.keep=false,crds.annotations.a=b"][..], false)] {
        let rendered = objects(args);
        let definitions = of_kind(&rendered, "CustomResourceDefinition");
        assert_eq!(definitions.len(), crds::all().len());
        for own in crds::all() {
            let same = definitions.iter().find(|crd| crd["metadata"]["name"] == own.name_any()).expect("its definition");
            let same: CustomResourceDefinition = serde_json::from_value((*same).clone()).expect("a definition");
            assert!(same.spec == own.spec, "{} differs", own.name_any());
        }
        for annotations in definitions.iter().map(|crd| &crd["metadata"]["annotations"]) {
            assert_eq!(annotations["helm.sh/resource-policy"] == "keep", keep, "{annotations}");
            assert_eq!(annotations["argocd.argoproj.io/sync-options"] == "Prune=false,Delete=false", keep, "{annotations}");
            assert_eq!(annotations["a"] == "b", !keep, "{annotations}");
        }
    }
    assert!(of_kind(&objects(&["--set", "crds.enabled=false"]), "CustomResourceDefinition").is_empty());
}

#[test]
fn the_settings_are_flags_that_there_are_and_their_defaults_are_the_same() {
    let cli = Cli::command();
    let run = cli.find_subcommand("run").expect("run");
    let defaults: BTreeMap<String, String> = run
        .get_arguments()
        .filter_map(|arg| {
            let default: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
            Some((arg.get_env()?.to_string_lossy().into_owned(), default.join(",")))
        })
        .collect();
    let rendered = objects(&[]);
    let env = &of_kind(&rendered, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0]["env"];
    for variable in env.as_array().expect("env") {
        let (name, value) = (variable["name"].as_str().expect("name"), variable["value"].as_str().expect("value"));
        let default = defaults.get(name).unwrap_or_else(|| panic!("there is no {name}"));
        // Logs of a Pod are read by programs.
        if name != "DBBACKUP_LOG_FORMAT" {
            assert_eq!(value, default, "{name}");
        }
    }
    let everything = objects(&[
        "--set",
        "operator.watchNamespaces={a,b},operator.clusterResourceNamespace=c,operator.allowedEndpointHosts={d},clusterName=e,caBundleFrom.secretKeyRef.name=f,caBundleFrom.secretKeyRef.key=g",
    ]);
    let env = of_kind(&everything, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0]["env"].to_string();
    // For tests and other clouds; `extraEnv` has them.
    let without_value = ["DBBACKUP_LEASE_NAMESPACE", "DBBACKUP_ALLOW_INSECURE_ENDPOINTS", "DBBACKUP_METADATA_ENDPOINT"];
    for set in defaults.keys().filter(|name| !without_value.contains(&name.as_str())) {
        assert!(env.contains(set.as_str()), "{set} cannot be set by a value: {env}");
    }
}

#[test]
fn the_longest_names_stay_within_their_bounds_and_apart() {
    let long = "a-release-with-a-name-of-fifty-three-characters-xxxxx";
    assert_eq!(long.len(), 53);
    let rendered =
        parse(&helm(&["template", long, &chart(), "--set", "metrics.serviceMonitor.renderMode=alwaysRender"]).expect("rendered"));
    let mut seen = BTreeSet::new();
    for object in &rendered {
        let name = object["metadata"]["name"].as_str().expect("a name");
        let bound = if object["apiVersion"].as_str().is_some_and(|version| version.starts_with("rbac")) { 253 } else { 63 };
        assert!(name.len() <= bound && !name.ends_with('-'), "{}: {name}", object["kind"]);
        assert!(seen.insert((object["kind"].to_string(), name.to_owned())), "twice: {} {name}", object["kind"]);
        for (label, value) in object["metadata"]["labels"].as_object().expect("labels") {
            assert!(value.as_str().expect("text").len() <= 63, "{label}: {value}");
        }
    }
}

#[test]
fn no_role_for_people_grants_a_status_and_accounts_are_nobodys_by_default() {
    let rendered = objects(&[]);
    let role = |name: &str| {
        let name = format!("{RELEASE}-{name}");
        *of_kind(&rendered, "ClusterRole").iter().find(|role| role["metadata"]["name"] == name.as_str()).unwrap_or_else(|| panic!("{name}"))
    };
    let aggregated = |name: &str| {
        let labels = role(name)["metadata"]["labels"].as_object().expect("labels").keys();
        labels.filter_map(|label| label.strip_prefix("rbac.authorization.k8s.io/aggregate-to-")).map(str::to_owned).collect::<Vec<_>>()
    };
    for name in ["view", "edit", "admin", "accounts", "cluster-accounts"] {
        let resources: Vec<&str> = role(name)["rules"]
            .as_array()
            .expect("rules")
            .iter()
            .flat_map(|rule| rule["resources"].as_array().expect("resources"))
            .filter_map(Value::as_str)
            .collect();
        assert!(!resources.is_empty() && resources.iter().all(|resource| !resource.contains('/') && *resource != "*"), "{resources:?}");
        assert_eq!(name == "cluster-accounts", resources.contains(&"clustercloudaccounts"), "{name}: {resources:?}");
        assert_eq!(["view", "accounts"].contains(&name), resources.contains(&"cloudaccounts"), "{name}: {resources:?}");
    }
    assert_eq!(aggregated("view"), ["admin", "edit", "view"]);
    assert_eq!(aggregated("edit"), ["admin", "edit"]);
    assert_eq!(aggregated("admin"), ["admin"]);
    assert!(aggregated("accounts").is_empty() && aggregated("cluster-accounts").is_empty());
    assert!(!role("edit").to_string().contains("cloudaccounts"), "who may edit backups may not choose other credentials");
}

#[test]
fn the_notes_say_what_to_do_next() {
    let notes = |args: &[&str]| {
        let install = ["install", RELEASE, &chart(), "--namespace", RELEASE, "--dry-run=client", "--disable-openapi-validation"];
        let said = helm(&[&install[..], args].concat()).unwrap_or_else(|error| panic!("{args:?}: {error}"));
        said.split("NOTES:").nth(1).unwrap_or_else(|| panic!("no notes: {said}")).to_owned()
    };
    let by_default = notes(&[]);
    for expected in [
        "rollout status deployment/database-backup-operator",
        "kind: CloudAccount",
        "kind: DatabaseBackup\n",
        "kind: DatabaseBackupSchedule",
        "helm uninstall",
    ] {
        assert!(by_default.contains(expected), "{expected}: {by_default}");
    }
    for set in ["crds.enabled=true", "image.registry=", "image.repository=team/backups"] {
        let said = notes(&["--set", set]);
        let warned = [
            "WARNING",
            "names no registry",
            "image.registry=REGISTRY",
            "skopeo copy oci-archive:",
            "kind load docker-image",
            "minikube image load",
        ];
        assert!(warned.iter().all(|expected| said.contains(expected)), "{set}: {said}");
    }
    for set in [
        "image.registry=registry.example.org",
        "global.imageRegistry=localhost:5000",
        "image.repository=registry.example.org/backups",
        "image.registry=localhost",
    ] {
        assert!(!notes(&["--set", set]).contains("WARNING"), "{set}");
    }
    assert!(notes(&["--set", "crds.enabled=false"]).contains("apply the CRDs of version"));
    assert!(notes(&["--set", "operator.watchNamespaces={shop}"]).contains("serves shop"));
    assert!(notes(&["--set", "rbac.allSecrets=false"]).contains("create rolebinding"));
    assert!(notes(&["--set", "metrics.podMonitor.enabled=true"]).contains("Install the Prometheus operator"));
    assert!(!by_default.contains("Workload identity"));
    let identities = "workloadIdentity.serviceAccounts={shop/reports,billing/backups,shop/reports}";
    let said = notes(&["--set", identities]);
    assert!(said.contains("may name the ServiceAccounts billing/backups, shop/reports.") && !said.contains("resourceNames"), "{said}");
    assert!(notes(&["--set", identities, "--set", "rbac.create=false"]).contains("by a Role with resourceNames in each namespace"));
}

#[test]
fn whoever_already_has_a_disruption_budget_by_number_or_percent_gets_that_one() {
    let spec = |set: &str| {
        let rendered = objects(&["--set", &format!("podDisruptionBudget.enabled=true{set}")]);
        let mut spec = of_kind(&rendered, "PodDisruptionBudget")[0]["spec"].clone();
        spec.as_object_mut().expect("a map").retain(|field, _| field.ends_with("vailable"));
        spec
    };
    assert_eq!(spec(""), json!({ "maxUnavailable": 1 }));
    assert_eq!(spec(",podDisruptionBudget.minAvailable=1"), json!({ "minAvailable": 1 }));
    assert_eq!(spec(",podDisruptionBudget.minAvailable=0"), json!({ "minAvailable": 0 }));
    assert_eq!(spec(",podDisruptionBudget.minAvailable=50%"), json!({ "minAvailable": "50%" }));
}
