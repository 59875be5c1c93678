//! The life of credentials: rotated, refused, revoked, renewed, and never tried so often that a cloud locks them.

use crate::{
    accounts::{Told, backup, create_all, ready_of, until_all, until_ready_says},
    simulator::{
        ACCESS_KEY, DOMAIN, PROJECTS, SECRET_KEY, USER,
        faults::{Fault, FaultKind},
    },
    support::eventually,
    world::{PATIENCE, World, message, ready},
};
use database_backup_operator::api::{backup::DatabaseBackup, status::Phase};
use jiff::{SignedDuration, Timestamp};
use kube::{Api, ResourceExt, api::PostParams};
use std::time::Duration;

const HERE: &str = PROJECTS[0].1;

/// Longer than any of these tests: what heals within it was not waited for.
const LONG_PAUSE: &str = "--settle-delay=120s";

fn refusal(status: u16, code: &str, message: &str) -> FaultKind {
    FaultKind::Status { status, code: code.into(), message: message.into(), retry_after: None }
}

/// So many objects of an account, each of an instance of its own, of two engines in turn.
fn backups(begin: &str, account: &str, numbers: std::ops::Range<usize>) -> Vec<DatabaseBackup> {
    let of = |n: usize| backup(&format!("{begin}-{n}"), account, ["DCS", "TaurusDB"][n % 2], &format!("{begin}-{n}"));
    numbers.map(of).collect()
}

/// When requests for an operation of IAM arrived, oldest first.
fn asked_of_iam(world: &World, operation: &str) -> Vec<Timestamp> {
    world.cloud.calls().iter().filter(|call| call.operation == operation).map(|call| call.at).collect()
}

/// What is running in the cloud ends now.
fn let_them_end(world: &World) {
    world.cloud.hold_backups(false);
    world.cloud.complete_all();
}

async fn patch_account(world: &World, name: &str, patch: &str) {
    world.plane.kubectl_ok(&["patch", "ccacct", name, "--type=merge", "-p", patch]).await;
}

/// Copies an account under other names.
async fn copy_account(world: &World, name: &str, copies: impl Iterator<Item = String>) {
    let original = world.accounts.get(name).await.expect("it is there");
    for copy in copies {
        let mut account = original.clone();
        account.metadata = kube::api::ObjectMeta { name: Some(copy), ..Default::default() };
        account.status = None;
        world.accounts.create(&PostParams::default(), &account).await.expect("it is created");
    }
}

/// The same access key in two Secrets.
async fn put_into_both(world: &World, secret_key: &str) {
    for name in ["one", "copied"] {
        world.secret(name, &[("accessKey", ACCESS_KEY), ("secretKey", secret_key)]).await;
    }
}

#[tokio::test]
async fn a_hundred_backups_live_through_the_rotation_of_their_password_and_of_their_key() {
    const RUNNING: usize = 80;
    const ALL: usize = 100;
    let mut world = World::without_operator().await;
    world.cloud.any_instance(true);
    world.account("cloud", 1000).await;
    world.account_by_key("keys", 1000).await;
    world.start_operator_with(&[LONG_PAUSE]);
    for account in ["cloud", "keys"] {
        until_ready_says(&world, account, "Verified").await;
    }
    let told = Told::by(&world);
    for account in ["cloud", "keys"] {
        world.cloud.hold_backups(true);
        create_all(&world.backups_here(), backups(account, account, 0..RUNNING)).await;
        until_all(&world, account, Phase::Running).await;
        let api = world.backups_here();
        let asking = create_all(&api, backups(account, account, RUNNING..ALL));
        // The other twenty are asked for while it happens.
        let rotating = async {
            if account == "cloud" {
                world.cloud.set_password("another-password");
                world.cloud.revoke_tokens();
                until_ready_says(&world, "cloud", "AuthenticationFailed").await;
                world.change_user([DOMAIN, USER, "another-password"]).await;
                until_ready_says(&world, "cloud", "Verified").await;
            } else {
                world.cloud.add_access_key("AKROTATED00000000001", "SKRotated", None, None);
                world.secret("keys", &[("accessKey", "AKROTATED00000000001"), ("secretKey", "SKRotated")]).await;
                world.cloud.remove_access_key(ACCESS_KEY);
            }
        };
        tokio::join!(asking, rotating);
        until_all(&world, account, Phase::Running).await;
        let_them_end(&world);
        for object in until_all(&world, account, Phase::Completed).await {
            let (name, status) = (object.name_any(), object.status.unwrap_or_default());
            assert_eq!((status.attempts, status.failed_attempts.len()), (Some(1), 0), "{name}: {status:?}");
            let lost = ["Failed", "Missing"].into_iter().find(|phase| world.phases(&name).contains(phase));
            assert_eq!(lost, None, "{name}: {:?}", world.phases(&name));
        }
    }
    assert_eq!(world.own_backups().len(), 2 * ALL, "each was taken once");
    let reasons = told.reasons("keys");
    assert!(reasons.iter().all(|reason| reason == "Verified"), "a key that is added before the other goes is no trouble: {reasons:?}");
    assert_eq!((world.cloud.user_attempts(USER).bad, world.cloud.locks()), (1, 0), "the old password was tried once");
}

