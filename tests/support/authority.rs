//! A certificate authority for tests, and what servers present that it certified.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio_rustls::rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};

/// The protocols of a server that speaks HTTP/2 to whoever can.
pub const BOTH: &[&[u8]] = &[b"h2", b"http/1.1"];

/// A day, in seconds.
pub const DAY: i64 = 24 * 60 * 60;

/// A certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// A new one, which nobody trusts yet.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "an authority for tests");
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// What has to be trusted, as PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// What a server presents that is called `host`: certified from so many seconds from now until so many seconds from now.
    pub fn certify(&self, host: &str, validity: Range<i64>, protocols: &[&[u8]]) -> Arc<ServerConfig> {
        self.certify_all(&[host.to_owned()], validity, protocols)
    }

    /// The same for a server with several names, of which `*.` may begin some.
    pub fn certify_all(&self, hosts: &[String], validity: Range<i64>, protocols: &[&[u8]]) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(hosts.to_vec()).expect("a name");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let at = |offset: i64| date_time_ymd(1970, 1, 1) + Duration::from_secs(now.saturating_add_signed(offset));
        (params.not_before, params.not_after) = (at(validity.start), at(validity.end));
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions();
        let chain = vec![certificate.der().clone()];
        let mut config = builder.expect("versions").with_no_client_auth().with_single_cert(chain, key).expect("they belong together");
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    }

    /// The same, valid for a day.
    pub fn certify_now(&self, host: &str) -> Arc<ServerConfig> {
        self.certify(host, -DAY..DAY, BOTH)
    }
}
