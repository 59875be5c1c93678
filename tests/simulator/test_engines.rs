//! RDS, DDS and `GaussDB`: how each makes, lists and deletes backups.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    DDS, GAUSS, PROJECT, RDS, Stage, line,
    probe::{Answer, Probe},
    simulator::{PROJECTS, backup::Kind},
    stage,
};

const DAY: Duration = Duration::from_secs(86_400);
const PATIENCE: Duration = Duration::from_secs(10);
/// Open Telekom Cloud has the default project, Huawei Cloud has this one.
const HUAWEI: &str = PROJECTS[2].1;

impl Stage {
    /// What each of the three answers to one request; RDS is told the instance in the query, for it lists nothing without.
    async fn all(&self, method: &str, rest: &str) -> [Answer; 3] {
        let mark = if rest.contains('?') { '&' } else { '?' };
        let of_rds = if method == "GET" { format!("{rest}{mark}instance_id={RDS}") } else { rest.to_owned() };
        [
            self.rds.ask(&line(method, &of_rds), None).await,
            self.dds.ask(&line(method, rest), None).await,
            self.gauss.ask(&line(method, rest), None).await,
        ]
    }

    async fn create_all(&self, name: &str) -> [Answer; 3] {
        [self.create_rds(name).await, self.create_dds(name).await, self.create_gauss(name).await]
    }

    /// Ids of a new, finished backup of each.
    async fn made(&self, name: &str) -> [String; 3] {
        self.cloud.set_backup_duration(Duration::ZERO);
        assert!(self.create_all(name).await.iter().all(|made| made.status < 300));
        let backups = self.cloud.backups();
        ["rds", "dds", "gaussdb"].map(|service| backups.iter().rfind(|backup| backup.service.name() == service).unwrap().id.clone())
    }
}

fn errors(answers: &[Answer; 3]) -> [(u16, String); 3] {
    answers.each_ref().map(Answer::error)
}

fn told(errors: [(u16, &str); 3]) -> [(u16, String); 3] {
    errors.map(|(status, code)| (status, code.to_owned()))
}

fn first(answers: &[Answer; 3]) -> [Value; 3] {
    answers.each_ref().map(|answer| answer.json()["backups"][0].clone())
}

fn totals(answers: &[Answer; 3]) -> [u64; 3] {
    answers.each_ref().map(|answer| answer.json()["total_count"].as_u64().unwrap_or_else(|| panic!("{answer:?}")))
}

#[tokio::test]
async fn each_answers_a_create_in_its_own_way() {
    let stage = stage().await;
    let [rds, dds, gauss] = stage.create_all("created").await;
    assert_eq!([rds.status, dds.status, gauss.status], [200, 200, 202]);
    let (rds, dds, gauss) = (rds.json(), dds.json(), gauss.json());
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        (keys(&rds), keys(&dds), keys(&gauss)),
        (vec!["backup".into()], vec!["backup_id".into(), "job_id".into()], vec!["backup".into(), "job_id".into()])
    );
    let begin = rds["backup"]["begin_time"].as_str().unwrap();
    assert!(jiff::civil::DateTime::strptime("%Y-%m-%dT%H:%M:%S", begin).is_ok(), "no offset: {begin}");
    let begin = gauss["backup"]["begin_time"].as_str().unwrap();
    assert!(Timestamp::strptime("%Y-%m-%dT%H:%M:%S%z", begin).is_ok(), "an offset: {begin}");
    for (id, end) in [(&rds["backup"]["id"], "br01"), (&dds["backup_id"], "br02"), (&gauss["backup"]["id"], "br14")] {
        assert!(id.as_str().is_some_and(|id| id.len() == 36 && id.ends_with(end)), "{id}");
    }
    for backup in [&rds["backup"], &gauss["backup"]] {
        assert_eq!([&backup["status"], &backup["type"], &backup["description"]], ["BUILDING", "manual", "made by a test"]);
    }
}

