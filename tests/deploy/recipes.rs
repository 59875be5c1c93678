//! Recipes for pipelines: whatever they start the operator with, it accepts.

use crate::render::path;
use clap::Parser;
use database_backup_operator::process::config::{Cli, Command};
use serde_json::Value;
use std::{fs, time::Duration};

/// A file under `deploy/`, and how often it waits for a backup.
const RECIPES: [(&str, usize); 5] =
    [("argocd/presync-job.yaml", 1), ("ci/github-actions.yaml", 1), ("ci/gitlab.yaml", 1), ("ci/job.yaml", 1), ("ci/tekton.yaml", 1)];

fn documents(file: &str) -> Vec<Value> {
    let text = fs::read_to_string(path("deploy").join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Every object and every text in documents.
fn all(documents: &[Value]) -> Vec<&Value> {
    let (mut found, mut next): (Vec<&Value>, Vec<&Value>) = (Vec::new(), documents.iter().collect());
    while let Some(value) = next.pop() {
        found.push(value);
        next.extend(value.as_array().into_iter().flatten());
        next.extend(value.as_object().into_iter().flat_map(serde_json::Map::values));
    }
    found
}

/// What containers give the operator, and what lines of scripts do.
fn waits(documents: &[Value]) -> Vec<Vec<String>> {
    let found = all(documents);
    let is_own =
        |value: &&&Value| value["image"].as_str().is_some_and(|image| image.starts_with("YOUR-REGISTRY/database-backup-operator:"));
    let containers = found.iter().filter(is_own).map(|container| {
        let args = container["args"].as_array().expect("args").iter().map(|arg| arg.as_str().expect("text").to_owned());
        args.collect::<Vec<_>>()
    });
    let scripts = found.iter().filter_map(|value| value.as_str()).filter(|text| !text.starts_with("wait"));
    let lines = scripts.flat_map(|script| script.replace("\\\n", " ").lines().map(str::to_owned).collect::<Vec<_>>());
    let calls = lines.filter_map(|line| {
        let (program, args) = line.split_once(" wait ")?;
        let is_own = program.ends_with("database-backup-operator") || program.trim_end().ends_with("\"$IMAGE\"");
        is_own.then(|| ["wait"].into_iter().chain(args.split_whitespace()).map(|arg| arg.trim_matches('"').to_owned()).collect())
    });
    containers.chain(calls).collect()
}

/// What stands for a value: a variable of a shell, of GitHub or of Tekton.
fn with_values(arg: &str) -> String {
    match arg.split_once('$') {
        Some((flag @ "--timeout=", _)) => format!("{flag}40m"),
        Some(_) => "orders".to_owned(),
        None => arg.to_owned(),
    }
}

#[test]
fn every_recipe_is_yaml_and_waits_with_arguments_that_are_accepted_for_longer_than_its_backup_may_take() {
    for (file, expected) in RECIPES {
        let documents = documents(file);
        let waits = waits(&documents);
        assert_eq!(waits.len(), expected, "{file}: {waits:?}");
        let text = fs::read_to_string(path("deploy").join(file)).expect("read before");
        let deadline = text.split_once("progressDeadlineSeconds: ").expect(file).1.lines().next().expect("a line");
        let deadline = Duration::from_secs(deadline.parse().expect("seconds"));
        for args in waits {
            let cli = Cli::try_parse_from(["x".to_owned()].into_iter().chain(args.iter().map(|arg| with_values(arg))));
            let Ok(Cli { command: Command::Wait(wait) }) = cli else { panic!("{file}: {args:?}: {cli:?}") };
            assert!(wait.timeout > deadline, "{file}: an overdue backup says so before the wait is over");
        }
    }
}

#[test]
fn no_recipe_brings_an_image_with_kubectl_or_a_shell_into_the_cluster() {
    for (file, _) in RECIPES.iter().filter(|(file, _)| !["ci/github-actions.yaml", "ci/gitlab.yaml"].contains(file)) {
        let documents = documents(file);
        let found = all(&documents);
        let images: Vec<&str> = found.iter().filter_map(|value| value["image"].as_str()).collect();
        assert!(!images.is_empty(), "{file}");
        for image in images {
            assert!(image.starts_with("YOUR-REGISTRY/database-backup-operator:") || image == "YOUR-MIGRATION:TAG", "{file}: {image}");
        }
        assert!(found.iter().all(|value| value.get("script").is_none() && value.as_str() != Some("sh")), "{file}");
    }
}

#[test]
fn the_image_of_each_recipe_has_the_version_of_this_release() {
    for (file, _) in RECIPES {
        let text = fs::read_to_string(path("deploy").join(file)).expect(file);
        let versions = text.match_indices("database-backup-operator:").chain(text.match_indices("database-backup-operator-"));
        let versions: Vec<&str> = versions.filter_map(|(at, start)| text.get(at + start.len()..)?.split(['\n', '-']).next()).collect();
        assert!(!versions.is_empty() && versions.iter().all(|version| *version == env!("CARGO_PKG_VERSION")), "{file}: {versions:?}");
    }
}
