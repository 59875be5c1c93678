//! What every database service has to describe, without I/O, and what several of them share.

use super::{
    api::Api,
    backup::{BackupKind, CreatedBackup, ListScope, NewBackup, RemoteBackup, RemoteState},
    json::{self, Wrong},
    parse::{count, exact, id, size, text, time},
    request::{Operation, Request},
};
use http::Method;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// What the operator needs of a database service.
pub trait Service: Send + Sync {
    /// What is fixed of it.
    fn api(&self) -> &'static Api;
    /// Asks for a backup.
    fn create(&self, project_id: &str, new: &NewBackup) -> Request;
    /// Reads the answer to a create call. Without a usable id it is unreadable: the backup may exist all the same.
    fn read_created(&self, body: &[u8]) -> Result<CreatedBackup, Unreadable>;
    /// Asks for a page of a listing, from the record number `offset` (from 0).
    fn list(&self, project_id: &str, scope: &ListScope, offset: usize) -> Request;
    /// Reads a page. A record without an id makes it unreadable; any other field may be missing or of a wrong type.
    fn read_page(&self, status: u16, body: &[u8]) -> Result<Page, Unreadable>;
    /// Asks for a backup's deletion; `None` where the API has none.
    fn delete(&self, project_id: &str, instance_id: &str, backup_id: &str) -> Option<Request>;
}

/// A page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its records.
    pub records: Vec<RemoteBackup>,
    /// How many records the service says there are in all.
    pub total: u64,
}

impl Page {
    /// What a record does not say of itself and the question did: which instance it belongs to.
    #[must_use]
    pub fn asked_for(mut self, scope: &ListScope) -> Self {
        if let ListScope::Instance { instance_id, .. } = scope {
            for record in self.records.iter_mut().filter(|record| record.instance_id.is_empty()) {
                record.instance_id.clone_from(instance_id);
            }
        }
        self
    }
}

/// An answer that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

impl From<Wrong> for Unreadable {
    fn from(wrong: Wrong) -> Self {
        Self(match wrong {
            Wrong::NotJson => "the answer is not JSON".into(),
            Wrong::NotAnObject => "the answer is not a JSON object".into(),
            Wrong::NotAList => "the answer has something else for its list".into(),
            Wrong::Item => "a record has no id".into(),
            Wrong::TooMuch => "the answer has more fields or records than were asked for".into(),
        })
    }
}

/// The body as a JSON object.
pub fn object(body: &[u8]) -> Result<Map<String, Value>, Unreadable> {
    Ok(json::object(body)?)
}

/// What a database service is told about a new backup where all of it goes into the body.
pub(super) fn order(new: &NewBackup) -> Value {
    json!({ "instance_id": new.instance_id, "name": new.mark, "description": new.description })
}

/// The answer to a create call that shows the backup: `{"backup": {"id": …}, "job_id": …}`, where not every service has a job.
pub(super) fn created_backup(body: &[u8]) -> Result<CreatedBackup, Unreadable> {
    let answer = object(body)?;
    let backup = answer.get("backup").and_then(Value::as_object).ok_or_else(|| Unreadable("the answer has no backup".into()))?;
    Ok(CreatedBackup {
        backup_id: id(backup.get("id")).ok_or_else(|| Unreadable("the answer has no backup.id".into()))?,
        job_id: id(answer.get("job_id")),
        start_time: backup.get("begin_time").and_then(Value::as_str).and_then(time),
        cloud_status: text(backup.get("status"), 40),
    })
}

/// The answer to a create call that has the ids alone: `{"backup_id": …, "job_id": …}`.
pub(super) fn created_ids(body: &[u8]) -> Result<CreatedBackup, Unreadable> {
    let answer = object(body)?;
    let backup_id = id(answer.get("backup_id")).ok_or_else(|| Unreadable("the answer has no backup_id".into()))?;
    Ok(CreatedBackup { backup_id, job_id: id(answer.get("job_id")), start_time: None, cloud_status: None })
}

/// The state of a backup in the words that the database services share; whatever else they say counts as running.
pub(super) fn database_state(word: &str) -> RemoteState {
    match word {
        "COMPLETED" => RemoteState::Completed,
        "FAILED" => RemoteState::Failed,
        "DELETING" => RemoteState::Deleting,
        _ => RemoteState::Running,
    }
}

