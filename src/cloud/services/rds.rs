//! Relational Database Service, v3: MySQL, PostgreSQL, SQL Server and MariaDB (the vendor's SDK `huaweicloudsdkrds`, and the Open Telekom Cloud reference).

use crate::cloud::{
    api::{Api, JSON, Lists, as_it_is},
    backup::{CreatedBackup, ListScope, NewBackup},
    parse::{query_time, unit},
    request::{Operation, Request},
    service::{Page, Query, Service, Unreadable, created_backup, database_page, database_state, list_request, order},
};
use http::Method;

/// The service.
pub struct Rds;

/// What is fixed of it. It lists per instance, and keeps backups that somebody asked for when their instance is deleted.
static API: Api = Api {
    label: "rds",
    name: "RDS",
    content_type: JSON,
    codes: codes::CODES,
    spelling: as_it_is,
    lists: Lists::Instance,
    finds_by_id: true,
    backups_go_with_instance: false,
    page_size: 100,
    // The vendor's page of the API's constraints, api-rds/rds_00_0002.
    calls_per_minute: Some(60),
};

/// Every listing needs its instance, even one of a single backup.
const QUERY: Query = Query { manual: "manual", time: query_time, names_instance: true };

impl Service for Rds {
    fn api(&self) -> &'static Api {
        &API
    }

    fn create(&self, project_id: &str, new: &NewBackup) -> Request {
        Request { body: Some(order(new)), ..Request::new(&API, Operation::Create, Method::POST, format!("/v3/{project_id}/backups")) }
    }

    /// There is no job.
    fn read_created(&self, body: &[u8]) -> Result<CreatedBackup, Unreadable> {
        created_backup(body)
    }

    /// A listing of a project is not asked for: see `API`. The service refuses it.
    fn list(&self, project_id: &str, scope: &ListScope, offset: usize) -> Request {
        list_request(&API, format!("/v3/{project_id}/backups"), &QUERY, scope, offset)
    }

    fn read_page(&self, _status: u16, body: &[u8]) -> Result<Page, Unreadable> {
        database_page(body, unit::KB, database_state)
    }

    fn delete(&self, project_id: &str, _instance_id: &str, backup_id: &str) -> Option<Request> {
        Some(Request::new(&API, Operation::Delete, Method::DELETE, format!("/v3/{project_id}/backups/{backup_id}")))
    }
}

mod codes;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::backup::RemoteState;
    use serde_json::json;

    #[test]
    fn the_instance_is_named_in_the_body_and_the_answer_has_no_job() {
        let new = NewBackup { instance_id: "i-1in01".into(), mark: "dbb-a-1".into(), description: "d".into(), backup_format: None };
        let request = Rds.create("p-1", &new);
        assert_eq!((request.method, request.path.as_str()), (Method::POST, "/v3/p-1/backups"));
        assert_eq!(request.body, Some(json!({ "instance_id": "i-1in01", "name": "dbb-a-1", "description": "d" })));
        let body = br#"{"backup":{"id":"2f4ddb93b9014b0893d81d2e472f30febr01","instance_id":"i-1in01","name":"dbb-a-1","description":"d",
            "databases":[],"begin_time":"2016-09-12T01:17:05","status":"BUILDING","type":"manual"}}"#;
        let created = Rds.read_created(body).unwrap();
        assert_eq!((created.backup_id.as_str(), created.job_id), ("2f4ddb93b9014b0893d81d2e472f30febr01", None));
        assert_eq!(created.start_time, "2016-09-12T01:17:05Z".parse().ok(), "without an offset it is UTC");
    }

    #[test]
    fn a_single_backup_is_asked_for_together_with_its_instance() {
        let scope = ListScope::Backup { instance_id: "i-1in01".into(), backup_id: "b-1br01".into() };
        let query = Rds.list("p", &scope, 0).query;
        assert!(query.contains(&("instance_id", "i-1in01".into())) && query.contains(&("backup_id", "b-1br01".into())), "{query:?}");
    }

    #[test]
    fn sizes_are_kilobytes_and_the_database_is_named_with_its_version() {
        let body = br#"{"total_count":1,"backups":[{"id":"b-1br01","name":"dbb-a-1","type":"manual","size":2803,"status":"COMPLETED","instance_id":"i-1in01",
            "begin_time":"2018-08-06T12:41:14+0000","end_time":"2018-08-06T12:43:14+0000","datastore":{"type":"MySQL","version":"8.0"},"databases":[]}]}"#;
        let backup = Rds.read_page(200, body).unwrap().records.remove(0);
        assert_eq!((backup.size, backup.state), (Some(2_870_272), RemoteState::Completed));
        assert_eq!(backup.completion_time, "2018-08-06T12:43:14Z".parse().ok());
        assert_eq!(backup.engine_version.as_deref(), Some("MySQL 8.0"));
    }
}
