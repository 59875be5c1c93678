//! What the two APIs of GaussDB(for MySQL) share: TaurusDB's `/v3` and the older `/mysql/v3` (vendor pages 001, 002, 004).

use crate::cloud::{
    api::Api,
    backup::{CreatedBackup, ListScope, NewBackup, RemoteBackup, RemoteState},
    parse::{id, text, time, unit},
    request::{Operation, Request},
    service::{Page, Unreadable, database_record, object, page, project_query},
};
use http::Method;
use serde_json::{Map, Value, json};

pub(super) use codes::CODES;

pub(super) const PAGE_SIZE: usize = 100;

pub(super) fn create(api: &'static Api, prefix: &str, project_id: &str, new: &NewBackup) -> Request {
    Request {
        body: Some(json!({ "instance_id": new.instance_id, "name": new.mark, "description": new.description })),
        ..Request::new(api, Operation::Create, Method::POST, format!("{prefix}/{project_id}/backups/create"))
    }
}

/// `job_id` is there with `/v3` only.
pub(super) fn read_created(body: &[u8]) -> Result<CreatedBackup, Unreadable> {
    let answer = object(body)?;
    let backup = answer.get("backup").and_then(Value::as_object).ok_or_else(|| Unreadable("the answer has no backup".into()))?;
    Ok(CreatedBackup {
        backup_id: id(backup.get("id")).ok_or_else(|| Unreadable("the answer has no backup.id".into()))?,
        job_id: id(answer.get("job_id")),
        start_time: backup.get("begin_time").and_then(Value::as_str).and_then(time),
        cloud_status: text(backup.get("status"), 40),
    })
}

pub(super) fn list(api: &'static Api, prefix: &str, project_id: &str, scope: &ListScope, offset: usize) -> Request {
    Request {
        query: project_query(scope, "manual", api.page_size, offset),
        ..Request::new(api, Operation::List, Method::GET, format!("{prefix}/{project_id}/backups"))
    }
}

pub(super) fn read_page(body: &[u8]) -> Result<Page, Unreadable> {
    page(body, "backups", "total_count", record)
}

fn record(item: &Map<String, Value>) -> Option<RemoteBackup> {
    database_record(item, unit::MB, state)
}

fn state(word: &str) -> RemoteState {
    match word {
        "COMPLETED" | "AVAILABLE" => RemoteState::Completed,
        "FAILED" => RemoteState::Failed,
        "DELETING" => RemoteState::Deleting,
        _ => RemoteState::Running,
    }
}

mod codes;
