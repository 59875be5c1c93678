//! The cloud and the API server in the storm: which calls go wrong in which way, and the dials that move meanwhile.

use crate::{
    lives::insist,
    population::{WANDERER, Wish},
    simulator::{
        DOMAIN, OTHER_DOMAIN, OTHER_PASSWORD, OTHER_PROJECTS, OTHER_USER, PASSWORD, PROJECTS, USER,
        faults::{Chaos, FaultKind},
        service::Service,
        settings::ListOrder,
    },
    size::{Dice, LONGEST_DELIVERY, LONGEST_LAG, Size},
    world::World,
};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::{sync::watch, time::sleep};

/// The storm begins.
pub fn begin(world: &World, dice: &mut Dice) {
    let mut cloud = world.cloud.cloud();
    cloud.seed(dice.seed());
    cloud.settings.fail_percent = 12;
    // No document says that a name is refused the second time, so nothing but the operator keeps a backup from being taken twice.
    cloud.settings.check_duplicate_names = false;
    cloud.settings.list_deleted_dcs = dice.percent(50);
    cloud.settings.utc_offset_hours = dice.pick(&[0, 8]);
    // Longer than kills are apart, so that tokens are both renewed in time and refused.
    cloud.settings.token_lifetime_ms = 5_000;
    drop(cloud);
    world.cloud.faults.chaos(sky(dice));
}

/// The storm ends; what is on its way still arrives.
pub async fn end(world: &World) {
    world.cloud.faults.clear();
    change_user(world, [DOMAIN, USER, PASSWORD]).await;
    for service in Service::ALL {
        world.cloud.refuse_connections(service.name(), false);
    }
    world.cloud.settings(|settings| {
        settings.fail_percent = 0;
        settings.list_lag_ms = 0;
        settings.restless = false;
    });
}

/// A fifth of the answers to create calls is lost, and a fifth of all calls fails; more is late.
fn sky(dice: &mut Dice) -> Vec<Chaos> {
    let mut sky = vec![];
    for (service, status, busy) in [
        (Service::GeminiDb, 403, "DBS.200019"),
        (Service::TaurusDb, 409, "DBS.201205"),
        (Service::Dcs, 400, "DCS.4096"),
        (Service::Dds, 403, "DBS.200019"),
        (Service::GaussDb, 409, "DBS.201205"),
    ] {
        let mut percent = vec![(error(status, busy), 4)];
        percent.extend(lost());
        percent.extend(failing());
        percent.extend([(FaultKind::Delay(millis(100)), 5), (FaultKind::Delay(millis(700)), 5), (FaultKind::Delay(LONGEST_DELIVERY), 5)]);
        sky.push(Chaos { seed: dice.seed(), services: vec![service], operations: vec!["create".into()], percent });
    }
    let mut percent = vec![(error(500, ""), 5)];
    percent.extend(lost());
    percent.extend(failing());
    sky.push(Chaos { seed: dice.seed(), services: vec![], operations: vec!["delete".into()], percent });
    // Lists, tokens, projects: nothing is done, so an answer that is lost is a call that failed.
    let mut percent = vec![(error(500, ""), 3), (FaultKind::LoseAnswer, 2), (FaultKind::Delay(millis(600)), 8)];
    percent.extend(failing());
    sky.push(Chaos { seed: dice.seed(), services: vec![], operations: vec![], percent });
    sky
}

/// 20 % that are carried out, and whose answer is lost in one way or another.
fn lost() -> Vec<(FaultKind, u8)> {
    let html = || "<html>Bad Gateway</html>".to_owned();
    vec![
        (FaultKind::LoseAnswer, 9),
        (FaultKind::FailAfter { status: 500, code: String::new() }, 3),
        (FaultKind::FailAfter { status: 504, code: "APIGW.0201".into() }, 2),
        (FaultKind::RawAfter { status: 200, body: html(), content_type: "text/html".into() }, 2),
        (FaultKind::DelayAnswer(Duration::from_secs(5)), 3),
        (FaultKind::HangAfter, 1),
    ]
}

/// 15 % that are not carried out.
fn failing() -> Vec<(FaultKind, u8)> {
    vec![
        (error(503, "APIGW.0106"), 4),
        (FaultKind::Throttle { retry_after: Some(1) }, 2),
        (FaultKind::Throttle { retry_after: None }, 2),
        (FaultKind::CutBefore, 6),
        (FaultKind::Hang, 1),
    ]
}