#[tokio::test]
async fn a_key_is_never_locked_however_many_accounts_have_it_and_whenever_it_becomes_wrong() {
    let mut world = World::without_operator().await;
    world.cloud.any_instance(true);
    put_into_both(&world, "wrong").await;
    world.account_with("a-0", "accessKeySecretRef: {name: one}", 1000).await;
    world.account_with("a-1", "accessKeySecretRef: {name: copied}", 1000).await;
    copy_account(&world, "a-0", (1..6).map(|n| format!("a-{}", 2 * n))).await;
    copy_account(&world, "a-1", (1..6).map(|n| format!("a-{}", 2 * n + 1))).await;
    let of = |begin: &str, accounts: usize, n: usize| {
        backup(&format!("{begin}-{n}"), &format!("a-{}", n % accounts), ["DCS", "TaurusDB"][n % 2], &format!("{begin}-{n}"))
    };
    create_all(&world.backups_here(), (0..30).map(|n| of("early", 12, n)).collect()).await;
    world.start_operator();
    let bad = |world: &World| world.cloud.key_attempts(ACCESS_KEY).bad;
    eventually("two pauses are over", PATIENCE, async || if bad(&world) >= 3 { Ok(()) } else { Err(format!("{} attempts", bad(&world))) })
        .await;
    let tried = asked_of_iam(&world, "projects");
    let pauses: Vec<_> = tried.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_millis()).collect();
    assert!(pauses.len() == 2 && pauses[0] >= 5_000 && pauses[1] >= 10_000, "{pauses:?}");
    for n in 0..12 {
        until_ready_says(&world, &format!("a-{n}"), "AuthenticationFailed").await;
    }
    put_into_both(&world, SECRET_KEY).await;
    until_all(&world, "early", Phase::Completed).await;
    assert_eq!((bad(&world), world.cloud.worst_run(), world.cloud.locks()), (3, 3, 0));

    // The same key, which is right and becomes wrong while all sorts of calls are under way, of four namespaces and three accounts.
    world.kill_operator();
    world.start_operator_with(&[LONG_PAUSE]);
    for n in 0..3 {
        until_ready_says(&world, &format!("a-{n}"), "Verified").await;
    }
    world.operator().ready().await;
    world.cloud.hold_backups(true);
    for operation in ["create", "list"] {
        world.cloud.inject(Fault::new(FaultKind::Delay(Duration::from_millis(300))).at(operation).always());
    }
    let before = world.own_backups().len();
    for (nth, namespace) in ["n-0", "n-1", "n-2", "n-3"].into_iter().enumerate() {
        world.plane.kubectl_ok(&["create", "namespace", namespace]).await;
        let api: Api<DatabaseBackup> = Api::namespaced(world.backups.clone().into_client(), namespace);
        create_all(&api, (15 * nth..15 * (nth + 1)).map(|n| of("late", 3, n)).collect()).await;
    }
    eventually("half of them run", PATIENCE, async || match world.own_backups().len() - before {
        running if running >= 30 => Ok(()),
        running => Err(format!("{running}\n{}", world.newest_lines())),
    })
    .await;
    world.cloud.set_secret_key(ACCESS_KEY, "another");
    for n in 0..3 {
        until_ready_says(&world, &format!("a-{n}"), "AuthenticationFailed").await;
    }
    put_into_both(&world, "another").await;
    world.cloud.faults.clear();
    until_all(&world, "late", Phase::Running).await;
    let_them_end(&world);
    until_all(&world, "late", Phase::Completed).await;
    let run = bad(&world) - 3;
    assert!((3..=5).contains(&run), "{run} calls had the old secret key: some were under way, and none came after them but one login");
    assert!(world.cloud.worst_run() <= 5, "{}", world.cloud.worst_run());
    assert_eq!((world.cloud.locks(), world.own_backups().len()), (0, 90));
}

