//! What an answer tells on the side.

use std::time::Duration;

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::WallClock;
use crate::phase::cut;

/// The longest hint, in bytes.
const HINT_BYTES_MAX: usize = 64;
/// The longest list of methods, in bytes.
const ALLOW_BYTES_MAX: usize = 128;
/// The longest wait that is believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(7 * 86_400);

/// Which edge of which delivery network answered, such as `cloudflare/FRA`.
pub(super) fn pop(headers: &HeaderMap) -> Option<String> {
    let value = |name: &'static str| {
        let value = headers.get(HeaderName::from_static(name))?.to_str().ok()?;
        Some(value.trim()).filter(|value| !value.is_empty())
    };
    // A ray ends in the airport; of several caches the last one is the nearest to us.
    let hint = None
        .or_else(|| Some(format!("cloudflare/{}", value("cf-ray")?.rsplit('-').next()?)))
        .or_else(|| Some(format!("cloudfront/{}", value("x-amz-cf-pop")?)))
        .or_else(|| Some(format!("fastly/{}", value("x-served-by")?.rsplit(',').next()?.trim())))?;
    Some(cut(hint, HINT_BYTES_MAX))
}

/// Which methods are allowed, of an answer that refuses the one asked for. Source: RFC 9110,
/// section 15.5.6.
pub(super) fn allow(status: StatusCode, headers: &HeaderMap) -> Option<String> {
    if status != StatusCode::METHOD_NOT_ALLOWED {
        return None;
    }
    let value = headers.get(header::ALLOW)?;
    Some(cut(String::from_utf8_lossy(value.as_bytes()).into_owned(), ALLOW_BYTES_MAX))
}

/// How long to wait before the next request, of an answer that says that there are too many or that
/// it cannot serve for now; zero for a date in the past. A date counts from the answer's own `Date`,
/// so the two clocks need not agree. Source: RFC 9110, section 10.2.3, and RFC 6585, section 4.
pub(super) fn retry_after(
    status: StatusCode,
    headers: &HeaderMap,
    wall: &WallClock,
) -> Option<Duration> {
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let date = headers.get(header::DATE);
        let now = date
            .and_then(|date| http_date(date.to_str().ok()?.trim()))
            .unwrap_or_else(|| wall.seconds());
        let seconds = http_date(text)?.saturating_sub(now);
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// Seconds since the epoch of a date in one of the three forms of HTTP. Source: RFC 9110, section
/// 5.6.7.
fn http_date(text: &str) -> Option<i64> {
    let forms = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let date = forms.iter().find_map(|form| DateTime::strptime(form, text).ok())?;
    let instant: Timestamp = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(instant.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn reads_seconds_and_the_three_forms_of_dates() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:07 GMT");
        for (text, seconds) in [
            ("30", Some(30)),
            ("0", Some(0)),
            ("99999999999999999999999", Some(7 * 86_400)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(30)),
            ("Sun Nov  6 08:49:37 1994", Some(30)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("-5", None),
            ("soon", None),
            ("", None),
        ] {
            let headers = headers(&[date, ("retry-after", text)]);
            let wait =
                retry_after(StatusCode::SERVICE_UNAVAILABLE, &headers, &WallClock::default());
            assert_eq!(wait, seconds.map(Duration::from_secs), "{text}");
        }
        let long_ago = headers(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]);
        let wait = retry_after(StatusCode::TOO_MANY_REQUESTS, &long_ago, &WallClock::default());
        assert_eq!(wait, Some(Duration::ZERO));
    }

    #[test]
    fn only_an_answer_that_puts_off_may_ask_for_time() {
        let asks = headers(&[("retry-after", "86400")]);
        for status in [StatusCode::OK, StatusCode::FORBIDDEN, StatusCode::INTERNAL_SERVER_ERROR] {
            assert_eq!(retry_after(status, &asks, &WallClock::default()), None, "{status}");
        }
    }

    #[test]
    fn names_the_edge_that_answered() {
        for (name, value, hint) in [
            ("cf-ray", "8f0c1d2e3f4a5b6c-FRA", "cloudflare/FRA"),
            ("x-amz-cf-pop", "FRA56-P4", "cloudfront/FRA56-P4"),
            ("x-served-by", "cache-iad-1, cache-fra-2", "fastly/cache-fra-2"),
        ] {
            assert_eq!(pop(&headers(&[(name, value)])).unwrap(), hint);
        }
        assert_eq!(pop(&headers(&[("server", "nginx")])), None);
    }
}
