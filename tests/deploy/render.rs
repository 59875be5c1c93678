//! The chart as Helm renders it, without a cluster.

use crate::support::tools::Tools;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Namespace and name of the release in every rendering.
pub const RELEASE: &str = "database-backup-operator";

/// A path in the repository.
pub fn path(inside: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(inside)
}

/// The chart's folder.
pub fn chart() -> String {
    path("deploy/helm/database-backup-operator").display().to_string()
}

/// Runs helm: what it printed, or its complaint. It has no cluster and no settings of whoever runs the tests.
pub fn helm(args: &[&str]) -> Result<String, String> {
    run(&Tools::Helm.program("helm"), args)
}

/// Runs a program that touches nothing outside.
pub fn run(program: &Path, args: &[&str]) -> Result<String, String> {
    let home = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(program);
    command.args(args).current_dir(home.path()).env_clear().env("HOME", home.path()).stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("{}: {error}", program.display()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stdout) + &text(&output.stderr)) }
}

/// What the chart renders with these further arguments, as text.
pub fn template(args: &[&str]) -> Result<String, String> {
    helm(&[&["template", RELEASE, &chart(), "--namespace", RELEASE], args].concat())
}

/// The objects that the chart renders.
pub fn objects(args: &[&str]) -> Vec<Value> {
    parse(&template(args).unwrap_or_else(|error| panic!("{args:?}: {error}")))
}

/// The objects of a YAML stream.
pub fn parse(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

/// Those of a kind.
pub fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// Compares text with a committed file; `BLESS=1` writes the file instead.
pub fn same_as_committed(file: &Path, text: &str) {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        return;
    }
    let committed = std::fs::read_to_string(file).unwrap_or_default();
    assert!(committed == text, "{} is not what it is made from says; `make generate` writes it anew. It would be:\n{text}", file.display());
}
