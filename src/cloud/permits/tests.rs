use super::*;
use crate::cloud::api::{JSON, Lists, as_it_is};

/// A service that counts no calls; and one that allows each user 60 a minute.
static FREE: Api = api("free", None);
static COUNTED: Api = api("counted", Some(60));

const fn api(label: &'static str, calls_per_minute: Option<u32>) -> Api {
    Api {
        label,
        name: label,
        content_type: JSON,
        codes: &[],
        spelling: as_it_is,
        lists: Lists::Project,
        finds_by_id: true,
        backups_go_with_instance: false,
        page_size: 100,
        calls_per_minute,
    }
}

const SHOP: Purpose<'static> = Purpose { namespace: "shop", api: &FREE };
const BILLING: Purpose<'static> = Purpose { namespace: "billing", api: &FREE };
const COUNTED_SHOP: Purpose<'static> = Purpose { namespace: "shop", api: &COUNTED };

fn permits(rate: u32) -> Arc<Permits> {
    Arc::new(Permits::new(rate))
}

/// Asks for a permit, and makes a call with it that ends at once.
fn call(permits: &Arc<Permits>, key: &str, purpose: Purpose<'_>) -> bool {
    matches!(permits.try_urgent(key, purpose), Asked::Granted(_))
}

/// Asks for a permit that is there, for a call that goes on.
fn hold(permits: &Arc<Permits>, key: &str, purpose: Purpose<'_>) -> CallPermit {
    match permits.try_urgent(key, purpose) {
        Asked::Granted(permit) => permit,
        other => panic!("{key}: {other:?}"),
    }
}

async fn nobody_is_granted_one(permits: &Arc<Permits>) -> bool {
    timeout(Duration::from_secs(3600), permits.granted()).await.is_err()
}

#[tokio::test(start_paused = true)]
async fn a_full_bucket_grants_at_once_and_then_queues_in_order() {
    let permits = permits(2);
    assert!(call(&permits, "a", SHOP) && call(&permits, "b", SHOP));
    assert!(!call(&permits, "c", SHOP) && !call(&permits, "d", SHOP) && !call(&permits, "c", SHOP));
    assert_eq!(permits.granted().await, "c");
    assert!(call(&permits, "c", SHOP), "the grant is there");
    assert!(!call(&permits, "c", SHOP), "and good for one call");
    assert_eq!(permits.granted().await, "d");
}

