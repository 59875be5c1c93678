//! The three conditions of every kind, in the sense of kstatus: `Ready`, `Reconciling` and `Stalled`.

use crate::cloud::parse::clean;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Condition types.
pub mod types {
    /// The object is what it was asked to be.
    pub const READY: &str = "Ready";
    /// The operator is working on it.
    pub const RECONCILING: &str = "Reconciling";
    /// It will not go on until something outside changes.
    pub const STALLED: &str = "Stalled";
    /// Of an account: this machine's clock and the cloud's are too far apart for anything to be deleted.
    pub const CLOCK_SKEW: &str = "ClockSkew";
    /// Of a schedule: its newest backup that came to an end did so well.
    pub const LAST_BACKUP_SUCCEEDED: &str = "LastBackupSucceeded";
    /// Of a schedule: the instance has a backup that is young enough, whoever took it.
    pub const WITHIN_OBJECTIVE: &str = "WithinObjective";
}

/// Which of the conditions are true; every reason stands for one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kstatus {
    /// Ready.
    Current,
    /// Not ready, and being worked on.
    InProgress,
    /// Not ready until something outside changes: Reconciling for a grace, Stalled after it.
    Blocked,
    /// Not ready and Stalled at once.
    Failed,
    /// Not ready, neither Reconciling nor Stalled: being deleted.
    Terminating,
}

/// How long an object has been blocked without a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// For less than the grace.
    WithinGrace,
    /// For longer.
    PastGrace,
}

/// What the conditions say.
#[derive(Clone, Copy, Debug)]
pub struct Verdict<'a> {
    /// Which conditions are true.
    pub kstatus: Kstatus,
    /// One CamelCase word.
    pub reason: &'a str,
    /// One line that a person can act on; cut to 256 characters.
    pub message: &'a str,
}

/// The conditions for a verdict. `lastTransitionTime` is kept while a condition's status stays the same; an inactive Reconciling or Stalled is
/// absent, and the two are never both there, since kstatus reads Reconciling first.
pub fn conditions(
    previous: &[Condition],
    verdict: Verdict<'_>,
    blocked: Blocked,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let active = match (verdict.kstatus, blocked) {
        (Kstatus::Current | Kstatus::Terminating, _) => None,
        (Kstatus::InProgress, _) | (Kstatus::Blocked, Blocked::WithinGrace) => Some(types::RECONCILING),
        (Kstatus::Failed, _) | (Kstatus::Blocked, Blocked::PastGrace) => Some(types::STALLED),
    };
    let ready = if verdict.kstatus == Kstatus::Current { "True" } else { "False" };
    let message = clean(verdict.message, MESSAGE_CHARS);
    std::iter::once((types::READY, ready))
        .chain(active.map(|type_| (type_, "True")))
        .map(|(type_, status)| Condition {
            type_: type_.into(),
            status: status.into(),
            reason: verdict.reason.into(),
            message: message.clone(),
            observed_generation: generation,
            last_transition_time: since(previous, type_, status).unwrap_or(Time(now)),
        })
        .collect()
}

/// Longest message, in characters.
const MESSAGE_CHARS: usize = 256;

fn since(previous: &[Condition], type_: &str, status: &str) -> Option<Time> {
    previous.iter().find(|c| c.type_ == type_ && c.status == status).map(|c| c.last_transition_time.clone())
}

/// One more condition, of a type of its own, beside those of kstatus. `lastTransitionTime` is kept as by [`conditions`].
pub fn condition(
    previous: &[Condition],
    type_: &str,
    status: &str,
    reason: &str,
    message: &str,
    generation: Option<i64>,
    now: Timestamp,
) -> Condition {
    Condition {
        type_: type_.into(),
        status: status.into(),
        reason: reason.into(),
        message: clean(message, MESSAGE_CHARS),
        observed_generation: generation,
        last_transition_time: since(previous, type_, status).unwrap_or(Time(now)),
    }
}

/// The condition of a type, if it is there.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

/// Whether a condition is there and true.
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    conditions.iter().any(|c| c.type_ == type_ && c.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn verdict(kstatus: Kstatus) -> Verdict<'static> {
        Verdict { kstatus, reason: "Because", message: "a line" }
    }

    fn active(kstatus: Kstatus, blocked: Blocked) -> Vec<(String, String)> {
        conditions(&[], verdict(kstatus), blocked, Some(1), at("2026-01-01T00:00:00Z")).into_iter().map(|c| (c.type_, c.status)).collect()
    }

    #[test]
    fn a_blocked_object_is_reconciling_within_the_grace_and_stalled_after_it() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(active(Kstatus::Blocked, Blocked::WithinGrace), [pair("Ready", "False"), pair("Reconciling", "True")]);
        assert_eq!(active(Kstatus::Blocked, Blocked::PastGrace), [pair("Ready", "False"), pair("Stalled", "True")]);
        assert_eq!(active(Kstatus::Failed, Blocked::WithinGrace), [pair("Ready", "False"), pair("Stalled", "True")]);
        assert_eq!(active(Kstatus::Current, Blocked::WithinGrace), [pair("Ready", "True")]);
        assert_eq!(active(Kstatus::Terminating, Blocked::WithinGrace), [pair("Ready", "False")]);
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let first = conditions(&[], verdict(Kstatus::InProgress), Blocked::WithinGrace, Some(1), at("2026-01-01T00:00:00Z"));
        let same = conditions(&first, verdict(Kstatus::Failed), Blocked::WithinGrace, Some(2), at("2026-01-01T00:01:00Z"));
        assert_eq!(same[0].last_transition_time, first[0].last_transition_time, "Ready stayed False");
        let other = conditions(&same, verdict(Kstatus::Current), Blocked::WithinGrace, Some(2), at("2026-01-01T00:02:00Z"));
        assert_eq!(other[0].last_transition_time, Time(at("2026-01-01T00:02:00Z")));
    }

    #[test]
    fn a_message_is_one_line_and_bounded() {
        let long = format!("a\nb{}", "x".repeat(400));
        let made = conditions(
            &[],
            Verdict { kstatus: Kstatus::Current, reason: "R", message: &long },
            Blocked::WithinGrace,
            None,
            at("2026-01-01T00:00:00Z"),
        );
        assert_eq!(made[0].message.chars().count(), 256);
        assert!(made[0].message.starts_with("a bx"));
    }
}
