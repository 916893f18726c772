//! Where a redirect leads, and what goes there.
//!
//! Source: RFC 9110, section 15.4; for the methods and headers that change, the Fetch standard
//! ("HTTP-redirect fetch").

use std::collections::BTreeSet;

use http::header::{self, HeaderMap};
use http::{Method, StatusCode};
use quorate_model::{Phase, Reason};
use url::Url;

use super::exchange::Ask;
use super::options::strip_credentials;
use crate::phase::{Stop, cut};

/// The longest `Location` that is kept and shown, in bytes.
const LOCATION_BYTES_MAX: usize = 2048;

/// The redirects of one probe.
#[derive(Debug)]
pub(super) struct Redirects {
    left: usize,
    max: usize,
    downgrade: bool,
    seen: BTreeSet<(String, String)>,
}

impl Redirects {
    /// Follows at most `max`, and from https to http only with `downgrade`.
    pub(super) fn new(max: usize, downgrade: bool) -> Self {
        Self { left: max, max, downgrade, seen: BTreeSet::new() }
    }

    /// What to ask for next, or `None` if `status` is the answer itself.
    pub(super) fn next(
        &mut self,
        asked: &Ask,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Option<Ask>, Stop> {
        if self.max == 0 || !is_redirect(status.as_u16()) {
            return Ok(None);
        }
        self.seen.insert(key(asked));
        let url = target(&asked.url, status, headers)?;
        if asked.url.scheme() == "https" && url.scheme() == "http" && !self.downgrade {
            let message = format!("redirect from https to {url}: follow it with downgrade: true");
            return Err(Stop::fail(Phase::Assert, Reason::RedirectDowngrade, message));
        }
        if self.left == 0 {
            let message = format!("more than {} redirects, the next to {url}", self.max);
            return Err(Stop::fail(Phase::Assert, Reason::RedirectLimit, message));
        }
        self.left -= 1;
        let next = asked.redirected(status, url);
        if self.seen.contains(&key(&next)) {
            let message = format!("the redirects go in a circle, back to {}", next.url);
            return Err(Stop::fail(Phase::Assert, Reason::RedirectLimit, message));
        }
        Ok(Some(next))
    }
}

/// Whether a status sends the client elsewhere.
pub(super) fn is_redirect(code: u16) -> bool {
    matches!(code, 301 | 302 | 303 | 307 | 308)
}

/// `Location` as sent, bounded.
pub(super) fn location(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::LOCATION)?;
    let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
    Some(cut(text, LOCATION_BYTES_MAX))
}

/// Two requests with the same key get the same answer.
fn key(ask: &Ask) -> (String, String) {
    let mut url = ask.url.clone();
    url.set_fragment(None);
    (ask.method.to_string(), url.into())
}

fn target(from: &Url, status: StatusCode, headers: &HeaderMap) -> Result<Url, Stop> {
    let invalid = |message| Stop::fail(Phase::Assert, Reason::RedirectInvalid, message);
    let Some(location) = location(headers) else {
        let message = format!("status {} without a Location", status.as_u16());
        return Err(invalid(message));
    };
    let mut url = from
        .join(&location)
        .map_err(|error| invalid(format!("redirect to {location:?}: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid(format!("redirect to {location:?}: neither http nor https")));
    }
    // Nobody but the check itself hands out credentials.
    strip_credentials(&mut url);
    if url.fragment().is_none() {
        url.set_fragment(from.fragment());
    }
    Ok(url)
}

impl Ask {
    /// The same request as changed by a redirect.
    fn redirected(&self, status: StatusCode, url: Url) -> Self {
        let mut next = Self { url, ..self.clone() };
        let becomes_get = match status.as_u16() {
            303 => self.method != Method::HEAD && self.method != Method::GET,
            301 | 302 => self.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            next.method = Method::GET;
            next.body.clear();
            for name in [
                header::CONTENT_ENCODING,
                header::CONTENT_LANGUAGE,
                header::CONTENT_LOCATION,
                header::CONTENT_TYPE,
            ] {
                next.headers.remove(name);
            }
        }
        if next.url.origin() != self.url.origin() {
            for name in
                [header::AUTHORIZATION, header::COOKIE, header::HOST, header::PROXY_AUTHORIZATION]
            {
                next.headers.remove(name);
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;

    use super::*;

    fn ask(method: Method) -> Ask {
        let mut headers = HeaderMap::new();
        for name in ["authorization", "cookie", "content-type", "x-own"] {
            headers.insert(name, HeaderValue::from_static("secret"));
        }
        Ask {
            method,
            url: "https://shop.example/a/b?c#part".parse().unwrap(),
            headers,
            body: Bytes::from_static(b"body"),
        }
    }

    fn next(method: Method, status: u16, location: &str) -> Result<Option<Ask>, Stop> {
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, location.parse().unwrap());
        let status = StatusCode::from_u16(status).unwrap();
        Redirects::new(5, true).next(&ask(method), status, &headers)
    }

    #[test]
    fn methods_and_bodies_change_as_in_browsers() {
        for (method, status, becomes) in [
            (Method::POST, 301, Method::GET),
            (Method::POST, 302, Method::GET),
            (Method::PUT, 301, Method::PUT),
            (Method::PUT, 302, Method::PUT),
            (Method::POST, 303, Method::GET),
            (Method::PUT, 303, Method::GET),
            (Method::HEAD, 303, Method::HEAD),
            (Method::POST, 307, Method::POST),
            (Method::PUT, 308, Method::PUT),
            (Method::GET, 301, Method::GET),
        ] {
            let after = next(method.clone(), status, "/x").unwrap().unwrap();
            assert_eq!(after.method, becomes, "{method} {status}");
            let keeps = becomes == method;
            assert_eq!(!after.body.is_empty(), keeps, "{method} {status}");
            assert_eq!(after.headers.contains_key("content-type"), keeps);
        }
    }

    #[test]
    fn references_are_resolved_and_the_fragment_is_inherited() {
        for (location, url) in [
            ("/x", "https://shop.example/x#part"),
            ("x", "https://shop.example/a/x#part"),
            ("?q", "https://shop.example/a/b?q#part"),
            ("//other.example/y#z", "https://other.example/y#z"),
            ("http://shop.example", "http://shop.example/#part"),
            ("https://u:p@shop.example/", "https://shop.example/#part"),
        ] {
            let after = next(Method::GET, 302, location).unwrap().unwrap();
            assert_eq!(after.url.as_str(), url);
        }
    }

    #[test]
    fn credentials_stay_in_their_origin() {
        for (location, kept) in [
            ("/x", true),
            ("https://shop.example:443/x", true),
            ("https://shop.example:8443/x", false),
            ("http://shop.example/x", false),
            ("https://evil.example/x", false),
        ] {
            let after = next(Method::GET, 307, location).unwrap().unwrap();
            for name in ["authorization", "cookie"] {
                assert_eq!(after.headers.contains_key(name), kept, "{location}");
            }
            assert!(after.headers.contains_key("x-own"));
        }
    }

    #[test]
    fn refuses_what_leads_nowhere() {
        for location in ["file:///etc/passwd", "gopher://x", "http://", "https://[::1"] {
            let stop = next(Method::GET, 302, location).unwrap_err();
            let invalid = Stop::fail(Phase::Assert, Reason::RedirectInvalid, "");
            assert_eq!(stop.outcome, invalid.outcome, "{location}");
        }
        let found = StatusCode::FOUND;
        let missing = Redirects::new(5, true).next(&ask(Method::GET), found, &HeaderMap::new());
        assert_eq!(missing.unwrap_err().message, "status 302 without a Location");
    }
}
