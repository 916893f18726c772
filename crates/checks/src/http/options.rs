//! The options of the kind `http`.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use quorate_model::OptionProblem;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::HttpProbe;
use super::auth::{BasicOptions, Means, Oauth2Options, basic};
use super::decode;
use super::exchange::{Manner, Version};
use super::expect::ExpectOptions;
use super::part::{Memory, Range};
use crate::connect::{Proxy, Route, bare};
use crate::options::{Findings, SecretText, byte_size};
use crate::resolve::IpFamily;
use crate::tls::TlsOptions;

/// How many redirects are followed unless the check says otherwise.
const FOLLOW_DEFAULT: usize = 5;
/// The most redirects that a check may follow.
const FOLLOW_MAX: usize = 10;
/// How much of a body is read unless the check says otherwise, in bytes.
const BODY_BYTES_DEFAULT: usize = 256 * 1024;
/// The most of a body that a check may read, in bytes.
const BODY_BYTES_MAX: usize = 10 * 1024 * 1024;

/// Options of the kind `http`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpOptions {
    /// What to ask for, `http` or `https`. A user and a password in it become basic authentication
    /// and are never shown.
    #[schemars(required)]
    url: Option<String>,
    /// `GET`, `HEAD`, `OPTIONS`, `POST`, `PUT`, `PATCH` or `DELETE`. The agent's policy decides
    /// which it sends; by default the first four.
    #[schemars(extend("default" = "GET"))]
    #[serde(default)]
    method: Option<String>,
    /// Headers to send: name and value. `Host` overrides the name that the server sees. Those that
    /// frame the message (`Content-Length` and its like) are refused.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Text to send. Not with `GET` or `HEAD`.
    #[serde(default)]
    body: Option<String>,
    /// A token to send as `Authorization: Bearer`. Never shown.
    #[serde(default)]
    bearer: Option<SecretText>,
    /// A user and a password to send as `Authorization: Basic`: the options below it.
    #[serde(default)]
    basic: Option<BasicOptions>,
    /// A token to fetch first, by the grant `client_credentials` (RFC 6749): the options below it.
    #[serde(default)]
    oauth2: Option<Oauth2Options>,
    /// Addresses for names that are then not looked up, such as `shop.example.com: 192.0.2.7`.
    #[serde(default)]
    resolve: BTreeMap<String, String>,
    /// The proxy to go through, `http://host:port` (CONNECT) or `socks5://host:port`. The agent's
    /// policy judges the target's address, then the proxy's.
    #[serde(default)]
    proxy: Option<String>,
    /// Whether to ask only for what has changed since the last good answer, by its `ETag` and
    /// `Last-Modified`. A 304 is then as good as that answer was.
    #[schemars(extend("default" = false))]
    #[serde(default)]
    conditional: bool,
    /// The part of the resource to ask for, such as `bytes=0-1023`, which must then come with status
    /// 206. Not with `HEAD`.
    #[serde(default)]
    range: Option<String>,
    /// Whether to ask for a compressed body (gzip, br, zstd or deflate). One that comes compressed is
    /// decoded in any case.
    #[schemars(extend("default" = false))]
    #[serde(default)]
    compression: bool,
    /// Whether redirects from https to http are followed.
    #[schemars(extend("default" = false))]
    #[serde(default)]
    downgrade: bool,
    /// `true` follows up to 5 redirects, a number up to so many (at most 10), `false` none: then the
    /// redirect is the answer.
    #[schemars(extend("default" = true))]
    #[serde(default)]
    follow: Option<Follow>,
    /// How TLS is done: the options below it.
    #[serde(default)]
    tls: TlsOptions,
    /// `1.1`, `2`, or `auto`: what the server prefers over TLS, 1.1 without. `2` works without TLS
    /// too, with prior knowledge.
    #[schemars(extend("default" = "auto"))]
    #[serde(default)]
    http_version: Version,
    /// `4`, `6`, `any`: IPv4 if the name has such an address, else IPv6; or `both`: like `any`, and
    /// each time over the other family beside it, which makes the check `degraded` where one fails.
    #[schemars(extend("default" = "any"))]
    #[serde(default)]
    ip_family: IpFamily,
    /// How much of the body is read, at most `10MiB`. A longer one is cut and judged as far as it was
    /// read; JSON is not read then.
    #[schemars(extend("default" = "256KiB", "x-unit" = "size"))]
    #[serde(default)]
    max_body: Option<String>,
    /// What the answer must be: the options below it. All of it must hold.
    #[serde(default)]
    expect: ExpectOptions,
}

/// Yes, no, or how many.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Follow {
    /// Up to the default number, or none.
    Whether(bool),
    /// Up to this number.
    Count(#[schemars(range(min = 0, max = 10))] u8),
}

