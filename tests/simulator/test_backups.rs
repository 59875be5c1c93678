//! Backups: how each service makes, lists and deletes them.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    GEMINI, PROJECT, REDIS, Stage, TAURUS, dcs_line, gemini_create, gemini_list, simulator::settings::ListOrder, stage, taurus_list,
};

const PATIENCE: Duration = Duration::from_secs(10);

async fn names(stage: &Stage, query: &str) -> Vec<String> {
    let page = stage.gemini.ask(&gemini_list(query), None).await.json();
    page["backups"].as_array().unwrap().iter().map(|backup| backup["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_instance_takes_one_backup_at_a_time() {
    let stage = stage().await;
    stage.cloud.hold_backups(true);
    assert_eq!(stage.create_gemini("first").await.status, 202);
    assert_eq!(stage.create_taurus("first").await.status, 201);
    assert_eq!(stage.create_dcs("first").await.status, 200);
    assert_eq!(stage.create_gemini("second").await.error(), (403, "DBS.200019".to_owned()));
    assert_eq!(stage.create_taurus("second").await.error(), (409, "DBS.201205".to_owned()));
    assert_eq!(stage.create_dcs("second").await.error(), (400, "DCS.4096".to_owned()));
    stage.cloud.complete_all();
    assert_eq!(stage.create_gemini("second").await.status, 202);
    assert_eq!(stage.create_taurus("second").await.status, 201);
    assert_eq!(stage.create_dcs("second").await.status, 200);
    assert_eq!(stage.cloud.backups().len(), 6);
}

#[tokio::test]
async fn an_instance_can_be_busy_with_something_else() {
    let stage = stage().await;
    for id in [GEMINI, TAURUS, REDIS] {
        stage.cloud.set_instance_busy(id, true);
    }
    assert_eq!(stage.create_gemini("busy").await.error(), (403, "DBS.200019".to_owned()));
    assert_eq!(stage.create_taurus("busy").await.error(), (409, "DBS.200019".to_owned()));
    assert_eq!(stage.create_dcs("busy").await.error(), (400, "DCS.4026".to_owned()));
    assert!(stage.cloud.backups().is_empty());
}

#[tokio::test]
async fn a_name_that_exists_is_refused_where_that_is_checked() {
    let stage = stage().await;
    stage.cloud.set_backup_duration(Duration::ZERO);
    assert_eq!(stage.create_gemini("nightly").await.status, 202);
    assert_eq!(stage.create_taurus("nightly").await.status, 201);
    assert_eq!(stage.create_gemini("nightly").await.error(), (400, "DBS.201201".to_owned()));
    assert_eq!(stage.create_taurus("nightly").await.error(), (409, "DBS.201209".to_owned()));
    assert_eq!(stage.create_taurus("Nightly").await.status, 201, "case counts");
    stage.cloud.settings(|settings| settings.check_duplicate_names = false);
    assert_eq!(stage.create_gemini("nightly").await.status, 202);
    assert_eq!(stage.create_taurus("nightly").await.status, 201);
    assert_eq!(stage.create_dcs("same").await.status, 200);
    assert_eq!(stage.create_dcs("same").await.status, 200, "any number of DCS backups may share a remark");
}

#[tokio::test]
async fn bad_requests_are_refused_with_the_documented_codes() {
    let stage = stage().await;
    let gemini = async |body: &str| stage.gemini.ask(&gemini_create(), Some(body)).await.error();
    let taurus_line = format!("POST /v3/{PROJECT}/backups/create");
    let taurus = async |body: &str| stage.taurus.ask(&taurus_line, Some(body)).await.error();
    let dcs_create = dcs_line("POST", "");
    let dcs = async |body: &str| stage.dcs.ask(&dcs_create, Some(body)).await.error();
    let told = |code: &str| (400, code.to_owned());

    assert_eq!(gemini("{").await, told("DBS.280001"));
    assert_eq!(gemini(r#"{"name":"good-name"}"#).await, told("DBS.280001"), "GeminiDB wants a description");
    for name in ["abc", "1abc", " abc", "a.bc", "äbcd", &"a".repeat(65)] {
        assert_eq!(gemini(&json!({ "name": name, "description": "d" }).to_string()).await, told("DBS.280277"), "{name}");
        assert_eq!(taurus(&json!({ "name": name, "instance_id": TAURUS }).to_string()).await, told("DBS.280277"), "{name}");
    }
    for text in ["a>b", "a!b", "a<b", "a\"b", "a&b", "a'b", "a=b", "a\nb", &"x".repeat(257)] {
        assert_eq!(gemini(&json!({ "name": "good", "description": text }).to_string()).await, told("DBS.280127"), "{text}");
        assert_eq!(taurus(&json!({ "name": "good", "instance_id": TAURUS, "description": text }).to_string()).await, told("DBS.280127"));
    }
    assert_eq!(taurus(r#"{"name":"good-name"}"#).await, told("DBS.280001"));
    assert_eq!(taurus(r#"{"name":"good-name","instance_id":"a/b"}"#).await, told("DBS.280404"));
    assert_eq!(taurus(r#"{"name":"good-name","instance_id":"elsewhere"}"#).await, (404, "DBS.200002".to_owned()));
    assert_eq!(dcs("").await, told("DCS.4004"));
    assert_eq!(dcs("[]").await, told("DCS.4004"));
    assert_eq!(dcs(&json!({ "remark": "x".repeat(129) }).to_string()).await, told("DCS.4098"));
    assert_eq!(dcs(r#"{"backup_format":"RDB"}"#).await, told("DCS.4062"));
    let plain = stage.dcs.clone().header("Content-Type", "text/plain").ask(&dcs_create, Some("{}")).await;
    assert_eq!(plain.error(), told("DCS.4004"));
    assert_eq!(plain.json()["error_ext_msg"], Value::Null);
    assert_eq!(stage.cloud.backups(), []);
    assert_eq!(dcs("{}").await.0, 200);
}

#[tokio::test]
async fn an_instance_must_exist_in_the_project_and_in_the_service() {
    let stage = stage().await;
    stage.cloud.add_instance_in("eu-nl", "geminidb", GEMINI);
    assert_eq!(stage.create_gemini("elsewhere").await.error(), (404, "DBS.200002".to_owned()));
    let wrong = format!("POST /v2/{PROJECT}/instances/{TAURUS}/backups");
    assert_eq!(stage.dcs.ask(&wrong, Some("{}")).await.error(), (404, "DCS.3022".to_owned()));
    stage.cloud.any_instance(true);
    assert_eq!(stage.create_gemini("anywhere").await.status, 202);
    stage.cloud.add_single_node_dcs("single");
    let single = format!("POST /v2/{PROJECT}/instances/single/backups");
    assert_eq!(stage.dcs.ask(&single, Some("{}")).await.error(), (400, "DCS.4086".to_owned()));
}

#[tokio::test]
async fn lists_are_paged_by_record_and_newest_first() {
    let stage = stage().await;
    stage.cloud.set_backup_duration(Duration::ZERO);
    for number in 0..12 {
        stage.create_gemini(&format!("backup-{number}")).await;
        stage.create_dcs(&format!("backup-{number}")).await;
    }
    assert_eq!(names(&stage, "?limit=3").await, ["backup-11", "backup-10", "backup-9"]);
    assert_eq!(names(&stage, "?limit=3&offset=2").await, ["backup-9", "backup-8", "backup-7"]);
    assert_eq!(names(&stage, "?limit=3&offset=11").await, ["backup-0"]);
    assert_eq!(names(&stage, "").await.len(), 12);
    let page = stage.dcs.ask(&dcs_line("GET", ""), None).await.json();
    assert_eq!(page["total_num"], 12);
    assert_eq!(page["backup_record_response"].as_array().unwrap().len(), 10, "DCS answers ten unless asked for more");
    stage.cloud.set_list_order(ListOrder::Oldest);
    assert_eq!(names(&stage, "?limit=2").await, ["backup-0", "backup-1"]);
    stage.cloud.set_list_order(ListOrder::Shuffled);
    assert_eq!(names(&stage, "").await.len(), 12);
    for query in ["?limit=0", "?limit=101", "?limit=x", "?offset=-1"] {
        assert_eq!(stage.gemini.ask(&gemini_list(query), None).await.status, 400, "{query}");
        assert_eq!(stage.taurus.ask(&taurus_list(query), None).await.status, 400, "{query}");
    }
    assert_eq!(stage.dcs.ask(&dcs_line("GET", "?limit=1001"), None).await.error(), (400, "DCS.4062".to_owned()));
}

#[tokio::test]
async fn windows_of_time_want_both_ends_in_the_documented_form() {
    let stage = stage().await;
    stage.create_taurus("nightly").await;
    stage.create_dcs("nightly").await;
    let taurus = async |query: &str| stage.taurus.ask(&taurus_list(query), None).await;
    let dcs_status = async |query: &str| stage.dcs.ask(&dcs_line("GET", query), None).await.status;
    let good = "?begin_time=2020-01-01T00:00:00%2B0800&end_time=2099-01-01T00:00:00%2B0000";
    assert_eq!(taurus(good).await.json()["total_count"], 1);
    assert_eq!(taurus("?begin_time=2020-01-01T00:00:00%2B0800").await.status, 400);
    assert_eq!(taurus(&good.replace("%2B", "+")).await.status, 400, "a plus that is not escaped is a blank");
    assert_eq!(taurus(&good.replace("%2B0800", "Z")).await.status, 400);
    assert_eq!(taurus("?begin_time=2020-01-01T00:00:00%2B0000&end_time=2020-01-02T00:00:00%2B0000").await.json()["total_count"], 0);
    assert_eq!(dcs_status("?begin_time=20200101000000&end_time=20990101000000").await, 200);
    assert_eq!(dcs_status("?begin_time=20200101000000&end_time=20200102000000").await, 204);
    assert_eq!(dcs_status("?begin_time=20200101000000").await, 400);
    assert_eq!(dcs_status("?begin_time=2020-01-01T00:00:00Z&end_time=20990101000000").await, 400);
}

#[tokio::test]
async fn dcs_answers_204_without_a_body_when_there_is_nothing() {
    let stage = stage().await;
    let nothing = stage.dcs.ask(&dcs_line("GET", "?limit=1000"), None).await;
    assert_eq!((nothing.status, nothing.text.as_str()), (204, ""));
    stage.create_dcs("something").await;
    assert_eq!(stage.dcs.ask(&dcs_line("GET", "?limit=1000"), None).await.status, 200);
    let unknown = format!("GET /v2/{PROJECT}/instances/unknown/backups");
    assert_eq!(stage.dcs.ask(&unknown, None).await.error(), (404, "DCS.3022".to_owned()));
}

#[tokio::test]
async fn dcs_keeps_24_backups_and_drops_the_oldest() {
    let stage = stage().await;
    stage.cloud.set_backup_duration(Duration::ZERO);
    for number in 0..25 {
        assert_eq!(stage.create_dcs(&format!("backup-{number}")).await.status, 200);
    }
    let page = stage.dcs.ask(&dcs_line("GET", "?limit=1000"), None).await.json();
    assert_eq!(page["total_num"], 24);
    let remarks: Vec<&Value> = page["backup_record_response"].as_array().unwrap().iter().map(|record| &record["remark"]).collect();
    assert!(!remarks.contains(&&json!("backup-0")));
    assert!(remarks.contains(&&json!("backup-1")));
    assert_eq!(stage.cloud.backups().iter().filter(|backup| backup.deleted).count(), 1);
}

#[tokio::test]
async fn a_new_backup_stays_out_of_lists_for_the_lag() {
    let stage = stage().await;
    stage.cloud.set_list_lag(Duration::from_millis(600));
    let id = stage.create_gemini("lagging").await.json()["backup_id"].as_str().unwrap().to_owned();
    assert_eq!(names(&stage, "").await.len(), 0);
    assert_eq!(names(&stage, &format!("?backup_id={id}")).await.len(), 0);
    assert_eq!(stage.cloud.backups().len(), 1);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(names(&stage, "").await, ["lagging"]);
}

#[tokio::test]
async fn sizes_and_times_come_in_each_services_own_units() {
    let stage = stage().await;
    stage.cloud.set_backup_duration(Duration::ZERO);
    stage.cloud.set_backup_size(1_572_864_512);
    stage.create_gemini("units").await;
    stage.create_taurus("units").await;
    stage.create_dcs("units").await;
    let gemini = stage.gemini.ask(&gemini_list(""), None).await.json()["backups"][0].clone();
    let taurus = stage.taurus.ask(&taurus_list(""), None).await.json()["backups"][0].clone();
    let dcs = stage.dcs.ask(&dcs_line("GET", ""), None).await.json()["backup_record_response"][0].clone();
    assert_eq!(gemini["size"], json!(1_536_000.5));
    assert_eq!(taurus["size"], json!(1_572_864_512.0 / 1_048_576.0));
    assert_eq!(dcs["size"], json!(1_572_864_512));
    assert_eq!((&gemini["type"], &taurus["type"], &dcs["backup_type"]), (&json!("Manual"), &json!("manual"), &json!("manual")));
    assert!(gemini["begin_time"].as_str().unwrap().ends_with("+0000"));
    assert!(dcs["created_at"].as_str().unwrap().ends_with('Z'));
    stage.cloud.settings(|settings| settings.utc_offset_hours = 8);
    let moved = stage.taurus.ask(&taurus_list(""), None).await.json()["backups"][0]["begin_time"].as_str().unwrap().to_owned();
    assert!(moved.ends_with("+0800"), "{moved}");
    let moved: jiff::Timestamp = jiff::Timestamp::strptime("%Y-%m-%dT%H:%M:%S%z", &moved).unwrap();
    assert_eq!(moved.as_second(), stage.cloud.backups()[1].created.as_second());
}

#[tokio::test]
async fn backups_can_be_made_to_fail_or_to_hold() {
    let stage = stage().await;
    stage.cloud.set_backup_duration(Duration::ZERO);
    stage.cloud.fail_next_backups(1, Some("dcs"));
    stage.create_gemini("fine").await;
    stage.create_dcs("doomed").await;
    stage.create_dcs("fine").await;
    let word = |number: usize| stage.cloud.backups()[number].status.clone();
    assert_eq!([word(0), word(1), word(2)], ["COMPLETED", "failed", "succeed"]);
    let record = stage.dcs.ask(&dcs_line("GET", ""), None).await.json()["backup_record_response"][1].clone();
    assert_eq!(record["error_code"], "dcs.08.0002");
    stage.cloud.hold_backups(true);
    stage.create_taurus("held").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(word(3), "BUILDING");
    stage.cloud.hold_backups(false);
    assert_eq!(word(3), "COMPLETED");
    let id = stage.cloud.backups()[3].id.clone();
    assert!(stage.cloud.set_backup_status(&id, "AVAILABLE"));
    assert_eq!(stage.taurus.ask(&taurus_list(""), None).await.json()["backups"][0]["status"], "AVAILABLE");
}

#[tokio::test]
async fn each_service_deletes_in_its_own_way() {
    let stage = stage().await;
    stage.cloud.hold_backups(true);
    let gemini = stage.create_gemini("doomed").await.json()["backup_id"].as_str().unwrap().to_owned();
    let taurus = stage.create_taurus("doomed").await.json()["backup"]["id"].as_str().unwrap().to_owned();
    let dcs = stage.create_dcs("doomed").await.json()["backup_id"].as_str().unwrap().to_owned();
    let at_gemini = async || stage.gemini.ask(&format!("DELETE /v3/{PROJECT}/backups/{gemini}"), None).await;
    let at_taurus = async || stage.taurus.ask(&format!("DELETE /v3/{PROJECT}/backups/{taurus}"), None).await;
    let at_dcs = async || stage.dcs.ask(&dcs_line("DELETE", &format!("/{dcs}")), None).await;
    assert_eq!(at_gemini().await.error(), (403, "DBS.200019".to_owned()));
    assert_eq!(at_taurus().await.error(), (400, "DBS.201208".to_owned()));
    assert_eq!(at_dcs().await.error(), (400, "DCS.4026".to_owned()));
    stage.cloud.complete_all();
    assert_eq!(at_gemini().await.status, 202);
    assert_eq!(at_taurus().await.json(), json!({ "backup_id": taurus, "backup_name": "doomed" }));
    let done = at_dcs().await;
    assert_eq!((done.status, done.text.as_str()), (204, ""));
    assert_eq!(names(&stage, "").await, ["doomed"], "GeminiDB takes its time");
    assert_eq!(stage.taurus.ask(&taurus_list(""), None).await.json()["total_count"], 0);
    assert!(stage.cloud.wait_until(PATIENCE, |cloud| cloud.backups().iter().all(|backup| backup.deleted)));
    assert!(names(&stage, "").await.is_empty());
    assert_eq!(at_gemini().await.error(), (400, "DBS.201214".to_owned()));
    assert_eq!(at_taurus().await.error(), (400, "DBS.201203".to_owned()));
    assert_eq!(at_dcs().await.error(), (400, "DCS.4031".to_owned()));
    assert_eq!(stage.dcs.ask(&dcs_line("GET", ""), None).await.status, 204);
    stage.cloud.settings(|settings| settings.list_deleted_dcs = true);
    let record = stage.dcs.ask(&dcs_line("GET", ""), None).await.json()["backup_record_response"][0].clone();
    assert_eq!(record["status"], "deleted");
}

#[tokio::test]
async fn the_older_mysql_interface_has_no_job_and_no_delete() {
    let stage = stage().await;
    stage.cloud.set_backup_duration(Duration::ZERO);
    let body = json!({ "instance_id": TAURUS, "name": "legacy" }).to_string();
    let made = stage.taurus.ask(&format!("POST /mysql/v3/{PROJECT}/backups/create"), Some(&body)).await;
    assert_eq!((made.status, made.json().get("job_id")), (200, None));
    let id = made.json()["backup"]["id"].as_str().unwrap().to_owned();
    assert_eq!(stage.taurus.ask(&format!("GET /mysql/v3/{PROJECT}/backups?name=other"), None).await.json()["total_count"], 1);
    assert_eq!(stage.taurus.ask(&taurus_list("?name=other"), None).await.json()["total_count"], 0);
    let gone = stage.taurus.ask(&format!("DELETE /mysql/v3/{PROJECT}/backups/{id}"), None).await;
    assert_eq!(gone.error(), (404, "APIGW.0101".to_owned()));
    assert!(stage.cloud.backups()[0].legacy);
}

#[tokio::test]
async fn an_instance_that_is_removed_takes_its_dcs_backups_along() {
    let stage = stage().await;
    stage.cloud.set_backup_duration(Duration::ZERO);
    stage.create_taurus("survivor").await;
    stage.create_dcs("victim").await;
    stage.cloud.remove_instance(TAURUS);
    stage.cloud.remove_instance(REDIS);
    assert_eq!(stage.taurus.ask(&taurus_list(&format!("?instance_id={TAURUS}")), None).await.json()["total_count"], 1);
    assert_eq!(stage.dcs.ask(&dcs_line("GET", ""), None).await.error(), (404, "DCS.3022".to_owned()));
    assert_eq!(stage.cloud.backups().iter().map(|backup| backup.deleted).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn jobs_tell_how_a_backup_went() {
    let stage = stage().await;
    stage.cloud.set_backup_duration(Duration::ZERO);
    stage.cloud.fail_next_backups(1, None);
    let gemini = stage.create_gemini("doomed").await.json()["job_id"].as_str().unwrap().to_owned();
    let taurus = stage.create_taurus("fine").await.json()["job_id"].as_str().unwrap().to_owned();
    let jobs = stage.gemini.ask(&format!("GET /v3/{PROJECT}/jobs?id={gemini}"), None).await.json();
    assert_eq!((&jobs["total_count"], &jobs["jobs"][0]["status"]), (&json!(1), &json!("Failed")));
    let job = stage.taurus.ask(&format!("GET /v3/{PROJECT}/jobs?id={taurus}"), None).await.json();
    assert_eq!(job["job"]["status"], "Completed");
    let unknown = stage.taurus.ask(&format!("GET /v3/{PROJECT}/jobs?id=unknown"), None).await;
    assert_eq!(unknown.error(), (400, "DBS.200543".to_owned()));
}

#[tokio::test]
async fn totals_can_be_off_by_some_records() {
    let stage = stage().await;
    stage.cloud.set_backup_duration(Duration::ZERO);
    stage.create_gemini("counted").await;
    stage.create_taurus("counted").await;
    stage.create_dcs("counted").await;
    for (offset, told) in [(1, 2), (-1, 0), (-5, 0), (0, 1)] {
        stage.cloud.set_total_offset(offset);
        let gemini = stage.gemini.ask(&gemini_list(""), None).await.json();
        let taurus = stage.taurus.ask(&taurus_list(""), None).await.json();
        let dcs = stage.dcs.ask(&dcs_line("GET", ""), None).await.json();
        assert_eq!([&gemini["total_count"], &taurus["total_count"], &dcs["total_num"]], [told; 3], "{offset}");
        for records in [&gemini["backups"], &taurus["backups"], &dcs["backup_record_response"]] {
            assert_eq!(records.as_array().map(Vec::len), Some(1), "{offset}");
        }
    }
    stage.cloud.set_total_offset(1);
    stage.cloud.backups().iter().for_each(|backup| assert!(stage.cloud.lose_backup(&backup.id)));
    assert_eq!(stage.dcs.ask(&dcs_line("GET", ""), None).await.json()["total_num"], 1);
}

#[tokio::test]
async fn in_a_restless_project_no_listing_of_several_pages_holds_still() {
    let stage = stage().await;
    stage.cloud.add_backups("taurusdb", TAURUS, 250);
    stage.cloud.set_restless(true);
    let total = async |query: &str| {
        let page = stage.taurus.ask(&taurus_list(query), None).await.json();
        let records = page["backups"].as_array().unwrap().len();
        (usize::try_from(page["total_count"].as_u64().unwrap()).unwrap(), records)
    };
    // More and fewer in turn: often enough for both.
    for _ in 0..40 {
        let (first, _) = total("?offset=0").await;
        let (second, _) = total("?offset=99").await;
        let (third, _) = total("?offset=198").await;
        assert!(first < second && second < third || first > second && second > third, "{first} {second} {third}");
        assert!((250..=250 + 43).contains(&third), "{third}");
    }
    let (told, shown) =
        total(&format!("?instance_id={TAURUS}&begin_time=2020-01-01T00:00:00%2B0000&end_time=2020-01-02T00:00:00%2B0000")).await;
    assert_eq!((told, shown), (0, 0), "a page shows what it tells of");
    let ids: Vec<String> = stage.cloud.backups().into_iter().map(|backup| backup.id).collect();
    let one = stage.taurus.ask(&taurus_list(&format!("?backup_id={}", ids[0])), None).await.json();
    assert_eq!(one["total_count"], 1);
    assert_eq!(stage.cloud.backups().len(), ids.len(), "whoever asks for one backup does not stir the others");
}

#[tokio::test]
async fn a_restless_instance_gives_pages_that_are_whole_and_differ() {
    let stage = stage().await;
    stage.cloud.set_list_lag(Duration::from_secs(60));
    stage.cloud.set_restless(true);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let page = stage.dcs.ask(&dcs_line("GET", ""), None).await;
        let records = page.json()["backup_record_response"].as_array().map_or(0, Vec::len);
        assert_eq!(page.json()["total_num"].as_u64().unwrap_or_default(), records as u64);
        statuses.push(page.status);
        names(&stage, "").await;
    }
    assert_eq!(statuses, [200, 204, 200, 204]);
    assert_eq!(names(&stage, "").await.len(), 5, "those of a project become many before they become fewer");
}

#[tokio::test]
async fn automatic_backups_are_left_out_where_manual_ones_are_asked_for_and_found_by_id_alone() {
    let stage = stage().await;
    let day = Duration::from_secs(86_400);
    let gemini = stage.cloud.add_automatic_backup("geminidb", GEMINI, "scheduled", day);
    let taurus = stage.cloud.add_automatic_backup("taurusdb", TAURUS, "scheduled", day);
    let older = |query: &str| taurus_list(query).replace("/v3/", "/mysql/v3/");
    for (probe, line, manual, id, told) in [
        (&stage.gemini, gemini_list(""), "Manual", &gemini, "Auto"),
        (&stage.taurus, taurus_list(""), "manual", &taurus, "auto"),
        (&stage.taurus, older(""), "manual", &taurus, "auto"),
    ] {
        let ask = async |query: &str| probe.ask(&format!("{line}{query}"), None).await.json();
        assert_eq!(ask(&format!("?backup_type={manual}")).await["total_count"], 0, "{line}");
        assert_eq!(ask(&format!("?backup_type={manual}&backup_id={id}")).await["total_count"], 0, "{line}");
        let found = ask(&format!("?backup_id={id}")).await;
        assert_eq!((&found["total_count"], &found["backups"][0]["type"]), (&json!(1), &json!(told)), "{line}");
    }
}
