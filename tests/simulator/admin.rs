//! The dials over HTTP, for scripts and other processes. JSON in, JSON out; see [`HELP`].

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    routing::{delete, get, post},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    AgentDoors, Doors, Endpoints,
    backup::{BackupRecord, Given, Kind, Stage},
    faults::{Chaos, Fault},
    identity::Provider,
    serve::Shared,
    service::Service,
    settings::Settings,
};

/// What `GET /` answers.
pub const HELP: &str = r#"simulated cloud, admin API
GET    /endpoints
GET    /projects          POST /projects {id, name}
GET    /instances         POST /instances {engine, id, project?, single_node?, read_replica?}    POST /instances/{id}/busy {busy}    DELETE /instances/{id}
GET    /settings          POST /settings {any of them}
GET    /backups           POST /backups {engine, instance, text, kind?, stage?, age_ms?, is_useless?, count?}    POST /backups/{id}/status {status}    DELETE /backups/{id}
POST   /complete-all      POST /hold {hold}    POST /fail-next {count, engine?}
GET    /faults            POST /faults {service?, operation?, containing?, times?, kind}    POST /chaos {seed, services?, operations?, percent: [[kind, n]]}    DELETE /faults
POST   /refuse {service, refuse}    POST /deny {service, deny}    POST /unpublish {service, start}
POST   /password {password}         POST /tokens {value, project?}    DELETE /tokens    POST /unlock-access-keys    POST /unlock-users    GET /attempts
POST   /access-keys {access, secret?, disabled?}    POST /deny-project {project, deny}
GET    /identity-providers           POST /identity-providers {name, audience, issuer, jwks, subjects, domain?}
DELETE /identity-providers/{name}    DELETE /identity-providers/{name}/tokens
GET    /agents    DELETE /agents/keys    DELETE /agents/metadata-tokens    POST /agents/pod-token {token}
GET    /calls             GET /count?operation=create&service=dcs    GET /deletes    GET /busiest-second    GET /rds-pace    DELETE /calls
kinds of faults: "lose_answer" "cut_before" "hang" "hang_after" {"delay": ms} {"delay_answer": ms} {"throttle": {retry_after?}}
  {"status": {status, code, message?, retry_after?}} {"fail_after": {status, code}} {"huge_body": bytes}
  {"raw": {status, body, content_type}} {"raw_after": {status, body, content_type}}
"#;

struct Desk {
    shared: Arc<Shared>,
    doors: Arc<Doors>,
    agents: Arc<AgentDoors>,
    endpoints: Endpoints,
}

type At = State<Arc<Desk>>;
type Answer = Result<Json<Value>, (StatusCode, String)>;

#[allow(clippy::unnecessary_wraps, reason = "every handler ends with it")]
fn done() -> Answer {
    Ok(Json(json!({})))
}

#[allow(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn wrong(why: impl ToString) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, format!("{}\n", why.to_string()))
}

fn found(yes: bool) -> Answer {
    if yes { done() } else { Err((StatusCode::NOT_FOUND, "no such thing\n".to_owned())) }
}

fn show(value: impl serde::Serialize) -> Answer {
    serde_json::to_value(value).map(Json).map_err(wrong)
}