#[tokio::test]
async fn creates_are_refused_while_an_instance_is_busy() {
    let stage = stage().await;
    for id in [RDS, DDS, GAUSS] {
        stage.cloud.set_instance_busy(id, true);
    }
    let busy = told([(409, "DBS.200019"), (403, "DBS.200019"), (409, "DBS.200019")]);
    assert_eq!(errors(&stage.create_all("busy").await), busy);
    for id in [RDS, DDS, GAUSS] {
        stage.cloud.set_instance_busy(id, false);
    }
    stage.cloud.hold_backups(true);
    stage.create_all("first").await;
    let backing_up = told([(409, "DBS.201205"), (403, "DBS.200019"), (409, "DBS.201205")]);
    assert_eq!(errors(&stage.create_all("second").await), backing_up);
    stage.cloud.complete_all();
    assert!(stage.create_all("second").await.iter().all(|made| made.status < 300));
}

#[tokio::test]
async fn names_are_unique_in_a_project() {
    let stage = stage().await;
    stage.made("nightly").await;
    assert_eq!(errors(&stage.create_all("nightly").await), told([(409, "DBS.201201"), (400, "DBS.201201"), (409, "DBS.201201")]));
    stage.cloud.settings(|settings| settings.check_duplicate_names = false);
    stage.made("nightly").await;
    assert_eq!(stage.cloud.backups().len(), 6);
}

#[tokio::test]
async fn a_project_may_have_only_so_many_manual_backups() {
    let stage = stage().await;
    for (engine, id) in [("rds", RDS), ("dds", DDS), ("gaussdb", GAUSS)] {
        stage.cloud.add_automatic_backup(engine, id, "scheduled", DAY);
    }
    stage.cloud.settings(|settings| settings.manual_backups_per_project = Some(1));
    let ids = stage.made("first").await;
    let full = told([(413, "RDS.3003"), (500, "DBS.200165"), (413, "DBS.200046")]);
    assert_eq!(errors(&stage.create_all("second").await), full);
    assert!(ids.iter().all(|id| stage.cloud.lose_backup(id)));
    stage.made("second").await;
}

#[tokio::test]
async fn bad_requests_are_refused_with_the_documented_codes() {
    let stage = stage().await;
    let ask = async |body: Value| {
        let wrapped = json!({ "backup": body }).to_string();
        let body = body.to_string();
        let create = line("POST", "");
        errors(&[
            stage.rds.ask(&create, Some(&body)).await,
            stage.dds.ask(&create, Some(&wrapped)).await,
            stage.gauss.ask(&create, Some(&body)).await,
        ])
    };
    let all = |code: &str| told([(400, code); 3]);
    stage.cloud.any_instance(true);
    assert_eq!(ask(json!({ "name": "good-name" })).await, all("DBS.280001"));
    assert_eq!(ask(json!({ "instance_id": "any" })).await, all("DBS.280001"));
    assert_eq!(ask(json!({ "instance_id": "a/b", "name": "good-name" })).await, all("DBS.280404"));
    assert_eq!(ask(json!({ "instance_id": "any", "name": "good-name", "description": "a<b" })).await, all("DBS.280127"));
    let name = told([(400, "DBS.280277"), (400, "DBS.280277"), (400, "DBS.201210")]);
    for bad in ["abc", "1abc", "a.bc"] {
        assert_eq!(ask(json!({ "instance_id": "any", "name": bad })).await, name, "{bad}");
    }
    let flat = json!({ "instance_id": DDS, "name": "not-wrapped" }).to_string();
    assert_eq!(stage.dds.ask(&line("POST", ""), Some(&flat)).await.error(), (400, "DBS.280001".to_owned()));
    stage.cloud.any_instance(false);
    assert_eq!(ask(json!({ "instance_id": "elsewhere", "name": "good-name" })).await, told([(404, "DBS.200002"); 3]));
    let klingon = stage.rds.clone().header("X-Language", "tlh").ask(&line("GET", "?instance_id=any"), None).await;
    assert_eq!(klingon.error(), (400, "DBS.280001".to_owned()));
    assert_eq!(stage.cloud.backups(), []);
}

#[tokio::test]
async fn rds_does_not_back_up_read_replicas() {
    let stage = stage().await;
    stage.cloud.add_read_replica("replica");
    let body = json!({ "instance_id": "replica", "name": "of-a-replica" }).to_string();
    assert_eq!(stage.rds.ask(&line("POST", ""), Some(&body)).await.error(), (400, "RDS.3999".to_owned()));
    assert_eq!(stage.cloud.backups(), []);
}

