//! What the two kinds of account have in common.

use crate::{
    api::{
        account::{AccountSpec, AllowedNamespaces, CloudAccount, CloudAccountStatus, ClusterCloudAccount},
        backup::AccountKind,
    },
    cloud::endpoints::Overrides,
    controller::{
        kind::Kind,
        store::{accounts::Accounts, waker::Waker},
    },
    plan::account::AccountKey,
};
use kube::ResourceExt;

/// One of the two kinds of account.
pub trait AccountObject: Kind {
    /// Which.
    const ACCOUNT_KIND: AccountKind;

    /// What both kinds have.
    fn spec(&self) -> &AccountSpec;
    /// What was written last.
    fn status(&self) -> Option<&CloudAccountStatus>;
    /// The same object with another status.
    #[must_use]
    fn with_status(&self, status: CloudAccountStatus) -> Self;
    /// Namespace of its Secrets; absent: the operator's `--cluster-resource-namespace`.
    fn secret_namespace(&self) -> Option<String>;
    /// Which namespaces may use it; absent: its own.
    fn allowed_namespaces(&self) -> Option<&AllowedNamespaces>;
    /// Other addresses than the table's.
    fn endpoints(&self) -> Overrides;
    /// Through what accounts of this kind are verified soon.
    fn waker(accounts: &Accounts) -> &Waker;

    /// Which account it is.
    fn key(&self) -> AccountKey {
        AccountKey { kind: Self::ACCOUNT_KIND, namespace: self.namespace(), name: self.name_any() }
    }
}

impl AccountObject for CloudAccount {
    const ACCOUNT_KIND: AccountKind = AccountKind::CloudAccount;

    fn spec(&self) -> &AccountSpec {
        &self.spec.account
    }

    fn status(&self) -> Option<&CloudAccountStatus> {
        self.status.as_ref()
    }

    fn with_status(&self, status: CloudAccountStatus) -> Self {
        Self { status: Some(status), ..self.clone() }
    }

    fn secret_namespace(&self) -> Option<String> {
        self.namespace()
    }

    fn allowed_namespaces(&self) -> Option<&AllowedNamespaces> {
        None
    }

    fn endpoints(&self) -> Overrides {
        Overrides::default()
    }

    fn waker(accounts: &Accounts) -> &Waker {
        &accounts.waker
    }
}

impl AccountObject for ClusterCloudAccount {
    const ACCOUNT_KIND: AccountKind = AccountKind::ClusterCloudAccount;

    fn spec(&self) -> &AccountSpec {
        &self.spec.account
    }

    fn status(&self) -> Option<&CloudAccountStatus> {
        self.status.as_ref()
    }

    fn with_status(&self, status: CloudAccountStatus) -> Self {
        Self { status: Some(status), ..self.clone() }
    }

    fn secret_namespace(&self) -> Option<String> {
        None
    }

    fn allowed_namespaces(&self) -> Option<&AllowedNamespaces> {
        Some(&self.spec.allowed_namespaces)
    }

    fn endpoints(&self) -> Overrides {
        self.spec.endpoints.clone().unwrap_or_default()
    }

    fn waker(accounts: &Accounts) -> &Waker {
        &accounts.cluster_waker
    }
}