#[tokio::test(start_paused = true)]
async fn never_more_than_the_rate_and_a_seconds_worth_on_top() {
    let (permits, started) = (permits(5), Instant::now());
    for n in 0..55 {
        let key = n.to_string();
        if !call(&permits, &key, SHOP) {
            assert_eq!(permits.granted().await, key);
            assert!(call(&permits, &key, SHOP));
        }
    }
    assert!(started.elapsed() >= Duration::from_millis(9_900), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn urgent_calls_go_before_polls_but_polls_never_starve() {
    let permits = permits(1);
    assert!(call(&permits, "first", SHOP));
    let polling = permits.clone();
    let poll = tokio::spawn(async move { drop(polling.wait(SHOP, Urgency::Poll).await) });
    tokio::task::yield_now().await;
    for n in 0..8 {
        assert!(!call(&permits, &n.to_string(), SHOP));
    }
    for n in 0..3 {
        assert_eq!(permits.granted().await, n.to_string());
        assert!(call(&permits, &n.to_string(), SHOP));
        assert!(!poll.is_finished(), "urgent ones first");
    }
    assert_eq!(permits.granted().await, "3");
    poll.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_of_a_namespace_waits_for_one_of_another_and_not_for_a_thousand() {
    let permits = permits(1);
    assert!(call(&permits, "first", SHOP));
    for n in 0..1000 {
        assert!(!call(&permits, &format!("shop-{n}"), SHOP));
    }
    assert!(!call(&permits, "billing", BILLING));
    let granted = [permits.granted().await, permits.granted().await, permits.granted().await];
    assert_eq!(granted, ["shop-0", "billing", "shop-1"]);
}

#[tokio::test(start_paused = true)]
async fn pages_of_one_namespaces_listings_take_turns_with_anothers() {
    let permits = permits(1);
    assert!(call(&permits, "first", SHOP));
    let (done, mut order) = tokio::sync::mpsc::unbounded_channel();
    for (purpose, count) in [(SHOP, 5), (BILLING, 1)] {
        for _ in 0..count {
            let (permits, done) = (permits.clone(), done.clone());
            tokio::spawn(async move {
                drop(permits.wait(purpose, Urgency::Poll).await);
                let _ = done.send(purpose.namespace);
            });
        }
    }
    tokio::task::yield_now().await;
    assert!(nobody_is_granted_one(&permits).await, "all of them wait in place");
    let order: Vec<&str> = std::iter::from_fn(|| order.try_recv().ok()).collect();
    assert_eq!((order.len(), &order[..3]), (6, &["shop", "billing", "shop"][..]));
}

#[tokio::test(start_paused = true)]
async fn at_most_eight_calls_are_under_way_and_those_of_one_namespace_leave_room_for_others() {
    let permits = permits(1000);
    let mut held = Vec::new();
    for (namespace, most) in [("a", 4), ("b", 2), ("c", 1), ("d", 1), ("e", 0)] {
        let purpose = Purpose { namespace, api: &FREE };
        let got = (0..20).map_while(|n| match permits.try_urgent(&format!("{namespace}-{n}"), purpose) {
            Asked::Granted(permit) => Some(permit),
            _ => None,
        });
        let got: Vec<CallPermit> = got.collect();
        assert_eq!(got.len(), most, "{namespace}");
        held.extend(got);
        // Whoever had to queue is out of the way of the next one.
        (0..20).for_each(|n| permits.withdraw(&format!("{namespace}-{n}")));
    }
    assert_eq!(held.len(), UNDER_WAY);
    assert!(!call(&permits, "late", Purpose { namespace: "e", api: &FREE }));
    assert!(nobody_is_granted_one(&permits).await, "all of them hang");
    drop(held.pop());
    assert_eq!(permits.granted().await, "late");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_ends_makes_room_for_one_that_waits_whatever_the_rate() {
    let permits = permits(1000);
    let held: Vec<CallPermit> = (0..4).map(|n| hold(&permits, &n.to_string(), SHOP)).collect();
    assert!(!call(&permits, "next", SHOP));
    let granting = permits.clone();
    let granted = tokio::spawn(async move { granting.granted().await });
    tokio::task::yield_now().await;
    assert!(!granted.is_finished());
    drop(held);
    assert_eq!(granted.await.unwrap(), "next");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_wants_to_be_left_alone_is_and_the_others_are_asked() {
    let permits = permits(10);
    permits.pause("free", Duration::from_secs(120));
    permits.pause("free", Duration::from_secs(5));
    let other = COUNTED_SHOP;
    assert!(matches!(permits.try_urgent("a", SHOP), Asked::Paused), "the longer pause counts");
    assert!(matches!(permits.try_urgent("b", BILLING), Asked::Paused), "whoever asks");
    assert!(matches!(permits.try_urgent("c", other), Asked::Queued), "behind the others, for a moment");
    assert_eq!(permits.granted().await, "c");
    let started = Instant::now();
    assert_eq!([permits.granted().await, permits.granted().await], ["b", "a"], "the shop has had its turn");
    assert!(started.elapsed() >= Duration::from_secs(119), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_withdraws_loses_its_place_and_its_grant() {
    let permits = permits(1);
    assert!(call(&permits, "a", SHOP));
    assert!(!call(&permits, "b", SHOP) && !call(&permits, "c", SHOP) && !call(&permits, "d", SHOP));
    permits.withdraw("c");
    assert_eq!(permits.granted().await, "b");
    permits.withdraw("b");
    assert!(!call(&permits, "b", SHOP), "b has to queue again");
    assert_eq!(permits.granted().await, "d");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_given_up_takes_no_permit_from_others() {
    let permits = permits(1);
    assert!(call(&permits, "first", SHOP));
    for _ in 0..50 {
        assert!(timeout(Duration::ZERO, permits.wait(SHOP, Urgency::Urgent)).await.is_err());
        assert!(timeout(Duration::ZERO, permits.wait(SHOP, Urgency::Poll)).await.is_err());
    }
    let started = Instant::now();
    assert!(!call(&permits, "a", SHOP));
    assert_eq!(permits.granted().await, "a");
    assert!(started.elapsed() <= Duration::from_millis(1_010), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_permits_that_are_closed_and_nobody_gets_one() {
    let permits = permits(1);
    assert!(call(&permits, "first", SHOP));
    let (urgent, poll) = (permits.clone(), permits.clone());
    let waiting = [
        tokio::spawn(async move { urgent.wait(SHOP, Urgency::Urgent).await.is_none() }),
        tokio::spawn(async move { poll.wait(SHOP, Urgency::Poll).await.is_none() }),
    ];
    tokio::task::yield_now().await;
    permits.close();
    for waits in waiting {
        assert!(timeout(Duration::from_secs(3600), waits).await.expect("it ends").unwrap());
    }
    assert!(
        timeout(Duration::from_secs(3600), permits.wait(SHOP, Urgency::Urgent)).await.expect("it ends").is_none(),
        "nor does whoever comes"
    );
    assert!(matches!(permits.try_urgent("a", SHOP), Asked::Queued));
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_nobody_comes_for_lapses_and_so_does_its_place_among_the_calls_under_way() {
    let permits = permits(1000);
    let held: Vec<CallPermit> = (0..3).map(|n| hold(&permits, &n.to_string(), SHOP)).collect();
    let fourth = hold(&permits, "fourth", SHOP);
    assert!(!call(&permits, "b", SHOP) && !call(&permits, "c", SHOP));
    drop(fourth);
    assert_eq!(permits.granted().await, "b");
    let started = Instant::now();
    assert_eq!(permits.granted().await, "c", "b did not come");
    assert!(started.elapsed() >= GRANT_LIFETIME);
    assert!(!call(&permits, "b", SHOP), "b has to queue again");
    drop(held);
}

/// Makes calls of a service that counts them as fast as permits come, and notes when each began.
fn make_calls(permits: &Arc<Permits>, urgency: Urgency) -> tokio::sync::mpsc::UnboundedReceiver<Instant> {
    let (permits, (sender, receiver)) = (permits.clone(), tokio::sync::mpsc::unbounded_channel());
    tokio::spawn(async move {
        while let Some(permit) = permits.wait(COUNTED_SHOP, urgency).await {
            drop(permit);
            if sender.send(Instant::now()).is_err() {
                return;
            }
        }
    });
    receiver
}

fn pump(permits: &Arc<Permits>) -> tokio::task::JoinHandle<()> {
    let permits = permits.clone();
    tokio::spawn(async move {
        loop {
            permits.granted().await;
        }
    })
}

/// The greatest number of them within any minute.
fn most_in_a_minute(calls: &[Instant]) -> usize {
    let within = |from: &Instant| calls.iter().filter(|at| (*from..*from + Duration::from_secs(60)).contains(*at)).count();
    calls.iter().map(within).max().unwrap_or_default()
}

fn so_far(receiver: &mut tokio::sync::mpsc::UnboundedReceiver<Instant>) -> Vec<Instant> {
    std::iter::from_fn(|| receiver.try_recv().ok()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_service_that_counts_calls_never_gets_more_in_any_minute_not_even_across_restarts() {
    let mut calls = Vec::new();
    for seconds in [100, 5, 5, 5, 5, 100] {
        let permits = permits(1000);
        let (mut made, pumping) = (make_calls(&permits, Urgency::Urgent), pump(&permits));
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        permits.close();
        pumping.abort();
        let of_this_life = so_far(&mut made);
        assert!(most_in_a_minute(&of_this_life) <= 50, "nothing was saved up: {}", most_in_a_minute(&of_this_life));
        calls.extend(of_this_life);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let most = most_in_a_minute(&calls);
    assert!((50..=60).contains(&most), "{most}");
    assert!(calls.len() >= 170, "{}: it is used, too", calls.len());
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_calls_to_a_service_that_counts_them_is_short_and_the_rest_of_the_minute_is_left_for_others() {
    let permits = permits(1000);
    tokio::time::sleep(Duration::from_secs(600)).await;
    let at_once = (0..20).filter(|n| call(&permits, &n.to_string(), COUNTED_SHOP)).count();
    (0..20).for_each(|n| permits.withdraw(&n.to_string()));
    assert_eq!(at_once, 5, "whatever was saved up in ten minutes");
    let _pumping = pump(&permits);
    let mut made = make_calls(&permits, Urgency::Urgent);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!((48..=50).contains(&so_far(&mut made).len()));
}

#[tokio::test(start_paused = true)]
async fn polls_take_half_of_what_a_service_allows_and_creates_go_before_them() {
    let permits = permits(1000);
    let _pumping = pump(&permits);
    let mut polls = make_calls(&permits, Urgency::Poll);
    tokio::time::sleep(Duration::from_secs(300)).await;
    let alone = so_far(&mut polls);
    assert!((145..=151).contains(&alone.len()) && most_in_a_minute(&alone) <= 30, "{} {}", alone.len(), most_in_a_minute(&alone));
    let started = Instant::now();
    for n in 0..5 {
        drop(permits.wait(COUNTED_SHOP, Urgency::Urgent).await);
        assert!(started.elapsed() < Duration::from_secs(2), "create {n} waited for {:?}", started.elapsed());
    }
    let mut creates = make_calls(&permits, Urgency::Urgent);
    tokio::time::sleep(Duration::from_secs(300)).await;
    let (creates, polls) = (so_far(&mut creates), so_far(&mut polls));
    assert!(creates.len() > polls.len() * 2 && polls.len() > 30, "{} creates, {} polls", creates.len(), polls.len());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_counts_calls_keeps_no_other_waiting() {
    let permits = permits(1000);
    let _pumping = pump(&permits);
    let _counted = make_calls(&permits, Urgency::Urgent);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let started = Instant::now();
    for _ in 0..100 {
        drop(permits.wait(SHOP, Urgency::Urgent).await);
    }
    assert!(started.elapsed() < Duration::from_millis(200), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn accounts_of_one_user_share_what_a_service_allows() {
    let pace = Arc::new(Pace::default());
    let mut made = Vec::new();
    for _ in 0..4 {
        let permits = permits(1000);
        permits.share_pace(pace.clone(), false);
        drop(pump(&permits));
        made.push(make_calls(&permits, Urgency::Urgent));
    }
    tokio::time::sleep(Duration::from_secs(600)).await;
    let each: Vec<Vec<Instant>> = made.iter_mut().map(so_far).collect();
    let all: Vec<Instant> = each.iter().flatten().copied().collect();
    assert!(most_in_a_minute(&all) <= 55 && all.len() >= 500, "{} of {}", most_in_a_minute(&all), all.len());
    assert!(each.iter().all(|calls| calls.len() > 50), "none starves: {:?}", each.iter().map(Vec::len).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn accounts_that_sign_with_one_key_have_so_few_calls_under_way_that_it_is_not_locked_should_it_be_wrong() {
    let pace = Arc::new(Pace::default());
    let mut all: Vec<_> = (0..12).map(|_| permits(1000)).collect();
    for permits in &all {
        permits.share_pace(pace.clone(), true);
    }
    let take = |permits: &Arc<Permits>, key: &str| match permits.try_urgent(key, SHOP) {
        Asked::Granted(permit) => Some(permit),
        Asked::Queued | Asked::Crowded | Asked::Paused => None,
    };
    let mut under_way: Vec<_> = all.iter().filter_map(|permits| take(permits, "uid")).collect();
    assert_eq!(under_way.len(), pace::SIGNED_UNDER_WAY);
    // One ends: the next account gets its turn although nobody told it.
    let waiting = all.pop().unwrap();
    let granting = waiting.clone();
    let granted = tokio::spawn(async move { granting.granted().await });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!granted.is_finished());
    under_way.pop();
    assert_eq!(granted.await.unwrap(), "uid");
    assert!(take(&waiting, "uid").is_some());
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_only_until_other_calls_have_ended_hears_so() {
    let (quick, slow) = (permits(1000), permits(5));
    let held: Vec<_> = [&quick, &slow].into_iter().flat_map(|permits| (0..4).map(|n| hold(permits, &n.to_string(), SHOP))).collect();
    assert!(matches!(quick.try_urgent("a", SHOP), Asked::Crowded), "996 more are allowed in this second");
    assert!(matches!(slow.try_urgent("a", SHOP), Asked::Crowded), "one more is");
    assert!(matches!(slow.try_urgent("b", SHOP), Asked::Queued), "two are not");
    assert!(matches!(slow.try_urgent("a", SHOP), Asked::Queued), "and who is first of them may change");
    drop(held);
}
