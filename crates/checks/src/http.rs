//! The kind `http`: one request, its redirects, and what the answer must be.

mod auth;
mod decode;
pub(crate) mod exchange;
mod expect;
mod hint;
mod interim;
mod options;
mod part;
mod redirect;

use std::pin::Pin;
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode, response};
use hyper::body::Incoming;
use quorate_model::{HttpHop, Observation, OptionProblem, Phase, Reason};
use schemars::Schema;
use serde_json::Value;
use url::Url;

use self::auth::TokenSource;
use self::decode::Decoded;
use self::exchange::{Ask, Live, Manner};
use self::expect::Expect;
use self::options::HttpOptions;
use self::part::{Memory, Range};
use self::redirect::Redirects;
use crate::options::{read, schema_of};
use crate::phase::{Stop, Trace};
use crate::registry::{CheckKind, Families, Probe};
use crate::{Policy, ProbeContext};

/// What probes call themselves.
const USER_AGENT: &str = concat!("Quorate/", env!("CARGO_PKG_VERSION"));

/// The schema of the options.
static SCHEMA: LazyLock<Schema> = LazyLock::new(schema_of::<HttpOptions>);

/// The row of the registry.
pub(super) const KIND: Http = Http;

/// The kind itself.
#[derive(Debug)]
pub(super) struct Http;

impl CheckKind for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn parse(&self, options: &Value) -> Result<Box<dyn Probe>, Vec<OptionProblem>> {
        let (read, mut problems) = read::<HttpOptions>(&SCHEMA, options);
        let probe = read.and_then(|read| read.plan(&mut problems));
        match probe {
            Some(probe) if problems.is_empty() => Ok(Box::new(probe)),
            _ => Err(problems),
        }
    }

    fn schema(&self) -> Schema {
        SCHEMA.clone()
    }
}

/// A probe that is ready to run.
struct HttpProbe {
    url: Url,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
    token: Option<TokenSource>,
    range: Option<Range>,
    memory: Option<Memory>,
    max_redirects: usize,
    downgrade: bool,
    manner: Manner,
    max_body: usize,
    expect: Expect,
}

/// Headers and body may hold secrets, so they are not shown.
impl std::fmt::Debug for HttpProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpProbe")
            .field("method", &self.method)
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}

impl Probe for HttpProbe {
    fn target(&self) -> String {
        self.url.to_string()
    }

    fn refused_by(&self, policy: &Policy) -> Option<String> {
        if let Err(rule) = policy.judge_method(self.method.as_str()) {
            return Some(rule);
        }
        let route = &self.manner.route;
        let token = self.token.as_ref().and_then(|source| source.refused_by(policy, route));
        let endpoint = exchange::endpoint(&self.url).ok()?;
        token.or_else(|| route.refused_by(&endpoint, policy))
    }

    fn families(&self) -> Families {
        let route = &self.manner.route;
        match exchange::endpoint(&self.url) {
            // An address of the check's own is of one family.
            Ok(endpoint) if route.overrides.contains_key(&endpoint.host) => Families::One,
            Ok(endpoint) => match route.family.of(&endpoint) {
                // What changes something is not asked for twice unless the check says so.
                Families::Any if !self.method.is_safe() => Families::One,
                families @ (Families::One | Families::Any | Families::Both) => families,
            },
            Err(_) => Families::One,
        }
    }

    fn run<'a>(
        &'a self,
        context: &'a ProbeContext,
    ) -> Pin<Box<dyn Future<Output = Observation> + Send + 'a>> {
        Box::pin(async move {
            let mut trace = Trace::start(context);
            let probing = self.probe(&mut trace, context);
            let ended = tokio::time::timeout(context.timeout, probing).await.ok();
            trace.finish(ended, context)
        })
    }
}

impl HttpProbe {
    async fn probe(&self, trace: &mut Trace, context: &ProbeContext) -> Result<(), Stop> {
        let mut fresh = self.token.is_none();
        loop {
            let mut ask = self.first();
            if let Some(source) = &self.token {
                let (token, cached) = source.token(trace, context, &self.manner).await?;
                ask.headers.insert(header::AUTHORIZATION, token);
                fresh = !cached;
            }
            let (ask, head, live) = self.follow(trace, context, ask).await?;
            // A token that was kept may have been withdrawn: one more try with a new one.
            if head.status == StatusCode::UNAUTHORIZED && !fresh {
                if let Some(source) = &self.token {
                    source.forget();
                }
                continue;
            }
            return self.judge(trace, context, (&ask, &head), live).await;
        }
    }

