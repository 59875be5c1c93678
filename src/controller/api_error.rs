//! What is said of an error of the Kubernetes API: its innermost cause in one line, and what to do about it where that is known. Never a body that came from
//! there, since that may be a Secret's, nor the output of a program that hands out credentials.

use crate::cloud::parse::clean;
use kube::{client::AuthError, core::Status};
use std::{
    error::Error,
    io::{self, ErrorKind},
    iter::successors,
};

/// The longest line.
const LINE: usize = 256;

/// An error and what caused it, in one line. What does not come from the Kubernetes API speaks for itself.
pub fn explained(error: &(dyn Error + 'static)) -> String {
    let line = match chain(error).find_map(kube_error) {
        Some(error) => of_kube(error),
        None => error.to_string(),
    };
    clean(&line, LINE)
}

/// The error and its causes, outermost first.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |&error| cause(error))
}

fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    // An `io::Error` passes over the error that it holds, to the source of that one.
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(held) => Some(held),
        None => error.source(),
    }
}

fn kube_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a kube::Error> {
    error.downcast_ref().or_else(|| error.downcast_ref::<Box<kube::Error>>().map(AsRef::as_ref))
}

fn of_kube(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => refusal(status),
        kube::Error::SerdeError(error) => unreadable(error),
        kube::Error::FromUtf8(_) => "its answer is no text".to_owned(),
        kube::Error::ProxyProtocolUnsupported { .. } | kube::Error::ProxyProtocolDisabled { .. } => {
            "the proxy is of a kind that is not supported: name one with http:// or https://".to_owned()
        }
        error => match chain(error).find_map(|cause| cause.downcast_ref()) {
            Some(error) => login(error),
            None => connection(error),
        },
    }
}

/// The API server's own words; those of anybody else that answers in its place are left out.
fn refusal(status: &Status) -> String {
    let Status { code, message, reason, .. } = status;
    match code {
        // What kube makes of a body that is no Status.
        code if reason == NOT_A_STATUS => {
            format!("HTTP {code} with an answer that is not the API server's: is its address right, and what is in between?")
        }
        401 => format!("{message} (401): it does not know the operator; renew the credentials of the kubeconfig or of the ServiceAccount"),
        403 => format!("{message} (403): grant it (`database-backup-operator check` lists what is missing)"),
        code => format!("{message} ({code} {reason})"),
    }
}

const NOT_A_STATUS: &str = "Failed to parse error data";

/// The parser's own words would quote the value that it did not expect.
fn unreadable(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Eof | serde_json::error::Category::Io => "broke off",
        serde_json::error::Category::Syntax => "is not JSON",
        serde_json::error::Category::Data => "is not of the form that was expected",
    };
    format!("its answer {what}, at line {} column {}", error.line(), error.column())
}

fn login(error: &AuthError) -> String {
    let cause = match error {
        AuthError::AuthExecStart(error) => format!("the program that it names cannot be started: {error}"),
        AuthError::AuthExecRun { cmd, out } => format!("{cmd} ended with {}", out.status),
        AuthError::ReadTokenFile(error, path) => format!("the token {} cannot be read: {error}", path.display()),
        AuthError::MissingCommand => "it names no program".to_owned(),
        _ => "what it has is no credential, or its program gave none".to_owned(),
    };
    format!("the kubeconfig's way to log in does not work: {cause}")
}

/// No answer came.
fn connection(error: &kube::Error) -> String {
    let innermost = innermost(error);
    let is_proxy = chain(error).any(|cause| cause.to_string().starts_with("tunnel error"));
    let advice = if is_proxy { Some("look at the proxy, its address and its login") } else { advice(innermost) };
    let way = if is_proxy && !innermost.to_string().starts_with("tunnel error") { "through the proxy: " } else { "" };
    advice.map_or_else(|| format!("{way}{innermost}"), |advice| format!("{way}{innermost}: {advice}"))
}

