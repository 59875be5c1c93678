//! What a kind has to say of itself to have a controller.

use crate::api::{
    account::{CloudAccount, ClusterCloudAccount},
    backup::DatabaseBackup,
    schedule::DatabaseBackupSchedule,
};
use kube::{Api, Client, Resource, ResourceExt};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;

/// A kind that has a controller.
pub trait Kind: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The kind, as people write it.
    const NAME: &'static str;

    /// Where objects of a namespace (absent: all, or a kind without) are read and written. `T` is the kind, or the kind as far as it can be read.
    fn api<T: Resource<DynamicType = (), Scope = Self::Scope>>(client: Client, namespace: Option<&str>) -> Api<T>;

    /// Where this object is read and written.
    fn own_api(&self, client: Client) -> Api<Self> {
        Self::api(client, self.namespace().as_deref())
    }
}

macro_rules! namespaced {
    ($kind:ty, $name:expr) => {
        impl Kind for $kind {
            const NAME: &'static str = $name;

            fn api<T: Resource<DynamicType = (), Scope = Self::Scope>>(client: Client, namespace: Option<&str>) -> Api<T> {
                match namespace {
                    Some(namespace) => Api::namespaced(client, namespace),
                    None => Api::all(client),
                }
            }
        }
    };
}

namespaced!(DatabaseBackup, "DatabaseBackup");
namespaced!(DatabaseBackupSchedule, "DatabaseBackupSchedule");
namespaced!(CloudAccount, "CloudAccount");

impl Kind for ClusterCloudAccount {
    const NAME: &'static str = "ClusterCloudAccount";

    fn api<T: Resource<DynamicType = (), Scope = Self::Scope>>(client: Client, _namespace: Option<&str>) -> Api<T> {
        Api::all(client)
    }
}
