//! What the two APIs of GaussDB(for MySQL) share: TaurusDB's `/v3` and the older `/mysql/v3` (vendor pages 001, 002, 004).

use crate::cloud::{
    api::Api,
    backup::{ListScope, NewBackup, RemoteBackup, RemoteState},
    parse::{query_time, unit},
    request::{Operation, Request},
    service::{Page, Query, Unreadable, database_record, order, page, query},
};
use http::Method;
use serde_json::{Map, Value};

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
    Request {
        query: query(&QUERY, scope, api.page_size, offset),
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
