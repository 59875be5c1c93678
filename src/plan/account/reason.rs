//! Why an account is where it is.

use crate::{api::conditions::Kstatus, plan::backup::reason::Reason};

/// Why an account is where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
pub enum AccountReason {
    /// The cloud accepted the credentials.
    Verified,
    /// Nothing was refused, and IAM could not be asked. What needs no IAM goes on.
    Unverified,
    /// There is no such Secret.
    SecretNotFound,
    /// The operator may not read the Secret.
    SecretForbidden,
    /// The Secret lacks a key, or a value cannot be right.
    SecretInvalid,
    /// The cloud does not accept the credentials.
    AuthenticationFailed,
    /// The credentials may not do what is needed to verify them.
    AccessDenied,
    /// The region's project was not found, or is not the only one of its name.
    ProjectNotFound,
    /// An endpoint is plain HTTP.
    EndpointInsecure,
    /// An endpoint is a host that the operator may not send credentials to.
    EndpointNotAllowed,
    /// An endpoint cannot be used, or the region is not in the table.
    EndpointMisconfigured,
    /// IAM cannot be reached or fails.
    CloudUnavailable,
    /// The Kubernetes API did not give the Secret; it is read again.
    SecretUnavailable,
    /// There is no such ServiceAccount.
    ServiceAccountNotFound,
    /// The operator may not ask for the ServiceAccount's tokens.
    ServiceAccountForbidden,
    /// The Kubernetes API did not give a token of the ServiceAccount; it is asked again.
    ServiceAccountUnavailable,
    /// The audience is one of the Kubernetes API itself, so that whoever receives the token could use it there.
    AudienceNotAllowed,
    /// Nobody has given the node or the Pod an agency.
    AgencyNotFound,
    /// What hands out the agency's keys cannot be reached, or is not there.
    AgencyUnavailable,
}

impl AccountReason {
    /// The reason as written in conditions.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Which conditions are true with this reason.
    pub fn kstatus(self) -> Kstatus {
        match self {
            Self::Verified | Self::Unverified => Kstatus::Current,
            Self::CloudUnavailable | Self::SecretUnavailable | Self::ServiceAccountUnavailable => Kstatus::InProgress,
            _ => Kstatus::Blocked,
        }
    }

    /// Whether whoever could not be asked says nothing of the credentials: what is held stays as good as it was.
    pub fn says_nothing_of_credentials(self) -> bool {
        matches!(
            self,
            Self::CloudUnavailable
                | Self::EndpointMisconfigured
                | Self::SecretUnavailable
                | Self::ServiceAccountUnavailable
                | Self::AgencyUnavailable
        )
    }

    /// What it means, without a name: backups of every namespace say this of a cluster account, and who may read those may not know the platform's Secrets,
    /// users and addresses.
    pub(super) fn in_general(self) -> &'static str {
        match self {
            Self::Verified => "its credentials are accepted",
            Self::Unverified => "its credentials could not be verified yet",
            Self::SecretNotFound => "its Secret is missing",
            Self::SecretForbidden => "the operator may not read its Secret",
            Self::SecretInvalid => "its Secret cannot be used",
            Self::AuthenticationFailed => "the cloud does not accept its credentials",
            Self::AccessDenied => "its credentials lack a permission",
            Self::ProjectNotFound => "its project was not found",
            Self::EndpointInsecure | Self::EndpointNotAllowed | Self::EndpointMisconfigured => "one of its addresses cannot be used",
            Self::CloudUnavailable => "the cloud's IAM cannot be reached or fails; it is tried again",
            Self::SecretUnavailable => "its Secret could not be read; it is tried again",
            Self::ServiceAccountNotFound => "its ServiceAccount is missing",
            Self::ServiceAccountForbidden => "the operator may not ask for its ServiceAccount's tokens",
            Self::ServiceAccountUnavailable => "no token of its ServiceAccount could be had; it is tried again",
            Self::AudienceNotAllowed => "its audience is one of the Kubernetes API",
            Self::AgencyNotFound => "it has no agency",
            Self::AgencyUnavailable => "what hands out its keys cannot be reached",
        }
    }

    /// The reason that a backup gives while its account is in this state.
    pub(super) fn for_backups(self) -> Reason {
        match self {
            Self::AuthenticationFailed => Reason::AuthenticationFailed,
            Self::AccessDenied => Reason::AccessDenied,
            Self::EndpointInsecure | Self::EndpointNotAllowed | Self::EndpointMisconfigured => Reason::EndpointMisconfigured,
            Self::CloudUnavailable => Reason::CloudUnavailable,
            _ => Reason::AccountNotReady,
        }
    }
}
