//! Access keys: permanent ones of a user, and temporary ones with a security token and an end.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::state::Cloud;

/// An access key, permanent or (with a security token) temporary.
pub struct AccessKey {
    /// The public half.
    pub access: String,
    /// The id of the account whose user has it.
    pub domain: String,
    /// Whether it is switched off.
    pub is_disabled: bool,
    pub(super) secret: String,
    pub(super) security_token: Option<String>,
    pub(super) expires: Option<Timestamp>,
}

impl AccessKey {
    /// A key of the first account that works until `expires`.
    pub fn new(access: &str, secret: &str, security_token: Option<&str>, expires: Option<Timestamp>) -> Self {
        Self {
            access: access.to_owned(),
            domain: super::DOMAIN_ID.to_owned(),
            is_disabled: false,
            secret: secret.to_owned(),
            security_token: security_token.map(str::to_owned),
            expires,
        }
    }

    /// The same key of another account.
    pub fn of(self, domain: &str) -> Self {
        Self { domain: domain.to_owned(), ..self }
    }
}

/// A temporary access key as it is handed out.
#[derive(Clone)]
pub struct Temporary {
    /// The public half.
    pub access: String,
    /// The secret half.
    pub secret: String,
    /// What has to go with every request.
    pub security_token: String,
    /// When it ends, by the cloud's clock.
    pub expires: Timestamp,
    /// How long it was good for.
    pub lifetime: SignedDuration,
}

impl Cloud {
    /// Makes a temporary access key of this account, which the services take until it ends and no longer.
    pub fn temporary_key(&mut self, domain: &str, lifetime: SignedDuration) -> Temporary {
        let hex = || Uuid::new_v4().simple().to_string();
        let made = Temporary {
            access: format!("HST{}", &hex().to_uppercase()[..17]),
            secret: format!("{}{}", hex(), &hex()[..8]),
            // As long as real ones: a client that limits header sizes should notice here. Its end has the signs that base64 has.
            security_token: format!("ggpjbi1ub3J0aC00{}+/==", (0..24).map(|_| hex()).collect::<String>()),
            expires: self.now().checked_add(lifetime).unwrap_or(Timestamp::MAX),
            lifetime,
        };
        let key = AccessKey::new(&made.access, &made.secret, Some(&made.security_token), Some(made.expires)).of(domain);
        self.access_keys.push(key);
        made
    }

    /// Gives an access key another secret half, as a user does who replaces a key.
    pub fn set_secret_key(&mut self, access: &str, secret: &str) -> Option<()> {
        let key = self.access_keys.iter_mut().find(|key| key.access == access)?;
        secret.clone_into(&mut key.secret);
        Some(())
    }

    /// Switches an access key off, or on again.
    pub fn disable_access_key(&mut self, access: &str, is_disabled: bool) -> Option<()> {
        self.access_keys.iter_mut().find(|key| key.access == access)?.is_disabled = is_disabled;
        Some(())
    }
}
