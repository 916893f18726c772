//! How a check says who it is: a password, a token, or a token that it fetches first.

use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use quorate_model::{Phase, Reason, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::exchange::{self, Ask, Manner, Version};
use super::note;
use crate::connect::Route;
use crate::options::{Findings, SecretText};
use crate::phase::{Stop, Trace, cut};
use crate::{Policy, ProbeContext};

/// The longest answer with a token, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How long a token is kept that does not say how long it lives. Source: RFC 6749, section 5.1,
/// only recommends to say it.
const LIFE_DEFAULT: Duration = Duration::from_secs(300);
/// How long before its end a token is fetched anew.
const MARGIN: Duration = Duration::from_secs(30);
/// The longest that a token is kept.
const LIFE_MAX: Duration = Duration::from_secs(86_400);
/// The longest text of a server in a message, in bytes.
const SHOWN_BYTES_MAX: usize = 100;

/// A user and a password.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BasicOptions {
    /// The user's name, without a colon.
    #[schemars(required)]
    user: Option<String>,
    /// The password. Never shown.
    #[schemars(required)]
    password: Option<SecretText>,
}

/// Where a token is had.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Oauth2Options {
    /// The URL of the token endpoint. The agent's policy judges it like any target.
    #[schemars(required)]
    token_url: Option<String>,
    /// The name of the client.
    #[schemars(required)]
    client_id: Option<String>,
    /// The secret of the client. Never shown.
    #[schemars(required)]
    client_secret: Option<SecretText>,
    /// What the token must be good for.
    #[serde(default)]
    scopes: Vec<String>,
    /// For whom the token is, where the server wants to know it.
    #[serde(default)]
    audience: Option<String>,
}

/// All that a check says about who it is; one of them at most.
pub(super) struct Means {
    pub(super) userinfo: Option<HeaderValue>,
    pub(super) bearer: Option<SecretText>,
    pub(super) basic: Option<BasicOptions>,
    pub(super) oauth2: Option<Oauth2Options>,
}

impl Means {
    /// Adds the header that follows; returns where to get a token if one must be fetched.
    pub(super) fn plan(
        self,
        headers: &mut HeaderMap,
        findings: &mut Findings<'_>,
    ) -> Option<TokenSource> {
        let given = [
            ("url", self.userinfo.is_some()),
            ("headers", headers.contains_key(header::AUTHORIZATION)),
            ("bearer", self.bearer.is_some()),
            ("basic", self.basic.is_some()),
            ("oauth2", self.oauth2.is_some()),
        ];
        let given: Vec<_> = given.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
        // A header that is written out has always won over what the URL says.
        if let [.., one, other] = given.as_slice()
            && (*one, *other) != ("url", "headers")
        {
            findings.at(*other).note(format!("{one} says who the check is as well: keep one"));
        }
        let bearer = self.bearer.and_then(|token| {
            let mut at = findings.at("bearer");
            at.keep(bearer(token.reveal()))
        });
        let basic = self.basic.and_then(|options| {
            let (user, password) = (options.user?, options.password?);
            if user.contains(':') {
                findings.at("basic").at("user").note("a user's name has no colon");
            }
            basic(&user, password.reveal())
        });
        if let Some(value) = bearer.or(basic).or(self.userinfo) {
            headers.entry(header::AUTHORIZATION).or_insert(value);
        }
        self.oauth2.and_then(|options| TokenSource::read(options, &mut findings.at("oauth2")))
    }
}

/// Basic authentication. Source: RFC 7617, section 2.
pub(super) fn basic(user: &str, password: &str) -> Option<HeaderValue> {
    let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    sensitive(&format!("Basic {text}"))
}

