//! What the statuses of backups mean for whoever waits for them: when the wait is over, and how it ended.

use crate::{
    api::{
        backup::DatabaseBackup,
        conditions::{is_true, types},
        status::{DatabaseBackupStatus, DeleteReason, Phase},
    },
    cloud::parse::clean,
    plan::backup::reason::Reason,
};
use std::{fmt, time::Duration};

/// How long what is missing may take to come: an object that is not there, an API server that does not answer, a right that is not granted. Manifests of one
/// folder are applied one after the other, and whoever waits may be quicker.
pub const GRACE: Duration = Duration::from_secs(15);

/// How a wait ends. Of several backups the first of these counts: what is final comes before what may still change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// There is no backup, and the object will not bring one.
    Failed,
    /// Nothing goes on until something outside changes.
    Blocked,
    /// There is no such object, or not any more.
    NotFound,
    /// Nobody could find out.
    Error,
    /// The time was over first.
    TimedOut,
    /// Every backup is Completed.
    Done,
}

impl Outcome {
    /// What the process ends with. 2 is what wrong arguments end with.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Failed => 3,
            Self::TimedOut => 4,
            Self::NotFound => 5,
            Self::Blocked => 6,
        }
    }
}

/// The end of a wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// How it ended.
    pub outcome: Outcome,
    /// Why, and what to do about it, a line for each backup that it ended for; nothing when all went well.
    pub why: Vec<String>,
}

/// Why a look at a backup showed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The API server refused, and will go on to do so until somebody mends that.
    pub is_refusal: bool,
    /// In one line.
    pub message: String,
}

/// What a look at a backup showed: the object, or that there is none.
pub type Look = Result<Option<DatabaseBackup>, Trouble>;

/// What is known of one backup.
struct Backup {
    name: String,
    state: State,
    /// Which object is waited for.
    uid: Option<String>,
    /// What was said of it last.
    said: Option<Line>,
    /// Since when the API server has refused to show it, without an answer in between.
    refused: Option<Duration>,
}

enum State {
    /// No look has shown anything yet.
    Unanswered,
    /// There has been no such object yet; why a look showed none.
    Absent(&'static str),
    /// It is there, and may become Completed; what it says.
    OnItsWay(Line),
    Ended(Outcome, String),
}

/// What is said of a backup when it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    phase: Option<Phase>,
    reason: Option<String>,
    message: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (phase, reason) = (self.phase.map_or("-", Phase::as_str), self.reason.as_deref().unwrap_or("-"));
        write!(f, "{phase} {reason} {}", self.message)
    }
}

impl Line {
    /// What the status of an object says.
    fn of(object: &DatabaseBackup) -> Self {
        let Some(status) = object.status.as_ref().filter(|status| status.observed_generation >= 0) else {
            return Self::about("no operator has seen it yet; if this stays, none is running, or none watches this namespace");
        };
        let ready = status.conditions.iter().find(|condition| condition.type_ == types::READY);
        let message = match ready {
            _ if !is_current(object, status) => "its spec was changed, and no operator has looked at it since",
            Some(ready) => &ready.message,
            None => "",
        };
        let reason = ready.map(|ready| clean(&ready.reason, LONGEST)).filter(|reason| !reason.is_empty());
        Self { phase: status.phase, reason, message: clean(message, LONGEST) }
    }

    /// Of an object without a status.
    fn about(message: &str) -> Self {
        Self { phase: None, reason: None, message: message.to_owned() }
    }
}

/// The longest message of a condition that this operator writes; others may write longer ones.
const LONGEST: usize = 256;
const NOT_THERE: &str = "there is no such DatabaseBackup";
const BEING_DELETED: &str = "it is being deleted";

/// A wait for backups of one namespace. Times are counted from its begin.
pub struct Wait {
    namespace: String,
    timeout: Duration,
    backups: Vec<Backup>,
}

impl Wait {
    /// Nothing was looked at yet.
    pub fn new(namespace: &str, names: &[String], timeout: Duration) -> Self {
        let unknown = |name: &String| Backup { name: name.clone(), state: State::Unanswered, uid: None, said: None, refused: None };
        Self { namespace: namespace.to_owned(), timeout, backups: names.iter().map(unknown).collect() }
    }

    /// Takes in what a look at a backup showed, and answers with what is to be said of it, if that is news.
    pub fn look(&mut self, name: &str, look: Look, now: Duration) -> Option<String> {
        let is_waited_for = |backup: &&mut Backup| backup.name == name && !matches!(backup.state, State::Ended(..));
        let backup = self.backups.iter_mut().find(is_waited_for)?;
        let line = backup.take_in(look, now);
        let is_news = backup.said.as_ref() != Some(&line);
        let said = is_news.then(|| format!("{}/{name} {line}", self.namespace));
        backup.said = Some(line);
        said
    }

    /// The end, if it has come. One backup that will not be Completed is enough, but not before each was looked at: whoever asks twice gets the same answer.
    pub fn end(&self, now: Duration) -> Option<End> {
        let mut ends = Vec::new();
        let mut all_ended = true;
        for backup in &self.backups {
            match self.end_of(backup, now) {
                Some(end) => ends.push(end),
                None if matches!(backup.state, State::Unanswered) => return None,
                None => all_ended = false,
            }
        }
        let outcome = ends.iter().map(|(outcome, _)| *outcome).min()?;
        let why = ends.into_iter().filter(|(other, why)| *other == outcome && !why.is_empty()).map(|(_, why)| why).collect();
        (all_ended || outcome != Outcome::Done).then_some(End { outcome, why })
    }

    /// When to ask for the end again, whatever is seen until then.
    pub fn next(&self, now: Duration) -> Duration {
        let refused = self.backups.iter().filter_map(|backup| backup.refused).map(|since| since.saturating_add(GRACE));
        [GRACE, self.timeout].into_iter().chain(refused).filter(|at| *at > now).min().unwrap_or(now)
    }

