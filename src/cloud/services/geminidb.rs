//! GeminiDB: Cassandra, Mongo, Influx and Redis APIs (vendor page 000; list and delete from the vendor's SDK and the Open Telekom Cloud reference).

use crate::cloud::{
    api::{Api, JSON, Lists, as_it_is},
    backup::{CreatedBackup, ListScope, NewBackup},
    parse::{query_time, unit},
    request::{Operation, Request},
    service::{Page, Query, Service, Unreadable, created_ids, database_page, database_state, list_request},
};
use http::Method;
use serde_json::json;

/// The service.
pub struct GeminiDB;

/// What is fixed of it.
static API: Api = Api {
    label: "geminidb",
    name: "GeminiDB",
    content_type: JSON,
    codes: codes::CODES,
    spelling: as_it_is,
    lists: Lists::Project,
    finds_by_id: true,
    backups_go_with_instance: false,
    page_size: 100,
    calls_per_minute: None,
};

const QUERY: Query = Query { manual: "Manual", time: query_time, names_instance: false };

impl Service for GeminiDB {
    fn api(&self) -> &'static Api {
        &API
    }

    fn create(&self, project_id: &str, new: &NewBackup) -> Request {
        Request {
            // The description is mandatory here.
            body: Some(json!({ "name": new.mark, "description": new.description })),
            ..Request::new(&API, Operation::Create, Method::POST, format!("/v3/{project_id}/instances/{}/backups", new.instance_id))
        }
    }

    fn read_created(&self, body: &[u8]) -> Result<CreatedBackup, Unreadable> {
        created_ids(body)
    }

    /// The v4 list: the older ones count their offset in pages.
    fn list(&self, project_id: &str, scope: &ListScope, offset: usize) -> Request {
        list_request(&API, format!("/v4/{project_id}/backups"), &QUERY, scope, offset)
    }

    fn read_page(&self, _status: u16, body: &[u8]) -> Result<Page, Unreadable> {
        database_page(body, unit::KB, database_state)
    }

    /// Open Telekom Cloud's reference has no delete; where it is not served the gateway says so.
    fn delete(&self, project_id: &str, _instance_id: &str, backup_id: &str) -> Option<Request> {
        Some(Request::new(&API, Operation::Delete, Method::DELETE, format!("/v3/{project_id}/backups/{backup_id}")))
    }
}

mod codes;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::backup::{RemoteState, Window};

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
        let backup = &page.records[0];
        assert_eq!((backup.size, backup.state), (Some(2_097_152), RemoteState::Completed));
        assert_eq!(backup.completion_time, "2025-01-02T03:09:00Z".parse().ok());
        assert_eq!(backup.engine_version.as_deref(), Some("cassandra 3.11"));
    }

    #[test]
    fn a_window_has_both_ends() {
        let window = Window { begin: "2025-01-02T03:04:05Z".parse().unwrap(), end: "2025-01-03T03:04:05Z".parse().unwrap() };
        let request = GeminiDB.list("p", &ListScope::Project { window: Some(window), automatic: false }, 99);
        assert!(request.query.contains(&("begin_time", "2025-01-02T03:04:05+0000".into())));
        assert!(request.query.contains(&("end_time", "2025-01-03T03:04:05+0000".into())));
        assert!(request.query.contains(&("offset", "99".into())));
    }
}
