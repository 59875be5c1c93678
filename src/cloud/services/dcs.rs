//! Distributed Cache Service for Redis, v2 (vendor page 003; list and delete from the vendor's SDK and the Open Telekom Cloud reference).

use crate::cloud::{
    api::{Api, JSON_UTF8, Lists},
    backup::{BackupFormat, CreatedBackup, ListScope, NewBackup, RemoteBackup, RemoteState},
    parse::{exact, id, size, text, time, unit},
    request::{Operation, Request},
    service::{Page, Service, Unreadable, backup_kind, object, page},
};
use http::Method;
use serde_json::{Map, Value, json};

/// The service.
pub struct Dcs;

/// What is fixed of it.
static API: Api = Api {
    label: "dcs",
    name: "DCS",
    content_type: JSON_UTF8,
    codes: codes::CODES,
    spelling: codes::own_spelling,
    lists: Lists::Instance,
    finds_by_id: false,
    backups_go_with_instance: true,
    page_size: 1000,
    calls_per_minute: None,
};

/// Longest remark (400 DCS.4098 above it).
const REMARK_CHARS: usize = 128;

impl Service for Dcs {
    fn api(&self) -> &'static Api {
        &API
    }

    /// DCS has no names, so the mark opens the remark.
    fn create(&self, project_id: &str, new: &NewBackup) -> Request {
        let remark: String = format!("{} {}", new.mark, new.description).trim_end().chars().take(REMARK_CHARS).collect();
        let mut body = json!({ "remark": remark });
        if let Some(format) = new.backup_format {
            let format = match format {
                BackupFormat::RDB => "rdb",
                BackupFormat::AOF => "aof",
            };
            body = json!({ "remark": remark, "backup_format": format });
        }
        Request {
            body: Some(body),
            ..Request::new(&API, Operation::Create, Method::POST, format!("/v2/{project_id}/instances/{}/backups", new.instance_id))
        }
    }

    fn read_created(&self, body: &[u8]) -> Result<CreatedBackup, Unreadable> {
        let backup_id = id(object(body)?.get("backup_id")).ok_or_else(|| Unreadable("the answer has no backup_id".into()))?;
        Ok(CreatedBackup { backup_id, job_id: None, start_time: None, cloud_status: None })
    }

    /// Per instance only, and its own default of 10 records is never relied on.
    fn list(&self, project_id: &str, scope: &ListScope, offset: usize) -> Request {
        let query = vec![("limit", API.page_size.to_string()), ("offset", offset.to_string())];
        let instance = match scope {
            ListScope::Instance { instance_id, .. } => instance_id.as_str(),
            // Not asked for: see `API`. The service refuses an empty id.
            ListScope::Project { .. } | ListScope::Backup { .. } => "",
        };
        Request { query, ..Request::new(&API, Operation::List, Method::GET, format!("/v2/{project_id}/instances/{instance}/backups")) }
    }

    /// An instance without backups is answered with 204 and no body.
    fn read_page(&self, status: u16, body: &[u8]) -> Result<Page, Unreadable> {
        if status == 204 {
            return Ok(Page { records: vec![], total: 0 });
        }
        page(body, "backup_record_response", "total_num", record)
    }

    fn delete(&self, project_id: &str, instance_id: &str, backup_id: &str) -> Option<Request> {
        Some(Request::new(&API, Operation::Delete, Method::DELETE, format!("/v2/{project_id}/instances/{instance_id}/backups/{backup_id}")))
    }
}

fn record(item: &Map<String, Value>) -> Option<RemoteBackup> {
    let cloud_status = text(item.get("status"), 40).unwrap_or_default();
    let state = state(&cloud_status);
    let updated = item.get("updated_at").and_then(Value::as_str).and_then(time);
    let remark = exact(item.get("remark")).unwrap_or_default();
    Some(RemoteBackup {
        id: id(item.get("backup_id"))?,
        instance_id: exact(item.get("instance_id")).unwrap_or_default(),
        mark: remark.split_whitespace().next().unwrap_or_default().to_owned(),
        kind: backup_kind(item.get("backup_type")),
        is_unusable: item.get("is_support_restore").and_then(Value::as_str).is_some_and(|word| word.eq_ignore_ascii_case("false")),
        state,
        start_time: item.get("created_at").and_then(Value::as_str).and_then(time),
        // The record has no end of its own; its last change is the end once it has ended.
        completion_time: updated.filter(|_| state != RemoteState::Running),
        size: item.get("size").and_then(|value| size(value, unit::BYTE)),
        engine_version: None,
        failure: text(item.get("error_code"), 60),
        cloud_status,
    })
}

fn state(word: &str) -> RemoteState {
    match word {
        "succeed" => RemoteState::Completed,
        "failed" => RemoteState::Failed,
        "expired" | "deleted" => RemoteState::Gone,
        _ => RemoteState::Running,
    }
}

mod codes;

#[cfg(test)]
mod tests {
    use super::*;

    fn new(description: &str) -> NewBackup {
        NewBackup {
            instance_id: "i-1".into(),
            mark: "dbb-0123".into(),
            description: description.into(),
            backup_format: Some(BackupFormat::AOF),
        }
    }

    #[test]
    fn the_mark_opens_the_remark_which_stays_within_its_limit() {
        let body = Dcs.create("p", &new("before v42")).body.unwrap();
        assert_eq!(body, json!({ "remark": "dbb-0123 before v42", "backup_format": "aof" }));
        let long = Dcs.create("p", &new(&"x".repeat(500))).body.unwrap();
        assert_eq!(long["remark"].as_str().map(str::len), Some(128));
    }

    #[test]
    fn the_mark_is_read_back_from_the_remark() {
        let body = br#"{"total_num":1,"backup_record_response":[{"backup_id":"b","backup_name":"backup_20250102030405","instance_id":"i-1","remark":"dbb-0123 before v42",
            "status":"succeed","progress":"100.00","size":12,"backup_type":"manual","created_at":"2025-01-02T03:04:05.000Z","updated_at":"2025-01-02T03:05:00.000Z",
            "is_support_restore":"TRUE","error_code":{},"period":{}}]}"#;
        let page = Dcs.read_page(200, body).unwrap();
        let backup = &page.records[0];
        assert_eq!((backup.mark.as_str(), backup.size, backup.state), ("dbb-0123", Some(12), RemoteState::Completed));
        assert_eq!(backup.completion_time, "2025-01-02T03:05:00Z".parse().ok());
    }

    #[test]
    fn an_instance_without_backups_is_an_empty_page() {
        assert_eq!(Dcs.read_page(204, b"").unwrap().total, 0);
    }

    #[test]
    fn a_deleted_record_is_gone_though_it_is_listed() {
        let page = Dcs.read_page(200, br#"{"total_num":1,"backup_record_response":[{"backup_id":"b","status":"deleted"}]}"#).unwrap();
        assert_eq!(page.records[0].state, RemoteState::Gone);
    }
}