#[tokio::test]
async fn rds_lists_one_instance_and_the_others_a_project() {
    let stage = stage().await;
    let [id, ..] = stage.made("listed").await;
    for query in [String::new(), format!("?backup_id={id}"), "?backup_type=manual".to_owned()] {
        assert_eq!(stage.rds.ask(&line("GET", &query), None).await.error(), (400, "DBS.280001".to_owned()), "{query}");
    }
    assert_eq!(totals(&stage.all("GET", "").await), [1, 1, 1]);
    let by_id = stage.rds.ask(&line("GET", &format!("?backup_id={id}&instance_id={RDS}")), None).await.json();
    assert_eq!(by_id["total_count"], 1);
    let elsewhere = stage.rds.ask(&line("GET", &format!("?backup_id={id}&instance_id=another")), None).await.json();
    assert_eq!(elsewhere, json!({ "backups": [], "total_count": 0 }));
    let described = first(&stage.all("GET", "").await).map(|backup| backup.get("description").cloned());
    assert_eq!(described, [None, Some(json!("made by a test")), Some(json!("made by a test"))]);
    for (service, engine, id) in [(&stage.dds, "dds", DDS), (&stage.gauss, "gaussdb", GAUSS)] {
        stage.cloud.add_instance(engine, "another");
        stage.cloud.add_backup(engine, "another", "of-another");
        assert_eq!(service.ask(&line("GET", ""), None).await.json()["total_count"], 2);
        assert_eq!(service.ask(&line("GET", &format!("?instance_id={id}")), None).await.json()["total_count"], 1);
    }
}

#[tokio::test]
async fn sizes_and_times_come_in_each_services_own_units() {
    let stage = stage().await;
    stage.cloud.set_backup_size(1_572_864_000 + 512 * 1024);
    stage.cloud.settings(|settings| settings.utc_offset_hours = 8);
    stage.made("units").await;
    let [rds, dds, gauss] = first(&stage.all("GET", "").await);
    assert_eq!([&rds["size"], &dds["size"], &gauss["size"]], [&json!(1_536_512), &json!(1_536_512), &json!(1500.5)]);
    let created = stage.cloud.backups()[1].created;
    assert_eq!(dds["begin_time"], created.strftime("%Y-%m-%d %H:%M:%S").to_string(), "UTC whatever the offset is");
    for backup in [&rds, &gauss] {
        let text = backup["end_time"].as_str().unwrap();
        assert!(text.ends_with("+0800") && Timestamp::strptime("%Y-%m-%dT%H:%M:%S%z", text).is_ok(), "{text}");
    }
    let databases = [&rds, &dds, &gauss].map(|backup| backup["datastore"]["type"].clone());
    assert_eq!(databases, ["MySQL", "DDS-Community", "GaussDB"]);
}

#[tokio::test]
async fn windows_want_both_ends_and_pages_have_at_most_a_hundred() {
    let stage = stage().await;
    stage.made("within").await;
    let ask = async |query: &str| stage.all("GET", query).await.map(|answer| (answer.status, answer.json()["total_count"].as_u64()));
    let (found, nothing, refused) = ((200, Some(1)), (200, Some(0)), (400, None));
    let offset = "?begin_time=2020-01-01T00:00:00%2B0800&end_time=2099-01-01T00:00:00%2B0000";
    let blank = "?begin_time=2020-01-01%2000:00:00&end_time=2099-01-01%2000:00:00";
    assert_eq!(ask(offset).await, [found, refused, found]);
    assert_eq!(ask(blank).await, [refused, found, refused]);
    assert_eq!(ask(&offset.replace("2099", "2021")).await, [nothing, refused, nothing]);
    assert_eq!(ask(&blank.replace("2099", "2021")).await, [refused, nothing, refused]);
    for (query, beginning) in [(offset, "%2B0800&end"), (blank, "&end")] {
        assert_eq!(ask(query.split(beginning).next().unwrap()).await, [refused; 3], "{query}");
    }
    assert_eq!(
        ask("?begin_time=2020-01-01T00:00:00%2B0000&end_time=2020-01-01T00:00:00%2B0000").await,
        [refused; 3],
        "an end that is not later"
    );
    let limits = errors(&stage.all("GET", "?limit=101").await);
    assert_eq!(limits, told([(400, "DBS.280001"), (400, "DBS.280439"), (400, "DBS.280439")]));
    assert_eq!(ask("?limit=100&offset=1").await, [(200, Some(1)); 3]);
    assert_eq!(ask("?offset=-1").await, [refused; 3]);
}

