//! Who asks, from a Secret's values. No value ever reaches a message: errors name keys.

use secrecy::SecretString;
use std::collections::BTreeMap;

/// Who asks. Workload identity and agencies will be further variants: each ends in a token or in temporary keys.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// An IAM user, for whom a token is fetched.
    Password {
        /// The account (domain) that the user belongs to.
        domain_name: String,
        /// The user's name.
        username: String,
        /// The user's password.
        password: SecretString,
    },
    /// Keys with which each request is signed.
    AccessKey {
        /// The access key (AK).
        access_key: String,
        /// The secret key (SK).
        secret_key: SecretString,
        /// With temporary keys.
        security_token: Option<SecretString>,
    },
    /// An IAM token that somebody else keeps fresh.
    Token {
        /// The token.
        token: SecretString,
    },
}

/// What is wrong with a Secret. Names a key, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretInvalid {
    /// The key is missing.
    #[error("key {0} is missing: add it")]
    Missing(&'static str),
    /// The key's value is empty.
    #[error("key {0} is empty: set it")]
    Empty(&'static str),
    /// The key's value cannot be sent.
    #[error("key {0} holds more than one line of printable text: set it anew")]
    Unprintable(&'static str),
}

type Values = BTreeMap<String, Vec<u8>>;

impl Credentials {
    /// From the keys `domainName`, `username` and `password`.
    pub fn password(values: &Values) -> Result<Self, SecretInvalid> {
        Ok(Self::Password {
            domain_name: line(values, "domainName")?,
            username: line(values, "username")?,
            password: SecretString::from(line(values, "password")?),
        })
    }

    /// From the keys `accessKey`, `secretKey` and, for temporary keys, `securityToken`.
    pub fn access_key(values: &Values) -> Result<Self, SecretInvalid> {
        Ok(Self::AccessKey {
            access_key: header(values, "accessKey")?,
            secret_key: SecretString::from(line(values, "secretKey")?),
            security_token: values
                .contains_key("securityToken")
                .then(|| header(values, "securityToken"))
                .transpose()?
                .map(SecretString::from),
        })
    }

    /// From the key `token`.
    pub fn token(values: &Values) -> Result<Self, SecretInvalid> {
        Ok(Self::Token { token: SecretString::from(header(values, "token")?) })
    }
}

/// One line of text; the newlines that editors leave at the end are cut.
fn line(values: &Values, key: &'static str) -> Result<String, SecretInvalid> {
    let bytes = values.get(key).ok_or(SecretInvalid::Missing(key))?;
    let text = std::str::from_utf8(bytes).map_err(|_| SecretInvalid::Unprintable(key))?.trim_end_matches(['\r', '\n']);
    match text {
        "" => Err(SecretInvalid::Empty(key)),
        text if text.chars().any(char::is_control) => Err(SecretInvalid::Unprintable(key)),
        text => Ok(text.to_owned()),
    }
}

/// A line that goes into a header.
fn header(values: &Values, key: &'static str) -> Result<String, SecretInvalid> {
    line(values, key).and_then(|text| if text.is_ascii() { Ok(text) } else { Err(SecretInvalid::Unprintable(key)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn trailing_newlines_are_cut_and_inner_spaces_stay() {
        let read = Credentials::password(&values(&[("domainName", "d\n"), ("username", "u\r\n"), ("password", " p w \n")])).unwrap();
        assert!(matches!(read, Credentials::Password { domain_name, username, password }
            if domain_name == "d" && username == "u" && password.expose_secret() == " p w "));
    }

    #[test]
    fn a_key_that_is_missing_empty_or_unprintable_is_named() {
        let read = |pairs: &[(&str, &str)]| Credentials::access_key(&values(pairs)).map(|_| ());
        assert_eq!(read(&[("accessKey", "a")]), Err(SecretInvalid::Missing("secretKey")));
        assert_eq!(read(&[("accessKey", "\n"), ("secretKey", "s")]), Err(SecretInvalid::Empty("accessKey")));
        assert_eq!(read(&[("accessKey", "a\nb"), ("secretKey", "s")]), Err(SecretInvalid::Unprintable("accessKey")));
        assert_eq!(read(&[("accessKey", "ä"), ("secretKey", "s")]), Err(SecretInvalid::Unprintable("accessKey")));
        let binary = BTreeMap::from([("token".to_owned(), vec![0xff, 0xfe])]);
        assert!(matches!(Credentials::token(&binary), Err(SecretInvalid::Unprintable("token"))));
    }

    #[test]
    fn no_value_shows_in_debug_output_or_errors() {
        let read = Credentials::password(&values(&[("domainName", "d"), ("username", "u"), ("password", "hunter2")])).unwrap();
        assert!(!format!("{read:?}").contains("hunter2"));
        let error = Credentials::token(&values(&[("token", "hunter2\u{1}")])).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
