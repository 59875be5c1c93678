//! `docs/permissions.md`: a row for each call that the operator makes, on each cloud, and policies that allow just what the rows name.

use crate::markdown::{Page, Row};
use database_backup_operator::cloud::{
    backup::{ListScope, NewBackup},
    engine::{Cloud, Engine},
    iam,
    request::{Operation, Request},
};
use serde_json::Value;
use std::collections::BTreeSet;
use strum::VariantArray;

const PATH: &str = "docs/permissions.md";

/// The calls of an operation, as the vendor's pages write them: of which engine, or of IAM, and method and path.
fn calls(operation: Operation) -> Vec<(&'static str, String)> {
    let written = |request: Request| format!("{} {}", request.method, request.path);
    let of_each = |ask: &dyn Fn(Engine) -> Option<Request>| -> Vec<(&'static str, String)> {
        Engine::all().filter_map(|engine| Some((engine.as_str(), written(ask(engine)?)))).collect()
    };
    let [project, instance, backup] = ["{project_id}", "{instance_id}", "{backup_id}"];
    match operation {
        Operation::Create => of_each(&|engine| {
            let new = NewBackup { instance_id: instance.into(), mark: String::new(), description: String::new(), backup_format: None };
            Some(engine.service().create(project, &new))
        }),
        Operation::List => of_each(&|engine| {
            Some(engine.service().list(project, &ListScope::Instance { instance_id: instance.into(), automatic: false }, 0))
        }),
        Operation::Delete => of_each(&|engine| engine.service().delete(project, instance, backup)),
        Operation::Token => {
            let secret = String::new().into();
            let requests = [iam::token("", "", &secret, None, ""), iam::token_of_id_token("", &secret, None, "")];
            requests.map(|request| (iam::API.name, written(request))).into()
        }
        Operation::Projects => [iam::own_projects(), iam::projects("")].map(|request| (iam::API.name, written(request))).into(),
    }
}

fn rows_of(cloud: Cloud) -> Vec<Row> {
    let title = match cloud {
        Cloud::HuaweiCloud => "Huawei Cloud",
        Cloud::OpenTelekomCloud => "Open Telekom Cloud",
    };
    Page::read(PATH).rows().into_iter().filter(|row| row.section == title).collect()
}

const CLOUDS: [Cloud; 2] = [Cloud::HuaweiCloud, Cloud::OpenTelekomCloud];

#[test]
fn every_call_has_a_row_on_each_cloud_and_no_row_is_of_a_call_that_is_not_made() {
    let made: BTreeSet<(String, String)> =
        Operation::VARIANTS.iter().flat_map(|operation| calls(*operation)).map(|(whose, call)| (whose.to_owned(), call)).collect();
    for cloud in CLOUDS {
        let first = |cell: &Vec<String>| cell.first().cloned().unwrap_or_default();
        let rows: BTreeSet<(String, String)> = rows_of(cloud).iter().map(|row| (first(&row.cells[0]), first(&row.cells[1]))).collect();
        let missing: Vec<_> = made.difference(&rows).collect();
        let unknown: Vec<_> = rows.difference(&made).collect();
        assert!(missing.is_empty() && unknown.is_empty(), "{PATH}, {}: missing {missing:?}, not made {unknown:?}", cloud.as_str());
    }
}

/// The words of a heading, among them the engines that it is about.
fn words(heading: &str) -> BTreeSet<&str> {
    heading.split(|char: char| !char.is_alphanumeric()).collect()
}

/// The actions in a column of the rows of some engines.
fn actions(rows: &[Row], engines: &str, column: usize) -> BTreeSet<String> {
    let words = words(engines);
    let of_them = rows.iter().filter(|row| row.cells[0].iter().any(|engine| words.contains(engine.as_str())));
    of_them.filter_map(|row| row.cells.get(column)).flatten().cloned().collect()
}

#[test]
fn the_policies_to_paste_allow_what_the_rows_name_and_nothing_else() {
    let mut policies = BTreeSet::new();
    for block in Page::read(PATH).blocks().into_iter().filter(|block| block.info.as_deref() == Some("json")) {
        let place = format!("{PATH}:{}", block.line);
        let policy: Value = serde_json::from_str(&block.text).unwrap_or_else(|error| panic!("{place}: {error}"));
        let cloud = if block.under.0 == "Huawei Cloud" { Cloud::HuaweiCloud } else { Cloud::OpenTelekomCloud };
        let column = match policy["Version"].as_str() {
            Some("1.1") => 2,
            Some("5.0") => 3,
            version => panic!("{place}: version {version:?}"),
        };
        let statements = policy["Statement"].as_array().unwrap_or_else(|| panic!("{place}: no statements"));
        assert!(statements.iter().all(|statement| statement["Effect"] == "Allow"), "{place}");
        let allowed = statements.iter().flat_map(|statement| statement["Action"].as_array().cloned().unwrap_or_default());
        let allowed: BTreeSet<String> = allowed.filter_map(|action| action.as_str().map(ToOwned::to_owned)).collect();
        let wanted = actions(&rows_of(cloud), &block.under.1, column);
        assert!(!wanted.is_empty(), "{place}: the heading {:?} names no engine", block.under.1);
        assert_eq!(allowed, wanted, "{place}");
        let named = words(&block.under.1);
        policies.extend(Engine::all().map(Engine::as_str).filter(|engine| named.contains(engine)).map(|engine| (cloud, column, engine)));
    }
    let wanted = Engine::all().map(Engine::as_str).flat_map(|engine| {
        [(Cloud::HuaweiCloud, 2), (Cloud::HuaweiCloud, 3), (Cloud::OpenTelekomCloud, 2)].map(|(cloud, column)| (cloud, column, engine))
    });
    assert_eq!(policies, wanted.collect(), "{PATH}: a policy for each engine on each cloud, in each syntax");
}