/// The admin application.
pub fn app(shared: Arc<Shared>, doors: Arc<Doors>, agents: Arc<AgentDoors>, endpoints: Endpoints) -> Router {
    Router::new()
        .route("/", get(|| async { HELP }))
        .route("/endpoints", get(|State(desk): At| async move { show(&desk.endpoints) }))
        .route("/projects", get(|State(desk): At| async move { show(&desk.shared.cloud().projects) }).post(add_project))
        .route("/instances", get(|State(desk): At| async move { show(&desk.shared.cloud().instances) }).post(add_instance))
        .route("/instances/{id}", delete(remove_instance))
        .route("/instances/{id}/busy", post(set_busy))
        .route("/settings", get(|State(desk): At| async move { show(&desk.shared.cloud().settings) }).post(change_settings))
        .route("/backups", get(backups).post(add_backup))
        .route(
            "/backups/{id}",
            delete(|State(desk): At, Path(id): Path<String>| async move { found(desk.shared.cloud().lose_backup(&id)) }),
        )
        .route("/backups/{id}/status", post(set_status))
        .route("/complete-all", post(complete_all))
        .route("/hold", post(hold))
        .route("/fail-next", post(fail_next))
        .route("/faults", get(|State(desk): At| async move { show(desk.shared.faults.waiting()) }).post(add_fault).delete(clear_faults))
        .route("/chaos", post(chaos))
        .route("/refuse", post(refuse))
        .route("/deny", post(deny))
        .route("/unpublish", post(unpublish))
        .route("/password", post(set_password))
        .route("/tokens", post(add_token).delete(revoke_tokens))
        .route("/unlock-access-keys", post(unlock))
        .route("/unlock-users", post(unlock_users))
        .route("/attempts", get(attempts))
        .route("/access-keys", post(change_key))
        .route("/deny-project", post(deny_project))
        .route("/identity-providers", get(|State(desk): At| async move { show(&desk.shared.cloud().identity_providers) }).post(trust))
        .route("/identity-providers/{name}", delete(distrust))
        .route("/identity-providers/{name}/tokens", delete(revoke_federated))
        .route("/agents", get(show_agents))
        .route("/agents/keys", delete(revoke_agency_keys))
        .route("/agents/metadata-tokens", delete(expire_metadata_tokens))
        .route("/agents/pod-token", post(set_pod_token))
        .route("/calls", get(|State(desk): At| async move { show(&desk.shared.cloud().calls) }).delete(reset_calls))
        .route("/count", get(count))
        .route("/deletes", get(|State(desk): At| async move { show(desk.shared.cloud().deletes()) }))
        .route("/busiest-second", get(|State(desk): At| async move { show(json!({ "requests": desk.shared.cloud().busiest_second() })) }))
        .route("/rds-pace", get(rds_pace))
        .with_state(Arc::new(Desk { shared, doors, agents, endpoints }))
}

#[derive(Deserialize)]
struct ProjectWish {
    id: String,
    name: String,
}

async fn add_project(State(desk): At, Json(wish): Json<ProjectWish>) -> Answer {
    desk.shared.cloud().add_project(&wish.id, &wish.name);
    done()
}

#[derive(Deserialize)]
struct InstanceWish {
    engine: Service,
    id: String,
    project: Option<String>,
    #[serde(default)]
    single_node: bool,
    #[serde(default)]
    read_replica: bool,
}

async fn add_instance(State(desk): At, Json(wish): Json<InstanceWish>) -> Answer {
    let project = wish.project.as_deref().unwrap_or(super::PROJECTS[0].1);
    let mut cloud = desk.shared.cloud();
    cloud.add_instance(wish.engine, project, &wish.id, wish.single_node).ok_or_else(|| wrong("no such project"))?;
    if wish.read_replica {
        cloud.make_read_replica(&wish.id);
    }
    done()
}

async fn remove_instance(State(desk): At, Path(id): Path<String>) -> Answer {
    desk.shared.cloud().remove_instance(&id);
    done()
}

#[derive(Deserialize)]
struct Busy {
    busy: bool,
}

async fn set_busy(State(desk): At, Path(id): Path<String>, Json(wish): Json<Busy>) -> Answer {
    let mut cloud = desk.shared.cloud();
    let instance = cloud.instances.iter_mut().find(|instance| instance.id == id);
    found(instance.map(|instance| instance.busy = wish.busy).is_some())
}

async fn change_settings(State(desk): At, Json(wish): Json<BTreeMap<String, Value>>) -> Answer {
    let mut cloud = desk.shared.cloud();
    let mut all = serde_json::to_value(&cloud.settings).map_err(wrong)?;
    for (name, value) in wish {
        // Those of an agent lie one deeper, and only what is named changes.
        match (all.get_mut(&name), value) {
            (Some(Value::Object(inner)), Value::Object(wished)) => inner.extend(wished),
            (_, value) => all[name] = value,
        }
    }
    let settings: Settings = serde_json::from_value(all).map_err(wrong)?;
    // Letting go is more than the dial: what was held past its time ends now.
    let hold = settings.hold_backups;
    let before = std::mem::replace(&mut cloud.settings, settings).hold_backups;
    cloud.settings.hold_backups = before;
    cloud.hold(hold);
    show(&cloud.settings)
}

