//! GaussDB(for MySQL) through its older API, `/mysql/v3`, which has neither job ids nor a delete (vendor page 001).

use super::mysql;
use crate::cloud::{
    api::{Api, JSON_UTF8, Lists, as_it_is},
    backup::{CreatedBackup, ListScope, NewBackup},
    request::Request,
    service::{Page, Service, Unreadable, created_backup},
};

/// The service.
pub struct GaussDBforMySQL;

/// What is fixed of it.
static API: Api = Api {
    label: "gaussdbformysql",
    name: "GaussDBforMySQL",
    content_type: JSON_UTF8,
    codes: mysql::CODES,
    spelling: as_it_is,
    lists: Lists::Project,
    finds_by_id: true,
    backups_go_with_instance: false,
    page_size: mysql::PAGE_SIZE,
    calls_per_minute: None,
};

const PREFIX: &str = "/mysql/v3";

impl Service for GaussDBforMySQL {
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

    fn delete(&self, _project_id: &str, _instance_id: &str, _backup_id: &str) -> Option<Request> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_of_the_vendors_page_has_no_job_id() {
        let body =
            br#"{ "backup": { "id": "2f4ddb93-b901-4b08-93d8-1d2e472f30fe", "name": "backup-1", "begin_time": "2020-07-07T01:17:05+0800",
            "status": "BUILDING", "type": "manual", "instance_id": "d8e6ca5a624745bcb546a227aa3ae1cfin01", "description": "desc" } }"#;
        let created = GaussDBforMySQL.read_created(body).unwrap();
        assert_eq!((created.backup_id.as_str(), created.job_id), ("2f4ddb93-b901-4b08-93d8-1d2e472f30fe", None));
    }

    #[test]
    fn everything_is_under_the_older_prefix_and_nothing_can_be_deleted() {
        let scope = ListScope::Project { window: None, automatic: false };
        assert_eq!(GaussDBforMySQL.list("p", &scope, 0).path, "/mysql/v3/p/backups");
        assert_eq!(GaussDBforMySQL.delete("p", "i", "b"), None);
    }
}
