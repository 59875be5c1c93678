use super::*;

const SHOP: Purpose<'static> = Purpose { namespace: "shop", service: "dcs" };
const BILLING: Purpose<'static> = Purpose { namespace: "billing", service: "dcs" };

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
    let poll = tokio::spawn(async move { drop(polling.poll(SHOP).await) });
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
                drop(permits.poll(purpose).await);
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
        let purpose = Purpose { namespace, service: "dcs" };
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
    assert!(!call(&permits, "late", Purpose { namespace: "e", service: "dcs" }));
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
    permits.pause("dcs", Duration::from_secs(120));
    permits.pause("dcs", Duration::from_secs(5));
    let taurusdb = Purpose { namespace: "shop", service: "taurusdb" };
    assert!(matches!(permits.try_urgent("a", SHOP), Asked::Paused), "the longer pause counts");
    assert!(matches!(permits.try_urgent("b", BILLING), Asked::Paused), "whoever asks");
    assert!(matches!(permits.try_urgent("c", taurusdb), Asked::Queued), "behind the others, for a moment");
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
        assert!(timeout(Duration::ZERO, permits.urgent(SHOP)).await.is_err());
        assert!(timeout(Duration::ZERO, permits.poll(SHOP)).await.is_err());
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
    let waiting =
        [tokio::spawn(async move { urgent.urgent(SHOP).await.is_none() }), tokio::spawn(async move { poll.poll(SHOP).await.is_none() })];
    tokio::task::yield_now().await;
    permits.close();
    for waits in waiting {
        assert!(timeout(Duration::from_secs(3600), waits).await.expect("it ends").unwrap());
    }
    assert!(timeout(Duration::from_secs(3600), permits.urgent(SHOP)).await.expect("it ends").is_none(), "nor does whoever comes");
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
