//! What the two APIs of GaussDB(for MySQL) share: TaurusDB's `/v3` and the older `/mysql/v3` (vendor pages 001, 002, 004).

use super::{Page, Record, Unreadable, database_record, object, page, project_query};
use crate::cloud::{
    backup::{CreatedBackup, ListScope, NewBackup, RemoteState},
    errors::{Class, Codes},
    parse::{id, text, time, unit},
    request::{JSON_UTF8, Operation, Request},
};
use http::Method;
use serde_json::{Map, Value, json};

pub(super) const PAGE_SIZE: usize = 100;

pub(super) fn create(service: &'static str, prefix: &str, project_id: &str, new: &NewBackup) -> Request {
    Request {
        service,
        operation: Operation::Create,
        method: Method::POST,
        path: format!("{prefix}/{project_id}/backups/create"),
        query: vec![],
        body: Some(json!({ "instance_id": new.instance_id, "name": new.mark, "description": new.description })),
        content_type: JSON_UTF8,
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

pub(super) fn list(service: &'static str, prefix: &str, project_id: &str, scope: &ListScope, offset: usize) -> Request {
    Request {
        service,
        operation: Operation::List,
        method: Method::GET,
        path: format!("{prefix}/{project_id}/backups"),
        query: project_query(scope, "manual", PAGE_SIZE, offset),
        body: None,
        content_type: JSON_UTF8,
    }
}

pub(super) fn read_page(body: &[u8]) -> Result<Page, Unreadable> {
    page(body, "backups", "total_count", record)
}

fn record(item: &Map<String, Value>) -> Option<Record> {
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

/// From the Open Telekom Cloud reference's table, the vendor's page of duplicates, and its Terraform provider.
pub(super) const CODES: &[Codes] = &[
    Codes {
        class: Class::InstanceNotFound,
        codes: &["DBS.200002", "DBS.200045", "DBS.200408", "DBS.200602", "DBS.201028", "DBS.290005", "DBS.290011"],
    },
    // These say "missing or not permitted" in one breath, so never that a backup is gone.
    Codes { class: Class::Forbidden, codes: &["DBS.200010", "DBS.200044", "DBS.200604", "DBS.201003", "DBS.280015"] },
    Codes { class: Class::Unauthenticated, codes: &["DBS.280056"] },
    Codes {
        class: Class::Busy,
        codes: &[
            "DBS.200011", "DBS.200019", "DBS.200047", "DBS.201202", "DBS.212006", "DBS.201205", "DBS.201014", "DBS.200086", "DBS.280406",
            "DBS.280449", "DBS.200316", "DBS.201015", "DBS.05000084", "DBS.212033",
        ],
    },
    Codes { class: Class::BackupNotFound, codes: &["DBS.201010", "DBS.201203"] },
    Codes { class: Class::DeleteLater, codes: &["DBS.201208"] },
    Codes {
        class: Class::Invalid,
        codes: &[
            "DBS.280277", "DBS.280127", "DBS.280404", "DBS.280439", "DBS.280001", "DBS.200001", "DBS.201204", "DBS.201210", "DBS.280124",
            "DBS.200543",
        ],
    },
    Codes { class: Class::Unsupported, codes: &["DBS.200040", "DBS.200042", "DBS.201207", "DBS.280238"] },
    Codes { class: Class::Quota, codes: &["DBS.200046", "DBS.290003"] },
    Codes { class: Class::NameExists, codes: &["DBS.201209"] },
    Codes { class: Class::Throttled, codes: &["DBS.280443"] },
    Codes { class: Class::Unavailable, codes: &["DBS.108000"] },
];
