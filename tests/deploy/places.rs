//! What differs from place to place: authorities, families of addresses, user ids, fields that the chart has no value for, and Deployments of before.

use crate::render::{chart, objects, of_kind, path};
use database_backup_operator::process::config::{Cli, Command};
use serde_json::{Value, json};

const PEM: &str = "Corporate roots\n-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const FILE: &str = "/etc/database-backup-operator/ca.crt";

/// The specs of every Pod that a rendering has: the operator's and that of `helm test`.
fn pods(rendered: &[Value]) -> [&Value; 2] {
    [&of_kind(rendered, "Deployment")[0]["spec"]["template"]["spec"], &of_kind(rendered, "Pod")[0]["spec"]]
}

/// The value of a variable of a Pod's first container.
fn variable<'a>(pod: &'a Value, name: &str) -> &'a Value {
    let variables = pod["containers"][0]["env"].as_array().expect("env");
    variables.iter().find(|variable| variable["name"] == name).map_or(&Value::Null, |variable| &variable["value"])
}

/// What the file of `DBBACKUP_CA_BUNDLE` is made of: the volume that is mounted where it lies.
fn bundle(pod: &Value) -> Value {
    assert_eq!(variable(pod, "DBBACKUP_CA_BUNDLE"), FILE);
    let mount = &pod["containers"][0]["volumeMounts"][0];
    assert_eq!((&mount["mountPath"], &mount["readOnly"]), (&json!("/etc/database-backup-operator"), &json!(true)));
    let volume = pod["volumes"].as_array().expect("volumes").iter().find(|volume| volume["name"] == mount["name"]);
    volume.expect("what is mounted").clone()
}

#[test]
fn a_bundle_of_certificates_is_mounted_and_another_text_is_another_pod() {
    let folder = tempfile::tempdir().expect("a folder");
    let with = |text: &str| {
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, text).expect("written");
        objects(&["--set-file", &format!("caBundle={}", file.display())])
    };
    let rendered = with(PEM);
    let map = of_kind(&rendered, "ConfigMap")[0];
    assert_eq!(map["data"], json!({ "ca.crt": PEM }));
    for pod in pods(&rendered) {
        assert_eq!(bundle(pod), json!({ "name": "ca-bundle", "configMap": { "name": map["metadata"]["name"] } }));
    }
    let checksum = |rendered: &[Value]| {
        of_kind(rendered, "Deployment")[0]["spec"]["template"]["metadata"]["annotations"]["checksum/ca-bundle"].clone()
    };
    assert!(checksum(&rendered).is_string());
    assert_ne!(checksum(&rendered), checksum(&with(&format!("{PEM}{PEM}"))));
    let rendered = objects(&[]);
    assert!(of_kind(&rendered, "ConfigMap").is_empty() && checksum(&rendered).is_null());
    for pod in pods(&rendered) {
        assert!(
            pod["volumes"].is_null() && pod["containers"][0]["volumeMounts"].is_null() && variable(pod, "DBBACKUP_CA_BUNDLE").is_null()
        );
    }
}

#[test]
fn a_bundle_that_is_there_already_is_mounted_from_its_key_and_beside_other_volumes() {
    let items = json!([{ "key": "bundle.pem", "path": "ca.crt" }]);
    for (kind, source) in [
        ("configMapKeyRef", json!({ "configMap": { "name": "roots", "items": items } })),
        ("secretKeyRef", json!({ "secret": { "secretName": "roots", "items": items } })),
    ] {
        let set = format!("caBundleFrom.{kind}.name=roots,caBundleFrom.{kind}.key=bundle.pem");
        let rendered = objects(&[
            "--set",
            &set,
            "--set-json",
            r#"extraVolumes=[{"name":"own"}]"#,
            "--set-json",
            r#"extraVolumeMounts=[{"name":"own","mountPath":"/own"}]"#,
        ]);
        assert!(of_kind(&rendered, "ConfigMap").is_empty());
        for pod in pods(&rendered) {
            let mut expected = source.clone();
            expected["name"] = "ca-bundle".into();
            assert_eq!(bundle(pod), expected);
        }
        let [operator, _] = pods(&rendered);
        assert_eq!((operator["volumes"].as_array().map(Vec::len), &operator["volumes"][1]["name"]), (Some(2), &json!("own")));
        assert_eq!(operator["containers"][0]["volumeMounts"][1]["name"], "own");
    }
}

#[test]
fn the_cluster_is_named_as_the_flag_takes_it() {
    for name in ["prod-eu", "Prod EU 1 (CCE)", "a/b:c_d.e"] {
        let rendered = objects(&["--set-string", &format!("clusterName={name}")]);
        for pod in pods(&rendered) {
            assert_eq!(variable(pod, "DBBACKUP_CLUSTER_NAME"), name);
        }
        let cli = <Cli as clap::Parser>::try_parse_from(["x", "run", "--cluster-name", name]).expect("the flag takes it");
        assert!(matches!(cli.command, Command::Run(run) if run.cluster_name.to_string() == name));
    }
}

