//! The reasons that a `DatabaseBackup`'s conditions give, and what each of them means for the conditions.

use crate::api::conditions::Kstatus;

/// Why a backup is where it is; independent of its phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray)]
pub enum Reason {
    /// The cloud is being asked.
    Submitting,
    /// Another backup of the instance is on its way, or the cloud says that the instance is busy.
    InstanceBusy,
    /// Waiting for the account's request rate, or the cloud throttles.
    RateLimited,
    /// The answer to the create call was lost; the operator looks for the backup.
    OutcomeUnknown,
    /// The cloud reported FAILED; the next attempt comes.
    BackoffAfterFailure,
    /// The cloud cannot be reached or fails.
    CloudUnavailable,
    /// The cloud takes the backup.
    Running,
    /// There is no such account.
    AccountNotFound,
    /// The account is there, but cannot be used yet.
    AccountNotReady,
    /// The operator may not read `ClusterCloudAccount`s.
    AccountKindUnavailable,
    /// The account now points elsewhere than where the backup is.
    AccountMismatch,
    /// The cluster account does not allow this namespace.
    NamespaceNotAllowed,
    /// The cloud does not accept the credentials.
    AuthenticationFailed,
    /// The credentials lack a permission.
    AccessDenied,
    /// A quota is used up.
    QuotaExceeded,
    /// The address does not serve this API.
    EndpointMisconfigured,
    /// The cloud does not know the instance.
    InstanceNotFound,
    /// The backup to import is not there.
    ImportNotFound,
    /// The backup to import is one of another instance.
    InstanceMismatch,
    /// Several backups carry this object's mark.
    AmbiguousRemote,
    /// The cloud refuses the request with a code that is in no table.
    RequestRefused,
    /// Velero restored the object without its status, so nobody knows whether its backup was taken.
    RestoredObject,
    /// So many objects of the instance wait that this one is not in line yet.
    TooManyQueued,
    /// The deadline has passed; still watching.
    ProgressDeadlineExceeded,
    /// The backup is there.
    Completed,
    /// All attempts are used up.
    BackupFailed,
    /// The cloud refuses the request as it is.
    InvalidRequest,
    /// The cloud cannot back up this instance.
    Unsupported,
    /// The cloud no longer has the backup.
    RemoteMissing,
    /// Deleted in the cloud because its time was up.
    Expired,
    /// Not taken: `takeBefore` had passed.
    TooLate,
    /// Not taken: a newer run of its schedule took its place.
    Superseded,
    /// The object goes when its backup in the cloud is gone.
    Deleting,
    /// The backup must not be deleted: it is elsewhere, or not this object's, or the clocks disagree.
    DeleteBlocked,
    /// The account cannot be used, so nothing can be deleted.
    CredentialsUnavailable,
    /// The endpoint has no delete.
    DeleteUnsupported,
}

impl Reason {
    /// The reason as written in conditions.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Which conditions are true with this reason.
    pub fn kstatus(self) -> Kstatus {
        match self {
            Self::Submitting
            | Self::InstanceBusy
            | Self::RateLimited
            | Self::OutcomeUnknown
            | Self::BackoffAfterFailure
            | Self::CloudUnavailable
            | Self::Running => Kstatus::InProgress,
            Self::AccountNotFound
            | Self::AccountNotReady
            | Self::AccountKindUnavailable
            | Self::AccountMismatch
            | Self::NamespaceNotAllowed
            | Self::AuthenticationFailed
            | Self::AccessDenied
            | Self::QuotaExceeded
            | Self::EndpointMisconfigured
            | Self::InstanceNotFound
            | Self::ImportNotFound
            | Self::InstanceMismatch
            | Self::AmbiguousRemote
            | Self::RequestRefused
            | Self::RestoredObject
            | Self::TooManyQueued => Kstatus::Blocked,
            Self::ProgressDeadlineExceeded | Self::BackupFailed | Self::InvalidRequest | Self::Unsupported | Self::RemoteMissing => {
                Kstatus::Failed
            }
            Self::Completed | Self::Expired | Self::TooLate | Self::Superseded => Kstatus::Current,
            Self::Deleting | Self::DeleteBlocked | Self::CredentialsUnavailable | Self::DeleteUnsupported => Kstatus::Terminating,
        }
    }
}