fn error(status: u16, code: &str) -> FaultKind {
    FaultKind::Status { status, code: code.to_owned(), message: String::new(), retry_after: None }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Moves the dials for ever.
pub async fn changes(world: &World, mut dice: Dice) -> ! {
    loop {
        let lag = dice.within(LONGEST_LAG);
        world.cloud.set_list_lag(if dice.percent(50) { lag } else { Duration::ZERO });
        world.cloud.set_list_order(dice.pick(&[ListOrder::Newest, ListOrder::Oldest]));
        world.cloud.set_backup_duration(dice.within(Duration::from_secs(2)));
        world.cloud.set_backup_size(dice.below(1 << 40) as u64);
        // No listing of a project is complete meanwhile.
        world.cloud.set_restless(dice.percent(40));
        if dice.percent(15) {
            world.cloud.revoke_tokens();
        }
        if dice.percent(10) {
            let service = dice.pick(&Service::ALL).name();
            world.cloud.refuse_connections(service, true);
            sleep(dice.within(millis(500))).await;
            world.cloud.refuse_connections(service, false);
        }
        sleep(dice.within(millis(800))).await;
    }
}

/// Moves an account to another project and back, for ever, as soon as each of its objects has been taken on or has gone again. Counts how often an
/// operator noticed that it was away.
pub async fn moves(world: &World, names: BTreeSet<String>, mut dice: Dice, away: &AtomicUsize) -> ! {
    let (mut seen, mut waiting) = (BTreeSet::new(), names);
    while !waiting.is_empty() {
        sleep(millis(200)).await;
        let here = insist(async || world.backups.list(&ListParams::default()).await).await.0;
        let is_taken_on = |name: &String| match here.items.iter().find(|object| object.name_any() == *name) {
            Some(object) => object.status.as_ref().is_some_and(|status| status.backup_id.is_some() || !status.failed_attempts.is_empty()),
            None => seen.contains(name),
        };
        waiting.retain(|name| !is_taken_on(name));
        seen.extend(here.items.iter().map(ResourceExt::name_any));
    }
    loop {
        change_user(world, [OTHER_DOMAIN, OTHER_USER, OTHER_PASSWORD]).await;
        until_it_points_to(world, OTHER_PROJECTS[0].1).await;
        away.fetch_add(1, Ordering::Relaxed);
        sleep(dice.within(Duration::from_secs(10))).await;
        change_user(world, [DOMAIN, USER, PASSWORD]).await;
        until_it_points_to(world, PROJECTS[0].1).await;
        sleep(dice.within(Duration::from_secs(4))).await;
    }
}

async fn until_it_points_to(world: &World, project: &str) {
    loop {
        let account = insist(async || world.accounts.get(WANDERER).await).await.0;
        if account.status.is_some_and(|status| status.project_id.as_deref() == Some(project)) {
            return;
        }
        sleep(millis(100)).await;
    }
}

/// The names of the objects whose account moves.
pub fn wanderers(wishes: &[Wish]) -> BTreeSet<String> {
    wishes.iter().map(|wish| &wish.object).filter(|object| object.spec.account_ref.name == WANDERER).map(ResourceExt::name_any).collect()
}

async fn change_user(world: &World, [domain, user, password]: [&str; 3]) {
    let secrets: Api<Secret> = Api::namespaced(world.backups.clone().into_client(), "operator");
    let patch = Patch::Merge(serde_json::json!({ "stringData": { "domainName": domain, "username": user, "password": password } }));
    insist(async || secrets.patch(WANDERER, &PatchParams::default(), &patch).await).await;
}

/// Restarts the API server, evenly over the storm, and for the first time while two operators are there; answers how often.
pub async fn restarts(world: &World, size: &Size, mut progress: watch::Receiver<usize>) -> usize {
    for nth in 0..size.restarts {
        let at = size.kills * nth / size.restarts + size.kills / 12;
        progress.wait_for(|killed| *killed >= at).await.expect("the crew tells until the end");
        world.plane.restart_api_server().await;
    }
    size.restarts
}

/// How many faults have struck.
pub fn strikes(world: &World) -> usize {
    world.cloud.faults.struck().values().sum()
}

/// Which, in words.
pub fn told(world: &World) -> String {
    let kinds: Vec<String> = world.cloud.faults.struck().iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    kinds.join(", ")
}
