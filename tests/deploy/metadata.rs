//! What the chart says of itself, and what a release adds to that.

use crate::render::{RELEASE, chart, helm, parse, path};
use database_backup_operator::api::crds;
use kube::ResourceExt;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Stdio},
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// An annotation of Artifact Hub whose value is a list in YAML.
fn list(chart: &Value, name: &str) -> Vec<Value> {
    let text = chart["annotations"][format!("artifacthub.io/{name}")].as_str().unwrap_or_else(|| panic!("{name}: {chart}"));
    parse(text).remove(0).as_array().expect("a list").clone()
}

/// What helm reads in a folder or an archive.
fn shown(chart: &str) -> Value {
    parse(&helm(&["show", "chart", chart]).unwrap_or_else(|error| panic!("{chart}: {error}"))).remove(0)
}

#[test]
fn every_kind_is_described_and_has_an_example() {
    let chart = shown(&chart());
    let described = list(&chart, "crds");
    for crd in crds::all() {
        let kind = &crd.spec.names.kind;
        let entry = described.iter().find(|entry| entry["kind"] == kind.as_str()).unwrap_or_else(|| panic!("{kind}"));
        assert_eq!((&entry["name"], &entry["version"]), (&json!(crd.name_any()), &json!(crd.spec.versions[0].name)));
        assert!(!entry["displayName"].is_null() && !entry["description"].is_null(), "{entry}");
    }
    let kinds = |list: &[Value]| -> BTreeSet<String> { list.iter().map(|entry| entry["kind"].to_string()).collect() };
    let examples = list(&chart, "crdsExamples");
    assert_eq!((kinds(&described), kinds(&examples)), (kinds(&examples), kinds(&described)));
    assert_eq!((described.len(), examples.len()), (crds::all().len(), crds::all().len()), "one of each");
    for (name, value) in [("category", "database"), ("license", "Apache-2.0"), ("operator", "true")] {
        assert_eq!(chart["annotations"][format!("artifacthub.io/{name}")], value);
    }
}

/// Runs the script over a copy of the chart: the copy's folder, or the complaint.
fn released(folder: &Path, envs: &[(&str, &str)]) -> Result<String, String> {
    let copied = Command::new("cp").args(["-R", &chart()]).arg(folder).status().expect("cp");
    assert!(copied.success());
    let copy = folder.join(RELEASE).display().to_string();
    let mut command = Command::new(path("deploy/release/chart"));
    for name in ["PROJECT_URL", "ICON_URL", "IMAGE", "MAINTAINERS"] {
        command.env_remove(name);
    }
    let output = command.arg(&copy).envs(envs.iter().copied()).stdin(Stdio::null()).output().expect("it runs");
    if output.status.success() { Ok(copy) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[test]
fn a_release_says_where_the_project_is_and_the_sources_do_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let before = shown(&chart());
    for field in ["home", "sources", "icon", "maintainers"] {
        assert!(before[field].is_null(), "{field}: the sources know no address");
    }
    let url = "https://example.org/platform/backups";
    let envs = [
        ("PROJECT_URL", url),
        ("IMAGE", "registry.example.org:5000/platform/backups"),
        ("MAINTAINERS", "A B <a@example.org>, C <c@example.org>"),
    ];
    let copy = released(folder.path(), &envs).expect("written");
    let said = helm(&["lint", "--strict", &copy]).expect("lint");
    assert!(!said.contains("[WARNING]") && !said.contains("[INFO]"), "nothing is missing: {said}");
    let after = shown(&copy);
    assert_eq!((&after["home"], &after["sources"]), (&json!(url), &json!([url])));
    assert_eq!(after["icon"], format!("{url}/raw/v{VERSION}/deploy/helm/icon.svg"));
    assert!(path("deploy/helm/icon.svg").exists());
    assert_eq!(after["maintainers"], json!([{ "name": "A B", "email": "a@example.org" }, { "name": "C", "email": "c@example.org" }]));
    let platforms = ["linux/amd64", "linux/arm64"];
    let image = format!("registry.example.org:5000/platform/backups:{VERSION}");
    assert_eq!(list(&after, "images"), [json!({ "name": RELEASE, "image": image, "platforms": platforms })]);
    let links = list(&after, "links");
    assert!(links.iter().any(|link| link["name"] == "support" && link["url"] == format!("{url}/issues")), "{links:?}");
    // What was there stays, and what is installed is what was published.
    assert_eq!(list(&after, "crdsExamples"), list(&before, "crdsExamples"));
    let rendered = helm(&["template", RELEASE, &copy]).expect("rendered");
    assert!(rendered.contains(&format!("image: \"{image}\"")), "{rendered}");
    let readme = fs::read_to_string(Path::new(&copy).join("README.md")).expect("text");
    assert!(readme.contains("| image.registry | string | `\"registry.example.org:5000\"` |"), "{readme}");
}

#[test]
fn the_changes_are_those_of_the_changelog_and_no_variable_is_needed() {
    let folder = tempfile::tempdir().expect("a folder");
    let chart = shown(&released(folder.path(), &[]).expect("written"));
    let changes = list(&chart, "changes");
    let log = fs::read_to_string(path("CHANGELOG.md")).expect("text");
    let (_, section) = log.split_once(&format!("\n## [{VERSION}]")).expect("a section");
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    assert_eq!(changes.len(), section.matches("\n- ").count());
    let kinds = ["added", "changed", "deprecated", "removed", "fixed", "security"];
    assert!(changes.iter().all(|change| kinds.contains(&change["kind"].as_str().expect("a kind"))), "{changes:?}");
    let annotation = |name: &str| chart["annotations"][format!("artifacthub.io/{name}")].clone();
    assert_eq!((annotation("prerelease"), annotation("containsSecurityUpdates")), (json!("false"), json!("false")));
    assert!(chart["home"].is_null() && annotation("images").is_null() && annotation("links").is_null());
}

#[test]
fn an_address_that_cannot_be_meant_keeps_a_release_from_being_made() {
    for (name, value, expected) in [
        ("PROJECT_URL", "http://example.org/x", "https://HOST/PATH"),
        ("PROJECT_URL", "https://example.org/x/", "without a / at the end"),
        ("IMAGE", "backups", "REGISTRY/PATH without a tag"),
        ("IMAGE", "registry.example.org/backups:1", "REGISTRY/PATH without a tag"),
        ("MAINTAINERS", "A B", "NAME <MAIL>"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let said = released(folder.path(), &[(name, value)]).expect_err(value);
        assert!(said.contains(name) && said.contains(expected) && said.lines().count() == 1, "{said}");
    }
    assert!(fs::read_to_string(path("deploy/release/package")).expect("text").contains("\ndeploy/release/chart \"$staging/$name\"\n"));
}
