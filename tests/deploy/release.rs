//! What a release consists of, as far as nothing has to be compiled for it.

use crate::render::{RELEASE, helm, objects, of_kind, parse, path, template};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Stdio},
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn read(file: &str) -> String {
    fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Runs a program in a folder: whether it succeeded, and what it printed.
fn run(folder: &Path, program: &str, args: &[&str], envs: &[(&str, &Path)]) -> (bool, String) {
    let output = Command::new(program).args(args).envs(envs.iter().copied()).current_dir(folder).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn the_version_is_the_same_everywhere() {
    let chart: Value = parse(&read("deploy/helm/database-backup-operator/Chart.yaml")).remove(0);
    assert_eq!((chart["version"].as_str(), chart["appVersion"].as_str()), (Some(VERSION), Some(VERSION)));
    assert!(read("deploy/manifests/operator.yaml").contains(&format!("image: \"{RELEASE}:{VERSION}\"")), "the plain manifests");
    assert!(read("Dockerfile").contains(&format!("org.opencontainers.image.version=\"{VERSION}\"")), "the image's label");
    assert!(read("CHANGELOG.md").contains(&format!("\n## [{VERSION}]")), "the changelog has a section for it");
    assert!(read("LICENSE").contains("Apache License") && read("Cargo.toml").contains("license = \"Apache-2.0\""));
}

#[test]
fn a_digest_says_which_image_whatever_the_tag() {
    let image = |set: &str| {
        let rendered = objects(&["--set", set]);
        of_kind(&rendered, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0]["image"].as_str().expect("an image").to_owned()
    };
    let digest = format!("sha256:{}", "0".repeat(64));
    assert_eq!(image("image.pullPolicy=Always"), format!("{RELEASE}:{VERSION}"));
    assert_eq!(image("image.registry=example.org,image.tag=x"), format!("example.org/{RELEASE}:x"));
    assert_eq!(image(&format!("image.digest={digest}")), format!("{RELEASE}:{VERSION}@{digest}"));
}

#[test]
fn the_first_steps_of_the_dockerfile_work_with_nothing_but_the_two_files_that_it_has_by_then() {
    let dockerfile = read("Dockerfile");
    let stubs = dockerfile.lines().find_map(|line| line.strip_prefix("RUN for file in")).expect("the step that makes stubs");
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["Cargo.toml", "Cargo.lock"] {
        fs::copy(path(file), folder.path().join(file)).expect("copied");
    }
    let (succeeded, said) = run(folder.path(), "sh", &["-c", &format!("for file in{stubs}")], &[]);
    assert!(succeeded, "{said}");
    let (succeeded, said) = run(folder.path(), "cargo", &["metadata", "--locked", "--offline", "--no-deps", "--format-version=1"], &[]);
    assert!(succeeded, "{said}");
    // What is copied later is there, and not kept from the context.
    for copied in ["deploy/release/binary", "src"] {
        assert!(dockerfile.contains(&format!("COPY {copied} ")) && path(copied).exists(), "{copied}");
    }
    let ignored = read(".dockerignore");
    assert!(!ignored.lines().any(|line| ["deploy", "src", "Cargo.lock"].contains(&line)), "{ignored}");
}

#[test]
fn the_image_runs_as_nobody_from_nothing() {
    let dockerfile = read("Dockerfile");
    let last = dockerfile.split("\nFROM ").last().expect("a stage");
    assert!(last.starts_with("scratch\n"));
    for line in ["USER 65532:65532", "ENTRYPOINT [\"/database-backup-operator\"]", "CMD [\"run\"]"] {
        assert!(last.contains(line), "{line}");
    }
    assert!(!last.contains("RUN "), "that stage is also built where nothing can be run");
}

#[test]
fn a_package_is_whole_and_the_same_again() {
    let packages = [(); 2].map(|()| {
        let folder = tempfile::tempdir().expect("a folder");
        let (succeeded, said) = run(&path(""), "deploy/release/package", &["--manifests"], &[("PACKAGE_FOLDER", folder.path())]);
        assert!(succeeded, "{said}");
        folder
    });
    let [first, second] = packages.each_ref().map(tempfile::TempDir::path);
    let names = |folder: &Path| -> BTreeSet<String> {
        fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").file_name().to_string_lossy().into_owned()).collect()
    };
    let archive = format!("{RELEASE}-{VERSION}.tgz");
    assert_eq!(names(first), ["SHA256SUMS", "crds.yaml", "database-backup-operator.yaml", &archive].map(str::to_owned).into());
    let (verified, said) = run(first, "sha256sum", &["--check", "--strict", "SHA256SUMS"], &[]);
    assert!(verified && said.matches(": OK").count() == 3, "{said}");
    let sums = |folder: &Path| fs::read_to_string(folder.join("SHA256SUMS")).expect("sums");
    assert_eq!(sums(first), sums(second));

    // The archive renders what the folder does, and has nothing in it that is only for those who make it.
    let archive = first.join(archive).display().to_string();
    assert_eq!(helm(&["template", RELEASE, &archive, "--namespace", RELEASE]).expect("rendered"), template(&[]).expect("rendered"));
    let (_, listed) = run(first, "tar", &["-tzf", &archive], &[]);
    assert!(listed.contains("values.schema.json") && listed.contains("README.md") && !listed.contains("/ci/"), "{listed}");
    let definitions = parse(&fs::read_to_string(first.join("crds.yaml")).expect("text"));
    assert_eq!(definitions.len(), 3);
    for definition in definitions {
        let plural = definition["spec"]["names"]["plural"].as_str().expect("a name");
        assert_eq!(parse(&read(&format!("crds/{plural}.yaml"))), std::slice::from_ref(&definition));
    }
}