#[tokio::test]
async fn backups_of_all_kinds_are_told_apart() {
    let stage = stage().await;
    let put = |engine: &str, id: &str, kind: Kind| stage.cloud.add_backup_of_kind(engine, id, kind.word(), kind, DAY);
    for kind in [Kind::Manual, Kind::Auto, Kind::Fragment, Kind::Incremental] {
        put("rds", RDS, kind);
        let of_kind = stage.rds.ask(&line("GET", &format!("?instance_id={RDS}&backup_type={}", kind.word())), None).await.json();
        assert_eq!((&of_kind["total_count"], &of_kind["backups"][0]["type"]), (&json!(1), &json!(kind.word())));
    }
    assert_eq!(stage.rds.ask(&line("GET", &format!("?instance_id={RDS}")), None).await.json()["total_count"], 4);
    put("gaussdb", GAUSS, Kind::Manual);
    put("gaussdb", GAUSS, Kind::Auto);
    let automatic = stage.gauss.ask(&line("GET", "?backup_type=auto"), None).await.json();
    assert_eq!((&automatic["total_count"], &automatic["backups"][0]["description"]), (&json!(1), &Value::Null));
    assert_eq!(stage.gauss.ask(&line("GET", "?backup_type=incremental"), None).await.error(), (400, "DBS.280001".to_owned()));
}

#[tokio::test]
async fn dds_shows_incremental_backups_only_of_an_instance_and_writes_kinds_in_two_cases() {
    let stage = stage().await;
    let ids = [Kind::Manual, Kind::Auto, Kind::Incremental].map(|kind| stage.cloud.add_backup_of_kind("dds", DDS, kind.word(), kind, DAY));
    let ask = async |query: &str| stage.dds.ask(&line("GET", query), None).await;
    assert_eq!(ask("").await.json()["total_count"], 2);
    assert_eq!(ask(&format!("?instance_id={DDS}")).await.json()["total_count"], 2, "whole instances, unless another type is asked for");
    assert_eq!(ask("?backup_type=Incremental").await.error(), (400, "DBS.280001".to_owned()));
    assert_eq!(ask(&format!("?backup_type=Incremental&instance_id={DDS}")).await.json()["total_count"], 1);
    assert_eq!(ask(&format!("?backup_id={}", ids[2])).await.json()["total_count"], 0);
    assert_eq!(ask(&format!("?backup_id={}&instance_id={DDS}", ids[2])).await.json()["backups"][0]["type"], "incremental");
    assert_eq!(ask(&format!("?backup_id={}", ids[1])).await.json()["backups"][0]["type"], "auto");
    assert_eq!(ask("?backup_type=manual").await.error(), (400, "DBS.280001".to_owned()), "case counts in questions");
    let page = ask("").await.json();
    let words = [0, 1].map(|place| page["backups"][place]["type"].as_str().unwrap().to_owned());
    assert!([["auto", "Manual"], ["manual", "Auto"]].contains(&[words[0].as_str(), words[1].as_str()]), "{words:?}");
}

#[tokio::test]
async fn a_delete_takes_a_while_and_each_says_so_in_its_own_way() {
    let stage = stage().await;
    stage.cloud.hold_backups(true);
    stage.create_all("doomed").await;
    let ids: [String; 3] = stage.cloud.backups().iter().map(|backup| backup.id.clone()).collect::<Vec<_>>().try_into().unwrap();
    let delete = async || {
        let rest = ids.each_ref().map(|id| line("DELETE", &format!("/{id}")));
        [stage.rds.ask(&rest[0], None).await, stage.dds.ask(&rest[1], None).await, stage.gauss.ask(&rest[2], None).await]
    };
    assert_eq!(errors(&delete().await), told([(409, "RDS.3004"), (403, "DBS.200019"), (400, "DBS.201208")]), "running ones stay");
    stage.cloud.complete_all();
    stage.cloud.settings(|settings| settings.delete_duration_ms = 3_600_000);
    let [rds, dds, gauss] = delete().await;
    assert_eq!((rds.status, rds.text.as_str()), (200, ""));
    assert_eq!((dds.status, dds.json()["job_id"].as_str().map(str::len)), (200, Some(36)));
    assert_eq!((gauss.status, gauss.json()), (202, json!({})));
    let statuses = first(&stage.all("GET", "").await).map(|backup| backup["status"].clone());
    assert_eq!(statuses, ["DELETING", "DISABLED", "DELETING"]);
    assert_eq!(errors(&delete().await), told([(400, "RDS.3016"), (403, "DBS.200019"), (400, "DBS.201208")]), "once is enough");
    assert!(ids.iter().all(|id| stage.cloud.lose_backup(id)));
    assert_eq!(totals(&stage.all("GET", "").await), [0, 0, 0]);
    assert_eq!(errors(&delete().await), told([(400, "DBS.201203"), (400, "DBS.201214"), (400, "DBS.201203")]), "they are gone");
    let never = errors(&stage.all("DELETE", "/never").await);
    assert_eq!(never, told([(404, "DBS.201010"), (400, "DBS.201204"), (404, "DBS.201010")]));
    let no_id = errors(&stage.all("DELETE", "/a%20b").await);
    assert_eq!(no_id, told([(400, "DBS.280001"), (400, "DBS.280124"), (400, "DBS.280124")]));
}