async fn backups(State(desk): At) -> Answer {
    show(desk.shared.cloud().backups.iter().map(BackupRecord::from).collect::<Vec<_>>())
}

#[derive(Deserialize)]
struct BackupWish {
    engine: Service,
    instance: String,
    text: String,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    stage: Stage,
    #[serde(default)]
    age_ms: u64,
    #[serde(default)]
    is_useless: bool,
    /// So many at once, of this moment; their texts get a number.
    count: Option<usize>,
}

async fn add_backup(State(desk): At, Json(wish): Json<BackupWish>) -> Answer {
    if let Some(count) = wish.count {
        return show(json!({ "ids": desk.shared.cloud().add_backups(wish.engine, &wish.instance, &wish.text, count) }));
    }
    let given = Given { kind: wish.kind, stage: wish.stage, age: Duration::from_millis(wish.age_ms), is_useless: wish.is_useless };
    let id = desk.shared.cloud().give(wish.engine, &wish.instance, &wish.text, given);
    show(json!({ "id": id }))
}

#[derive(Deserialize)]
struct Status {
    status: String,
}

async fn set_status(State(desk): At, Path(id): Path<String>, Json(wish): Json<Status>) -> Answer {
    found(desk.shared.cloud().say_status(&id, &wish.status))
}

async fn complete_all(State(desk): At) -> Answer {
    desk.shared.cloud().complete_all();
    done()
}

#[derive(Deserialize)]
struct Hold {
    hold: bool,
}

async fn hold(State(desk): At, Json(wish): Json<Hold>) -> Answer {
    desk.shared.cloud().hold(wish.hold);
    done()
}

#[derive(Deserialize)]
struct FailNext {
    count: u32,
    engine: Option<Service>,
}

async fn fail_next(State(desk): At, Json(wish): Json<FailNext>) -> Answer {
    desk.shared.cloud().doomed.push((wish.engine, wish.count));
    done()
}

async fn add_fault(State(desk): At, Json(fault): Json<Fault>) -> Answer {
    desk.shared.faults.push(fault);
    done()
}

async fn chaos(State(desk): At, Json(chaos): Json<Option<Chaos>>) -> Answer {
    desk.shared.faults.chaos(chaos);
    done()
}

async fn clear_faults(State(desk): At) -> Answer {
    desk.shared.faults.clear();
    done()
}

#[derive(Deserialize)]
struct Refuse {
    service: Service,
    refuse: bool,
}

async fn refuse(State(desk): At, Json(wish): Json<Refuse>) -> Answer {
    let door = desk.doors.get(&wish.service).ok_or_else(|| wrong("no such service"))?;
    door.refuse(wish.refuse).await.map_err(wrong)?;
    done()
}

#[derive(Deserialize)]
struct Deny {
    service: Service,
    deny: bool,
}

async fn deny(State(desk): At, Json(wish): Json<Deny>) -> Answer {
    let mut cloud = desk.shared.cloud();
    cloud.denied.remove(&wish.service);
    if wish.deny {
        cloud.denied.insert(wish.service);
    }
    done()
}

#[derive(Deserialize)]
struct Unpublish {
    service: Service,
    start: String,
}

async fn unpublish(State(desk): At, Json(wish): Json<Unpublish>) -> Answer {
    desk.shared.cloud().unpublished.push((wish.service, wish.start));
    done()
}

#[derive(Deserialize)]
struct Password {
    password: String,
}

async fn set_password(State(desk): At, Json(wish): Json<Password>) -> Answer {
    desk.shared.cloud().set_password(&wish.password);
    done()
}

#[derive(Deserialize)]
struct TokenWish {
    value: String,
    project: Option<String>,
}

