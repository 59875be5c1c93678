//! Who asks: one file for each way to log in. Each reads what it needs, and opens an [`identity::Identity`] with it.
//!
//! | file | what it needs | what requests carry then |
//! |---|---|---|
//! | [`password`] | an IAM user's name and password | a token, which is renewed |
//! | [`access_key`] | an access key and its secret key | a signature |
//! | [`token`] | a token that somebody else keeps fresh | that token |
//! | [`workload_identity`] | the token of a ServiceAccount | a token, which is renewed |
//!
//! [`fingerprint`] tells one credential from another; [`secret`] reads a Secret's values.

pub mod access_key;
pub mod fingerprint;
pub mod identity;
pub mod password;
pub mod secret;
pub mod token;
pub mod workload_identity;

use access_key::AccessKey;
use identity::{Identity, Login, LoginError};
use password::Password;
use token::Token;
use workload_identity::WorkloadIdentity;

/// Who asks.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// An IAM user, for whom a token is fetched.
    Password(Password),
    /// Keys with which each request is signed.
    AccessKey(AccessKey),
    /// An IAM token that somebody else keeps fresh.
    Token(Token),
    /// A ServiceAccount, whose token is traded for one of IAM.
    WorkloadIdentity(WorkloadIdentity),
}

impl Credentials {
    /// Logs in: tries the credentials on IAM, and finds out the project where it is not given.
    ///
    /// # Errors
    /// IAM does not accept them or cannot be reached, or the project is not known.
    pub async fn open(self, login: &Login<'_>) -> Result<(Identity, String), LoginError> {
        match self {
            Self::Password(password) => password.open(login).await,
            Self::AccessKey(keys) => keys.open(login).await,
            Self::Token(token) => token.open(login).await,
            Self::WorkloadIdentity(identity) => identity.open(login).await,
        }
    }

    /// How requests are authenticated without a login; absent where IAM has to give a token first.
    pub fn without_login(self) -> Option<Identity> {
        match self {
            Self::Password(_) | Self::WorkloadIdentity(_) => None,
            Self::AccessKey(keys) => Some(keys.into()),
            Self::Token(Token { token }) => Some(Identity::GivenToken(token)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        secret::{SecretInvalid, Values},
        *,
    };
    use secrecy::ExposeSecret;
    use std::collections::BTreeMap;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn trailing_newlines_are_cut_and_inner_spaces_stay() {
        let read = Password::read(&values(&[("domainName", "d\n"), ("username", "u\r\n"), ("password", " p w \n")])).unwrap();
        assert_eq!((read.domain_name.as_str(), read.username.as_str(), read.password.expose_secret()), ("d", "u", " p w "));
    }

    #[test]
    fn a_key_that_is_missing_empty_or_unprintable_is_named() {
        let read = |pairs: &[(&str, &str)]| AccessKey::read(&values(pairs)).map(|_| ());
        assert_eq!(read(&[("accessKey", "a")]), Err(SecretInvalid::Missing("secretKey")));
        assert_eq!(read(&[("accessKey", "\n"), ("secretKey", "s")]), Err(SecretInvalid::Empty("accessKey")));
        assert_eq!(read(&[("accessKey", "a\nb"), ("secretKey", "s")]), Err(SecretInvalid::Unprintable("accessKey")));
        assert_eq!(read(&[("accessKey", "ä"), ("secretKey", "s")]), Err(SecretInvalid::Unprintable("accessKey")));
        let binary = BTreeMap::from([("token".to_owned(), vec![0xff, 0xfe])]);
        assert!(matches!(Token::read(&binary), Err(SecretInvalid::Unprintable("token"))));
    }

    #[test]
    fn white_space_at_the_edges_is_found_and_newlines_at_the_end_are_none() {
        let read =
            values(&[("accessKey", " a"), ("secretKey", "s \n"), ("token", "t\r\n"), ("username", "a b"), ("domainName", "\u{a0}d")]);
        let keys = ["accessKey", "secretKey", "token", "username", "domainName", "missing"];
        assert_eq!(secret::blank_edges(&read, &keys), ["accessKey", "secretKey", "domainName"]);
    }

    #[test]
    fn no_value_shows_in_debug_output_or_errors() {
        let read = Password::read(&values(&[("domainName", "d"), ("username", "u"), ("password", "hunter2")])).unwrap();
        assert!(!format!("{read:?}").contains("hunter2"));
        let error = Token::read(&values(&[("token", "hunter2\u{1}")])).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
