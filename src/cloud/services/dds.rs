//! Document Database Service, v3, compatible with MongoDB (the vendor's SDK `huaweicloudsdkdds`, and the Open Telekom Cloud reference).

use crate::cloud::{
    api::{Api, JSON, Lists, as_it_is},
    backup::{CreatedBackup, ListScope, NewBackup, RemoteState},
    parse::{spaced_query_time, unit},
    request::{Operation, Request},
    service::{Page, Query, Service, Unreadable, created_ids, database_page, database_state, list_request, order},
};
use http::Method;
use serde_json::json;

/// The service.
pub struct Dds;

/// What is fixed of it.
static API: Api = Api {
    label: "dds",
    name: "DDS",
    content_type: JSON,
    codes: codes::CODES,
    spelling: as_it_is,
    lists: Lists::Project,
    finds_by_id: true,
    backups_go_with_instance: false,
    page_size: 100,
    calls_per_minute: None,
};

/// An incremental backup is found by its id only together with its instance.
const QUERY: Query = Query { manual: "Manual", time: spaced_query_time, names_instance: true };

impl Service for Dds {
    fn api(&self) -> &'static Api {
        &API
    }

    /// The only service that wants its body wrapped.
    fn create(&self, project_id: &str, new: &NewBackup) -> Request {
        Request {
            body: Some(json!({ "backup": order(new) })),
            ..Request::new(&API, Operation::Create, Method::POST, format!("/v3/{project_id}/backups"))
        }
    }

    fn read_created(&self, body: &[u8]) -> Result<CreatedBackup, Unreadable> {
        created_ids(body)
    }

    fn list(&self, project_id: &str, scope: &ListScope, offset: usize) -> Request {
        list_request(&API, format!("/v3/{project_id}/backups"), &QUERY, scope, offset)
    }

    fn read_page(&self, _status: u16, body: &[u8]) -> Result<Page, Unreadable> {
        database_page(body, unit::KB, state)
    }

    fn delete(&self, project_id: &str, _instance_id: &str, backup_id: &str) -> Option<Request> {
        Some(Request::new(&API, Operation::Delete, Method::DELETE, format!("/v3/{project_id}/backups/{backup_id}")))
    }
}

fn state(word: &str) -> RemoteState {
    // The list of a project says so of a backup that is being deleted, where another list says DELETING.
    if word == "DISABLED" { RemoteState::Deleting } else { database_state(word) }
}

mod codes;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::backup::Window;

    #[test]
    fn the_body_is_wrapped_and_the_answer_is_flat() {
        let new = NewBackup { instance_id: "i-1in02".into(), mark: "dbb-a-1".into(), description: "d".into(), backup_format: None };
        let request = Dds.create("p-1", &new);
        assert_eq!((request.method, request.path.as_str()), (Method::POST, "/v3/p-1/backups"));
        assert_eq!(request.body, Some(json!({ "backup": { "instance_id": "i-1in02", "name": "dbb-a-1", "description": "d" } })));
        let created = Dds.read_created(br#"{"backup_id":"b-1br02","job_id":"j-1"}"#).unwrap();
        assert_eq!((created.backup_id.as_str(), created.job_id.as_deref()), ("b-1br02", Some("j-1")));
    }

    #[test]
    fn times_have_a_space_in_questions_and_answers() {
        let window = Window { begin: "2025-01-02T03:04:05Z".parse().unwrap(), end: "2025-01-03T03:04:05Z".parse().unwrap() };
        let query = Dds.list("p", &ListScope::Project { window: Some(window), automatic: false }, 0).query;
        assert!(query.contains(&("begin_time", "2025-01-02 03:04:05".into())), "{query:?}");
        assert!(query.contains(&("end_time", "2025-01-03 03:04:05".into())), "{query:?}");
        let body = br#"{"total_count":1,"backups":[{"id":"b-1br02","name":"dbb-a-1","instance_id":"i-1in02","instance_name":"n","type":"Manual","status":"COMPLETED",
            "datastore":{"type":"DDS-Community","version":"4.0"},"begin_time":"2018-08-06 12:41:14","end_time":"2018-08-06 12:43:14","size":108156,"description":""}]}"#;
        let backup = Dds.read_page(200, body).unwrap().records.remove(0);
        assert_eq!(backup.start_time, "2018-08-06T12:41:14Z".parse().ok());
        assert_eq!((backup.size, backup.engine_version.as_deref()), (Some(110_751_744), Some("DDS-Community 4.0")));
    }

    #[test]
    fn a_backup_that_is_being_deleted_is_disabled() {
        let page = Dds.read_page(200, br#"{"total_count":1,"backups":[{"id":"b","status":"DISABLED"}]}"#).unwrap();
        assert_eq!(page.records[0].state, RemoteState::Deleting);
    }
}