#[tokio::test]
async fn a_deleted_backup_is_gone_after_the_while_and_an_automatic_one_stays() {
    let stage = stage().await;
    let services = [("rds", RDS, &stage.rds), ("dds", DDS, &stage.dds), ("gaussdb", GAUSS, &stage.gauss)];
    for ((engine, instance, service), code) in services.into_iter().zip(["DBS.280001", "DBS.280001", "DBS.201218"]) {
        let automatic = stage.cloud.add_automatic_backup(engine, instance, "scheduled", DAY);
        let kept = service.ask(&line("DELETE", &format!("/{automatic}")), None).await;
        assert_eq!(kept.error(), (400, code.to_owned()), "{engine}");
        let manual = stage.cloud.add_backup(engine, instance, "by-hand");
        assert!(service.ask(&line("DELETE", &format!("/{manual}")), None).await.status < 300);
        let is_gone = |id: &str| stage.cloud.backups().iter().any(|backup| backup.id == id && backup.deleted);
        assert!(stage.cloud.wait_until(PATIENCE, |_| is_gone(&manual)), "{engine}");
        assert!(!is_gone(&automatic), "{engine}");
    }
}

#[tokio::test]
async fn an_instance_that_is_removed_leaves_its_manual_backups() {
    let stage = stage().await;
    stage.made("by-hand").await;
    for (engine, id) in [("rds", RDS), ("dds", DDS), ("gaussdb", GAUSS)] {
        stage.cloud.add_automatic_backup(engine, id, "scheduled", DAY);
        stage.cloud.remove_instance(id);
    }
    let left = stage.all("GET", "").await;
    assert_eq!(totals(&left), [1, 1, 1]);
    assert!(first(&left).iter().all(|backup| backup["name"] == "by-hand"));
    assert_eq!(errors(&stage.create_all("too-late").await), told([(404, "DBS.200002"); 3]));
    stage.cloud.settings(|settings| settings.rds_lists_gone_instances = false);
    let [rds, dds, gauss] = stage.all("GET", "").await;
    assert_eq!((rds.error(), dds.status, gauss.status), ((404, "DBS.200002".to_owned()), 200, 200));
    stage.cloud.add_instance("rds", RDS);
    assert_eq!(stage.all("GET", "").await[0].json()["total_count"], 1, "the backups were there all the time");
}

#[tokio::test]
async fn jobs_and_instances_can_be_asked_for() {
    let stage = stage().await;
    stage.cloud.set_backup_duration(Duration::ZERO);
    stage.cloud.fail_next_backups(1, Some("dds"));
    let [rds, dds, gauss] = stage.create_all("with-a-job").await;
    let ask = async |probe: &Probe, rest: &str| probe.ask(&format!("GET /v3/{PROJECT}/{rest}"), None).await;
    let job = |made: &Answer| format!("jobs?id={}", made.json()["job_id"].as_str().unwrap_or("none"));
    assert_eq!(ask(&stage.rds, &job(&rds)).await.error(), (400, "DBS.200543".to_owned()));
    let failed = ask(&stage.dds, &job(&dds)).await.json()["job"].clone();
    assert_eq!((&failed["status"], failed["fail_reason"].is_string()), (&json!("Failed"), true));
    let done = ask(&stage.gauss, &job(&gauss)).await.json()["job"].clone();
    assert_eq!((&done["status"], &done["fail_reason"], &done["progress"]), (&json!("Completed"), &Value::Null, &json!("")));
    assert_eq!(ask(&stage.gauss, "jobs?id=unknown").await.error(), (400, "DBS.200543".to_owned()));
    for (probe, id, status) in [(&stage.rds, RDS, "ACTIVE"), (&stage.dds, DDS, "normal"), (&stage.gauss, GAUSS, "ACTIVE")] {
        let shown = ask(probe, "instances").await.json();
        assert_eq!((&shown["total_count"], &shown["instances"][0]["id"]), (&json!(1), &json!(id)));
        assert_eq!(shown["instances"][0]["status"], status);
        assert_eq!(ask(probe, "instances?id=other").await.json()["total_count"], 0);
    }
}

