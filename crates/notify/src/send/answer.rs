//! What an answer means.

use std::time::Duration;

use http::{HeaderValue, StatusCode};
use quorate_model::Timestamp;

use super::Endpoint;
use crate::{Retry, SendError};

/// The longest that a receiver can put us off.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);

/// A complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: StatusCode,
    /// `Retry-After`, as sent.
    pub(crate) retry_after: Option<HeaderValue>,
}

impl Answer {
    /// Whether the message was taken, by the rules of Standard Webhooks, which most services
    /// follow: only 2xx is success, a redirect is not, and 410 is for ever.
    pub(crate) fn judge(&self, endpoint: &Endpoint, now: Timestamp) -> Result<(), SendError> {
        if self.status.is_success() {
            return Ok(());
        }
        let retry = match self.status.as_u16() {
            429 | 503 => self.put_off(now).map_or(Retry::BackOff, Retry::After),
            408 | 425 => Retry::BackOff,
            400..=499 => Retry::Never,
            _ => Retry::BackOff,
        };
        let advice = match self.status.as_u16() {
            300..=399 => ": redirects are not followed, give the final URL",
            401 | 403 => ": check its credentials",
            404 => ": check its URL",
            410 => ": it wants no more messages, remove the receiver or give it a new URL",
            _ => "",
        };
        Err(SendError { message: format!("{endpoint} answered {}{advice}", self.status), retry })
    }

    /// How long the receiver asks us to wait: a number of seconds or a date. Source: RFC 9110,
    /// section 10.2.3.
    fn put_off(&self, now: Timestamp) -> Option<Duration> {
        let text = self.retry_after.as_ref()?.to_str().ok()?.trim();
        let wait = if text.bytes().all(|byte| byte.is_ascii_digit()) {
            // Too many digits are a long time.
            Duration::from_secs(text.parse().unwrap_or(u64::MAX))
        } else {
            let date = jiff::fmt::rfc2822::DateTimeParser::new();
            let date = date.parse_timestamp(text).ok()?;
            Timestamp::from_micros(date.as_microsecond()).since(now)
        };
        (!text.is_empty()).then_some(wait.min(RETRY_AFTER_MAX))
    }
}
