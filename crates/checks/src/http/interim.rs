//! Answers before the final one: 100, 102, 103.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use http::Request;

/// The most answers before the final one.
const INTERIM_MAX: usize = 8;

/// The status codes of the answers before the final one of a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Interim(Arc<Mutex<Vec<u16>>>);

impl Interim {
    /// Watches for those of `request`, over HTTP/1.1; HTTP/2 does not tell of them.
    pub(super) fn of<B>(request: &mut Request<B>) -> Self {
        let interim = Self::default();
        let codes = Arc::clone(&interim.0);
        hyper::ext::on_informational(request, move |answer| {
            if let Ok(mut codes) = codes.lock()
                && codes.len() <= INTERIM_MAX
            {
                codes.push(answer.status().as_u16());
            }
        });
        interim
    }

    /// Waits for `answer`, but not beyond too many answers before it: then `None`.
    pub(super) async fn bound<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        let mut answer = pin!(answer);
        poll_fn(|cx| {
            let polled = answer.as_mut().poll(cx);
            if self.0.lock().is_ok_and(|codes| codes.len() > INTERIM_MAX) {
                return Poll::Ready(None);
            }
            polled.map(Some)
        })
        .await
    }

    /// Those that came, in order.
    pub(super) fn codes(&self) -> Vec<u16> {
        let codes = self.0.lock().map(|codes| codes.clone()).unwrap_or_default();
        codes.into_iter().take(INTERIM_MAX).collect()
    }
}
