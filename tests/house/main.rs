//! The floors of the house: a lower one never uses an upper one, each tool stays in its room, and no two files need each other. Each check is a function of
//! the sources, and is tried on sources with a line that it has to find.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends where something is not as it has to be"
)]

mod events;
mod source;

use source::{Source, all, uses};
use std::{collections::BTreeSet, process::Command};
use syn::{ImplItem, Item};

/// Floor, and the floors that it may use besides itself.
const FLOORS: [(&str, &[&str]); 5] = [
    ("cloud", &[]),
    ("api", &["cloud"]),
    ("plan", &["api", "cloud"]),
    ("controller", &["plan", "api", "cloud"]),
    ("process", &["controller", "plan", "api", "cloud"]),
];

/// The same within a floor: a file or folder, and what of its floor it must not use.
const ROOMS_ABOVE: [(&str, &[&str]); 5] = [
    ("api", &["cloud::client", "cloud::login", "cloud::permits", "cloud::services", "cloud::session", "cloud::sign"]),
    (
        "controller/store",
        &["controller::runtime", "controller::context", "controller::checks", "controller::accounts", "controller::backups"],
    ),
    ("controller/runtime", &["controller::context", "controller::checks", "controller::accounts", "controller::backups"]),
    ("controller/context.rs", &["controller::checks", "controller::accounts", "controller::backups"]),
    ("plan/backup/memory", &["plan::backup::observed", "plan::backup::decide"]),
];

/// The end of a path, the only places under `src` that may name it, and why.
const TOOLS: [(&str, &[&str], &str); 8] = [
    ("reqwest", &["cloud/client.rs", "cloud/client"], "one file sends bytes to the cloud, with what belongs to it"),
    ("kube::Client", &["controller", "process"], "the only users of kube's client"),
    ("kube::Api", &["controller", "process/lease.rs"], "the only users of kube's client"),
    ("k8s_openapi", &["api", "plan", "controller", "process/lease.rs"], "the cloud floor knows nothing of Kubernetes"),
    ("kube", &["api", "plan", "controller", "process"], "the cloud floor knows nothing of Kubernetes"),
    ("Timestamp::now", &["controller/clock.rs"], "the clock is an argument"),
    (
        "Instant::now",
        &[
            "controller/clock.rs",
            "controller/runtime/events.rs",
            "controller/store/queue.rs",
            "cloud/client.rs",
            "cloud/clock.rs",
            "cloud/permits.rs",
        ],
        "the clock is an argument",
    ),
    ("SystemTime", &[], "the clock is an argument"),
];

/// What waits, or does not come from an argument.
const EFFECTS: [&str; 4] = ["tokio", "std::thread", "std::fs", "std::net"];

fn is_in(path: &str, room: &str) -> bool {
    path == room || path.starts_with(&format!("{room}/"))
}

/// Whether a path is, or lies in, what is written as `wanted`: `kube::Api` is also named by `Api` where that was imported, so the beginning counts; of
/// `Timestamp::now` the end does, since the type comes by many ways.
fn names(path: &[String], wanted: &str) -> bool {
    let wanted: Vec<&str> = wanted.split("::").collect();
    let is_function = wanted.last().is_some_and(|last| *last == "now");
    if is_function {
        path.windows(wanted.len()).any(|part| part == wanted)
    } else {
        path.len() >= wanted.len() && path[..wanted.len()] == wanted
    }
}

fn inside(path: &[String], wanted: &str) -> bool {
    path[0] == "crate" && names(&path[1..], wanted)
}

fn upward(files: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in files {
        let paths = file.paths();
        let floor = FLOORS.iter().find(|(floor, _)| is_in(&file.path, floor));
        let above = FLOORS.iter().filter(|(other, _)| floor.is_some_and(|(floor, allowed)| other != floor && !allowed.contains(other)));
        let rooms = ROOMS_ABOVE.iter().filter(|(room, _)| is_in(&file.path, room)).flat_map(|(_, above)| above.iter());
        for forbidden in above.map(|(other, _)| other).chain(rooms) {
            if paths.iter().any(|path| inside(path, forbidden)) {
                wrong.push(format!("src/{} uses crate::{forbidden}", file.path));
            }
        }
    }
    wrong
}

