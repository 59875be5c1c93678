//! GaussDB with its openGauss kernel, v3 (the vendor's SDK `huaweicloudsdkgaussdbforopengauss`, and the Open Telekom Cloud reference).

use crate::cloud::{
    api::{Api, JSON_UTF8, Lists, as_it_is},
    backup::{CreatedBackup, ListScope, NewBackup},
    parse::{query_time, unit},
    request::{Operation, Request},
    service::{Page, Query, Service, Unreadable, created_backup, database_page, database_state, list_request, order},
};
use http::Method;

/// The service.
pub struct GaussDB;

/// What is fixed of it.
static API: Api = Api {
    label: "gaussdb",
    name: "GaussDB",
    content_type: JSON_UTF8,
    codes: codes::CODES,
    spelling: as_it_is,
    lists: Lists::Project,
    finds_by_id: true,
    backups_go_with_instance: false,
    page_size: 100,
    calls_per_minute: None,
};

const QUERY: Query = Query { manual: "manual", time: query_time, names_instance: true };

/// Where a project's backups are. Huawei Cloud calls this version deprecated and has a newer one, which Open Telekom Cloud does not document; both clouds
/// serve this one.
fn backups(project_id: &str) -> String {
    format!("/v3/{project_id}/backups")
}

impl Service for GaussDB {
    fn api(&self) -> &'static Api {
        &API
    }

    fn create(&self, project_id: &str, new: &NewBackup) -> Request {
        Request { body: Some(order(new)), ..Request::new(&API, Operation::Create, Method::POST, backups(project_id)) }
    }

    fn read_created(&self, body: &[u8]) -> Result<CreatedBackup, Unreadable> {
        created_backup(body)
    }

    fn list(&self, project_id: &str, scope: &ListScope, offset: usize) -> Request {
        list_request(&API, backups(project_id), &QUERY, scope, offset)
    }

    fn read_page(&self, _status: u16, body: &[u8]) -> Result<Page, Unreadable> {
        database_page(body, unit::MB, database_state)
    }

    fn delete(&self, project_id: &str, _instance_id: &str, backup_id: &str) -> Option<Request> {
        Some(Request::new(&API, Operation::Delete, Method::DELETE, format!("{}/{backup_id}", backups(project_id))))
    }
}

mod codes;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_shows_the_backup_and_its_job() {
        let body = br#"{"backup":{"id":"2f4ddb93b9014b0893d81d2e472f30febr14","name":"dbb-a-1","description":"","begin_time":"2020-06-19T07:26:09+0000",
            "status":"BUILDING","type":"manual","instance_id":"i-1in14"},"job_id":"j-1"}"#;
        let created = GaussDB.read_created(body).unwrap();
        assert_eq!((created.backup_id.as_str(), created.job_id.as_deref()), ("2f4ddb93b9014b0893d81d2e472f30febr14", Some("j-1")));
        assert_eq!(created.start_time, "2020-06-19T07:26:09Z".parse().ok());
    }

    #[test]
    fn sizes_are_megabytes_with_a_fraction() {
        let body = br#"{"total_count":1,"backups":[{"id":"b-1br14","name":"dbb-a-1","description":"","begin_time":"2020-06-19T07:26:09+0000",
            "end_time":"2020-06-19T07:30:09+0000","type":"manual","size":10.5,"status":"COMPLETED","datastore":{"type":"GaussDB","version":"8.0"},
            "instance_id":"i-1in14","instance_name":"n"}]}"#;
        let backup = GaussDB.read_page(200, body).unwrap().records.remove(0);
        assert_eq!((backup.size, backup.engine_version.as_deref()), (Some(11_010_048), Some("GaussDB 8.0")));
    }
}
