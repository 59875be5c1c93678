//! What a release consists of, as far as nothing has to be compiled for it.

use crate::render::{RELEASE, helm, objects, of_kind, parse, path, template};
use database_backup_operator::api::crds;
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
    let metadata: Value = serde_json::from_str(&said[said.find('{').expect("JSON")..]).expect("JSON");
    let targets = metadata["packages"][0]["targets"].as_array().expect("targets");
    assert!(targets.len() > 8, "{targets:?}");
    for target in targets {
        assert!(Path::new(target["src_path"].as_str().expect("a path")).exists(), "{} has no stub", target["src_path"]);
    }
    // What is copied later is there, and not kept from the context.
    for copied in ["deploy/release/binary", "deploy/release", "LICENSE", "src"] {
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
fn every_image_that_is_built_upon_is_pinned_by_digest() {
    let dockerfile = read("Dockerfile");
    let mut stages = BTreeSet::from(["scratch"]);
    let is_digest = |digest: &str| digest.len() == 64 && digest.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
    let mut images = 0;
    for line in dockerfile.lines().filter(|line| line.to_ascii_uppercase().starts_with("FROM ")) {
        let words: Vec<&str> = line.split_whitespace().skip(1).filter(|word| !word.starts_with("--")).collect();
        if !stages.contains(words[0]) {
            assert!(words[0].split_once("@sha256:").is_some_and(|(_, digest)| is_digest(digest)), "{line}");
            images += 1;
        }
        stages.extend(words.get(2));
    }
    assert!(images > 0, "{dockerfile}");
    for line in dockerfile.lines().filter(|line| line.contains("--from=")) {
        let from = line.split_once("--from=").and_then(|(_, rest)| rest.split_whitespace().next()).expect("a stage");
        assert!(stages.contains(from), "{line}: only what was built here");
    }
    assert!(!dockerfile.contains("\n# syntax=") && !dockerfile.starts_with("# syntax="), "an image, too");
}

#[test]
fn advisories_that_cannot_be_had_fail_nothing_and_a_finding_does() {
    let folder = tempfile::tempdir().expect("a folder");
    // Stands in for cargo-deny: what `fetch` and `check` come to.
    let checked = |fetch: &str, check: &str| {
        let program = folder.path().join("cargo-deny");
        fs::write(&program, format!("#!/bin/sh\ncase \"$*\" in *fetch*) {fetch} ;; *check*) echo \"said: $*\"; {check} ;; esac\n"))
            .expect("written");
        let (executable, said) = run(folder.path(), "chmod", &["+x", "cargo-deny"], &[]);
        assert!(executable, "{said}");
        run(&path(""), "deploy/release/advisories", &[], &[("CARGO_DENY", &program), ("ADVISORIES_SECONDS", Path::new("1"))])
    };
    for unreachable in ["echo 'Could not resolve host: github.com' >&2; exit 1", "exec sleep 600"] {
        let (succeeded, said) = checked(unreachable, "exit 1");
        assert!(succeeded && said.contains("NOT checked") && !said.contains("said:"), "{said}");
    }
    let (succeeded, said) = checked("exit 0", "exit 0");
    assert!(succeeded && said.contains("--offline") && said.contains("advisories") && !said.contains("NOT checked"), "{said}");
    assert!(!checked("exit 0", "exit 1").0, "a finding fails");
    assert!(read(".ci/run").contains("\nmake advisories\n"));
}

#[test]
fn nobody_may_run_and_read_what_is_in_the_image_whatever_the_umask_of_its_builder() {
    let folder = tempfile::tempdir().expect("a folder");
    let roots = folder.path().join("roots.pem");
    fs::write(&roots, "-----BEGIN CERTIFICATE-----\n").expect("written");
    // Its content does not matter: nothing has to be compiled.
    let laid_out = |roots: &Path| {
        let image = folder.path().join("image");
        let command = format!("umask 077 && exec deploy/release/root '{}' /bin/true '{}'", image.display(), roots.display());
        run(&path(""), "sh", &["-c", &command], &[])
    };
    let (succeeded, said) = laid_out(&folder.path().join("missing.pem"));
    assert!(!succeeded && said.contains("there are no roots of trust in") && said.contains("CA_BUNDLE"), "{said}");
    let (succeeded, said) = laid_out(&roots);
    assert!(succeeded, "{said}");

    let (_, listed) = run(&folder.path().join("image"), "find", &[".", "-printf", "%m %p\n"], &[]);
    let found: BTreeSet<&str> = listed.lines().collect();
    let wanted = [
        "755 .",
        "755 ./database-backup-operator",
        "755 ./etc",
        "755 ./etc/ssl",
        "755 ./etc/ssl/certs",
        "644 ./etc/ssl/certs/ca-certificates.crt",
        "755 ./licenses",
        "644 ./licenses/LICENSE",
        "644 ./licenses/THIRD-PARTY-NOTICES",
    ];
    assert_eq!(found, wanted.into());
    for (file, route) in
        [("Dockerfile", "deploy/release/root /image "), ("deploy/release/image", "deploy/release/root \"$context/$platform/image\" ")]
    {
        assert!(read(file).contains(route), "{file} lays it out the same way");
    }
}

#[test]
fn whatever_is_linked_in_comes_with_its_licence() {
    let (succeeded, notices) = run(&path(""), "deploy/release/notices", &[], &[]);
    assert!(succeeded, "{notices}");
    for said in ["\nring 0.", "\nrustls 0.", "\ntokio 1.", " Brian Smith.", "standard library of Rust"] {
        assert!(notices.contains(said), "{said}");
    }
    assert!(!notices.contains("\nstateright "), "what only tests use is not linked in");
    if cfg!(all(target_os = "linux", target_env = "gnu")) {
        assert!(notices.contains("GNU LESSER GENERAL PUBLIC LICENSE"), "glibc is linked in");
    }
    // A crate without a text is left to LICENSE, which has only one.
    let lacking = notices.lines().find_map(|line| line.strip_prefix("Without a text of their own")).expect("the list");
    let (_, lacking) = lacking.trim_end_matches('.').split_once(": ").expect("names");
    for name in lacking.split(", ").filter(|name| *name != "none") {
        let licence = notices.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).expect("its licence");
        assert!(licence.contains("Apache-2.0"), "{name} is under {licence}, and its text is nowhere");
    }
}

#[test]
fn a_package_is_whole_and_the_same_again() {
    let packages = ["022", "077"].map(|umask| {
        let folder = tempfile::tempdir().expect("a folder");
        let command = format!("umask {umask} && exec deploy/release/package --manifests");
        let (succeeded, said) = run(&path(""), "sh", &["-c", &command], &[("PACKAGE_FOLDER", folder.path())]);
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
    // Times and modes of this checkout would be other ones in the next.
    let (_, listed) = run(first, "tar", &["--utc", "-tvzf", &archive], &[]);
    assert!(listed.lines().all(|line| line.starts_with("-rw-r--r-- ") && line.contains(" 1970-01-01 00:00 ")), "{listed}");
    let definitions = parse(&fs::read_to_string(first.join("crds.yaml")).expect("text"));
    assert_eq!(definitions.len(), crds::all().len());
    for definition in definitions {
        let plural = definition["spec"]["names"]["plural"].as_str().expect("a name");
        assert_eq!(parse(&read(&format!("crds/{plural}.yaml"))), std::slice::from_ref(&definition));
    }
}
