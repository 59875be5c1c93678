//! What the host of the repository runs. It runs nowhere else, so it is only looked at here.

use crate::{
    render::{parse, path, run},
    support::tools::Tools,
};
use serde_json::Value;
use std::{fs, path::PathBuf};

fn workflows() -> Vec<(PathBuf, String)> {
    let files = fs::read_dir(path(".github/workflows")).expect("the folder").map(|file| file.expect("a file").path());
    let found: Vec<_> = files.map(|file| (file.clone(), fs::read_to_string(&file).expect("text"))).collect();
    assert!(found.len() >= 2, "{found:?}");
    found
}

#[test]
fn actionlint_finds_nothing() {
    let files: Vec<String> = workflows().iter().map(|(file, _)| file.display().to_string()).collect();
    let mut args = vec!["-no-color", "-oneline"];
    args.extend(files.iter().map(String::as_str));
    run(&Tools::Actionlint.program("actionlint"), &args).unwrap_or_else(|found| panic!("{found}"));
}

#[test]
fn every_action_is_pinned_by_commit_and_says_its_version() {
    for (file, text) in workflows() {
        let uses: Vec<&str> = text.lines().filter_map(|line| line.split_once("uses: ")).map(|(_, used)| used).collect();
        assert!(!uses.is_empty(), "{}", file.display());
        for used in uses {
            let pin = used.split_once('@').and_then(|(_, pin)| pin.split_once(" # v"));
            let (commit, version) = pin.unwrap_or_else(|| panic!("{}: {used}", file.display()));
            assert!(commit.len() == 40 && commit.bytes().all(|c| c.is_ascii_hexdigit()), "{used}");
            assert!(version.split('.').count() == 3, "{used}");
        }
    }
}

#[test]
fn rights_are_named_and_what_compiles_the_code_of_others_may_write_nothing() {
    for (file, text) in workflows() {
        let workflow: Value = parse(&text).remove(0);
        let file = file.display();
        let writes = |rights: &Value| rights.as_object().is_none_or(|rights| rights.values().any(|right| right == "write"));
        assert!(!writes(&workflow["permissions"]), "{file}: what a job does not name itself, it may not have");
        for (name, job) in workflow["jobs"].as_object().expect("jobs") {
            let compiles = ["make", "cargo", ".ci/run"].iter().any(|word| job["steps"].to_string().contains(word));
            let rights = if job["permissions"].is_null() { &workflow["permissions"] } else { &job["permissions"] };
            assert!(!(compiles && writes(rights)), "{file}: {name}");
            assert!(job["timeout-minutes"].is_u64(), "{file}: {name} ends some time");
        }
    }
}

#[test]
fn they_run_what_everybody_runs_and_publish_both_platforms_by_digest() {
    let text: String = workflows().into_iter().map(|(_, text)| text).collect();
    for said in [
        "run: .ci/run",
        "          make package\n",
        "PROJECT_URL=",
        " IMAGE=",
        "run: make image",
        "PLATFORMS: amd64 arm64",
        "cosign sign --yes",
        "sbom-path:",
        "gh release create",
    ] {
        assert!(text.contains(said), "{said}");
    }
    assert!(!text.contains("secrets."), "no key of our own: who signs is the workflow");
}
