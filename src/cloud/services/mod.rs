//! The services: each describes its requests and reads its answers, without I/O. The files have the same functions, so who knows one knows all.

mod dcs;
mod gaussdbformysql;
mod geminidb;
mod mysql;
mod taurusdb;

use super::{
    backup::{CreatedBackup, ListScope, NewBackup, RemoteBackup, RemoteState},
    engine::Engine,
    errors::Codes,
    json::{self, Wrong},
    parse::{count, exact, id, size, text, time},
    request::Request,
};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// IAM in metric labels.
pub const IAM: &str = "iam";

/// What the operator needs of a database service.
pub trait Service: Send + Sync {
    /// Asks for a backup.
    fn create(&self, project_id: &str, new: &NewBackup) -> Request;
    /// Reads the answer to a create call. Without a usable id it is unreadable: the backup may exist all the same.
    fn read_created(&self, body: &[u8]) -> Result<CreatedBackup, Unreadable>;
    /// Asks for a page of a listing, from the record number `offset` (from 0).
    fn list(&self, project_id: &str, scope: &ListScope, offset: usize) -> Request;
    /// Records on a full page.
    fn page_size(&self) -> usize;
    /// Reads a page. A record without an id makes it unreadable; any other field may be missing or of a wrong type.
    fn read_page(&self, status: u16, body: &[u8]) -> Result<Page, Unreadable>;
    /// Asks for a backup's deletion; `None` where the API has none.
    fn delete(&self, project_id: &str, instance_id: &str, backup_id: &str) -> Option<Request>;
    /// Whether listings can be asked for one backup by its id.
    fn finds_by_id(&self) -> bool {
        true
    }
    /// Whether listings can be asked for a whole project.
    fn lists_by_project(&self) -> bool {
        true
    }
    /// What the service's error codes mean.
    fn codes(&self) -> &'static [Codes];
    /// A code as `codes` has it, for services that spell one code in several ways.
    fn own_spelling<'a>(&self, code: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(code)
    }
}

impl Engine {
    /// The engine's service.
    pub fn service(self) -> &'static dyn Service {
        match self {
            Self::GeminiDB => &geminidb::GeminiDB,
            Self::GaussDBforMySQL => &gaussdbformysql::GaussDBforMySQL,
            Self::TaurusDB => &taurusdb::TaurusDB,
            Self::DCS => &dcs::Dcs,
        }
    }
}

/// The service with a metric label.
pub fn by_name(name: &str) -> Option<&'static dyn Service> {
    Engine::ALL.iter().find(|engine| engine.service_name() == name).map(|engine| engine.service())
}

/// The service with a metric label, as people write it.
pub fn display_name(name: &str) -> &'static str {
    Engine::ALL.iter().find(|engine| engine.service_name() == name).map_or("IAM", |engine| engine.as_str())
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
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, Unreadable> {
    Ok(json::object(body)?)
}

/// A page from its list and its total, with one reader for the records.
fn page(body: &[u8], list: &str, total: &str, record: impl Fn(&Map<String, Value>) -> Option<RemoteBackup>) -> Result<Page, Unreadable> {
    let (object, records) = json::with_items(body, list, record)?;
    let records = records.ok_or_else(|| Unreadable(format!("the answer has no list {list}")))?;
    let total = count(object.get(total)).ok_or_else(|| Unreadable(format!("the answer has no number {total}")))?;
    Ok(Page { records, total })
}

/// A record in the shape that the database services share; they differ in the unit of sizes and in their words.
fn database_record(item: &Map<String, Value>, size_unit: u32, state: fn(&str) -> RemoteState) -> Option<RemoteBackup> {
    let cloud_status = text(item.get("status"), 40).unwrap_or_default();
    Some(RemoteBackup {
        id: id(item.get("id"))?,
        instance_id: exact(item.get("instance_id")).unwrap_or_default(),
        mark: exact(item.get("name")).unwrap_or_default(),
        state: state(&cloud_status),
        cloud_status,
        start_time: item.get("begin_time").and_then(Value::as_str).and_then(time),
        completion_time: item.get("end_time").and_then(Value::as_str).and_then(time),
        size: item.get("size").and_then(|value| size(value, size_unit)),
        engine_version: text(item.get("datastore").and_then(|datastore| datastore.get("version")), 40),
        failure: None,
    })
}

