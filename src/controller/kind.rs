//! What a kind has to say of itself to have a controller.

use crate::api::{
    account::{CloudAccount, ClusterCloudAccount},
    backup::DatabaseBackup,
    schedule::DatabaseBackupSchedule,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Client, Resource,
    core::object::{HasSpec, HasStatus},
};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;

/// A kind that has a controller.
pub trait Kind: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What is asked for.
    type Spec: DeserializeOwned;
    /// How it is.
    type Status: DeserializeOwned;
    /// The kind, as people write it.
    const NAME: &'static str;

    /// Where objects of a namespace (absent: all, or a kind without) are read and written. `T` is the kind, or the kind as far as it can be read.
    fn api<T: Resource<DynamicType = (), Scope = Self::Scope>>(client: Client, namespace: Option<&str>) -> Api<T>;

    /// An object of these parts.
    fn of(metadata: ObjectMeta, spec: Self::Spec, status: Option<Self::Status>) -> Self;
}

macro_rules! namespaced {
    ($kind:ty, $name:expr) => {
        impl Kind for $kind {
            type Spec = <Self as HasSpec>::Spec;
            type Status = <Self as HasStatus>::Status;
            const NAME: &'static str = $name;

            fn of(metadata: ObjectMeta, spec: Self::Spec, status: Option<Self::Status>) -> Self {
                Self { metadata, spec, status }
            }

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
    type Spec = <Self as HasSpec>::Spec;
    type Status = <Self as HasStatus>::Status;
    const NAME: &'static str = "ClusterCloudAccount";

    fn of(metadata: ObjectMeta, spec: Self::Spec, status: Option<Self::Status>) -> Self {
        Self { metadata, spec, status }
    }

    fn api<T: Resource<DynamicType = (), Scope = Self::Scope>>(client: Client, _namespace: Option<&str>) -> Api<T> {
        Api::all(client)
    }
}
