//! The kind `http`: one request, its redirects, and what the answer must be.

pub(crate) mod exchange;
mod expect;
mod hint;
mod options;
mod redirect;

use std::pin::Pin;
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, response};
use quorate_model::{HttpHop, Observation, OptionProblem, Phase};
use schemars::Schema;
use serde_json::Value;
use url::Url;

use self::exchange::{Ask, Version};
use self::expect::Expect;
use self::options::HttpOptions;
use self::redirect::Redirects;
use crate::options::{read, schema_of};
use crate::phase::{Stop, Trace};
use crate::registry::{CheckKind, Families, Probe};
use crate::resolve::IpFamily;
use crate::tls::TlsPlan;
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
    max_redirects: usize,
    tls: TlsPlan,
    version: Version,
    family: IpFamily,
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
        exchange::endpoint(&self.url).ok()?.refused_by(policy)
    }

    fn families(&self) -> Families {
        exchange::endpoint(&self.url).map_or(Families::One, |endpoint| self.family.of(&endpoint))
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
        let mut redirects = Redirects::new(self.max_redirects);
        let mut ask = self.first();
        loop {
            let position = trace.watch.position();
            let (answer, mut live) = exchange::ask(trace, context, self, &ask).await?;
            let (head, mut body) = answer.into_parts();
            let hop = trace.evidence.hops.len();
            note(trace, &ask, &head, position);
            if let Some(next) = redirects.next(&ask, head.status, &head.headers)? {
                ask = next;
                continue;
            }
            trace.evidence.pop_hint = hint::pop(&head.headers);
            trace.evidence.retry_after =
                hint::retry_after(head.status, &head.headers, context.environment.wall());
            let request = (&ask.url, &ask.headers);
            self.expect.head(request, head.status.as_u16(), &head.headers)?;
            let read = live.read(&mut body, self.max_body).await;
            if let Some(hop) = trace.evidence.hops.get_mut(hop) {
                hop.phases = trace.watch.since(position);
            }
            let (body, all) = read?;
            trace.evidence.body_bytes = u64::try_from(body.len()).ok();
            trace.watch.enter(Phase::Assert);
            self.expect.body(&body, all)?;
            return self.expect.latency(trace.watch.elapsed());
        }
    }

    /// The request for the check's own URL.
    fn first(&self) -> Ask {
        let mut headers = self.headers.clone();
        let own = [
            (header::USER_AGENT, USER_AGENT),
            (header::ACCEPT, "*/*"),
            // Bodies are not decompressed, so none may be compressed.
            (header::ACCEPT_ENCODING, "identity"),
        ];
        for (name, value) in own {
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
        Ask { method: self.method.clone(), url: self.url.clone(), headers, body: self.body.clone() }
    }
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
