//! Why no connection came about, in words that say who has to do what.

use rustls::CertificateError;
use std::{error::Error, io};

/// What hyper-util says of a proxy's answer 407; its error type is private.
const PROXY_LOGIN: &str = "proxy authorization required";
/// How its other errors of the way through a proxy begin.
const TUNNEL: &str = "tunnel error: ";

/// One sentence about a host that could not be connected to.
pub(super) fn why(host: &str, error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no connection to {host} in time");
    }
    if let Some(problem) = certificate_error(error) {
        return certificate(host, problem);
    }
    match root_cause(error) {
        cause if cause.contains(PROXY_LOGIN) => {
            format!("the proxy on the way to {host} does not accept the login: correct user and password in HTTPS_PROXY")
        }
        cause => match cause.strip_prefix(TUNNEL) {
            Some(cause) => format!("the proxy does not connect to {host}: {cause}"),
            None => format!("no connection to {host}: {cause}"),
        },
    }
}

/// What is wrong with the certificate of a host. rustls' own words have the time of the try in them, which differs each time.
fn certificate(host: &str, problem: &CertificateError) -> String {
    use CertificateError as Problem;
    match problem {
        Problem::Expired | Problem::ExpiredContext { .. } => {
            format!("the TLS certificate of {host} has expired: it has to be renewed there, or this node's clock is ahead")
        }
        Problem::NotValidYet | Problem::NotValidYetContext { .. } => {
            format!("the TLS certificate of {host} is not valid yet: this node's clock is behind, or it has to be replaced there")
        }
        Problem::NotValidForName | Problem::NotValidForNameContext { .. } => {
            format!("the TLS certificate that was shown is not one of {host}: is the address right, and does it lead there?")
        }
        // An authority of the same name and another key ends in the second.
        Problem::UnknownIssuer | Problem::BadSignature => {
            format!("the TLS certificate of {host} is signed by no authority that is trusted here: --ca-bundle adds one")
        }
        other => format!("the TLS certificate of {host} cannot be used: {other}"),
    }
}

/// The complaint about a certificate, if that is the cause.
fn certificate_error(error: &reqwest::Error) -> Option<&CertificateError> {
    let mut cause: &(dyn Error + 'static) = error;
    loop {
        if let Some(rustls::Error::InvalidCertificate(problem)) = cause.downcast_ref() {
            return Some(problem);
        }
        // TLS errors come inside I/O errors, which do not count what is inside among their sources.
        cause = match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inside) => inside,
            None => cause.source()?,
        };
    }
}

/// The innermost cause: the outer ones repeat the address.
pub(super) fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
