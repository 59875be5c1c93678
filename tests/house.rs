//! The floors of the house: a lower one never uses an upper one, and each tool stays in its room.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test ends where something is not as it has to be")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Floor, and the floors that it may use besides itself.
const FLOORS: [(&str, &[&str]); 5] = [
    ("cloud", &[]),
    ("api", &["cloud"]),
    ("plan", &["api", "cloud"]),
    ("controller", &["plan", "api", "cloud"]),
    ("process", &["controller", "plan", "api", "cloud"]),
];

/// A word, and the only places under `src` that may have it.
const ROOMS: [(&str, &[&str], &str); 7] = [
    ("reqwest", &["cloud/client.rs"], "one file sends bytes to the cloud"),
    ("kube::Client", &["controller", "process"], "the only users of kube's client"),
    ("kube::Api", &["controller", "process/lease.rs"], "the only users of kube's client"),
    ("k8s_openapi", &["api", "plan", "controller", "process/lease.rs"], "the cloud floor knows nothing of Kubernetes"),
    ("Timestamp::now", &["controller/clock.rs"], "the clock is an argument"),
    ("Instant::now", &["controller/clock.rs", "cloud/client.rs", "cloud/clock.rs", "cloud/permits.rs"], "the clock is an argument"),
    ("SystemTime", &[], "the clock is an argument"),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every file of the sources: its path under `src`, and its text without comments and tests.
fn files() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("src is there").flatten() {
            let path = entry.path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let mut paths = Vec::new();
    walk(&source(), &mut paths);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("text");
        let tested = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let code: String = tested.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect();
        (path.strip_prefix(source()).expect("under src").to_string_lossy().into_owned(), code)
    };
    paths
        .into_iter()
        .filter(|path| !path.components().any(|part| ["tests.rs", "tests", "model"].iter().any(|name| part.as_os_str() == *name)))
        .map(read)
        .collect()
}

/// The floors that a file names: `crate::api::…`, and in grouped imports `use crate::{api::…}`.
fn used(code: &str) -> Vec<&'static str> {
    let squeezed: String = code.split_whitespace().collect::<Vec<_>>().join(" ");
    let groups: String = squeezed.split("use crate::{").skip(1).filter_map(|rest| rest.split("};").next()).collect::<Vec<_>>().join(" ");
    let is_used = |floor: &str| {
        let grouped = format!(" {groups}");
        squeezed.contains(&format!("crate::{floor}::"))
            || grouped.contains(&format!(" {floor}::"))
            || grouped.contains(&format!(" {floor}, "))
    };
    FLOORS.iter().map(|(floor, _)| *floor).filter(|floor| is_used(floor)).collect()
}

#[test]
fn a_lower_floor_never_uses_an_upper_one() {
    let mut wrong = Vec::new();
    for (path, code) in files() {
        let Some((floor, allowed)) = FLOORS.iter().find(|(floor, _)| path.starts_with(&format!("{floor}/"))) else { continue };
        for other in used(&code) {
            if other != *floor && !allowed.contains(&other) {
                wrong.push(format!("src/{path} uses crate::{other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_tool_stays_in_its_room() {
    let mut wrong = Vec::new();
    for (path, code) in files() {
        for (word, rooms, why) in ROOMS {
            if code.contains(word) && !rooms.iter().any(|room| path == *room || path.starts_with(&format!("{room}/"))) {
                wrong.push(format!("src/{path} has {word}: {why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn decisions_do_not_wait() {
    for (path, code) in files().into_iter().filter(|(path, _)| path.starts_with("plan/") || path.starts_with("api/")) {
        for word in ["async ", ".await", "tokio", "std::thread", "std::fs", "std::net"] {
            assert!(!code.contains(word), "src/{path} has {word}");
        }
    }
}

#[test]
fn every_service_file_has_the_same_functions() {
    let functions = |code: &str| -> Vec<String> {
        let head = code.split("#[cfg(test)]").next().unwrap_or_default();
        let body = head.split("impl Service for").nth(1).unwrap_or_default();
        let body = body.split("\n}\n").next().unwrap_or_default();
        let names: Vec<String> = body
            .lines()
            .filter_map(|line| line.trim().strip_prefix("fn "))
            .filter_map(|line| line.split(['(', '<']).next())
            .map(ToOwned::to_owned)
            .collect();
        names
    };
    let services: Vec<(String, Vec<String>)> = files()
        .into_iter()
        .filter(|(path, code)| path.starts_with("cloud/services/") && code.contains("impl Service for"))
        .map(|(path, code)| (path, functions(&code)))
        .collect();
    assert_eq!(services.len(), 4);
    for (path, names) in &services {
        assert_eq!(*names, services[0].1, "{path} and {}", services[0].0);
        assert!(names.len() >= 6, "{path}: {names:?}");
    }
}