/// A page of the database services; they differ in the unit of sizes and in their words.
pub(super) fn database_page(body: &[u8], size_unit: u32, state: fn(&str) -> RemoteState) -> Result<Page, Unreadable> {
    page(body, "backups", "total_count", |item| database_record(item, size_unit, state))
}

/// A page from its list and its total, with one reader for the records.
pub(super) fn page(
    body: &[u8],
    list: &str,
    total: &str,
    record: impl Fn(&Map<String, Value>) -> Option<RemoteBackup>,
) -> Result<Page, Unreadable> {
    let (object, records) = json::with_items(body, list, record)?;
    let records = records.ok_or_else(|| Unreadable(format!("the answer has no list {list}")))?;
    let total = count(object.get(total)).ok_or_else(|| Unreadable(format!("the answer has no number {total}")))?;
    Ok(Page { records, total })
}

/// A record in the shape that the database services share.
fn database_record(item: &Map<String, Value>, size_unit: u32, state: fn(&str) -> RemoteState) -> Option<RemoteBackup> {
    let cloud_status = text(item.get("status"), 40).unwrap_or_default();
    Some(RemoteBackup {
        id: id(item.get("id"))?,
        instance_id: exact(item.get("instance_id")).unwrap_or_default(),
        mark: exact(item.get("name")).unwrap_or_default(),
        kind: backup_kind(item.get("type")),
        is_unusable: false,
        state: state(&cloud_status),
        cloud_status,
        start_time: item.get("begin_time").and_then(Value::as_str).and_then(time),
        completion_time: item.get("end_time").and_then(Value::as_str).and_then(time),
        size: item.get("size").and_then(|value| size(value, size_unit)),
        engine_version: engine_version(item.get("datastore")),
        failure: None,
    })
}

/// The services write the same words in different cases, DDS even on one page.
pub(super) fn backup_kind(word: Option<&Value>) -> BackupKind {
    match word.and_then(Value::as_str).map(str::to_ascii_lowercase).as_deref() {
        Some("manual") => BackupKind::Manual,
        Some("auto") => BackupKind::Automatic,
        _ => BackupKind::Partial,
    }
}

/// The database and its version in the cloud's words, such as `MySQL 8.0`; the version alone where the record has no more.
fn engine_version(datastore: Option<&Value>) -> Option<String> {
    let version = text(datastore?.get("version"), 40)?;
    Some(match text(datastore?.get("type"), 40) {
        Some(database) => format!("{database} {version}"),
        None => version,
    })
}

/// The request for a page of a listing, at a path and as a database service wants to be asked.
pub(super) fn list_request(api: &'static Api, path: String, how: &Query, scope: &ListScope, offset: usize) -> Request {
    Request { query: query(how, scope, api.page_size, offset), ..Request::new(api, Operation::List, Method::GET, path) }
}

/// How a database service wants to be asked for a listing. They differ in a word, in the form of times, and in whether they find a backup by its id alone.
pub(super) struct Query {
    /// The type of the backups that somebody asked for.
    pub manual: &'static str,
    /// A time as it takes it.
    pub time: fn(Timestamp) -> String,
    /// Whether a backup is asked for together with its instance.
    pub names_instance: bool,
}

/// The query parameters of a scope, in the names that the database services share.
fn query(how: &Query, scope: &ListScope, page_size: usize, offset: usize) -> Vec<(&'static str, String)> {
    let mut query = vec![("limit", page_size.to_string()), ("offset", offset.to_string())];
    let (window, any_type) = match scope {
        ListScope::Backup { instance_id, backup_id } => {
            query.push(("backup_id", backup_id.clone()));
            if how.names_instance {
                query.push(("instance_id", instance_id.clone()));
            }
            (None, true)
        }
        ListScope::Instance { instance_id, automatic } => {
            query.push(("instance_id", instance_id.clone()));
            (None, *automatic)
        }
        ListScope::Project { window, automatic } => (*window, *automatic),
    };
    if !any_type {
        query.push(("backup_type", how.manual.to_owned()));
    }
    if let Some(window) = window {
        query.push(("begin_time", (how.time)(window.begin)));
        query.push(("end_time", (how.time)(window.end)));
    }
    query
}
