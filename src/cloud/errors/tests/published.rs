//! The tables of codes against the list of what the vendor has published.

use super::*;
use crate::cloud::codes::{COMMON, GATEWAY, IAM};
use std::collections::{BTreeMap, BTreeSet};

const LIST: &str = include_str!("published-codes.tsv");

/// A line of the list.
#[derive(Clone, Copy)]
struct Published {
    service: &'static str,
    code: &'static str,
    status: u16,
    class: &'static str,
}

fn published() -> Vec<Published> {
    let line = |line: &'static str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [service, code, status, class, source] = fields[..] else { panic!("five fields: {line}") };
        assert!(LIST.contains(&format!("#   {source}: ")), "the head does not name {source}");
        Published { service, code, status: status.parse().expect("a number"), class }
    };
    LIST.lines().filter(|line| !line.starts_with('#')).map(line).collect()
}

/// The services that a word of the list stands for: its own, but for those that share their codes.
fn askers(service: &str) -> Vec<&'static str> {
    match service {
        "mysql" => vec!["taurusdb", "gaussdbformysql"],
        "iam" | "gateway" | "any" => Engine::all().map(|engine| engine.api().label).chain([iam::API.label]).collect(),
        own => vec![super::service(own).label],
    }
}

fn tables(service: &str) -> Vec<&'static [Codes]> {
    match service {
        "gateway" => vec![GATEWAY],
        "iam" => vec![IAM],
        "any" => vec![COMMON],
        own => askers(own).iter().map(|label| super::service(label).codes).collect(),
    }
}

/// A code as the tables have it.
fn spelling(code: &str) -> String {
    let twin = (super::service("dcs").spelling)(code);
    twin.strip_prefix("APIGW.").or_else(|| twin.strip_prefix("APIG.")).unwrap_or(&twin).to_owned()
}

fn answer(asker: &'static str, code: &str, status: u16) -> Error {
    refusal(asker, status, &format!(r#"{{"error_code":"{code}","error_msg":"m"}}"#))
}

#[test]
fn every_published_code_has_a_class_by_decision() {
    let mut wrong = Vec::new();
    for Published { service, code, status, class } in published() {
        for asker in askers(service) {
            let error = answer(asker, code, status);
            let found = if error.is_known() { format!("{:?}", error.class()) } else { "AsUnknown".into() };
            if found != class {
                wrong.push(format!("{asker} {code} ({status}) is {found}, decided was {class}"));
            }
            assert!(error.is_known() || error.class() == by_status(status), "{code}");
        }
        // Unknown by decision and not by omission: the code stands in a table all the same.
        for table in tables(service) {
            if !table.iter().any(|row| row.codes.contains(&spelling(code).as_str())) {
                wrong.push(format!("no table of {service} has {code}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} lines: {wrong:#?}", wrong.len(), published().len());
}

#[test]
fn every_code_of_the_tables_is_in_the_list_and_both_have_as_many() {
    let mut listed: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for line in published() {
        listed.entry(line.service).or_default().insert(spelling(line.code));
    }
    let mut counts = BTreeMap::new();
    for (service, listed) in &listed {
        for table in tables(service) {
            let codes: Vec<&str> = table.iter().flat_map(|row| row.codes).copied().collect();
            let distinct: BTreeSet<String> = codes.iter().map(|code| (*code).to_owned()).collect();
            assert_eq!(codes.len(), distinct.len(), "{service} has a code twice");
            assert_eq!(&distinct, listed, "{service}: {} codes in the table, {} in the list", distinct.len(), listed.len());
        }
        counts.insert(*service, listed.len());
    }
    let databases = [("dds", 190), ("gaussdb", 258), ("geminidb", 200), ("mysql", 178), ("rds", 249)];
    let expected = [("any", 1), ("dcs", 181), ("gateway", 65), ("iam", 115)].into_iter().chain(databases);
    assert_eq!(counts, expected.collect::<BTreeMap<_, _>>(), "{} lines in all", published().len());
}

#[test]
fn both_spellings_of_a_dcs_code_share_a_class() {
    let list = published();
    let class = |code: &str| list.iter().find(|line| line.service == "dcs" && line.code == code).map(|line| line.class);
    let numeric: Vec<&Published> = list.iter().filter(|line| line.service == "dcs" && line.code.starts_with("111")).collect();
    assert_eq!(numeric.len(), 117);
    for Published { code, status, class: decided, .. } in numeric {
        let twin = spelling(code);
        assert_eq!(class(&twin), Some(*decided), "{code} and {twin}");
        let (one, other) = (answer("dcs", code, *status), answer("dcs", &twin, *status));
        assert_eq!((one.class(), one.is_known()), (other.class(), other.is_known()), "{code} and {twin}");
    }
}

#[test]
fn the_numeric_twins_follow_the_vendors_pairs_and_nothing_beyond_them() {
    for (code, twin) in [
        ("111400086", "DCS.4086"),
        ("111400022", "DCS.4022"),
        ("111401001", "DCS.1001"),
        ("111403002", "DCS.3002"),
        ("111404022", "DCS.3022"),
        ("111404023", "DCS.4023"),
        ("111405001", "DCS.5001"),
        ("111500104", "DCS.5104"),
        // Not in the vendor's list, and regular.
        ("111400049", "DCS.4049"),
    ] {
        assert_eq!(spelling(code), twin);
    }
    let strange = ["111404096", "111403022", "111405006", "11140008", "1114000861", "111400é", "111４00086", "111", "DCS.4086", ""];
    for code in strange {
        assert_eq!(spelling(code), code, "left as it is");
    }
}

#[test]
fn only_codes_of_the_instance_itself_say_that_it_is_missing() {
    for code in ["DCS.4119", "111400119", "DCS.5053", "DCS.4022", "111400022", "111404001", "111404023", "DCS.4031"] {
        for status in [400, 404, 500] {
            let body = format!(r#"{{"error_code":"{code}"}}"#);
            let list = Error::refused(&asked("dcs", Operation::List), status, Hints::default(), body.as_bytes());
            assert!(!list.tells_of_a_missing_instance(), "{code} {status}");
        }
    }
    let missing = Error::refused(&asked("dcs", Operation::List), 404, Hints::default(), br#"{"error_code":"111404022"}"#);
    assert!(missing.tells_of_a_missing_instance());
}

#[test]
fn a_code_of_another_call_leaves_the_outcome_of_a_create_call_open() {
    for line in published().iter().filter(|line| line.class == "AsUnknown" && ![401, 403, 429].contains(&line.status)) {
        for asker in askers(line.service) {
            assert!(!answer(asker, line.code, line.status).is_definite_rejection(), "{asker} {}", line.code);
        }
    }
}
