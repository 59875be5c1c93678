//! What the two APIs of GaussDB(for MySQL) share: TaurusDB's `/v3` and the older `/mysql/v3` (vendor pages 001, 002, 004).

use crate::cloud::{
    api::Api,
    backup::{ListScope, NewBackup, RemoteState},
    parse::{query_time, unit},
    request::{Operation, Request},
    service::{Page, Query, Unreadable, database_page, database_state, list_request, order},
};
use http::Method;

pub(super) use codes::CODES;

pub(super) const PAGE_SIZE: usize = 100;

const QUERY: Query = Query { manual: "manual", time: query_time, names_instance: false };

pub(super) fn create(api: &'static Api, prefix: &str, project_id: &str, new: &NewBackup) -> Request {
    Request {
        body: Some(order(new)),
        ..Request::new(api, Operation::Create, Method::POST, format!("{prefix}/{project_id}/backups/create"))
    }
}

pub(super) fn list(api: &'static Api, prefix: &str, project_id: &str, scope: &ListScope, offset: usize) -> Request {
    list_request(api, format!("{prefix}/{project_id}/backups"), &QUERY, scope, offset)
}

pub(super) fn read_page(body: &[u8]) -> Result<Page, Unreadable> {
    database_page(body, unit::MB, state)
}

fn state(word: &str) -> RemoteState {
    if word == "AVAILABLE" { RemoteState::Completed } else { database_state(word) }
}

mod codes;