#[test]
fn the_service_has_the_families_of_addresses_that_were_asked_for() {
    let families = |args: &[&str]| {
        let rendered = objects(args);
        let spec = &of_kind(&rendered, "Service")[0]["spec"];
        (spec["ipFamilyPolicy"].clone(), spec["ipFamilies"].clone())
    };
    assert_eq!(families(&[]), (Value::Null, Value::Null));
    let set = "metrics.service.ipFamilyPolicy=RequireDualStack,metrics.service.ipFamilies={IPv6,IPv4}";
    assert_eq!(families(&["--set", set]), (json!("RequireDualStack"), json!(["IPv6", "IPv4"])));
}

#[test]
fn a_field_that_has_no_value_here_is_added_and_changes_nothing_else() {
    let mut rendered = objects(&["--set", "podSpecExtra.schedulerName=volcano,podSpecExtra.hostUsers=false"]);
    let deployment = rendered.iter_mut().find(|object| object["kind"] == "Deployment").expect("a Deployment");
    let spec = deployment["spec"]["template"]["spec"].as_object_mut().expect("a map");
    assert_eq!((spec.remove("schedulerName"), spec.remove("hostUsers")), (Some(json!("volcano")), Some(json!(false))));
    assert_eq!(rendered, objects(&[]));
}

#[test]
fn nothing_pins_a_user_id_with_the_values_for_openshift() {
    let values = path("deploy/helm/database-backup-operator/ci/openshift-values.yaml").display().to_string();
    let pinned = |args: &[&str]| {
        let text = json!(pods(&objects(args))).to_string();
        ["runAsUser", "runAsGroup", "fsGroup", "supplementalGroups", "seLinuxOptions"].map(|field| text.contains(&format!("\"{field}\"")))
    };
    assert_eq!(pinned(&["-f", &values]), [false; 5]);
    assert_eq!(
        pinned(&["--set", "podSecurityContext.runAsUser=null,podSecurityContext.runAsGroup=null"]),
        [false; 5],
        "as the README has it"
    );
    assert_eq!(pinned(&[])[..2], [true; 2], "elsewhere the ids are named");
    for pod in pods(&objects(&["-f", &values])) {
        assert_eq!(pod["securityContext"], json!({ "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } }));
        let container = json!({ "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] } });
        assert_eq!(pod["containers"][0]["securityContext"], container, "the rest stays as strict");
    }
}

#[test]
fn two_releases_select_pods_of_their_own_and_one_of_before_can_be_kept_without_a_cluster() {
    let selector = |release: &str, args: &[&str]| {
        let template = ["template", release, &chart(), "--namespace", "platform"];
        let rendered = crate::render::parse(&crate::render::helm(&[&template[..], args].concat()).expect("rendered"));
        let deployment = of_kind(&rendered, "Deployment")[0];
        let (selected, labels) = (&deployment["spec"]["selector"]["matchLabels"], &deployment["spec"]["template"]["metadata"]["labels"]);
        for (label, value) in selected.as_object().expect("labels") {
            assert_eq!(&labels[label], value, "its own Pods have it");
        }
        selected.clone()
    };
    let of = |release: &str| json!({ "app.kubernetes.io/name": "database-backup-operator", "app.kubernetes.io/instance": release, "app.kubernetes.io/component": "operator" });
    assert_eq!((selector("a", &[]), selector("b", &[])), (of("a"), of("b")));
    assert_eq!(selector("a", &["--set", "legacySelector=true"]), json!({ "app.kubernetes.io/name": "database-backup-operator" }));
}

#[test]
fn the_metadata_service_is_closed_unless_it_is_let_out_and_then_nothing_else_is() {
    let egress = |args: &[&str]| {
        let rendered = objects(&[&["--set", "networkPolicy.enabled=true"], args].concat());
        of_kind(&rendered, "NetworkPolicy")[0]["spec"]["egress"].as_array().expect("rules").clone()
    };
    let closed = egress(&[]);
    assert!(closed.iter().flat_map(|rule| rule["ports"].as_array().expect("ports")).all(|port| port["port"] != 80), "{closed:?}");
    let mut opened = egress(&["--set", "networkPolicy.instanceMetadata=true"]);
    let rule = json!({ "ports": [{ "port": 80, "protocol": "TCP" }], "to": [{ "ipBlock": { "cidr": "169.254.169.254/32" } }] });
    let at = opened.iter().position(|other| *other == rule).unwrap_or_else(|| panic!("{opened:?}"));
    opened.remove(at);
    assert_eq!(opened, closed);
}
