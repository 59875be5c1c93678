//! OIDC identity providers (`cloud-apis.md` §11.4): whose ID tokens IAM takes, and whom they let in.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::state::Cloud;

/// An OIDC identity provider as an account's administrator sets it up, with one conversion rule that lets some subjects in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Its name, which a login gives as `X-Idp-Id`.
    pub name: String,
    /// The client id: what `aud` must name.
    pub audience: String,
    /// What `iss` must be.
    pub issuer: String,
    /// The signing keys, as an API server serves them at `/openid/v1/jwks`.
    pub jwks: String,
    /// Whom the conversion rule lets in: `system:serviceaccount:NAMESPACE:NAME`.
    pub subjects: Vec<String>,
    /// The id of the account that it belongs to, whose user they act as.
    #[serde(default = "first_account")]
    pub domain: String,
}

fn first_account() -> String {
    super::DOMAIN_ID.to_owned()
}

/// Why an ID token lets nobody in.
#[derive(Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It is no JWT.
    Malformed,
    /// Its signature, issuer, audience or time is wrong.
    Untrusted(&'static str),
    /// It is genuine, and no conversion rule names its subject.
    Unmapped,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Key>,
}

/// A key of the set; those that are no RSA keys have no `n` and `e`.
#[derive(Deserialize)]
struct Key {
    kty: String,
    #[serde(default)]
    kid: String,
    n: Option<String>,
    e: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: String,
}

impl Provider {
    /// A provider of the first account that lets nobody in yet.
    pub fn new(name: &str, audience: &str, issuer: &str, jwks: &str) -> Self {
        let owned = str::to_owned;
        Self {
            name: owned(name),
            audience: owned(audience),
            issuer: owned(issuer),
            jwks: owned(jwks),
            subjects: Vec::new(),
            domain: first_account(),
        }
    }

    /// Lets this subject in too.
    pub fn admit(mut self, subject: &str) -> Self {
        self.subjects.push(subject.to_owned());
        self
    }

    /// The same provider of another account.
    pub fn of(self, domain: &str) -> Self {
        Self { domain: domain.to_owned(), ..self }
    }

    /// Checks an ID token at this time of the cloud, and answers its subject.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<String, Rejection> {
        let untrusted = |why| Err(Rejection::Untrusted(why));
        let (signed, signature) = token.rsplit_once('.').ok_or(Rejection::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Rejection::Malformed)?;
        let header: Header = part(header)?;
        let claims: Map<String, Value> = part(claims)?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| Rejection::Malformed)?;
        // The page's own example of a signing key says RS256, and no page speaks of another one.
        if header.alg != "RS256" {
            return untrusted("the algorithm is not RS256");
        }
        let Some(key) = self.key(&header.kid) else { return untrusted("no signing key has this kid") };
        if key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature).is_err() {
            return untrusted("the signature is wrong");
        }
        if claims.get("iss").and_then(Value::as_str) != Some(&self.issuer) {
            return untrusted("the issuer is another one");
        }
        let is_for_us = match claims.get("aud") {
            Some(Value::Array(all)) => all.iter().any(|one| *one == *self.audience),
            Some(one) => *one == *self.audience,
            None => false,
        };
        if !is_for_us {
            return untrusted("it is meant for another audience");
        }
        let time = |claim: &str| claims.get(claim).map(|value| value.as_f64().unwrap_or(f64::NAN));
        #[allow(clippy::cast_precision_loss, reason = "seconds since 1970 are small")]
        let now = now.as_second() as f64;
        // A time that is no number is NaN, and no comparison with it holds.
        if !time("exp").is_some_and(|end| end > now) {
            return untrusted("it has expired");
        }
        if !time("nbf").is_none_or(|begin| begin <= now) {
            return untrusted("it is not valid yet");
        }
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
        if self.subjects.iter().any(|known| known == subject) { Ok(subject.to_owned()) } else { Err(Rejection::Unmapped) }
    }

    fn key(&self, kid: &str) -> Option<RsaPublicKeyComponents<Vec<u8>>> {
        let set: KeySet = serde_json::from_str(&self.jwks).ok()?;
        let key = set.keys.into_iter().find(|key| key.kid == kid && key.kty == "RSA")?;
        let number = |text: Option<String>| BASE64_URL_SAFE_NO_PAD.decode(text?).ok();
        Some(RsaPublicKeyComponents { n: number(key.n)?, e: number(key.e)? })
    }

    /// What is wrong with it, as the console says when it is set up.
    fn fault(&self) -> Option<String> {
        match serde_json::from_str::<KeySet>(&self.jwks) {
            Err(why) => Some(format!("the signing keys of {} are no JWKS: {why}", self.name)),
            Ok(set) if set.keys.is_empty() => Some(format!("{} has no signing key", self.name)),
            Ok(_) => None,
        }
    }
}

/// The JSON object in one part of a JWT.
fn part<T: DeserializeOwned>(text: &str) -> Result<T, Rejection> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| Rejection::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Rejection::Malformed)
}

impl Cloud {
    /// Sets up an identity provider, in place of one of the same name.
    pub fn add_identity_provider(&mut self, provider: Provider) -> Result<(), String> {
        if let Some(fault) = provider.fault() {
            return Err(fault);
        }
        if !self.tenants.iter().any(|tenant| tenant.id == provider.domain) {
            return Err(format!("no account has the id {}", provider.domain));
        }
        self.identity_providers.retain(|known| known.name != provider.name);
        self.identity_providers.push(provider);
        Ok(())
    }

    /// Takes an identity provider away, and with it what its users were given.
    pub fn remove_identity_provider(&mut self, name: &str) -> bool {
        let before = self.identity_providers.len();
        self.identity_providers.retain(|known| known.name != name);
        self.revoke_federated_tokens(name);
        self.identity_providers.len() < before
    }

    /// Makes every token invalid that an ID token of this provider bought.
    pub fn revoke_federated_tokens(&mut self, name: &str) {
        self.tokens.retain(|token| token.provider.as_deref() != Some(name));
    }
}
