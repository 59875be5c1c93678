//! A thousand schedules that are due in the same minute.

use crate::{
    scheduled::{manifest, world_with},
    support::eventually,
    world::PATIENCE,
};
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
                manifest(&name, &cron, "TaurusDB", "").replace("i-taurusdb", &name)
            })
            .collect();
        world.plane.apply(&some).await;
    }
    world.cloud.reset_calls();
    // The cloud is asked first: to list a thousand objects again and again would keep the API server from its work.
    eventually("each has its backup", PATIENCE * 5, async || match world.own_backups().len() {
        MANY => Ok(()),
        taken => Err(format!("{taken} backups are in the cloud")),
    })
    .await;
    let labelled = ListParams::default().labels("dbbackup.dev/schedule");
    let unfinished = labelled.clone().fields("status.phase!=Completed").limit(1);
    eventually("each object says so", PATIENCE * 2, async || {
        let left = world.backups_here().list(&unfinished).await.map_err(|error| error.to_string())?;
        left.items.first().map_or(Ok(()), |left| Err(format!("{:?} is {:?}", left.metadata.name, left.status)))
    })
    .await;
    let objects = world.backups_here().list(&labelled).await.expect("a listing").items.len();
    assert_eq!(objects, MANY);
    let taken: BTreeSet<String> = world.own_backups().into_iter().map(|backup| backup.instance).collect();
    assert_eq!((taken.len(), world.own_backups().len(), world.cloud.count(None, "create")), (MANY, MANY, MANY));
    let busiest = world.cloud.max_requests_in_a_second();
    assert!(busiest <= RATE * 2, "{busiest} calls in a second");
}
