//! What is published of an account as an Event, read off two statuses: whether its credentials do, and that it is stuck.

use super::{AccountReason, CLOCKS_DISAGREE};
use crate::{
    api::{
        account::CloudAccountStatus,
        backup::AccountKind,
        conditions::{is_true, types},
    },
    plan::notice::{Notice, ready},
};

/// What happened between two statuses of an account of a kind. Verifying again with the same result is no news; neither is another message with the same
/// reason. Events of a cluster account are in the namespace `default`, whose users may not know the platform's Secrets, users and addresses.
pub fn notices(kind: AccountKind, before: Option<&CloudAccountStatus>, after: &CloudAccountStatus) -> Vec<Notice> {
    let mut notices = Vec::new();
    let conditions = before.map(|before| before.conditions.as_slice()).unwrap_or_default();
    let ((written, message), (written_before, _)) = (ready(&after.conditions), ready(conditions));
    let reason: Option<AccountReason> = written.parse().ok();
    let message = match (kind, reason) {
        (AccountKind::CloudAccount, _) | (_, None) => message.to_owned(),
        (AccountKind::ClusterCloudAccount, Some(reason)) => format!("{written}: {}; the account's status says more", reason.in_general()),
    };
    let mut publish = |reason, action, is_warning, note: &str| {
        notices.push(Notice { reason, action, is_warning, note: note.to_owned() });
    };
    if written != written_before {
        match reason {
            Some(AccountReason::Verified) => publish("Verified", "Verify", false, &message),
            Some(AccountReason::AuthenticationFailed | AccountReason::AccessDenied) => {
                publish("CredentialsRefused", "Verify", true, &message);
            }
            Some(AccountReason::SecretNotFound) => publish("SecretMissing", "ReadSecret", true, &message),
            _ => {}
        }
    }
    let begins = |type_: &str| is_true(&after.conditions, type_) && !is_true(conditions, type_);
    if begins(types::STALLED) {
        publish("Stalled", "Verify", true, &message);
    }
    if begins(types::CLOCK_SKEW) {
        publish("ClockSkew", "CompareClocks", true, CLOCKS_DISAGREE);
    }
    notices
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

    fn status(reason: &str, others: &[&str]) -> CloudAccountStatus {
        let condition = |type_: &str, reason: &str| Condition {
            type_: type_.into(),
            status: "True".into(),
            reason: reason.into(),
            message: format!("about {reason}"),
            observed_generation: None,
            last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
        };
        let others = others.iter().map(|type_| condition(type_, reason));
        CloudAccountStatus {
            conditions: std::iter::once(condition("Ready", reason)).chain(others).collect(),
            ..CloudAccountStatus::default()
        }
    }

    fn told(before: Option<&CloudAccountStatus>, after: &CloudAccountStatus) -> Vec<(&'static str, bool, String)> {
        notices(AccountKind::CloudAccount, before, after)
            .into_iter()
            .map(|notice| (notice.reason, notice.is_warning, notice.note))
            .collect()
    }

    #[test]
    fn whoever_looks_at_an_account_reads_whether_its_credentials_do() {
        for (reason, event, is_warning) in [
            ("Verified", "Verified", false),
            ("AuthenticationFailed", "CredentialsRefused", true),
            ("AccessDenied", "CredentialsRefused", true),
            ("SecretNotFound", "SecretMissing", true),
        ] {
            let expected = vec![(event, is_warning, format!("about {reason}"))];
            assert_eq!(told(None, &status(reason, &[])), expected);
            assert_eq!(told(Some(&status("CloudUnavailable", &[])), &status(reason, &[])), expected);
            assert_eq!(told(Some(&status(reason, &[])), &status(reason, &[])), [], "{reason} again is no news");
        }
        assert_eq!(told(None, &status("Unverified", &[])), [], "nothing was refused, and nothing was accepted");
    }

    #[test]
    fn events_of_a_cluster_account_tell_no_user_of_the_namespace_default_the_platforms_names() {
        for reason in ["Verified", "AuthenticationFailed", "SecretNotFound", "ProjectNotFound"] {
            let after = status(reason, &["Stalled"]);
            let notices = notices(AccountKind::ClusterCloudAccount, None, &after);
            assert!(!notices.is_empty());
            for notice in notices {
                assert!(notice.note.starts_with(&format!("{reason}: ")) && !notice.note.contains("about "), "{}", notice.note);
            }
        }
    }

    #[test]
    fn an_account_that_stays_blocked_says_so_once_whatever_the_reason() {
        let (within, after) = (status("ProjectNotFound", &["Reconciling"]), status("ProjectNotFound", &["Stalled"]));
        assert_eq!(told(None, &within), []);
        assert_eq!(told(Some(&within), &after), [("Stalled", true, "about ProjectNotFound".to_owned())]);
        assert_eq!(told(Some(&after), &after), []);
    }

    #[test]
    fn clocks_that_disagree_are_told_once_whatever_else_is_said() {
        let skewed = status("Verified", &["ClockSkew"]);
        assert_eq!(told(Some(&status("Verified", &[])), &skewed), [("ClockSkew", true, CLOCKS_DISAGREE.to_owned())]);
        assert_eq!(told(Some(&skewed), &skewed), []);
    }
}
