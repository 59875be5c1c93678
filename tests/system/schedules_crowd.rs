//! A thousand schedules that are due in the same minute.

use crate::{
    scheduled::{manifest, world_with},
    support::eventually,
    world::PATIENCE,
};
use database_backup_operator::api::status::Phase;
use kube::api::ListParams;
use std::collections::BTreeSet;

const MANY: usize = 1_000;
/// Calls a second that the account allows.
const RATE: usize = 100;

#[tokio::test]
async fn a_thousand_schedules_of_one_minute_lose_no_slot_and_keep_to_the_rate_of_their_account() {
    let world = world_with(&["--poll-interval=1s", "--settle-delay=60s"]).await;
    world.cloud.any_instance(true);
    let rate = format!(r#"{{"spec": {{"maxRequestsPerSecond": {RATE}}}}}"#);
    world.plane.kubectl_ok(&["patch", "ccacct", "cloud", "--type=merge", "-p", &rate]).await;
    // Far enough away that all are there before, however slow the machine is.
    let mut slot = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(4);
    slot = jiff::Timestamp::from_second(slot.as_second() / 60 * 60).expect("a time");
    let cron = slot.strftime("%M %H %d %m *").to_string();
    for chunk in 0..MANY / 100 {
        let some: String = (0..100)
            .map(|nth| {
                let name = format!("crowd-{:03}", chunk * 100 + nth);
                manifest(&name, &cron, "DCS", "").replace("i-dcs", &name)
            })
            .collect();
        world.plane.apply(&some).await;
    }
    world.cloud.reset_calls();
    let labelled = ListParams::default().labels("dbbackup.dev/schedule");
    eventually("each has its backup", PATIENCE * 5, async || {
        let here = world.backups_here().list(&labelled).await.map_err(|error| error.to_string())?;
        let is_completed = |status: &_| matches!(status, Some(Phase::Completed));
        let done = here.iter().filter(|object| is_completed(&object.status.as_ref().and_then(|status| status.phase))).count();
        if done == MANY { Ok(()) } else { Err(format!("{done} of {} objects are completed", here.items.len())) }
    })
    .await;
    let taken: BTreeSet<String> = world.own_backups().into_iter().map(|backup| backup.instance).collect();
    assert_eq!((taken.len(), world.own_backups().len(), world.cloud.count(None, "create")), (MANY, MANY, MANY));
    let busiest = world.cloud.max_requests_in_a_second();
    assert!(busiest <= RATE * 2, "{busiest} calls in a second");
}