impl HttpOptions {
    /// Validates; adds what is wrong to `problems`.
    pub(super) fn plan(self, problems: &mut Vec<OptionProblem>) -> Option<HttpProbe> {
        let tls = self.tls.plan(problems);
        let mut findings = Findings::new(problems);
        let route = self.route(&mut findings);
        let range = self.range(&mut findings);
        let url = self.url.as_deref().and_then(|text| {
            let mut at_url = findings.at("url");
            at_url.keep(read_url(text))
        });
        let method = self.method(&mut findings.at("method"));
        let headers = read_headers(&self.headers, &mut findings.at("headers"));
        let max_redirects = match self.follow {
            None | Some(Follow::Whether(true)) => FOLLOW_DEFAULT,
            Some(Follow::Whether(false)) => 0,
            Some(Follow::Count(count)) => usize::from(count),
        };
        if max_redirects > FOLLOW_MAX {
            findings.at("follow").note(format!("at most {FOLLOW_MAX} redirects are followed"));
        }
        let max_body = self.max_body(&mut findings.at("max_body"));
        let has_body = self.body.is_some();
        let expect = self.expect.plan(max_redirects > 0, &mut findings.at("expect"));
        if has_body && matches!(method.as_ref(), Some(&Method::GET | &Method::HEAD)) {
            findings.at("body").note("a GET or HEAD request has no body: set method: POST");
        }
        let (url, userinfo) = url?;
        let mut headers = headers;
        let by = Means { userinfo, bearer: self.bearer, basic: self.basic, oauth2: self.oauth2 };
        let token = by.plan(&mut headers, &mut findings);
        if self.compression {
            let accepted = HeaderValue::from_static(decode::ACCEPTED);
            headers.entry(header::ACCEPT_ENCODING).or_insert(accepted);
        }
        Some(HttpProbe {
            url,
            method: method?,
            headers,
            token,
            range,
            memory: self.conditional.then(Memory::default),
            downgrade: self.downgrade,
            body: self.body.map_or_else(Bytes::new, Bytes::from),
            max_redirects,
            manner: Manner { route, tls, version: self.http_version },
            max_body: max_body?,
            expect,
        })
    }

    fn route(&self, findings: &mut Findings<'_>) -> Route {
        let mut overrides = BTreeMap::new();
        for (name, address) in &self.resolve {
            let mut at = findings.at("resolve");
            let mut at = at.at(name.as_str());
            let host = at.keep(url::Host::parse(name).map_err(|_| format!("{name:?} is no name")));
            let address = address.parse().map_err(|_| format!("{address:?} is not an address"));
            if let (Some(host), Some(address)) = (host, at.keep(address)) {
                overrides.insert(bare(&host), address);
            }
        }
        let proxy = self.proxy.as_deref().and_then(|text| {
            let mut at = findings.at("proxy");
            at.keep(Proxy::parse(text))
        });
        Route { family: self.ip_family, overrides, proxy }
    }

    fn range(&self, findings: &mut Findings<'_>) -> Option<Range> {
        let text = self.range.as_deref()?;
        let is_get = self.method.as_deref().is_none_or(|method| method == "GET");
        let named = self.headers.keys().any(|name| name.eq_ignore_ascii_case("range"));
        let mut at = findings.at("range");
        if !is_get {
            at.note("only GET may ask for a part");
        }
        if named {
            at.note("there is a header Range as well");
        }
        at.keep(Range::parse(text))
    }

    fn method(&self, at: &mut Findings<'_>) -> Option<Method> {
        let text = self.method.as_deref().unwrap_or("GET");
        let known = [
            Method::GET,
            Method::HEAD,
            Method::OPTIONS,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ];
        at.keep(known.into_iter().find(|one| one == text).ok_or_else(|| {
            format!("unknown method {text:?}: write GET, HEAD, OPTIONS, POST, PUT, PATCH or DELETE")
        }))
    }

    fn max_body(&self, at: &mut Findings<'_>) -> Option<usize> {
        let Some(text) = self.max_body.as_deref() else {
            return Some(BODY_BYTES_DEFAULT);
        };
        let bytes = at.keep(byte_size(text))?;
        if bytes > BODY_BYTES_MAX {
            at.note(format!("{text} is too much: at most 10MiB of a body is read"));
        }
        Some(bytes)
    }
}

/// The URL without its credentials, and these as a header.
fn read_url(text: &str) -> Result<(Url, Option<HeaderValue>), String> {
    let mut url = Url::parse(text).map_err(|error| {
        format!("{text:?} is not a URL ({error}): write one such as https://example.com/health")
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("the scheme is {:?}, but must be http or https", url.scheme()));
    }
    let authorization = userinfo(&url);
    strip_credentials(&mut url);
    Ok((url, authorization))
}

/// Takes user and password out of `url`.
pub(super) fn strip_credentials(url: &mut Url) {
    // Only URLs without a host refuse, and those of http and https have one.
    let stripped = url.set_username("").and_then(|()| url.set_password(None));
    debug_assert!(stripped.is_ok(), "an http URL has a host");
}

/// Basic authentication from the URL.
fn userinfo(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decoded = |text: &str| {
        let bytes = percent_decoded(text.as_bytes());
        String::from_utf8_lossy(&bytes).into_owned()
    };
    basic(&decoded(url.username()), &decoded(url.password().unwrap_or_default()))
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let pair = tail
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        decoded.push(pair.unwrap_or(*first));
        rest = if pair.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    decoded
}

fn read_headers(headers: &BTreeMap<String, String>, at: &mut Findings<'_>) -> HeaderMap {
    let framing = [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
    ];
    let mut read = HeaderMap::new();
    for (name, value) in headers {
        let mut at = at.at(name.as_str());
        let Ok(name) = HeaderName::try_from(name) else {
            at.note(format!("{name:?} is not a header name"));
            continue;
        };
        if framing.contains(&name) {
            at.note(format!("{name} is set by the probe itself"));
        }
        match HeaderValue::try_from(value) {
            Ok(mut value) => {
                value.set_sensitive(true);
                read.insert(name, value);
            }
            Err(_) => at.note("the value holds control characters"),
        }
    }
    read
}

impl JsonSchema for Version {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HttpVersion".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"enum": ["auto", "1.1", "2", 1.1, 2]})
    }
}

impl TryFrom<Value> for Version {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match text.as_str() {
            "auto" => Ok(Self::Auto),
            "1.1" => Ok(Self::Http1),
            "2" => Ok(Self::Http2),
            _ => Err(format!("{text} is not one of auto, 1.1, 2")),
        }
    }
}
