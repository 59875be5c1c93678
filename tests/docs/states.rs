//! `docs/states.md`: its tables name every reason and every Event, and none that there is not.

use crate::{
    markdown::Page,
    source::{Source, all},
};
use database_backup_operator::plan::{account::AccountReason, backup::reason::Reason};
use std::collections::BTreeSet;
use strum::VariantArray;
use syn::{Expr, Lit, visit::Visit};

/// What the first cells of a section's tables name.
fn named(section: &str) -> BTreeSet<String> {
    let rows = Page::read("docs/states.md").rows().into_iter().filter(|row| row.section == section);
    rows.filter_map(|row| row.cells.into_iter().next()).flatten().collect()
}

fn compare(section: &str, known: &BTreeSet<String>) {
    let named = named(section);
    let missing: Vec<&String> = known.difference(&named).collect();
    let unknown: Vec<&String> = named.difference(known).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "docs/states.md, {section:?}: missing {missing:?}, not in the source {unknown:?}");
}

#[test]
fn every_reason_of_a_backup_is_explained() {
    compare("Reasons of a DatabaseBackup", &Reason::VARIANTS.iter().map(|reason| reason.as_str().to_owned()).collect());
}

#[test]
fn every_reason_of_an_account_is_explained() {
    compare("Reasons of an account", &AccountReason::VARIANTS.iter().map(|reason| reason.as_str().to_owned()).collect());
}

#[test]
fn every_event_is_explained() {
    compare("Events", &published(&all()));
}

#[test]
fn every_reason_of_a_schedule_is_explained() {
    let mut literals = Literals::default();
    for file in all().iter().filter(|file| ["plan/schedule/status.rs", "plan/schedule/protection.rs"].contains(&file.path.as_str())) {
        literals.visit_file(&file.file);
    }
    let is_reason = |word: &String| {
        word.starts_with(|char: char| char.is_ascii_uppercase())
            && word.chars().all(|char| char.is_ascii_alphabetic())
            && !["True", "False", "Unknown"].contains(&word.as_str())
    };
    literals.0.retain(is_reason);
    assert!(literals.0.len() > 10, "{:?}", literals.0);
    compare("Reasons of a DatabaseBackupSchedule", &literals.0);
}

/// Every text in a file.
#[derive(Default)]
struct Literals(BTreeSet<String>);

impl<'ast> Visit<'ast> for Literals {
    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        self.0.insert(literal.value());
    }
}

/// The reasons of the Events in the sources: those of each `Notice { reason: "…" }`, and what each closure named `publish` or method named `tell` is called
/// with first.
#[derive(Default)]
struct Published(BTreeSet<String>);

impl<'ast> Visit<'ast> for Published {
    fn visit_expr_struct(&mut self, made: &'ast syn::ExprStruct) {
        if made.path.segments.last().is_some_and(|last| last.ident == "Notice") {
            let reasons = made.fields.iter().filter(|field| matches!(&field.member, syn::Member::Named(name) if name == "reason"));
            self.0.extend(reasons.filter_map(|field| text(&field.expr)));
        }
        syn::visit::visit_expr_struct(self, made);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if matches!(&*call.func, Expr::Path(path) if path.path.is_ident("publish")) {
            self.0.extend(call.args.first().and_then(text));
        }
        syn::visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if call.method == "tell" {
            self.0.extend(call.args.first().and_then(text));
        }
        syn::visit::visit_expr_method_call(self, call);
    }
}

fn text(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

fn published(files: &[Source]) -> BTreeSet<String> {
    let mut found = Published::default();
    for file in files {
        found.visit_file(&file.file);
    }
    found.0
}

#[test]
fn a_planted_event_is_found() {
    let file = Source::parse(
        "plan/x.rs",
        "fn f() { publish(\"Began\", \"Do\", false, x); all.push(Notice { reason: \"Ended\", action, is_warning, note }); publish(&x); x.tell(\"Skipped\", x); }",
    );
    assert_eq!(published(&[file]), ["Began", "Ended", "Skipped"].map(str::to_owned).into());
}