#[tokio::test]
async fn a_service_that_refuses_what_iam_accepts_costs_one_login_and_its_words_are_told() {
    let mut world = World::without_operator().await;
    world.cloud.any_instance(true);
    world.account("cloud", 1000).await;
    world.account_by_key("keys", 1000).await;
    world.start_operator();
    for (account, login) in [("cloud", "token"), ("keys", "projects")] {
        until_ready_says(&world, account, "Verified").await;
        world.cloud.hold_backups(true);
        create_all(&world.backups_here(), backups(account, account, 0..20)).await;
        until_all(&world, account, Phase::Running).await;
        let before = asked_of_iam(&world, login).len();
        let words = "Incorrect IAM authentication information: the service has its own mind";
        world.cloud.inject(Fault::new(refusal(401, "APIGW.0301", words)).on("dcs").containing(account).always());
        let said = until_ready_says(&world, account, "AuthenticationFailed").await.message;
        assert!(
            said.starts_with("IAM accepts the credentials, and a service of the cloud refuses them: DCS answered the list with "),
            "{said}"
        );
        assert!(said.contains("APIGW.0301") && said.contains("its own mind") && said.lines().count() == 1, "{said}");
        eventually("it is tried again", PATIENCE, async || match asked_of_iam(&world, login).len() - before {
            logins if logins >= 2 => Ok(()),
            logins => Err(format!("{logins} logins")),
        })
        .await;
        let logins = asked_of_iam(&world, login).split_off(before);
        // One at once, and the next when the pause is over.
        let pause = logins[1].duration_since(logins[0]);
        assert!(pause >= SignedDuration::from_secs(5), "{pause:?}");
        world.cloud.faults.clear();
        let_them_end(&world);
        for object in until_all(&world, account, Phase::Completed).await {
            assert!(!world.phases(&object.name_any()).contains(&"Failed"), "{}", object.name_any());
        }
        until_ready_says(&world, account, "Verified").await;
    }
    assert_eq!((world.own_backups().len(), world.cloud.locks()), (40, 0));
}