/// The query parameters of a scope, for services that list a project.
fn project_query(scope: &ListScope, manual: &str, page_size: usize, offset: usize) -> Vec<(&'static str, String)> {
    let mut query = vec![("limit", page_size.to_string()), ("offset", offset.to_string())];
    let (window, any_type) = match scope {
        ListScope::Backup { backup_id } => {
            query.push(("backup_id", backup_id.clone()));
            (None, true)
        }
        ListScope::Instance { instance_id } => {
            query.push(("instance_id", instance_id.clone()));
            (None, false)
        }
        ListScope::Project { window, automatic } => (*window, *automatic),
    };
    if !any_type {
        query.push(("backup_type", manual.to_owned()));
    }
    if let Some(window) = window {
        query.push(("begin_time", super::parse::query_time(window.begin)));
        query.push(("end_time", super::parse::query_time(window.end)));
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::backup::RemoteState;

    #[test]
    fn no_service_panics_on_any_body() {
        let bodies: [&[u8]; 8] = [
            b"",
            b"null",
            b"[]",
            b"{}",
            b"\xff\xfe",
            br#"{"backups":[1],"total_count":1}"#,
            br#"{"backups":{},"total_count":-1}"#,
            br#"{"backup":[]}"#,
        ];
        for engine in Engine::ALL {
            for body in bodies {
                assert!(engine.service().read_created(body).is_err(), "{} took {body:?}", engine.as_str());
                assert!(engine.service().read_page(200, body).is_err(), "{} took {body:?}", engine.as_str());
            }
        }
    }

    #[test]
    fn fields_of_a_wrong_type_are_absent_and_the_page_stays_readable() {
        let body = br#"{"backups":[{"id":"b","name":7,"status":{},"size":{},"begin_time":12,"end_time":[],"type":{},"datastore":"x"}],"total_count":"1",
            "backup_record_response":[{"backup_id":"b","remark":{},"status":[],"size":"","created_at":{},"error_code":{},"backup_type":3}],"total_num":"1"}"#;
        for engine in Engine::ALL {
            let page = engine.service().read_page(200, body).unwrap();
            let backup = &page.records[0];
            assert_eq!((page.total, backup.id.as_str(), backup.mark.as_str()), (1, "b", ""), "{}", engine.as_str());
            assert_eq!((backup.state, backup.start_time, backup.size), (RemoteState::Running, None, None), "{}", engine.as_str());
        }
    }

    #[test]
    fn a_record_without_an_instance_belongs_to_the_one_that_was_asked_for() {
        let body = br#"{"backup_record_response":[{"backup_id":"a"},{"backup_id":"b","instance_id":"other"}],"total_num":2}"#;
        let scope = ListScope::Instance { instance_id: "i-1".into() };
        let page = Engine::DCS.service().read_page(200, body).unwrap().asked_for(&scope);
        let instances: Vec<&str> = page.records.iter().map(|record| record.instance_id.as_str()).collect();
        assert_eq!(instances, ["i-1", "other"]);
    }

    #[test]
    fn a_single_backup_can_be_asked_for_where_the_service_says_so_whatever_its_type() {
        let scope = ListScope::Backup { backup_id: "b-1".into() };
        for engine in Engine::ALL.iter().filter(|engine| engine.service().finds_by_id()) {
            let query = engine.service().list("p", &scope, 0).query;
            assert!(query.contains(&("backup_id", "b-1".into())), "{}", engine.as_str());
            assert!(!query.iter().any(|(name, _)| name.contains("type")), "an automatic backup can be asked for, too: {query:?}");
        }
    }

    #[test]
    fn a_project_is_listed_without_automatic_backups_unless_they_are_wanted() {
        for engine in Engine::ALL.iter().filter(|engine| engine.service().lists_by_project()) {
            let has_type = |automatic| {
                let query = engine.service().list("p", &ListScope::Project { window: None, automatic }, 0).query;
                query.iter().any(|(name, _)| *name == "backup_type")
            };
            assert_eq!((has_type(false), has_type(true)), (true, false), "{}", engine.as_str());
        }
    }
}
