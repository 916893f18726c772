//! Asking for a part of a resource, and for one only if it has changed.

use std::sync::Mutex;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use quorate_model::{Phase, Reason};
use url::Url;

use crate::phase::{Stop, cut};

/// The longest validator that is kept, in bytes.
const VALIDATOR_BYTES_MAX: usize = 1024;
/// The longest text of a target in a message, in bytes.
const SHOWN_BYTES_MAX: usize = 100;

/// A range of bytes that a check asks for. Source: RFC 9110, section 14.1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    /// From one byte to another, or to the end.
    From(u64, Option<u64>),
    /// So many at the end.
    Last(u64),
}

impl Range {
    /// Reads `bytes=0-1023`, `bytes=1024-` or `bytes=-512`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let error = || {
            format!(
                "{text:?} is not one range of bytes: write bytes=0-1023, bytes=1024- or bytes=-512"
            )
        };
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u64>().ok().filter(|_| plain).ok_or_else(error)
        };
        let (first, last) =
            text.strip_prefix("bytes=").and_then(|rest| rest.split_once('-')).ok_or_else(error)?;
        match (first, last) {
            ("", last) => number(last).map(Self::Last),
            (first, "") => Ok(Self::From(number(first)?, None)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if first > last {
                    return Err(format!("{text:?} ends before it begins"));
                }
                Ok(Self::From(first, Some(last)))
            }
        }
    }

    /// As it is asked for.
    pub(super) fn header(self) -> HeaderValue {
        let text = match self {
            Self::From(first, Some(last)) => format!("bytes={first}-{last}"),
            Self::From(first, None) => format!("bytes={first}-"),
            Self::Last(count) => format!("bytes=-{count}"),
        };
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("bytes=0-"))
    }

    /// Judges the head of an answer. Returns how many bytes the body must have, if it is a part.
    pub(super) fn judge(
        self,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Option<u64>, Stop> {
        let fails = |message: String| Stop::fail(Phase::Assert, Reason::Range, message);
        let value = headers.get(header::CONTENT_RANGE);
        let text = value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let shown =
            text.clone().map_or_else(|| "none".to_owned(), |text| cut(text, SHOWN_BYTES_MAX));
        match status {
            StatusCode::RANGE_NOT_SATISFIABLE => {
                let total = text.as_deref().and_then(|text| text.strip_prefix("bytes */"));
                let total = total.filter(|digits| digits.parse::<u64>().is_ok());
                let of = total.map_or_else(String::new, |total| format!(" of {total} bytes"));
                Err(fails(format!("status 416: the resource{of} has no such range")))
            }
            StatusCode::PARTIAL_CONTENT => {
                let length = text.as_deref().and_then(|text| self.length(text));
                let wrong = || {
                    fails(format!("Content-Range is {shown:?}, which is not the range asked for"))
                };
                length.map(Some).ok_or_else(wrong)
            }
            StatusCode::OK => {
                Err(fails("the server ignores Range: status 200, expected 206".to_owned()))
            }
            _ => Ok(None),
        }
    }

    /// The length of a part, if it is the one asked for: it may be shorter where the resource ends.
    fn length(self, content_range: &str) -> Option<u64> {
        let (range, total) = content_range.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
        let length = last.checked_sub(first)?.checked_add(1)?;
        let total = if total == "*" { None } else { Some(total.parse::<u64>().ok()?) };
        let is_end = total.is_none_or(|total| last.checked_add(1) == Some(total));
        let is_asked = match self {
            Self::From(from, to) => {
                from == first && to.map_or(is_end, |to| last == to || (last < to && is_end))
            }
            Self::Last(count) => is_end && (length == count || (length < count && first == 0)),
        };
        (is_asked && total.is_none_or(|total| last < total)).then_some(length)
    }
}

/// What the last good answer can be recognised by.
#[derive(Debug, Clone)]
struct Validators {
    url: Url,
    etag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
}

/// The memory of a conditional check.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Option<Validators>>);

impl Memory {
    /// Adds to a request for `url` what the last answer from there can be recognised by.
    pub(super) fn apply(&self, method: &Method, url: &Url, headers: &mut HeaderMap) {
        let Ok(kept) = self.0.lock() else {
            return;
        };
        let kept = kept.as_ref().filter(|kept| kept.url == *url);
        let Some(kept) = kept.filter(|_| matches!(*method, Method::GET | Method::HEAD)) else {
            return;
        };
        if let Some(etag) = &kept.etag {
            headers.insert(header::IF_NONE_MATCH, etag.clone());
        }
        if let Some(modified) = &kept.modified {
            headers.insert(header::IF_MODIFIED_SINCE, modified.clone());
        }
    }

