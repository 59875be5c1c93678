//! The services, one file for each: what is fixed of it, how it is asked, and how its answers are read. The files have the same functions, so who knows one
//! knows all.

mod dcs;
mod dds;
mod gaussdb;
mod gaussdbformysql;
mod geminidb;
mod mysql;
mod rds;
mod taurusdb;

use super::{api::Api, engine::Engine, service::Service};

impl Engine {
    /// The engine's service.
    pub fn service(self) -> &'static dyn Service {
        match self {
            Self::GeminiDB => &geminidb::GeminiDB,
            Self::GaussDBforMySQL => &gaussdbformysql::GaussDBforMySQL,
            Self::TaurusDB => &taurusdb::TaurusDB,
            Self::DCS => &dcs::Dcs,
            Self::RDS => &rds::Rds,
            Self::DDS => &dds::Dds,
            Self::GaussDB => &gaussdb::GaussDB,
        }
    }

    /// What is fixed of the engine's service.
    pub fn api(self) -> &'static Api {
        self.service().api()
    }

    /// The engine as written in manifests.
    pub fn as_str(self) -> &'static str {
        self.api().name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::{
        api::Lists,
        backup::{ListScope, RemoteState},
    };

    #[test]
    fn no_service_panics_on_any_body() {
        let bodies: [&[u8]; 8] = [
            b"",
            b"null",
            b"[]",
            b"{}",
            b"\xff\xfe",
            br#"{"backups":[1],"total_count":1}"#,
            br#"{"backups":{},"total_count":-1}"#,
            br#"{"backup":[]}"#,
        ];
        for engine in Engine::all() {
            for body in bodies {
                assert!(engine.service().read_created(body).is_err(), "{} took {body:?}", engine.as_str());
                assert!(engine.service().read_page(200, body).is_err(), "{} took {body:?}", engine.as_str());
            }
        }
    }

    #[test]
    fn fields_of_a_wrong_type_are_absent_and_the_page_stays_readable() {
        let body = br#"{"backups":[{"id":"b","name":7,"status":{},"size":{},"begin_time":12,"end_time":[],"type":{},"datastore":"x"}],"total_count":"1",
            "backup_record_response":[{"backup_id":"b","remark":{},"status":[],"size":"","created_at":{},"error_code":{},"backup_type":3}],"total_num":"1"}"#;
        for engine in Engine::all() {
            let page = engine.service().read_page(200, body).unwrap();
            let backup = &page.records[0];
            assert_eq!((page.total, backup.id.as_str(), backup.mark.as_str()), (1, "b", ""), "{}", engine.as_str());
            assert_eq!((backup.state, backup.start_time, backup.size), (RemoteState::Running, None, None), "{}", engine.as_str());
        }
    }

    #[test]
    fn a_record_without_an_instance_belongs_to_the_one_that_was_asked_for() {
        let body = br#"{"backup_record_response":[{"backup_id":"a"},{"backup_id":"b","instance_id":"other"}],"total_num":2}"#;
        let scope = ListScope::Instance { instance_id: "i-1".into(), automatic: false };
        let page = Engine::DCS.service().read_page(200, body).unwrap().asked_for(&scope);
        let instances: Vec<&str> = page.records.iter().map(|record| record.instance_id.as_str()).collect();
        assert_eq!(instances, ["i-1", "other"]);
    }

    #[test]
    fn a_single_backup_can_be_asked_for_where_the_service_says_so_whatever_its_type() {
        let scope = ListScope::Backup { instance_id: "i-1".into(), backup_id: "b-1".into() };
        for engine in Engine::all().filter(|engine| engine.api().finds_by_id) {
            let query = engine.service().list("p", &scope, 0).query;
            assert!(query.contains(&("backup_id", "b-1".into())), "{}", engine.as_str());
            assert!(!query.iter().any(|(name, _)| name.contains("type")), "an automatic backup can be asked for, too: {query:?}");
        }
    }

    #[test]
    fn a_project_is_listed_without_automatic_backups_unless_they_are_wanted() {
        for engine in Engine::all().filter(|engine| engine.api().lists == Lists::Project) {
            let has_type = |automatic| {
                let query = engine.service().list("p", &ListScope::Project { window: None, automatic }, 0).query;
                query.iter().any(|(name, _)| *name == "backup_type")
            };
            assert_eq!((has_type(false), has_type(true)), (true, false), "{}", engine.as_str());
        }
    }

    #[test]
    fn an_engine_is_written_as_its_service_is_named_and_no_two_share_a_label() {
        let mut labels = std::collections::HashSet::from([crate::cloud::iam::API.label]);
        for engine in Engine::all() {
            let written = serde_json::to_value(engine).expect("a word");
            assert_eq!(written, engine.api().name);
            assert!(labels.insert(engine.api().label), "{written}");
        }
    }
}
