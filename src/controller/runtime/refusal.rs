//! A write that the API server refuses: a policy, a webhook, a quota or a role of the cluster does not allow it. The object's status cannot say so, since it
//! may be what is refused; an Event and a metric do.

use super::Runtime;
use crate::{
    cloud::parse::clean,
    controller::{kind::Kind, store::refusals::Refusal},
    plan::notice::Notice,
};
use kube::{ResourceExt, core::Status};

/// What of an object is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Its status.
    Status,
    /// Its finalizers.
    Finalizers,
    /// The object itself, which is to be deleted.
    Object,
}

/// Longest text of the API server in an Event, whose note may have 1024 bytes.
const TEXT_CHARS: usize = 400;

impl Part {
    fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Finalizers => "finalizers",
            Self::Object => "deletion",
        }
    }

    /// For Events. Those with the same reason and action are counted as one.
    fn action(self) -> &'static str {
        match self {
            Self::Status => "WriteStatus",
            Self::Finalizers => "WriteFinalizers",
            Self::Object => "DeleteObject",
        }
    }
}

/// Counts a write that was refused. Answers with what to publish, where nobody has been told lately; whoever wrote tries again.
pub(super) fn note<K: Kind>(runtime: &Runtime, object: &K, part: Part, error: &kube::Error) -> Option<Notice> {
    let kube::Error::Api(status) = error else { return None };
    if !is_refusal(status.code) {
        return None;
    }
    runtime.metrics.write_refused(K::NAME);
    let refusal = Refusal { uid: object.uid().unwrap_or_default(), part: part.as_str(), code: status.code };
    runtime.refusals.is_news(refusal, runtime.clock.now()).then(|| notice(part, status))
}

/// Whether an answer says that the write is not wanted. A conflict, an object that is gone and an API server that is slow, busy or in trouble are none: they pass
/// without anybody's help. A policy may choose the status of its denials, 401 among them.
fn is_refusal(code: u16) -> bool {
    (400..500).contains(&code) && ![404, 408, 409, 410, 429].contains(&code)
}

fn notice(part: Part, refused: &Status) -> Notice {
    let (what, code, words) = (part.as_str(), refused.code, clean(&refused.message, TEXT_CHARS));
    let note = format!(
        "the Kubernetes API refuses the operator's write of this object's {what} (HTTP {code}): {words}; let the policy, webhook, quota or role that \
         it names allow that write: it is tried again by itself"
    );
    Notice { reason: "WriteRefused", action: part.action(), is_warning: true, note }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_no_refusal() {
        let refused: Vec<u16> = (200..600).filter(|code| is_refusal(*code)).collect();
        assert!([400, 401, 403, 413, 422].iter().all(|code| refused.contains(code)));
        assert!(![200, 404, 408, 409, 410, 429, 500, 503, 504].iter().any(|code| refused.contains(code)));
    }

    #[test]
    fn an_event_says_in_one_line_what_was_refused_by_whom_and_what_to_do() {
        let words =
            format!("databasebackups \"b\" is forbidden:\nValidatingAdmissionPolicy 'frozen' denied request\u{202e} {}", "x".repeat(5000));
        let note = notice(Part::Status, &Status { code: 422, message: words, ..Status::default() }).note;
        assert!(
            note.starts_with("the Kubernetes API refuses the operator's write of this object's status (HTTP 422): databasebackups"),
            "{note}"
        );
        assert!(note.contains("'frozen' denied request") && note.ends_with("it is tried again by itself"), "{note}");
        assert!(note.len() <= 1024 && !note.contains(['\n', '\u{202e}']), "{note}");
    }
}
