//! What tells one credential from another, without showing it.

use super::{Credentials, access_key::AccessKey, password::Password, token::Token, workload_identity::WorkloadIdentity};
use crate::cloud::digest::sha256;
use secrecy::ExposeSecret;

/// A hash of a credential and of the IAM that knows it. Two Secrets with the same content are one credential. It is kept in memory only.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of these parts, in this order. Each is preceded by its length, so that no two lists of parts hash alike.
    pub fn of(parts: &[&str]) -> Self {
        Self(sha256(parts))
    }
}

impl Credentials {
    /// Which credential it is, at this host of IAM.
    pub fn fingerprint(&self, iam: &str) -> Fingerprint {
        match self {
            Self::Password(Password { domain_name, username, password }) => {
                Fingerprint::of(&[iam, "password", domain_name, username, password.expose_secret()])
            }
            Self::AccessKey(AccessKey { access_key, secret_key, security_token, .. }) => {
                let token = security_token.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default();
                Fingerprint::of(&[iam, "keys", access_key, secret_key.expose_secret(), token])
            }
            Self::Token(Token { token }) => Fingerprint::of(&[iam, "token", token.expose_secret()]),
            // Its token is another one each time, and means the same.
            Self::WorkloadIdentity(WorkloadIdentity { identity_provider, audience, subject, .. }) => {
                Fingerprint::of(&[iam, "workload identity", identity_provider, audience, subject])
            }
        }
    }

    /// Whose credential it is, as far as it says so itself: of two access keys, or of two tokens, nobody can tell whether they belong to one user.
    pub fn user(&self, iam: &str) -> Fingerprint {
        match self {
            Self::Password(Password { domain_name, username, .. }) => Fingerprint::of(&[iam, "user", domain_name, username]),
            Self::AccessKey(AccessKey { access_key, .. }) => Fingerprint::of(&[iam, "access key", access_key]),
            Self::Token(Token { token }) => Fingerprint::of(&[iam, "token", token.expose_secret()]),
            Self::WorkloadIdentity(WorkloadIdentity { identity_provider, subject, .. }) => {
                Fingerprint::of(&[iam, "federated user", identity_provider, subject])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::SecretString;

    fn password(username: &str, password: &str) -> Credentials {
        let password = SecretString::from(password);
        Credentials::Password(Password { domain_name: "d".into(), username: username.into(), password })
    }

    #[test]
    fn the_same_credential_is_one_wherever_it_is_written_down_and_others_are_others() {
        let one = password("u", "p").fingerprint("iam.example.com");
        assert!(one == password("u", "p").fingerprint("iam.example.com"));
        assert!(one != password("u", "q").fingerprint("iam.example.com"));
        assert!(one != password("v", "p").fingerprint("iam.example.com"));
        assert!(one != password("u", "p").fingerprint("iam.example.org"));
        assert!(password("u", "p").user("iam.example.com") == password("u", "q").user("iam.example.com"), "with another password, too");
        assert!(password("u", "p").user("iam.example.com") != password("v", "p").user("iam.example.com"));
        assert!(Fingerprint::of(&["ab", "c"]) != Fingerprint::of(&["a", "bc"]), "the parts cannot run into each other");
    }
}