fn astray(files: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in files {
        let paths = file.paths();
        for (tool, rooms, why) in TOOLS {
            if !rooms.iter().any(|room| is_in(&file.path, room)) && paths.iter().any(|path| names(path, tool)) {
                wrong.push(format!("src/{} names {tool}: {why}", file.path));
            }
        }
    }
    wrong
}

fn waiting(files: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in files.iter().filter(|file| ["plan", "api"].iter().any(|floor| is_in(&file.path, floor))) {
        let words = file.words();
        let waits = ["async", "await"].iter().filter(|word| words.contains(**word));
        let paths = file.paths();
        let effects = EFFECTS.iter().filter(|effect| paths.iter().any(|path| names(path, effect)));
        wrong.extend(waits.chain(effects).map(|what| format!("src/{} has {what}", file.path)));
    }
    wrong
}

/// Files of one floor that need each other, directly or by way of others: each with one way back to itself.
fn circles(files: &[Source]) -> Vec<String> {
    let graph = uses(files);
    let mut wrong = Vec::new();
    for start in graph.keys() {
        let floor = start.split('/').next().unwrap_or_default();
        let (mut reached, mut next) = (BTreeSet::new(), vec![vec![start.clone()]]);
        while let Some(way) = next.pop() {
            for used in graph[way.last().expect("a way begins somewhere")].iter().filter(|used| is_in(used, floor)) {
                let longer = [&way[..], std::slice::from_ref(used)].concat();
                if used == start {
                    wrong.push(longer.join(" → "));
                } else if reached.insert(used.clone()) {
                    next.push(longer);
                }
            }
        }
    }
    wrong
}

#[test]
fn a_lower_floor_never_uses_an_upper_one() {
    assert_eq!(upward(&all()), [""; 0]);
}

#[test]
fn each_tool_stays_in_its_room() {
    assert_eq!(astray(&all()), [""; 0]);
}

#[test]
fn decisions_do_not_wait() {
    assert_eq!(waiting(&all()), [""; 0]);
}

#[test]
fn no_two_files_of_a_floor_need_each_other() {
    assert_eq!(circles(&all()), [""; 0]);
}

#[test]
fn a_planted_line_of_each_kind_is_found() {
    let plant = |path: &str, line: &str| [Source::parse(path, line)];
    for (path, line) in [
        ("plan/x.rs", "use crate::controller::context::Context;"),
        ("plan/x.rs", "use crate::{api::status::Phase, controller::context};"),
        ("plan/backup/x.rs", "use super::super::super::controller::context::Context;"),
        ("plan/backup/mod.rs", "use super::super::{controller, api};"),
        ("cloud/x.rs", "fn f() { crate::plan::clock::now(); }"),
        ("cloud/x.rs", "fn f() { tracing::info!(at = ?crate::plan::clock::now(), \"x\"); }"),
        ("api/x.rs", "use crate::cloud::session::Session;"),
        ("api/x.rs", "type X = super::super::plan::account::AccountKey;"),
        ("api/x.rs", "mod inner { use super::super::super::plan::account; }"),
        ("controller/store/x.rs", "use super::super::context::Context;"),
        ("controller/runtime/x.rs", "use crate::controller::backups;"),
    ] {
        assert_eq!(upward(&plant(path, line)).len(), 1, "{path}: {line}");
    }
    for (path, line) in [
        ("plan/x.rs", "use kube::{Api, Client};"),
        ("plan/x.rs", "fn f(client: kube::Client) {}"),
        ("cloud/session.rs", "use reqwest as http;"),
        ("cloud/x.rs", "use kube::ResourceExt;"),
        ("plan/x.rs", "fn f() { let _ = jiff::Timestamp::now(); }"),
        ("controller/backups/x.rs", "fn f() { let _ = Timestamp::now(); }"),
        ("process/x.rs", "fn f() { println!(\"{:?}\", std::time::Instant::now()); }"),
        ("process/x.rs", "use k8s_openapi::api::core::v1::Secret;"),
    ] {
        assert!(!astray(&plant(path, line)).is_empty(), "{path}: {line}");
    }
    for line in ["async fn f() {}", "fn f() { g().await }", "use tokio::sync::Mutex;", "fn f() { std::fs::read(\"x\"); }"] {
        // `await` outside of an async function is no syntax error.
        assert!(!waiting(&plant("plan/x.rs", line)).is_empty(), "{line}");
    }
}