    /// Asks and follows redirects, up to the final answer.
    async fn follow(
        &self,
        trace: &mut Trace,
        context: &ProbeContext,
        mut ask: Ask,
    ) -> Result<(Ask, response::Parts, Answering), Stop> {
        let mut redirects = Redirects::new(self.max_redirects, self.downgrade);
        loop {
            let position = trace.watch.position();
            if let Some(memory) = &self.memory {
                ask.headers.remove(header::IF_NONE_MATCH);
                ask.headers.remove(header::IF_MODIFIED_SINCE);
                memory.apply(&ask.method, &ask.url, &mut ask.headers);
            }
            let is_own = ask.url.host() == self.url.host();
            let elsewhere = (!is_own).then(|| self.manner.elsewhere());
            let manner = elsewhere.as_ref().unwrap_or(&self.manner);
            let (answer, live) = exchange::ask(trace, context, manner, &ask).await?;
            let (head, body) = answer.into_parts();
            note(trace, &ask, &head, position);
            match redirects.next(&ask, head.status, &head.headers)? {
                Some(next) => ask = next,
                None => return Ok((ask, head, Answering { live, body, position })),
            }
        }
    }

    /// Judges the final answer, head first; the body is not waited for if the head is wrong.
    async fn judge(
        &self,
        trace: &mut Trace,
        context: &ProbeContext,
        (ask, head): (&Ask, &response::Parts),
        mut answering: Answering,
    ) -> Result<(), Stop> {
        let headers = &head.headers;
        trace.evidence.pop_hint = hint::pop(headers);
        trace.evidence.retry_after =
            hint::retry_after(head.status, headers, context.environment.wall());
        trace.evidence.allow = hint::allow(head.status, headers);
        self.expect.around(&ask.url, &trace.evidence, context.environment.wall().now())?;
        let unchanged = self.memory.is_some() && head.status == StatusCode::NOT_MODIFIED;
        let judged = self.head(ask, head, unchanged);
        if judged.is_err()
            && let Some(memory) = &self.memory
        {
            memory.forget();
        }
        let part = judged?;
        let read = answering.live.read(&mut answering.body, self.max_body).await;
        if let Some(hop) = trace.evidence.hops.last_mut() {
            hop.phases = trace.watch.since(answering.position);
        }
        let (body, all) = read?;
        if let Some(length) = part.filter(|_| all) {
            let came = u64::try_from(body.len()).unwrap_or(u64::MAX);
            if came != length {
                let message = format!("the part has {came} bytes, its Content-Range says {length}");
                return Err(Stop::fail(Phase::Assert, Reason::Range, message));
            }
        }
        // A part of something compressed cannot be decoded.
        let decoded = if part.is_some() {
            Decoded { body, all, wire: None }
        } else {
            decode::decode(headers, body, all, self.max_body)?
        };
        trace.evidence.body_bytes = u64::try_from(decoded.body.len()).ok();
        trace.evidence.wire_bytes = decoded.wire.and_then(|bytes| u64::try_from(bytes).ok());
        trace.watch.enter(Phase::Assert);
        if !unchanged {
            self.expect.body(&decoded.body, decoded.all)?;
        }
        let phases = trace.watch.since(0);
        self.expect.times(trace.watch.elapsed(), &phases)?;
        if let Some(memory) = &self.memory
            && !unchanged
        {
            memory.keep(&ask.url, headers);
        }
        Ok(())
    }

    /// Judges the head of the final answer. Returns how long the body must be, if it is a part.
    fn head(
        &self,
        ask: &Ask,
        head: &response::Parts,
        unchanged: bool,
    ) -> Result<Option<u64>, Stop> {
        let sent = |name| ask.headers.contains_key(name);
        if unchanged && (sent(header::IF_NONE_MATCH) || sent(header::IF_MODIFIED_SINCE)) {
            return part::unchanged(&ask.headers, &head.headers).map(|()| None);
        }
        let status = head.status.as_u16();
        let asked = self.range.filter(|_| !self.expect.names(status));
        let part = asked.map(|range| range.judge(head.status, &head.headers)).transpose()?;
        self.expect.head((&ask.url, &ask.headers), status, &head.headers)?;
        Ok(part.flatten())
    }

    /// The request for the check's own URL.
    fn first(&self) -> Ask {
        let mut headers = self.headers.clone();
        let own = [
            (header::USER_AGENT, USER_AGENT),
            (header::ACCEPT, "*/*"),
            // What is not compressed costs the agent less.
            (header::ACCEPT_ENCODING, "identity"),
        ];
        if let Some(range) = self.range {
            headers.insert(header::RANGE, range.header());
        }
        for (name, value) in own {
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
        Ask { method: self.method.clone(), url: self.url.clone(), headers, body: self.body.clone() }
    }
}

/// A final answer whose body is still to come.
struct Answering {
    live: Live,
    body: Incoming,
    /// Where its hop began.
    position: usize,
}

/// Notes an answer as evidence.
fn note(trace: &mut Trace, ask: &Ask, head: &response::Parts, position: usize) {
    let status = head.status.as_u16();
    trace.evidence.status = Some(status);
    let hop = HttpHop {
        method: ask.method.to_string(),
        url: ask.url.to_string(),
        status,
        address: trace.evidence.address,
        location: redirect::location(&head.headers),
        phases: trace.watch.since(position),
    };
    trace.evidence.hops.push(hop);
}
