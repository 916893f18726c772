//! The kind `tcp`: a connection, optionally TLS, optionally a line to send and an answer to expect.

mod escape;

use std::pin::Pin;
use std::sync::LazyLock;
use std::time::Duration;

use quorate_model::{Observation, OptionProblem, Phase, Reason};
use regex::Regex;
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::connect::{Endpoint, connect};
use crate::options::{Findings, read, schema_of};
use crate::phase::{Stop, Trace, cut, rounded};
use crate::registry::{CheckKind, Families, Probe};
use crate::resolve::IpFamily;
use crate::tls::{self, TlsOptions, TlsPlan};
use crate::{Policy, ProbeContext};

/// How much of an answer is read, in bytes.
const ANSWER_BYTES_MAX: usize = 4 * 1024;
/// The longest text that a check may send, in bytes.
const SEND_BYTES_MAX: usize = 4 * 1024;
/// The longest text of a target in a message, in bytes.
const SHOWN_BYTES_MAX: usize = 100;

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

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum ExpectChoice {
    /// A part of what comes.
    Contains(String),
    /// Conditions, of which all must hold.
    Conditions(ExpectOptions),
}

/// Conditions on what comes.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ExpectOptions {
    /// A part of what comes, with the same escapes.
    contains: Option<String>,
    /// A regular expression (Rust crate `regex`) that matches somewhere in what comes, read as UTF-8.
    regex: Option<String>,
    /// The whole probe must not take longer.
    #[schemars(extend("x-unit" = "duration"))]
    latency: Option<String>,
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
        let send = self.send.as_deref().map_or_else(Vec::new, |text| {
            let mut at = findings.at("send");
            let bytes = at.keep(escape::unescaped(text)).unwrap_or_default();
            if bytes.len() > SEND_BYTES_MAX {
                at.note(format!("at most {SEND_BYTES_MAX} bytes are sent"));
            }
            bytes
        });
        let expect = self
            .expect
            .map_or_else(Expect::default, |choice| read_expect(choice, &mut findings.at("expect")));
        Some(TcpProbe { endpoint: endpoint?, tls, send, expect, family: self.ip_family })
    }
}

fn read_expect(choice: ExpectChoice, at: &mut Findings<'_>) -> Expect {
    let options = match choice {
        ExpectChoice::Contains(text) => {
            let contains = at.keep(part(&text));
            return Expect { contains, ..Expect::default() };
        }
        ExpectChoice::Conditions(options) => options,
    };
    Expect {
        contains: options.contains.and_then(|text| {
            let mut at = at.at("contains");
            at.keep(part(&text))
        }),
        regex: options.regex.and_then(|text| at.at("regex").regex(&text)),
        latency: options.latency.and_then(|text| at.at("latency").duration(&text)),
    }
}

/// The bytes of a part to look for.
fn part(text: &str) -> Result<Vec<u8>, String> {
    match escape::unescaped(text)? {
        bytes if bytes.is_empty() => Err("an empty text is part of everything".to_owned()),
        bytes if bytes.len() > ANSWER_BYTES_MAX => {
            Err(format!("only the first {ANSWER_BYTES_MAX} bytes are read"))
        }
        bytes => Ok(bytes),
    }
}

/// Expectations after validation.
#[derive(Debug, Default)]
struct Expect {
    contains: Option<Vec<u8>>,
    regex: Option<Regex>,
    latency: Option<Duration>,
}

impl Expect {
    fn wants_an_answer(&self) -> bool {
        self.contains.is_some() || self.regex.is_some()
    }

    /// The first condition that `answer` does not meet, in words.
    fn missed(&self, answer: &[u8]) -> Option<String> {
        let holds =
            |part: &&Vec<u8>| answer.windows(part.len()).any(|window| window == part.as_slice());
        if let Some(part) = self.contains.as_ref().filter(|part| !holds(part)) {
            return Some(format!("does not contain {}", shown(part)));
        }
        let text = String::from_utf8_lossy(answer);
        self.regex
            .as_ref()
            .filter(|regex| !regex.is_match(&text))
            .map(|regex| format!("does not match {}", shown(regex.as_str().as_bytes())))
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
        let took = trace.watch.elapsed();
        match self.expect.latency {
            Some(most) if took > most => {
                let message = format!("took {}, expected at most {}", rounded(took), rounded(most));
                Err(Stop::fail(Phase::Assert, Reason::Latency, message))
            }
            _ => Ok(()),
        }
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
            let Some(missed) = self.expect.missed(&answer) else {
                return Ok(());
            };
            if ended || answer.len() >= ANSWER_BYTES_MAX {
                let message = format!("the answer {} {missed}", shown(&answer));
                return Err(Stop::fail(Phase::Assert, Reason::Body, message));
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

/// Bytes of a target for a message: bounded, quoted, escaped.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..SHOWN_BYTES_MAX).unwrap_or(bytes));
    format!("{:?}", cut(text.into_owned(), SHOWN_BYTES_MAX))
}