    fn end_of(&self, backup: &Backup, now: Duration) -> Option<(Outcome, String)> {
        let place = format!("{}/{}", self.namespace, backup.name);
        let is_over = now >= self.timeout;
        let is_refused = backup.refused.is_some_and(|since| is_over || now.saturating_sub(since) >= GRACE);
        let said = backup.said.as_ref();
        match &backup.state {
            State::Ended(outcome, why) if why.is_empty() => Some((*outcome, String::new())),
            State::Ended(outcome, why) => Some((*outcome, format!("{place}: {why}"))),
            _ if is_refused => Some((Outcome::Error, format!("{place} {}", said.map(|line| line.message.as_str()).unwrap_or_default()))),
            State::Unanswered if is_over || now >= GRACE => {
                let message = said.map_or("cannot be read: the Kubernetes API does not answer", |line| line.message.as_str());
                Some((Outcome::Error, format!("{place} {message}")))
            }
            State::Absent(why) if is_over || now >= GRACE => {
                Some((Outcome::NotFound, format!("{place}: {why}: are the name and the namespace (-n) right?")))
            }
            State::OnItsWay(last) if is_over => {
                let timeout = self.timeout;
                Some((Outcome::TimedOut, format!("{place}: not Completed within {timeout:?} (--timeout): {last}")))
            }
            State::Unanswered | State::Absent(_) | State::OnItsWay(_) => None,
        }
    }
}

impl Backup {
    fn take_in(&mut self, look: Look, now: Duration) -> Line {
        let object = match look {
            Ok(object) => object,
            Err(trouble) => {
                self.refused = trouble.is_refusal.then_some(self.refused.unwrap_or(now));
                return Line::about(&format!("cannot be read: {}", clean(&trouble.message, 2 * LONGEST)));
            }
        };
        self.refused = None;
        match (object, self.uid.is_some()) {
            // One that goes is as good as gone: whatever its status says will not be true for long.
            (Some(object), _) if object.metadata.deletion_timestamp.is_none() => self.there(&object),
            (Some(_), false) => self.absent(BEING_DELETED),
            (None, false) => self.absent(NOT_THERE),
            (_, true) => self.lost("it was deleted while it was waited for"),
        }
    }

    fn there(&mut self, object: &DatabaseBackup) -> Line {
        if self.uid.as_ref().is_some_and(|uid| object.metadata.uid.as_ref() != Some(uid)) {
            return self.lost("it was deleted and created again, which is another backup: wait again for that one");
        }
        self.uid.clone_from(&object.metadata.uid);
        let line = Line::of(object);
        self.state = match outcome(object) {
            Some(Outcome::Done) => State::Ended(Outcome::Done, String::new()),
            Some(outcome) => State::Ended(outcome, explained(outcome, &line)),
            None => State::OnItsWay(line.clone()),
        };
        line
    }

    fn absent(&mut self, why: &'static str) -> Line {
        self.state = State::Absent(why);
        Line::about(&format!("{why}; it is waited for, but not for longer than {} s", GRACE.as_secs()))
    }

    fn lost(&mut self, why: &str) -> Line {
        self.state = State::Ended(Outcome::NotFound, why.to_owned());
        Line::about(why)
    }
}

/// What an object's status means for whoever waits for its backup; nothing while it may still become Completed by itself.
///
/// Lapsed and Expired objects are Ready, since nothing is to be done about them. But there is no backup, and whoever waits for one wants to rely on it.
fn outcome(object: &DatabaseBackup) -> Option<Outcome> {
    let status = object.status.as_ref().filter(|status| is_current(object, status))?;
    match status.phase? {
        // It is there for now, and nobody can rely on it.
        Phase::Completed if status.delete_reason == Some(DeleteReason::Retention) => Some(Outcome::Failed),
        Phase::Completed if is_true(&status.conditions, types::READY) => Some(Outcome::Done),
        Phase::Failed | Phase::Missing | Phase::Expired | Phase::Lapsed => Some(Outcome::Failed),
        // One that is overdue is Stalled, too: it may still be Completed, but not in the time that it was given.
        Phase::Pending | Phase::Running | Phase::Completed => is_true(&status.conditions, types::STALLED).then_some(Outcome::Blocked),
    }
}

/// Whether a status speaks of the object as it is now; none does before an operator has seen it.
fn is_current(object: &DatabaseBackup, status: &DatabaseBackupStatus) -> bool {
    object.metadata.generation == Some(status.observed_generation)
}

/// Why a backup will not be Completed, and what to do.
fn explained(outcome: Outcome, line: &Line) -> String {
    let (what, advice) = match line.phase {
        _ if outcome == Outcome::Blocked => ("its backup is blocked", "it goes on by itself once that is mended: then wait again"),
        Some(Phase::Completed) => {
            ("its backup is being deleted, since its schedule keeps fewer", "for another one create a new DatabaseBackup")
        }
        Some(Phase::Missing) => ("its backup is gone in the cloud", "for another one create a new DatabaseBackup"),
        Some(Phase::Expired) => ("its backup has expired and is deleted in the cloud", "for another one create a new DatabaseBackup"),
        Some(Phase::Lapsed) if line.reason.as_deref() == Some(Reason::Superseded.as_str()) => {
            ("no backup was taken, and none will be", "wait for the run that took its place")
        }
        Some(Phase::Lapsed) => ("no backup was taken, and none will be", "if one is wanted, create a new DatabaseBackup"),
        _ => ("its backup failed", "once that is mended, create a new DatabaseBackup"),
    };
    format!("{what}: {line}; {advice}")
}

#[cfg(test)]
mod tests;