/// Authentication by a token. Source: RFC 6750, section 2.1.
fn bearer(token: &str) -> Result<HeaderValue, String> {
    let error = || "the token holds characters that no token may hold".to_owned();
    let plain = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    sensitive(&format!("Bearer {token}")).filter(|_| plain).ok_or_else(error)
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Fetches tokens by the grant `client_credentials`, and keeps each until shortly before its end.
/// Source: RFC 6749, section 4.4.
pub(super) struct TokenSource {
    ask: Ask,
    kept: Mutex<Option<Token>>,
}

struct Token {
    value: HeaderValue,
    until: Timestamp,
}

impl TokenSource {
    fn read(options: Oauth2Options, at: &mut Findings<'_>) -> Option<Self> {
        let url = options.token_url.as_deref().and_then(|text| {
            let mut at = at.at("token_url");
            at.keep(read_url(text))
        });
        // Source: RFC 6749, section 2.3.1 and appendix B.
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let (id, secret) = (options.client_id?, options.client_secret?);
        let who = basic(&encoded(&id), &encoded(secret.reveal()))?;
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !options.scopes.is_empty() {
            form.append_pair("scope", &options.scopes.join(" "));
        }
        if let Some(audience) = &options.audience {
            form.append_pair("audience", audience);
        }
        let plain = HeaderValue::from_static;
        let headers = [
            (header::AUTHORIZATION, who),
            (header::USER_AGENT, plain(super::USER_AGENT)),
            (header::ACCEPT, plain("application/json")),
            (header::ACCEPT_ENCODING, plain("identity")),
            (header::CONTENT_TYPE, plain("application/x-www-form-urlencoded")),
        ];
        let ask = Ask {
            method: Method::POST,
            url: url?,
            headers: headers.into_iter().collect(),
            body: Bytes::from(form.finish()),
        };
        Some(Self { ask, kept: Mutex::default() })
    }

    /// The header to send, and whether it is of a token that was kept.
    pub(super) async fn token(
        &self,
        trace: &mut Trace,
        context: &ProbeContext,
        manner: &Manner,
    ) -> Result<(HeaderValue, bool), Stop> {
        let now = context.environment.wall().now();
        let kept = self.kept.lock().ok().and_then(|kept| {
            let token = kept.as_ref().filter(|token| now < token.until)?;
            Some(token.value.clone())
        });
        if let Some(value) = kept {
            return Ok((value, true));
        }
        let (value, life) = self.fetch(trace, context, manner).await?;
        if let Ok(mut kept) = self.kept.lock() {
            let until = now + life.min(LIFE_MAX).saturating_sub(MARGIN);
            *kept = Some(Token { value: value.clone(), until });
        }
        Ok((value, false))
    }

    /// Why `policy` forbids to fetch a token, whatever its names resolve to.
    pub(super) fn refused_by(&self, policy: &Policy, route: &Route) -> Option<String> {
        if let Err(rule) = policy.judge_method(self.ask.method.as_str()) {
            return Some(format!("to fetch the token: {rule}"));
        }
        route.refused_by(&exchange::endpoint(&self.ask.url).ok()?, policy)
    }

    /// Throws the kept token away.
    pub(super) fn forget(&self) {
        if let Ok(mut kept) = self.kept.lock() {
            *kept = None;
        }
    }

    async fn fetch(
        &self,
        trace: &mut Trace,
        context: &ProbeContext,
        manner: &Manner,
    ) -> Result<(HeaderValue, Duration), Stop> {
        let of_token = |stop: Stop| Stop { message: format!("token: {}", stop.message), ..stop };
        let tls = manner.tls.elsewhere();
        let manner = Manner { tls, version: Version::Auto, ..manner.clone() };
        let position = trace.watch.position();
        let asked = exchange::ask(trace, context, &manner, &self.ask).await;
        let (answer, mut live) = asked.map_err(of_token)?;
        let (head, mut body) = answer.into_parts();
        note(trace, &self.ask, &head, position);
        let (body, _) = live.read(&mut body, ANSWER_BYTES_MAX).await.map_err(of_token)?;
        if let Some(hop) = trace.evidence.hops.last_mut() {
            hop.phases = trace.watch.since(position);
        }
        read_token(head.status, &body).map_err(|problem| {
            let message = format!("no token from {}: {problem}", self.ask.url);
            Stop::fail(Phase::Assert, Reason::Auth, message)
        })
    }
}

fn read_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{text:?} is not a URL ({error})"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("the scheme is {:?}, but must be http or https", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("write client_id and client_secret, not a user in the URL".to_owned());
    }
    Ok(url)
}

/// The token in an answer and how long it lives. Source: RFC 6749, sections 5.1 and 5.2.
fn read_token(status: StatusCode, body: &[u8]) -> Result<(HeaderValue, Duration), String> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| answer.get(name).and_then(Value::as_str);
    if status != StatusCode::OK {
        let said = text("error").map_or_else(String::new, |error| {
            format!(" ({:?})", cut(error.to_owned(), SHOWN_BYTES_MAX))
        });
        return Err(format!("status {}{said}", status.as_u16()));
    }
    let token = text("access_token").ok_or("the answer has no access_token")?;
    if text("token_type").is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err("the token is not to be sent as a bearer".to_owned());
    }
    let life = match answer.get("expires_in") {
        None | Some(Value::Null) => LIFE_DEFAULT,
        Some(life) => {
            let seconds = life.as_u64().or_else(|| life.as_str()?.parse().ok());
            Duration::from_secs(seconds.ok_or("expires_in is not a number of seconds")?)
        }
    };
    Ok((bearer(token)?, life))
}
