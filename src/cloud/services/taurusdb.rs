//! TaurusDB: the present API of GaussDB(for MySQL), `/v3` (vendor pages 002 and 004).

use super::mysql;
use crate::cloud::{
    api::{Api, JSON_UTF8, Lists, as_it_is},
    backup::{CreatedBackup, ListScope, NewBackup},
    request::{Operation, Request},
    service::{Page, Service, Unreadable, created_backup},
};
use http::Method;

/// The service.
pub struct TaurusDB;

/// What is fixed of it.
static API: Api = Api {
    label: "taurusdb",
    name: "TaurusDB",
    content_type: JSON_UTF8,
    codes: mysql::CODES,
    spelling: as_it_is,
    lists: Lists::Project,
    finds_by_id: true,
    backups_go_with_instance: false,
    page_size: mysql::PAGE_SIZE,
    calls_per_minute: None,
};

const PREFIX: &str = "/v3";

impl Service for TaurusDB {
    fn api(&self) -> &'static Api {
        &API
    }

    fn create(&self, project_id: &str, new: &NewBackup) -> Request {
        mysql::create(&API, PREFIX, project_id, new)
    }

    fn read_created(&self, body: &[u8]) -> Result<CreatedBackup, Unreadable> {
        created_backup(body)
    }

    fn list(&self, project_id: &str, scope: &ListScope, offset: usize) -> Request {
        mysql::list(&API, PREFIX, project_id, scope, offset)
    }

    fn read_page(&self, _status: u16, body: &[u8]) -> Result<Page, Unreadable> {
        mysql::read_page(body)
    }

    fn delete(&self, project_id: &str, _instance_id: &str, backup_id: &str) -> Option<Request> {
        Some(Request::new(&API, Operation::Delete, Method::DELETE, format!("{PREFIX}/{project_id}/backups/{backup_id}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::backup::RemoteState;

    #[test]
    fn the_answer_of_the_vendors_page_is_read() {
        let body = br#"{"backup":{"id":"2f4ddb93-b901-4b08-93d8-1d2e472f30fe","name":"backup-1","description":"Manual backup","begin_time":"2020-07-07T01:17:05+0800",
            "status":"BUILDING","type":"manual","instance_id":"07033b125fd94a8a96896f8bcfee6ddain07"},"job_id":"e0fbbfc8-1ac4-4721-b9e9-7dd685c5bdd7"}"#;
        let created = TaurusDB.read_created(body).unwrap();
        assert_eq!(created.backup_id, "2f4ddb93-b901-4b08-93d8-1d2e472f30fe");
        assert_eq!(created.job_id.as_deref(), Some("e0fbbfc8-1ac4-4721-b9e9-7dd685c5bdd7"));
        assert_eq!(created.start_time, "2020-07-06T17:17:05Z".parse().ok());
    }

    #[test]
    fn sizes_are_megabytes_and_available_is_as_good_as_completed() {
        let body = br#"{"total_count":2,"backups":[{"id":"a","name":"n","status":"AVAILABLE","type":"manual","size":1536},
            {"id":"b","status":"COMPLETED","type":"auto","size":"2","datastore":{"version":{}}}]}"#;
        let page = TaurusDB.read_page(200, body).unwrap();
        assert_eq!(page.records[0].size, Some(1_610_612_736));
        assert_eq!(page.records[0].state, RemoteState::Completed);
        assert_eq!(page.records[1].size, Some(2_097_152), "numbers come as strings, too");
    }

    #[test]
    fn a_state_that_nobody_has_heard_of_counts_as_running() {
        let page = TaurusDB.read_page(200, br#"{"total_count":1,"backups":[{"id":"a","status":"SHUFFLING"}]}"#).unwrap();
        assert_eq!(page.records[0].state, RemoteState::Running);
        assert_eq!(page.records[0].cloud_status, "SHUFFLING");
    }
}