async fn add_token(State(desk): At, Json(wish): Json<TokenWish>) -> Answer {
    let project = wish.project.as_deref().unwrap_or(super::PROJECTS[0].1);
    desk.shared.cloud().add_token(&wish.value, project).ok_or_else(|| wrong("no such project"))?;
    done()
}

async fn revoke_tokens(State(desk): At) -> Answer {
    desk.shared.cloud().tokens.clear();
    done()
}

async fn unlock(State(desk): At) -> Answer {
    desk.shared.cloud().ledger.unlock_keys();
    done()
}

async fn unlock_users(State(desk): At) -> Answer {
    desk.shared.cloud().ledger.unlock_users();
    done()
}

async fn attempts(State(desk): At) -> Answer {
    let cloud = desk.shared.cloud();
    let ledger = &cloud.ledger;
    show(json!({ "locks": ledger.locks(), "worst_run": ledger.worst_run(), "access_keys": ledger.access_keys, "users": ledger.users }))
}

#[derive(Deserialize)]
struct KeyChange {
    access: String,
    secret: Option<String>,
    disabled: Option<bool>,
}

async fn change_key(State(desk): At, Json(wish): Json<KeyChange>) -> Answer {
    let mut cloud = desk.shared.cloud();
    let secret = wish.secret.is_none_or(|secret| cloud.set_secret_key(&wish.access, &secret).is_some());
    let disabled = wish.disabled.is_none_or(|disabled| cloud.disable_access_key(&wish.access, disabled).is_some());
    found(secret && disabled)
}

#[derive(Deserialize)]
struct DenyProject {
    project: String,
    deny: bool,
}

async fn deny_project(State(desk): At, Json(wish): Json<DenyProject>) -> Answer {
    desk.shared.cloud().deny_project(&wish.project, wish.deny);
    done()
}

async fn trust(State(desk): At, Json(provider): Json<Provider>) -> Answer {
    desk.shared.cloud().add_identity_provider(provider).map_err(wrong)?;
    done()
}

async fn distrust(State(desk): At, Path(name): Path<String>) -> Answer {
    found(desk.shared.cloud().remove_identity_provider(&name))
}

async fn revoke_federated(State(desk): At, Path(name): Path<String>) -> Answer {
    desk.shared.cloud().revoke_federated_tokens(&name);
    done()
}

async fn show_agents(State(desk): At) -> Answer {
    let metadata = desk.agents.metadata.url();
    let pod_identity = super::pod_identity::uri(&desk.agents.pod_identity);
    let cloud = desk.shared.cloud();
    let calls = [cloud.agents.metadata.calls(), cloud.agents.pod_identity.calls()];
    show(json!({ "metadata": metadata, "pod_identity": pod_identity, "metadata_calls": calls[0], "pod_identity_calls": calls[1] }))
}

async fn set_pod_token(State(desk): At, Json(wish): Json<PodToken>) -> Answer {
    desk.shared.cloud().agents.set_pod_token(&wish.token);
    done()
}

#[derive(Deserialize)]
struct PodToken {
    token: String,
}

async fn revoke_agency_keys(State(desk): At) -> Answer {
    desk.shared.cloud().revoke_agency_keys();
    done()
}

async fn expire_metadata_tokens(State(desk): At) -> Answer {
    desk.shared.cloud().agents.expire_metadata_tokens();
    done()
}

async fn reset_calls(State(desk): At) -> Answer {
    desk.shared.cloud().reset_calls();
    done()
}

async fn rds_pace(State(desk): At) -> Answer {
    let cloud = desk.shared.cloud();
    show(json!({ "refused": cloud.rds_pace.refused(), "busiest_minute": cloud.rds_pace.busiest_minute() }))
}

#[derive(Deserialize)]
struct Which {
    operation: Option<String>,
    service: Option<Service>,
}

async fn count(State(desk): At, Query(which): Query<Which>) -> Answer {
    let cloud = desk.shared.cloud();
    let same = cloud.calls.iter().filter(|call| {
        which.operation.as_deref().is_none_or(|wanted| wanted == call.operation)
            && which.service.is_none_or(|wanted| wanted == call.service)
    });
    show(json!({ "requests": same.count() }))
}