#[test]
fn what_only_looks_like_a_wrong_line_is_none() {
    let plant = |path: &str, line: &str| [Source::parse(path, line)];
    for (path, line) in [
        ("plan/x.rs", "// use crate::controller::context::Context;\nfn f() { g(\"crate::controller\"); }"),
        ("plan/x.rs", "#[cfg(test)]\nmod tests { use crate::controller::context::Context; use kube::Client; async fn f() {} }"),
        ("plan/x.rs", "use crate::cloud::api::Api;\nfn f(api: Api) {}"),
    ] {
        let files = plant(path, line);
        assert_eq!([upward(&files), astray(&files), waiting(&files)].concat(), [""; 0], "{line}");
    }
}

#[test]
fn a_planted_circle_is_found_however_long_it_is_and_however_it_is_written() {
    let two = [Source::parse("plan/a.rs", "use super::b::B;"), Source::parse("plan/b.rs", "fn f() { crate::plan::a::f(); }")];
    assert_eq!(circles(&two).len(), 2, "each of them is on it");
    let three = [
        Source::parse("cloud/a/mod.rs", "mod c; use c::C;"),
        Source::parse("cloud/a/c.rs", "use super::super::b::B;"),
        Source::parse("cloud/b.rs", "use super::a::{self, X};"),
    ];
    assert_eq!(circles(&three).len(), 3);
    let none = [Source::parse("plan/a.rs", "use super::b::B;"), Source::parse("plan/b.rs", "use crate::api::status::Phase;")];
    assert_eq!(circles(&none), [""; 0]);
}

#[test]
fn every_service_file_has_the_same_functions() {
    let functions = |file: &Source| {
        let services = file.file.items.iter().filter_map(|item| match item {
            Item::Impl(item) if item.trait_.as_ref().is_some_and(|(_, path, _)| path.is_ident("Service")) => Some(item),
            _ => None,
        });
        let names = services.flat_map(|service| &service.items).filter_map(|item| match item {
            ImplItem::Fn(function) => Some(function.sig.ident.to_string()),
            _ => None,
        });
        names.collect::<Vec<_>>()
    };
    let services: Vec<(String, Vec<String>)> =
        all().iter().map(|file| (file.path.clone(), functions(file))).filter(|(_, names)| !names.is_empty()).collect();
    let engines = database_backup_operator::cloud::engine::Engine::all().count();
    assert_eq!(services.len(), engines, "one file for each engine");
    for (path, names) in &services {
        assert!(is_in(path, "cloud/services"), "{path}");
        assert_eq!(*names, services[0].1, "{path} and {}", services[0].0);
    }
}

/// A kubectl plugin, say, links the kinds and nothing of the operator.
#[test]
fn the_kinds_alone_bring_in_no_client_of_the_cloud_no_server_and_no_metrics() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--no-default-features", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let packages: BTreeSet<String> =
        String::from_utf8_lossy(&tree.stdout).lines().filter_map(|line| line.split(' ').next()).map(ToOwned::to_owned).collect();
    assert!(packages.contains("kube-core") && packages.contains("schemars"), "{packages:?}");
    for unwanted in ["reqwest", "axum", "prometheus-client", "hyper", "rustls", "clap"] {
        assert!(!packages.contains(unwanted), "{unwanted} comes along: {packages:?}");
    }
}
