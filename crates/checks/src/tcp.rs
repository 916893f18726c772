//! The kind `tcp`: a connection, optionally TLS from the first byte or after a word in plain text,
//! optionally a dialogue of what is sent and what must come.

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
use crate::starttls::StartTls;
use crate::tls::{self, TlsOptions, TlsPlan};
use crate::{Policy, ProbeContext};

/// The longest text that a check may send, in bytes.
const SEND_BYTES_MAX: usize = 4 * 1024;
/// The most steps of a dialogue.
const STEPS_MAX: usize = 16;

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
    /// Ask the server in plain text to go on over TLS, in this protocol: `smtp`, `imap`, `pop3`, `ftp`,
    /// `xmpp` or `postgres`. Implies `tls`; what is sent and expected comes after it.
    #[serde(default)]
    starttls: Option<StartTls>,
    /// Text to send, at most 4 KiB, with the escapes `\r`, `\n`, `\t`, `\0`, `\\` and `\xHH`.
    #[serde(default)]
    send: Option<String>,
    /// What must come within the first 4 KiB: a text (with the same escapes), or the options below it.
    #[serde(default)]
    expect: Option<ExpectChoice>,
    /// Several steps instead of one `send` and `expect`, at most 16: each sends, if it has something to
    /// send, and then waits for what must come since the last time that something was sent.
    #[serde(default)]
    dialogue: Vec<StepOptions>,
    /// `4`, `6`, `any`: IPv4 if the name has such an address, else IPv6; or `both`: like `any`, and
    /// each time over the other family beside it, which makes the check `degraded` where one fails.
    #[schemars(extend("default" = "any"))]
    #[serde(default)]
    ip_family: IpFamily,
}

/// One step of a dialogue.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct StepOptions {
    /// Text to send, as above.
    send: Option<String>,
    /// What must come, as above.
    expect: Option<ExpectChoice>,
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
        let is_plain = matches!(self.tls, Some(TlsChoice::Whether(false)));
        let tls = match self.tls {
            Some(TlsChoice::With(options)) => Some(options.plan(problems)),
            Some(TlsChoice::Whether(true)) => Some(TlsPlan::default()),
            None if self.starttls.is_some() => Some(TlsPlan::default()),
            None | Some(TlsChoice::Whether(false)) => None,
        };
        let mut findings = Findings::new(problems);
        let endpoint = self.address.as_deref().and_then(|text| {
            let mut at = findings.at("address");
            at.keep(Endpoint::parse(text))
        });
        if self.starttls.is_some() && is_plain {
            findings.at("starttls").note("leads to TLS, and tls is false: leave one of them out");
        }
        let has_steps = !self.dialogue.is_empty();
        if has_steps && (self.send.is_some() || self.expect.is_some()) {
            findings.at("dialogue").note("comes instead of send and expect: make them its steps");
        }
        if self.dialogue.len() > STEPS_MAX {
            findings.at("dialogue").note(format!("at most {STEPS_MAX} steps are gone through"));
        }
        let single = StepOptions { send: self.send, expect: self.expect };
        let mut steps = vec![single.plan(&mut findings)];
        if has_steps {
            let mut at = findings.at("dialogue");
            let all = self.dialogue.into_iter().enumerate();
            steps = all.map(|(index, step)| step.plan(&mut at.at(index.to_string()))).collect();
        }
        let (starttls, family) = (self.starttls, self.ip_family);
        Some(TcpProbe { endpoint: endpoint?, tls, starttls, steps, family })
    }
}

impl StepOptions {
    fn plan(self, at: &mut Findings<'_>) -> Step {
        Step {
            send: self
                .send
                .as_deref()
                .map_or_else(Vec::new, |text| to_send(text, SEND_BYTES_MAX, &mut at.at("send"))),
            expect: self
                .expect
                .map_or_else(Expect::default, |choice| choice.plan(&mut at.at("expect"))),
        }
    }
}

/// One step of a dialogue, after validation.
struct Step {
    send: Vec<u8>,
    expect: Expect,
}

/// A probe that is ready to run.
struct TcpProbe {
    endpoint: Endpoint,
    tls: Option<TlsPlan>,
    starttls: Option<StartTls>,
    steps: Vec<Step>,
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
        let mut stream = connect(trace, context, &self.endpoint, self.family).await?;
        if let Some(protocol) = self.starttls {
            protocol.ask(trace, &mut stream, &self.endpoint.host).await?;
        }
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
        Ok(())
    }

    /// Goes through all steps: sends, and reads until the expectation is met.
    async fn talk(
        &self,
        trace: &mut Trace,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
    ) -> Result<(), Stop> {
        let mut answer = Vec::new();
        for (index, step) in self.steps.iter().enumerate() {
            let ended = self.step(trace, &mut stream, (step, &mut answer)).await;
            ended.map_err(|stop| {
                let number = index + 1;
                let many = self.steps.len() > 1;
                let message =
                    if many { format!("step {number}: {}", stop.message) } else { stop.message };
                Stop { message, ..stop }
            })?;
        }
        Ok(())
    }

    /// One step; `answer` is what came since something was sent.
    async fn step(
        &self,
        trace: &mut Trace,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        (step, answer): (&Step, &mut Vec<u8>),
    ) -> Result<(), Stop> {
        if !step.send.is_empty() {
            answer.clear();
            trace.watch.enter(Phase::Send);
            let sent = async {
                stream.write_all(&step.send).await?;
                stream.flush().await
            };
            sent.await.map_err(|_| closed(Phase::Send))?;
        }
        if !step.expect.wants_an_answer() {
            return step.expect.latency(trace.watch.elapsed());
        }
        let mut ended = false;
        while step.expect.missed(answer).is_some() {
            if ended || answer.len() >= ANSWER_BYTES_MAX {
                return step.expect.judge(answer);
            }
            if answer.is_empty() {
                trace.watch.enter(Phase::Ttfb);
            }
            ended = receive(trace, stream, answer).await?;
        }
        step.expect.latency(trace.watch.elapsed())
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
    let read = stream.take(room).read_buf(answer).await.unwrap_or(0);
    let before = trace.evidence.body_bytes.unwrap_or(0);
    trace.evidence.body_bytes = u64::try_from(read).ok().map(|read| before.saturating_add(read));
    let ended = read == 0;
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