#[tokio::test]
async fn what_is_refused_for_one_account_alone_says_nothing_of_another_with_the_same_key() {
    let mut world = World::without_operator().await;
    world.cloud.any_instance(true);
    world.account_by_key("keys", 1000).await;
    world.account_with("elsewhere", "accessKeySecretRef: {name: keys}", 1000).await;
    patch_account(&world, "elsewhere", r#"{"spec": {"projectId": "11112222333344445555666677778888"}}"#).await;
    let told = Told::by(&world);
    world.start_operator();
    until_ready_says(&world, "keys", "Verified").await;
    world.cloud.hold_backups(true);
    create_all(&world.backups_here(), vec![backup("right", "keys", "TaurusDB", "i-1in07")]).await;
    world.until_phase("right", Phase::Running).await;
    // GeminiDB answers with 400 DBS.200010, which is about the credentials and the project.
    create_all(&world.backups_here(), vec![backup("wrong", "elsewhere", "GeminiDB", "i-1in06")]).await;
    let said = until_ready_says(&world, "elsewhere", "AuthenticationFailed").await.message;
    assert!(said.contains("DBS.200010"), "{said}");
    world.until_seen("wrong", "blocked", |status| ready(status).is_some_and(|ready| ready.reason == "AuthenticationFailed")).await;
    // It is tried again, and refused again.
    let tried = world.cloud.count(Some("geminidb"), "create");
    assert!(world.cloud.wait_until(PATIENCE, |cloud| cloud.count(Some("geminidb"), "create") > tried), "it is tried again");
    let_them_end(&world);
    world.until_phase("right", Phase::Completed).await;
    create_all(&world.backups_here(), vec![backup("next", "keys", "TaurusDB", "i-2in07")]).await;
    world.until_phase("next", Phase::Completed).await;
    let reasons = told.reasons("keys");
    assert!(reasons.iter().all(|reason| reason.is_empty() || reason == "Verified"), "{reasons:?}");
}

#[tokio::test]
async fn keys_work_while_the_clouds_clock_is_an_hour_off_and_while_it_jumps() {
    let mut world = World::without_operator().await;
    world.cloud.any_instance(true);
    world.account_by_key("cloud", 1000).await;
    world.cloud.set_clock_offset(SignedDuration::from_hours(1));
    world.start_operator();
    world.until_account_is_verified().await;
    world.cloud.hold_backups(true);
    create_all(&world.backups_here(), backups("early", "cloud", 0..20)).await;
    until_all(&world, "early", Phase::Running).await;
    let skewed = |status: &database_backup_operator::api::account::CloudAccountStatus| {
        status.conditions.iter().any(|condition| condition.type_ == "ClockSkew" && condition.status == "True")
    };
    let status = world.until_account("tells that the clocks differ", skewed).await;
    assert_eq!(ready_of(&status).status, "True");
    // Signatures of what is under way carry a time that is wrong by two hours now.
    world.cloud.set_clock_offset(SignedDuration::from_hours(-1));
    create_all(&world.backups_here(), backups("late", "cloud", 0..20)).await;
    until_all(&world, "late", Phase::Running).await;
    let_them_end(&world);
    for begin in ["early", "late"] {
        until_all(&world, begin, Phase::Completed).await;
    }
    world.cloud.set_clock_offset(SignedDuration::ZERO);
    create_all(&world.backups_here(), backups("last", "cloud", 0..2)).await;
    until_all(&world, "last", Phase::Completed).await;
    world.until_account("no longer tells of the clocks", |status| !skewed(status)).await;
    assert_eq!((world.own_backups().len(), world.cloud.locks()), (42, 0));
    assert!(world.cloud.worst_run() <= 5, "{}", world.cloud.worst_run());
}

#[tokio::test]
async fn a_wrong_key_is_tried_as_seldom_while_the_clocks_differ() {
    let mut world = World::without_operator().await;
    world.cloud.any_instance(true);
    world.account_by_key("cloud", 1000).await;
    world.cloud.set_clock_offset(SignedDuration::from_hours(1));
    world.start_operator_with(&[LONG_PAUSE]);
    world.until_account_is_verified().await;
    world.cloud.hold_backups(true);
    world.cloud.inject(Fault::new(FaultKind::Delay(Duration::from_millis(300))).at("list").always());
    create_all(&world.backups_here(), backups("b", "cloud", 0..30)).await;
    until_all(&world, "b", Phase::Running).await;
    let before = world.cloud.key_attempts(ACCESS_KEY).bad;
    world.cloud.set_secret_key(ACCESS_KEY, "another");
    until_ready_says(&world, "cloud", "AuthenticationFailed").await;
    world.secret("cloud", &[("accessKey", ACCESS_KEY), ("secretKey", "another")]).await;
    world.cloud.faults.clear();
    let_them_end(&world);
    until_all(&world, "b", Phase::Completed).await;
    let run = world.cloud.key_attempts(ACCESS_KEY).bad - before;
    assert!((3..=5).contains(&run) && world.cloud.worst_run() <= 5 && world.cloud.locks() == 0, "{run} in a row");
}

#[tokio::test]
async fn an_iam_that_is_away_stops_nobody_before_the_token_ends() {
    const LIFE: Duration = Duration::from_secs(16);
    let mut world = World::without_operator().await;
    world.cloud.any_instance(true);
    world.account("cloud", 1000).await;
    world.cloud.token_lifetime(LIFE);
    let told = Told::by(&world);
    world.start_operator_with(&["--resync-interval=4s"]);
    world.until_account_is_verified().await;
    world.cloud.inject(Fault::new(refusal(503, "", "IAM is away")).on("iam").always());
    let issued = asked_of_iam(&world, "token");
    world.ask("first", "DCS", "i-1").await;
    world.until_phase("first", Phase::Completed).await;
    // First it is time for another verification, and then for another token.
    let tries = || asked_of_iam(&world, "token").len() - issued.len();
    eventually("IAM is asked in vain", PATIENCE, async || if tries() >= 3 { Ok(()) } else { Err(format!("{} times", tries())) }).await;
    world.ask("second", "DCS", "i-2").await;
    world.until_phase("second", Phase::Completed).await;
    let ready = until_ready_says(&world, "cloud", "CloudUnavailable").await;
    let last = *issued.last().expect("it logged in");
    let ended = ready.last_transition_time.0.duration_since(last);
    assert!(ended >= SignedDuration::from_secs(15), "not before the token ended: {ended:?}");
    assert!(ready.message.contains("IAM is away"), "{}", ready.message);
    assert!(tries() <= 60, "{} times", tries());
    let reasons: Vec<_> = told.reasons("cloud").into_iter().filter(|reason| !reason.is_empty()).collect();
    assert_eq!(reasons, ["Verified", "CloudUnavailable"]);
    world.ask("third", "DCS", "i-3").await;
    world.until_seen("third", "told why it waits", |status| message(status).contains("CloudUnavailable")).await;
    world.cloud.token_lifetime(Duration::from_secs(86_400));
    world.cloud.faults.clear();
    until_ready_says(&world, "cloud", "Verified").await;
    world.until_phase("third", Phase::Completed).await;
    assert_eq!(world.own_backups().len(), 3);
}

#[tokio::test]
async fn revoked_keys_withdrawn_permissions_and_wrong_places_are_each_told_and_heal_by_themselves() {
    let mut world = World::without_operator().await;
    world.cloud.any_instance(true);
    world.account("cloud", 1000).await;
    world.account_by_key("keys", 1000).await;
    // Accounts are verified every 2 s.
    world.start_operator_with(&["--poll-interval=100ms", "--resync-interval=4s"]);
    world.account_with("wrong-project", "passwordSecretRef: {name: cloud}", 1000).await;
    patch_account(&world, "wrong-project", r#"{"spec": {"projectId": "11112222333344445555666677778888"}}"#).await;
    world.account_in("eu-xx", "wrong-region", "accessKeySecretRef: {name: keys}", 1000).await;
    world.account_in("eu-xx", "no-region", "accessKeySecretRef: {name: keys}", 1000).await;
    patch_account(&world, "no-region", r#"{"spec": {"endpoints": null}}"#).await;
    for (name, reason, begin) in [
        ("wrong-project", "ProjectNotFound", "correct spec.projectId: IAM answered the token with 404"),
        ("wrong-region", "ProjectNotFound", "IAM knows 0 projects named eu-xx for these credentials: set spec.projectId"),
        ("no-region", "EndpointMisconfigured", "region eu-xx of OpenTelekomCloud is not in the endpoint table: correct it, or use"),
    ] {
        let said = until_ready_says(&world, name, reason).await.message;
        assert!(said.starts_with(begin) && said.lines().count() == 1, "{name}: {said}");
    }
    for account in ["cloud", "keys"] {
        until_ready_says(&world, account, "Verified").await;
    }
    world.cloud.hold_backups(true);
    create_all(&world.backups_here(), backups("revoked", "keys", 0..2)).await;
    until_all(&world, "revoked", Phase::Running).await;
    for is_removed in [true, false] {
        if is_removed {
            world.cloud.remove_access_key(ACCESS_KEY);
        } else {
            world.cloud.disable_access_key(ACCESS_KEY, true);
        }
        let said = until_ready_says(&world, "keys", "AuthenticationFailed").await.message;
        assert!(said.contains("the AK does not exist"), "{said}");
        world.cloud.add_access_key(ACCESS_KEY, SECRET_KEY, None, None);
        until_ready_says(&world, "keys", "Verified").await;
    }
    let_them_end(&world);
    until_all(&world, "revoked", Phase::Completed).await;

    world.cloud.hold_backups(true);
    for account in ["cloud", "keys"] {
        create_all(&world.backups_here(), backups(&format!("denied-{account}"), account, 0..2)).await;
    }
    until_all(&world, "denied", Phase::Running).await;
    world.cloud.deny_project(HERE, true);
    let said = until_ready_says(&world, "cloud", "AccessDenied").await.message;
    assert!(said.starts_with("set spec.projectId, since these credentials may not use the region's project: IAM answered"), "{said}");
    // A key is good for all projects, so it is the service that says so.
    for name in ["denied-keys-0", "denied-keys-1"] {
        world.until_reason(name, "AccessDenied").await;
    }
    assert_eq!(ready_of(&world.account_status("keys").await).reason, "Verified");
    world.cloud.deny_project(HERE, false);
    until_ready_says(&world, "cloud", "Verified").await;
    let_them_end(&world);
    until_all(&world, "denied", Phase::Completed).await;
    assert_eq!((world.own_backups().len(), world.cloud.locks()), (6, 0));
}

#[tokio::test]
async fn fifty_backups_that_wait_for_their_account_cost_one_login() {
    let mut world = World::without_operator().await;
    world.cloud.any_instance(true);
    world.account("cloud", 1000).await;
    create_all(&world.backups_here(), backups("first", "cloud", 0..50)).await;
    let slowly = || Fault::new(FaultKind::Delay(Duration::from_secs(3))).at("token");
    world.cloud.inject(slowly());
    world.start_operator();
    world.cloud.hold_backups(true);
    until_all(&world, "first", Phase::Running).await;
    assert_eq!(world.cloud.count(Some("iam"), "token"), 1);
    world.cloud.inject(slowly());
    world.cloud.revoke_tokens();
    create_all(&world.backups_here(), backups("second", "cloud", 0..50)).await;
    until_all(&world, "second", Phase::Running).await;
    let_them_end(&world);
    for begin in ["first", "second"] {
        until_all(&world, begin, Phase::Completed).await;
    }
    assert_eq!((world.cloud.count(Some("iam"), "token"), world.own_backups().len()), (2, 100));
}
