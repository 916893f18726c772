//! The kind `tcp`: a connection, optionally TLS, optionally a line to send and an answer to expect.

use std::pin::Pin;
use std::sync::LazyLock;

use quorate_model::{Observation, OptionProblem, Phase, Reason};
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::answer::{ANSWER_BYTES_MAX, Expect, ExpectChoice, to_send};
use crate::connect::{Endpoint, connect};
use crate::options::{Findings, read, schema_of};
use crate::phase::{Stop, Trace};
use crate::registry::{CheckKind, Families, Probe};
use crate::resolve::IpFamily;
use crate::tls::{self, TlsOptions, TlsPlan};
use crate::{Policy, ProbeContext};

/// The longest text that a check may send, in bytes.
const SEND_BYTES_MAX: usize = 4 * 1024;

/// The schema of the options.
static SCHEMA: LazyLock<Schema> = LazyLock::new(schema_of::<TcpOptions>);

/// The row of the registry.
pub(super) const KIND: Tcp = Tcp;

/// The kind itself.
#[derive(Debug)]
pub(super) struct Tcp;

/// Options of the kind `tcp`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TcpOptions {
    /// `host:port`; an IPv6 address in brackets, such as `[2001:db8::1]:443`.
    #[schemars(required)]
    address: Option<String>,
    /// `true`, or how: the options below it.
    #[schemars(extend("default" = false))]
    #[serde(default)]
    tls: Option<TlsChoice>,
    /// Text to send, at most 4 KiB, with the escapes `\r`, `\n`, `\t`, `\0`, `\\` and `\xHH`.
    #[serde(default)]
    send: Option<String>,
    /// What must come within the first 4 KiB: a text (with the same escapes), or the options below it.
    #[serde(default)]
    expect: Option<ExpectChoice>,
    /// `4`, `6`, `any`: IPv4 if the name has such an address, else IPv6; or `both`: like `any`, and
    /// each time over the other family beside it, which makes the check `degraded` where one fails.
    #[schemars(extend("default" = "any"))]
    #[serde(default)]
    ip_family: IpFamily,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum TlsChoice {
    /// With the defaults, or not at all.
    Whether(bool),
    /// With these options.
    With(TlsOptions),
}

impl CheckKind for Tcp {
    fn name(&self) -> &'static str {
        "tcp"
    }

    fn parse(&self, options: &Value) -> Result<Box<dyn Probe>, Vec<OptionProblem>> {
        let (read, mut problems) = read::<TcpOptions>(&SCHEMA, options);
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

impl TcpOptions {
    /// Validates; adds what is wrong to `problems`.
    fn plan(self, problems: &mut Vec<OptionProblem>) -> Option<TcpProbe> {
        let tls = match self.tls {
            None | Some(TlsChoice::Whether(false)) => None,
            Some(TlsChoice::Whether(true)) => Some(TlsPlan::default()),
            Some(TlsChoice::With(options)) => Some(options.plan(problems)),
        };
        let mut findings = Findings::new(problems);
        let endpoint = self.address.as_deref().and_then(|text| {
            let mut at = findings.at("address");
            at.keep(Endpoint::parse(text))
        });
        let send = self
            .send
            .as_deref()
            .map_or_else(Vec::new, |text| to_send(text, SEND_BYTES_MAX, &mut findings.at("send")));
        let expect = self
            .expect
            .map_or_else(Expect::default, |choice| choice.plan(&mut findings.at("expect")));
        Some(TcpProbe { endpoint: endpoint?, tls, send, expect, family: self.ip_family })
    }
}

/// A probe that is ready to run.
struct TcpProbe {
    endpoint: Endpoint,
    tls: Option<TlsPlan>,
    send: Vec<u8>,
    expect: Expect,
    family: IpFamily,
}

/// What is sent may hold a secret, so it is not shown.
impl std::fmt::Debug for TcpProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TcpProbe").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Probe for TcpProbe {
    fn target(&self) -> String {
        self.endpoint.to_string()
    }

    fn refused_by(&self, policy: &Policy) -> Option<String> {
        self.endpoint.refused_by(policy)
    }

    fn families(&self) -> Families {
        self.family.of(&self.endpoint)
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

impl TcpProbe {
    async fn probe(&self, trace: &mut Trace, context: &ProbeContext) -> Result<(), Stop> {
        let stream = connect(trace, context, &self.endpoint, self.family).await?;
        match &self.tls {
            None => self.talk(trace, stream).await?,
            Some(plan) => {
                let name = (self.endpoint.host.as_str(), [].as_slice());
                let stream =
                    tls::handshake(trace, &context.environment, plan, name, stream).await?;
                self.talk(trace, stream).await?;
            }
        }
        trace.watch.enter(Phase::Assert);
        self.expect.latency(trace.watch.elapsed())
    }

    /// Sends what is to be sent and reads until the expectation is met.
    async fn talk(
        &self,
        trace: &mut Trace,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
    ) -> Result<(), Stop> {
        if !self.send.is_empty() {
            trace.watch.enter(Phase::Send);
            let sent = async {
                stream.write_all(&self.send).await?;
                stream.flush().await
            };
            sent.await.map_err(|_| closed(Phase::Send))?;
        }
        if !self.expect.wants_an_answer() {
            return Ok(());
        }
        trace.watch.enter(Phase::Ttfb);
        let mut answer = Vec::with_capacity(ANSWER_BYTES_MAX);
        loop {
            let ended = receive(trace, &mut stream, &mut answer).await?;
            trace.evidence.body_bytes = u64::try_from(answer.len()).ok();
            if self.expect.missed(&answer).is_none() {
                return Ok(());
            }
            if ended || answer.len() >= ANSWER_BYTES_MAX {
                return self.expect.judge(&answer);
            }
        }
    }
}

/// Reads some more of an answer. Returns whether the peer has closed; an answer of nothing is an
/// error.
async fn receive(
    trace: &mut Trace,
    stream: &mut (impl AsyncRead + Unpin),
    answer: &mut Vec<u8>,
) -> Result<bool, Stop> {
    let first = answer.is_empty();
    let room = ANSWER_BYTES_MAX.saturating_sub(answer.len());
    let room = u64::try_from(room).unwrap_or(0);
    let read = stream.take(room).read_buf(answer).await;
    let ended = !matches!(read, Ok(bytes) if bytes > 0);
    if ended && first {
        return Err(closed(Phase::Ttfb));
    }
    if first {
        trace.watch.enter(Phase::Transfer);
    }
    Ok(ended)
}

fn closed(phase: Phase) -> Stop {
    Stop::fail(phase, Reason::Reset, "connection closed before an answer")
}