#[tokio::test]
async fn at_huawei_cloud_gaussdb_answers_otherwise_and_dds_can_be_asked_for_names() {
    let stage = stage().await;
    stage.cloud.set_backup_duration(Duration::ZERO);
    stage.cloud.add_token_in(HUAWEI, "a-token-there");
    let urls = stage.cloud.endpoints();
    let there = |method: &str, version: &str, rest: &str| format!("{method} /{version}/{HUAWEI}/backups{rest}");
    for (engine, id) in [("gaussdb", GAUSS), ("dds", DDS)] {
        stage.cloud.add_instance_in(HUAWEI, engine, id);
    }
    let gauss = Probe::new(&urls.gaussdb).token("a-token-there");
    let body = json!({ "instance_id": GAUSS, "name": "there" }).to_string();
    let made = gauss.ask(&there("POST", "v3", ""), Some(&body)).await;
    assert_eq!(made.status, 200);
    let id = made.json()["backup"]["id"].as_str().unwrap().to_owned();
    for version in ["v3", "v3.1", "v3.2"] {
        assert_eq!(gauss.ask(&there("GET", version, ""), None).await.json()["total_count"], 1, "{version}");
    }
    let gone = gauss.ask(&there("DELETE", "v3", &format!("/{id}")), None).await;
    assert_eq!((gone.status, gone.json()), (200, json!({ "backup_id": id, "backup_name": "there" })));
    let newer = stage.gauss.ask(&line("GET", "").replace("/v3/", "/v3.2/"), None).await;
    assert_eq!(newer.error(), (404, "APIGW.0101".to_owned()), "Open Telekom Cloud has /v3 alone");

    let dds = Probe::new(&urls.dds).token("a-token-there");
    stage.cloud.add_backup("dds", DDS, "nightly-1");
    for (query, total) in [("?backup_name=ight", 1), ("?backup_name=daily", 0), ("?backup_status=FAILED", 0), ("?mode=Sharding", 0)] {
        assert_eq!(dds.ask(&there("GET", "v3", query), None).await.json()["total_count"], total, "{query}");
    }
    stage.cloud.add_instance("dds", DDS);
    stage.cloud.add_backup("dds", DDS, "nightly-1");
    let here = stage.dds.ask(&line("GET", "?backup_name=daily"), None).await.json();
    assert_eq!(here["total_count"], 1, "Open Telekom Cloud does not know the filter");
}

#[tokio::test]
async fn each_has_its_own_way_to_keep_somebody_out() {
    let stage = stage().await;
    let urls = stage.cloud.endpoints();
    let ask = async |token: &str| {
        let probe = |url: &str| Probe::new(url).token(token);
        let list = line("GET", &format!("?instance_id={RDS}"));
        errors(&[
            probe(&urls.rds).ask(&list, None).await,
            probe(&urls.dds).ask(&list, None).await,
            probe(&urls.gaussdb).ask(&list, None).await,
        ])
    };
    assert_eq!(ask("nobody").await, told([(403, "DBS.280056"), (401, "DBS.280056"), (403, "DBS.280056")]));
    stage.cloud.add_token_in(HUAWEI, "of-another-project");
    assert_eq!(ask("of-another-project").await, told([(403, "DBS.200010"), (400, "DBS.200010"), (403, "DBS.200010")]));
    for service in ["rds", "dds", "gaussdb"] {
        stage.cloud.deny(service, true);
    }
    assert_eq!(errors(&stage.all("GET", "").await), told([(403, "DBS.280015"), (403, "DBS.280032"), (403, "DBS.280015")]));
}
