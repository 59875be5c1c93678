//! Metrics and alerts that the pages name are those of the runbook, which `tests/deploy/alerts.rs` holds against the sources.

use crate::markdown::Page;
use database_backup_operator::api::crds;
use std::{collections::BTreeSet, sync::LazyLock};

/// The words of a text that begin like one of ours.
fn words(text: &str, begins: impl Fn(&str) -> bool) -> BTreeSet<&str> {
    text.split(|char: char| !char.is_ascii_alphanumeric() && char != '_').filter(|word| begins(word)).collect()
}

fn is_metric(word: &str) -> bool {
    word.starts_with("dbbackup_")
}

static KINDS: LazyLock<BTreeSet<String>> = LazyLock::new(|| crds::all().into_iter().map(|crd| crd.spec.names.kind).collect());

/// `DatabaseBackupStuck`, and neither `DatabaseBackups` nor the kind `DatabaseBackupSchedule`.
fn is_alert(word: &str) -> bool {
    !KINDS.contains(word.trim_end_matches('s'))
        && word.strip_prefix("DatabaseBackup").is_some_and(|rest| rest.starts_with(|char: char| char.is_ascii_uppercase()))
}

#[test]
fn every_metric_and_every_alert_that_a_page_names_is_in_the_runbook() {
    let runbook = Page::read("docs/runbook.md");
    let metrics = words(&runbook.text, is_metric);
    let sections = runbook.text.lines().filter_map(|line| line.strip_prefix("## "));
    let alerts: BTreeSet<&str> = sections.filter(|title| is_alert(title)).collect();
    assert!(metrics.len() > 20 && alerts.len() > 10, "{metrics:?} {alerts:?}");
    let unknown = |page: &Page| -> Vec<String> {
        let metrics = words(&page.text, is_metric).into_iter().filter(|word| !is_base_of_one(word, &metrics));
        let alerts = words(&page.text, is_alert).into_iter().filter(|word| !alerts.contains(word));
        metrics.chain(alerts).map(|word| format!("{}: {word}", page.path)).collect()
    };
    let unknown: Vec<String> = Page::documentation().iter().flat_map(unknown).collect();
    assert!(unknown.is_empty(), "not in docs/runbook.md:\n{}", unknown.join("\n"));
}

/// A histogram's series have endings of their own.
fn is_base_of_one(word: &str, metrics: &BTreeSet<&str>) -> bool {
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|ending| word.strip_suffix(ending)).unwrap_or(word);
    metrics.contains(word) || metrics.contains(base)
}