    /// Keeps what a good answer from `url` can be recognised by.
    pub(super) fn keep(&self, url: &Url, headers: &HeaderMap) {
        let value = |name| {
            let value: Option<&HeaderValue> = headers.get(name);
            value.filter(|value| value.len() <= VALIDATOR_BYTES_MAX).cloned()
        };
        let (etag, modified) = (value(header::ETAG), value(header::LAST_MODIFIED));
        let found = etag.is_some() || modified.is_some();
        if let Ok(mut kept) = self.0.lock() {
            *kept = found.then(|| Validators { url: url.clone(), etag, modified });
        }
    }

    /// Forgets the last answer, so that the next request asks for all.
    pub(super) fn forget(&self) {
        if let Ok(mut kept) = self.0.lock() {
            *kept = None;
        }
    }
}

/// Judges a 304: it must not name another version than the one asked about.
pub(super) fn unchanged(sent: &HeaderMap, headers: &HeaderMap) -> Result<(), Stop> {
    let (asked, answered) = (sent.get(header::IF_NONE_MATCH), headers.get(header::ETAG));
    match (asked, answered) {
        (Some(asked), Some(answered)) if !is_weakly_equal(asked, answered) => {
            let shown = |value: &HeaderValue| {
                cut(String::from_utf8_lossy(value.as_bytes()).into_owned(), SHOWN_BYTES_MAX)
            };
            let (asked, answered) = (shown(asked), shown(answered));
            let message = format!("status 304 with ETag {answered:?}, but asked about {asked:?}");
            Err(Stop::fail(Phase::Assert, Reason::Header, message))
        }
        _ => Ok(()),
    }
}

/// Whether two tags name the same content, be it not byte for byte: how `If-None-Match` compares.
/// Source: RFC 9110, sections 8.8.3.2 and 13.1.2.
fn is_weakly_equal(one: &HeaderValue, other: &HeaderValue) -> bool {
    let opaque = |value: &HeaderValue| {
        let bytes = value.as_bytes();
        bytes.strip_prefix(b"W/").unwrap_or(bytes).to_vec()
    };
    opaque(one) == opaque(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_judged() {
        for text in
            ["", "0-5", "bytes=", "bytes=5", "bytes=5-1", "bytes=0-1,3-4", "bytes=-", "bytes=+1-2"]
        {
            assert!(Range::parse(text).is_err(), "{text}");
        }
        for (asked, came, length) in [
            ("bytes=0-1023", "bytes 0-1023/4096", Some(1024)),
            ("bytes=0-1023", "bytes 0-1023/*", Some(1024)),
            ("bytes=0-1023", "bytes 0-99/100", Some(100)),
            ("bytes=0-1023", "bytes 0-99/4096", None),
            ("bytes=0-1023", "bytes 1-1023/4096", None),
            ("bytes=0-1023", "bytes 0-1024/4096", None),
            ("bytes=0-1023", "bytes 0-1023/100", None),
            ("bytes=0-1023", "items 0-1023/4096", None),
            ("bytes=0-1023", "bytes 9-0/4096", None),
            ("bytes=10-", "bytes 10-99/100", Some(90)),
            ("bytes=10-", "bytes 10-50/100", None),
            ("bytes=-10", "bytes 90-99/100", Some(10)),
            ("bytes=-10", "bytes 0-4/5", Some(5)),
            ("bytes=-10", "bytes 80-89/100", None),
            ("bytes=0-0", "bytes 0-18446744073709551615/18446744073709551615", None),
        ] {
            let range = Range::parse(asked).unwrap();
            assert_eq!(range.length(came), length, "{asked} {came}");
            assert_eq!(range.header(), asked);
        }
    }

    #[test]
    fn weak_tags_are_those_without_their_mark() {
        let tag = HeaderValue::from_static;
        assert!(is_weakly_equal(&tag("W/\"a\""), &tag("\"a\"")));
        assert!(!is_weakly_equal(&tag("\"a\""), &tag("\"b\"")));
    }
}