/// The innermost cause: the outer ones only say that there is one.
fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    chain(error).last().unwrap_or(error)
}

fn advice(cause: &(dyn Error + 'static)) -> Option<&'static str> {
    if matches!(cause.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))) {
        return Some("is the certificate authority of the kubeconfig the API server's, and its address right?");
    }
    let is_elsewhere = matches!(
        cause.downcast_ref::<io::Error>().map(io::Error::kind),
        Some(ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::TimedOut)
    );
    let is_unknown = cause.to_string().starts_with("failed to lookup address information");
    (is_elsewhere || is_unknown).then_some("is the API server up, and its address right?")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(cause: impl Into<Box<dyn Error + Send + Sync>>) -> kube::Error {
        kube::Error::Service(cause.into())
    }

    #[test]
    fn the_cause_comes_first_and_what_to_do_follows() {
        let unknown = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        for (error, cause, advice) in [
            (
                service(io::Error::other(io::Error::new(ErrorKind::InvalidData, unknown))),
                "invalid peer certificate: UnknownIssuer",
                "certificate authority",
            ),
            (service(io::Error::from(ErrorKind::ConnectionRefused)), "connection refused", "is the API server up"),
            (
                kube::Error::Api(Box::new(Status::failure("Unauthorized", "Unauthorized").with_code(401))),
                "Unauthorized (401)",
                "credentials",
            ),
            (kube::Error::Api(Box::new(Status::failure("no list", "Forbidden").with_code(403))), "no list (403)", "grant it"),
            (kube::Error::Api(Box::new(Status::failure("slow down", "TooMany").with_code(429))), "slow down (429 TooMany)", ""),
        ] {
            let line = explained(&error);
            assert!(line.starts_with(cause) && line.contains(advice), "{line}");
            assert!(!line.contains("CRD"), "{line}");
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("the Kubernetes API: {0}")]
    struct Outer(#[from] Box<kube::Error>);

    #[test]
    fn an_error_inside_others_is_found() {
        let refused = || service(io::Error::from(ErrorKind::ConnectionRefused));
        let watch = kube::runtime::watcher::Error::InitialListFailed(refused());
        let reconcile = Outer(Box::new(refused()));
        assert_eq!((explained(&watch), explained(&reconcile)), (explained(&refused()), explained(&refused())));
        assert_eq!(explained(&io::Error::other("of another kind\nin two lines")), "of another kind in two lines");
    }

    #[test]
    fn nothing_that_was_read_is_quoted() {
        const SECRET: &str = "cGFzc3dvcmQtb2YtdGhlLWNsb3Vk";
        #[derive(Debug, serde::Deserialize)]
        struct Numbers {
            #[allow(dead_code)]
            data: u8,
        }
        let parse = |text: &str| serde_json::from_str::<Numbers>(text).expect_err("not of this form");
        let other = Status::failure(&format!("<html>{SECRET}"), NOT_A_STATUS).with_code(502);
        for error in [
            kube::Error::SerdeError(parse(&format!("{{\"data\":\"{SECRET}"))),
            kube::Error::SerdeError(parse(&format!("{{\"data\":\"{SECRET}\"}}"))),
            kube::Error::SerdeError(parse(&format!("{{\"data\":{SECRET}}}"))),
            kube::Error::FromUtf8(String::from_utf8([SECRET.as_bytes(), &[0xff]].concat()).expect_err("no text")),
            kube::Error::Api(Box::new(other)),
            kube::Error::Auth(AuthError::AuthExec(SECRET.into())),
            kube::Error::ProxyProtocolUnsupported { proxy_url: Box::new(format!("socks4://me:{SECRET}@proxy").parse().expect("a URL")) },
        ] {
            let line = explained(&error);
            assert!(!line.contains(&SECRET[..8]) && line.len() > 10, "{line}");
        }
        let line = explained(&kube::Error::SerdeError(parse("{\"data\":\"abc")));
        assert_eq!(line, "its answer broke off, at line 1 column 12");
    }
}
