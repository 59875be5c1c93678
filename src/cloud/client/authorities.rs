//! Certificate authorities that are trusted besides those of the machine.

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Certificates of authorities that are trusted in addition to those of the machine. None by default.
#[derive(Clone, Debug, Default)]
pub struct Authorities(Vec<CertificateDer<'static>>);

impl Authorities {
    /// Reads PEM text with one or more certificates; what else is in it is passed over.
    ///
    /// # Errors
    /// What is wrong, in one line: no PEM, no certificate, or one that cannot be used.
    pub fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let certificates = certificates.map_err(|error| format!("it is not PEM: {error}"))?;
        if certificates.is_empty() {
            return Err("it holds no certificate: a PEM file begins with -----BEGIN CERTIFICATE-----".into());
        }
        for (index, certificate) in certificates.iter().enumerate() {
            let added = RootCertStore::empty().add(certificate.clone());
            added.map_err(|error| format!("certificate {} of {} cannot be used: {error}", index + 1, certificates.len()))?;
        }
        Ok(Self(certificates))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Has a client trust them, too: the roots of the machine stay.
    pub(super) fn trusted_by(&self, builder: reqwest::ClientBuilder) -> Result<reqwest::ClientBuilder, reqwest::Error> {
        let certificates: Result<Vec<_>, _> = self.0.iter().map(|certificate| reqwest::Certificate::from_der(certificate)).collect();
        Ok(builder.tls_certs_merge(certificates?))
    }
}
