//! GeminiDB: Cassandra, Mongo, Influx and Redis APIs (vendor page 000; list and delete from the vendor's SDK and the Open Telekom Cloud reference).

use super::{Page, Record, Service, Unreadable, database_record, object, page, project_query};
use crate::cloud::{
    backup::{CreatedBackup, ListScope, NewBackup, RemoteState},
    errors::{Class, Codes},
    parse::{id, unit},
    request::{JSON, Operation, Request},
};
use http::Method;
use serde_json::{Map, Value, json};

/// The service.
pub struct GeminiDB;

const NAME: &str = "geminidb";

impl Service for GeminiDB {
    fn create(&self, project_id: &str, new: &NewBackup) -> Request {
        Request {
            service: NAME,
            operation: Operation::Create,
            method: Method::POST,
            path: format!("/v3/{project_id}/instances/{}/backups", new.instance_id),
            query: vec![],
            // The description is mandatory here.
            body: Some(json!({ "name": new.mark, "description": new.description })),
            content_type: JSON,
        }
    }

    fn read_created(&self, body: &[u8]) -> Result<CreatedBackup, Unreadable> {
        let answer = object(body)?;
        let backup_id = id(answer.get("backup_id")).ok_or_else(|| Unreadable("the answer has no backup_id".into()))?;
        Ok(CreatedBackup { backup_id, job_id: id(answer.get("job_id")), start_time: None, cloud_status: None })
    }

    /// The v4 list: the older ones count their offset in pages.
    fn list(&self, project_id: &str, scope: &ListScope, offset: usize) -> Request {
        Request {
            service: NAME,
            operation: Operation::List,
            method: Method::GET,
            path: format!("/v4/{project_id}/backups"),
            query: project_query(scope, "Manual", self.page_size(), offset),
            body: None,
            content_type: JSON,
        }
    }

    fn page_size(&self) -> usize {
        100
    }

    fn read_page(&self, _status: u16, body: &[u8]) -> Result<Page, Unreadable> {
        page(body, "backups", "total_count", record)
    }

    /// Open Telekom Cloud's reference has no delete; where it is not served the gateway says so.
    fn delete(&self, project_id: &str, _instance_id: &str, backup_id: &str) -> Option<Request> {
        Some(Request {
            service: NAME,
            operation: Operation::Delete,
            method: Method::DELETE,
            path: format!("/v3/{project_id}/backups/{backup_id}"),
            query: vec![],
            body: None,
            content_type: JSON,
        })
    }

    fn codes(&self) -> &'static [Codes] {
        CODES
    }
}

fn record(item: &Map<String, Value>) -> Option<Record> {
    database_record(item, unit::KB, state)
}

fn state(word: &str) -> RemoteState {
    match word {
        "COMPLETED" => RemoteState::Completed,
        "FAILED" => RemoteState::Failed,
        "DELETING" => RemoteState::Deleting,
        _ => RemoteState::Running,
    }
}

/// From the Open Telekom Cloud reference's table and the vendor's Terraform provider.
const CODES: &[Codes] = &[
    Codes {
        class: Class::InstanceNotFound,
        codes: &["DBS.200002", "DBS.201028", "DBS.201501", "DBS.201502", "DBS.280110", "DBS.216016", "DBS.200604"],
    },
    Codes {
        class: Class::Busy,
        codes: &[
            "DBS.200011", "DBS.200018", "DBS.200019", "DBS.200076", "DBS.201000", "DBS.201014", "DBS.201015", "DBS.200047", "DBS.201202",
            "DBS.200998", "DBS.280005",
        ],
    },
    Codes { class: Class::NameExists, codes: &["DBS.201201"] },
    Codes { class: Class::BackupNotFound, codes: &["DBS.201204", "DBS.201214"] },
    Codes { class: Class::DeleteLater, codes: &["DBS.201319"] },
    Codes {
        class: Class::Invalid,
        codes: &[
            "DBS.201212", "DBS.280124", "DBS.280277", "DBS.280127", "DBS.200001", "DBS.201006", "DBS.280001", "DBS.290000", "DBS.200095",
            "DBS.280404", "DBS.280439", "DBS.280440",
        ],
    },
    Codes { class: Class::Misconfigured, codes: &["DBS.280408"] },
    Codes { class: Class::Unsupported, codes: &["DBS.200042", "DBS.201020", "DBS.280347", "DBS.216029", "DBS.280341"] },
    Codes { class: Class::Unauthenticated, codes: &["DBS.280056", "DBS.280015", "DBS.200010"] },
    Codes { class: Class::Forbidden, codes: &["DBS.280032", "DBS.280063"] },
    Codes { class: Class::Throttled, codes: &["DBS.280443"] },
    Codes { class: Class::Unavailable, codes: &["DBS.111205"] },
    Codes { class: Class::Quota, codes: &["DBS.200165", "DBS.200166", "DBS.200167"] },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::backup::Window;

    #[test]
    fn create_names_the_instance_in_the_path_and_always_sends_a_description() {
        let new = NewBackup { instance_id: "i-1in06".into(), mark: "dbb-a-1".into(), description: "d".into(), backup_format: None };
        let request = GeminiDB.create("p-1", &new);
        assert_eq!((request.method, request.path.as_str()), (Method::POST, "/v3/p-1/instances/i-1in06/backups"));
        assert_eq!(request.body, Some(json!({ "name": "dbb-a-1", "description": "d" })));
    }

    #[test]
    fn both_ids_of_the_answer_are_read() {
        let body = br#"{ "job_id" : "8061ceaf-b319-4315-9338-7f3de8e26f05", "backup_id" : "646d88d0b03f4fd2ae944ae2a33bcb6ain06" }"#;
        let created = GeminiDB.read_created(body).unwrap();
        assert_eq!(created.backup_id, "646d88d0b03f4fd2ae944ae2a33bcb6ain06");
        assert_eq!(created.job_id.as_deref(), Some("8061ceaf-b319-4315-9338-7f3de8e26f05"));
    }

    #[test]
    fn sizes_are_kilobytes_and_times_have_offsets() {
        let body = br#"{"total_count":1,"backups":[{"id":"b-1br06","name":"dbb-a-1","instance_id":"i-1in06","datastore":{"type":"cassandra","version":"3.11"},
            "type":"Manual","size":2048.0,"status":"COMPLETED","begin_time":"2025-01-02T03:04:05+0000","end_time":"2025-01-02T03:09:00+0000","database_tables":null}]}"#;
        let page = GeminiDB.read_page(200, body).unwrap();
        let record = &page.records[0];
        assert!(record.is_manual);
        assert_eq!((record.backup.size, record.backup.state), (Some(2_097_152), RemoteState::Completed));
        assert_eq!(record.backup.completion_time, "2025-01-02T03:09:00Z".parse().ok());
        assert_eq!(record.backup.engine_version.as_deref(), Some("3.11"));
    }

    #[test]
    fn a_window_has_both_ends() {
        let window = Window { begin: "2025-01-02T03:04:05Z".parse().unwrap(), end: "2025-01-03T03:04:05Z".parse().unwrap() };
        let request = GeminiDB.list("p", &ListScope::Project { window: Some(window) }, 99);
        assert!(request.query.contains(&("begin_time", "2025-01-02T03:04:05+0000".into())));
        assert!(request.query.contains(&("end_time", "2025-01-03T03:04:05+0000".into())));
        assert!(request.query.contains(&("offset", "99".into())));
    }
}
