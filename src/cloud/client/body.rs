//! A body that is sent only as long as somebody waits for the answer.

use http_body::{Body, Frame, SizeHint};
use std::{
    error::Error,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
};

/// A body whose caller may give up before it is sent. Over HTTP/2 a request that was given up while it waited for a free stream is sent all the same when
/// one becomes free, which may be minutes later (hyper 1.12, `ClientTask::fut_ctx`): whoever looks for what its create call made would find nothing, and
/// make another. Without its body such a request is not whole, and is reset.
pub(super) struct Awaited {
    body: reqwest::Body,
    caller: Weak<Caller>,
    is_begun: bool,
}

/// Whoever waits for the answer; it is gone when this is dropped.
pub(super) struct Caller;

impl Awaited {
    /// The body, and what the caller holds as long as it waits.
    pub(super) fn new(body: String) -> (Self, Arc<Caller>) {
        let caller = Arc::new(Caller);
        (Self { body: body.into(), caller: Arc::downgrade(&caller), is_begun: false }, caller)
    }
}

impl Body for Awaited {
    type Data = <reqwest::Body as Body>::Data;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.caller.strong_count() == 0 {
            return Poll::Ready(Some(Err("nobody waits for the answer any more".into())));
        }
        self.is_begun = true;
        Pin::new(&mut self.body).poll_frame(cx).map_err(Into::into)
    }

    /// Not before it was asked for: a request whose end is known from the beginning is sent without asking.
    fn is_end_stream(&self) -> bool {
        self.is_begun && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
