use super::*;
use crate::cloud::{
    iam,
    permits::{Asked, Purpose},
};
use serde_json::json;

fn now() -> Moment {
    Moment { wall: "2026-01-01T00:00:00Z".parse().expect("a time"), mono: Duration::ZERO }
}

fn key(name: &str) -> AccountKey {
    AccountKey { kind: AccountKind::ClusterCloudAccount, namespace: None, name: name.into() }
}

fn seen_by_a_backup_of(accounts: &Accounts, account: &str) -> Account {
    let spec = json!({
        "accountRef": { "kind": "ClusterCloudAccount", "name": account }, "source": { "engine": "DCS", "instanceId": "i-1" },
    });
    let backup = DatabaseBackup::new("b", serde_json::from_value(spec).expect("a spec"));
    accounts.for_backup(&backup, now()).account
}

#[tokio::test]
async fn an_account_that_was_listed_and_not_verified_yet_is_never_said_to_be_missing() {
    let (accounts, _granted) = Accounts::new();
    assert_eq!(seen_by_a_backup_of(&accounts, "cloud"), Account::Verifying, "no watch was begun yet");
    accounts.expect(AccountKind::ClusterCloudAccount, &[None]);
    assert_eq!(seen_by_a_backup_of(&accounts, "cloud"), Account::Verifying, "nothing was listed yet");
    let listed = accounts.listed(AccountKind::ClusterCloudAccount, None, &[(key("cloud"), 5)], now());
    assert_eq!(listed, ListingChanges { gone: Vec::new(), is_first: true });
    assert_eq!(seen_by_a_backup_of(&accounts, "cloud"), Account::Verifying, "its first verification is still to come");
    assert!(matches!(seen_by_a_backup_of(&accounts, "another"), Account::Blocked { .. }));
}

#[tokio::test]
async fn a_namespace_whose_accounts_cannot_be_listed_keeps_no_other_waiting() {
    let (accounts, _granted) = Accounts::new();
    let scopes = ["shop", "forbidden"].map(|namespace| Some(namespace.to_owned()));
    accounts.expect(AccountKind::CloudAccount, &scopes);
    accounts.listed(AccountKind::CloudAccount, Some("shop"), &[], now());
    let seen = |namespace: &str| {
        let spec = json!({ "source": { "engine": "DCS", "instanceId": "i-1" } });
        let mut backup = DatabaseBackup::new("b", serde_json::from_value(spec).expect("a spec"));
        backup.metadata.namespace = Some(namespace.into());
        accounts.for_backup(&backup, now()).account
    };
    assert!(matches!(seen("shop"), Account::Blocked { reason: Reason::AccountNotFound, .. }));
    assert_eq!(seen("forbidden"), Account::Verifying);
}

#[tokio::test]
async fn an_account_that_a_later_listing_lacks_is_gone() {
    let (accounts, _granted) = Accounts::new();
    accounts.expect(AccountKind::ClusterCloudAccount, &[None]);
    accounts.listed(AccountKind::ClusterCloudAccount, None, &[(key("cloud"), 5)], now());
    let listed = accounts.listed(AccountKind::ClusterCloudAccount, None, &[], now());
    assert_eq!(listed, ListingChanges { gone: vec![key("cloud")], is_first: false });
    assert!(matches!(seen_by_a_backup_of(&accounts, "cloud"), Account::Blocked { reason: Reason::AccountNotFound, .. }));
}

#[tokio::test]
async fn whoever_queued_for_a_permit_is_named_when_it_is_granted_whatever_its_kind() {
    let (accounts, mut granted) = Accounts::new();
    let permits = accounts.permits(&key("cloud"), 1);
    let purpose = Purpose { namespace: "shop", api: &iam::API };
    assert!(matches!(permits.try_urgent("uid of a backup", purpose), Asked::Granted(_)));
    assert!(matches!(permits.try_urgent("uid of a restore", purpose), Asked::Queued));
    assert_eq!(granted.recv().await.as_deref(), Some("uid of a restore"));
    assert!(matches!(permits.try_urgent("uid of a restore", purpose), Asked::Granted(_)));
}
