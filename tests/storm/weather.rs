//! The cloud and the API server in the storm: which calls go wrong in which way, and the dials that move meanwhile.

use crate::{
    simulator::{
        faults::{Chaos, FaultKind},
        service::Service,
        settings::ListOrder,
    },
    size::{Dice, LONGEST_DELIVERY, LONGEST_LAG, Size},
    world::World,
};
use std::time::Duration;
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
pub fn end(world: &World) {
    world.cloud.faults.clear();
    for service in Service::ALL {
        world.cloud.refuse_connections(service.name(), false);
    }
    world.cloud.settings(|settings| {
        settings.fail_percent = 0;
        settings.list_lag_ms = 0;
    });
}

/// A fifth of the answers to create calls is lost, and a fifth of all calls fails; more is late.
fn sky(dice: &mut Dice) -> Vec<Chaos> {
    let mut sky = vec![];
    for (service, status, busy) in
        [(Service::GeminiDb, 403, "DBS.200019"), (Service::TaurusDb, 409, "DBS.201205"), (Service::Dcs, 400, "DCS.4096")]
    {
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
