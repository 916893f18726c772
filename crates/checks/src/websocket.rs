//! The kind `websocket`: an upgrade, optionally a text to send and one to expect.

mod frame;
mod open;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::LazyLock;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use quorate_model::{Observation, OptionProblem, Phase, Reason};
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use url::Url;

use self::frame::{Message, Socket};
use crate::answer::{ANSWER_BYTES_MAX, Expect, ExpectChoice, to_send};
use crate::connect::{Endpoint, bare, connect};
use crate::options::{Findings, read, schema_of};
use crate::phase::{Stop, Trace};
use crate::registry::{CheckKind, Families, Probe};
use crate::resolve::IpFamily;
use crate::tls::{self, TlsOptions, TlsPlan};
use crate::{Policy, ProbeContext};

/// The longest text that a check may send, in bytes.
const SEND_BYTES_MAX: usize = 4 * 1024;

/// The schema of the options.
static SCHEMA: LazyLock<Schema> = LazyLock::new(schema_of::<WebsocketOptions>);

/// The row of the registry.
pub(super) const KIND: Websocket = Websocket;

/// The kind itself.
#[derive(Debug)]
pub(super) struct Websocket;

/// Options of the kind `websocket`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WebsocketOptions {
    /// What to open, `ws` or `wss`.
    #[schemars(required)]
    url: Option<String>,
    /// Headers to send with the upgrade: name and value. Values are never shown. Those of the upgrade
    /// itself are refused.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// The subprotocol to ask for, which the server must choose.
    #[serde(default)]
    subprotocol: Option<String>,
    /// How TLS is done: the options below it.
    #[serde(default)]
    tls: TlsOptions,
    /// Text to send, at most 4 KiB, with the escapes `\r`, `\n`, `\t`, `\0`, `\\` and `\xHH`.
    #[serde(default)]
    send: Option<String>,
    /// What must come in one message, within its first 4 KiB: a text (with the same escapes), or the
    /// options below it. Other messages before it are passed over.
    #[serde(default)]
    expect: Option<ExpectChoice>,
    /// The code with which the server must close the connection then. Left out: the probe closes it.
    #[schemars(range(min = 1000, max = 4999))]
    #[serde(default)]
    close_code: Option<u16>,
    /// `4`, `6`, `any`: IPv4 if the name has such an address, else IPv6; or `both`: like `any`, and
    /// each time over the other family beside it, which makes the check `degraded` where one fails.
    #[schemars(extend("default" = "any"))]
    #[serde(default)]
    ip_family: IpFamily,
}

impl CheckKind for Websocket {
    fn name(&self) -> &'static str {
        "websocket"
    }

    fn parse(&self, options: &Value) -> Result<Box<dyn Probe>, Vec<OptionProblem>> {
        let (read, mut problems) = read::<WebsocketOptions>(&SCHEMA, options);
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

impl WebsocketOptions {
    /// Validates; adds what is wrong to `problems`.
    fn plan(self, problems: &mut Vec<OptionProblem>) -> Option<WebsocketProbe> {
        let tls = self.tls.plan(problems);
        let mut findings = Findings::new(problems);
        let url = self.url.as_deref().and_then(|text| {
            let mut at = findings.at("url");
            at.keep(read_url(text))
        });
        let headers = read_headers(&self.headers, &mut findings.at("headers"));
        let is_token = |name: &str| {
            let signs = b"!#$%&'*+-.^_`|~";
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || signs.contains(&byte))
        };
        if let Some(name) =
            self.subprotocol.as_deref().filter(|name| name.is_empty() || !is_token(name))
        {
            findings.at("subprotocol").note(format!("{name:?} is not one name of a protocol"));
        }
        let send = self.send.as_deref().map(|text| {
            let mut at = findings.at("send");
            let bytes = to_send(text, SEND_BYTES_MAX, &mut at);
            if std::str::from_utf8(&bytes).is_err() {
                at.note("a text of a WebSocket is UTF-8: write no other bytes");
            }
            bytes
        });
        let expect = self
            .expect
            .map_or_else(Expect::default, |choice| choice.plan(&mut findings.at("expect")));
        let (url, endpoint) = url?;
        Some(WebsocketProbe {
            url,
            endpoint,
            headers,
            subprotocol: self.subprotocol,
            tls,
            send,
            expect,
            close_code: self.close_code,
            family: self.ip_family,
        })
    }
}

fn read_url(text: &str) -> Result<(Url, Endpoint), String> {
    let url = Url::parse(text).map_err(|error| {
        format!("{text:?} is not a URL ({error}): write one such as wss://example.com/live")
    })?;
    if !matches!(url.scheme(), "ws" | "wss") {
        return Err(format!("the scheme is {:?}, but must be ws or wss", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a user and a password are not sent: write an Authorization header".to_owned());
    }
    if url.fragment().is_some() {
        return Err("a WebSocket's URL has no fragment (#): take it out".to_owned());
    }
    let host = url.host().map(|host| bare(&host));
    let endpoint = host.zip(url.port_or_known_default());
    let (host, port) = endpoint.ok_or_else(|| format!("{text:?} names no server"))?;
    Ok((url, Endpoint { host, port }))
}

fn read_headers(headers: &BTreeMap<String, String>, at: &mut Findings<'_>) -> HeaderMap {
    let mut read = HeaderMap::new();
    for (name, value) in headers {
        let mut at = at.at(name.as_str());
        let Ok(name) = HeaderName::try_from(name) else {
            at.note(format!("{name:?} is not a header name"));
            continue;
        };
        let framing = [
            header::CONNECTION,
            header::UPGRADE,
            header::CONTENT_LENGTH,
            header::TRANSFER_ENCODING,
            header::TE,
            header::TRAILER,
        ];
        if name == header::SEC_WEBSOCKET_PROTOCOL {
            at.note("write it as subprotocol");
        } else if framing.contains(&name) || name.as_str().starts_with("sec-websocket-") {
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

/// A probe that is ready to run.
struct WebsocketProbe {
    url: Url,
    endpoint: Endpoint,
    headers: HeaderMap,
    subprotocol: Option<String>,
    tls: TlsPlan,
    send: Option<Vec<u8>>,
    expect: Expect,
    close_code: Option<u16>,
    family: IpFamily,
}

/// Headers and what is sent may hold secrets, so they are not shown.
impl std::fmt::Debug for WebsocketProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebsocketProbe").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

impl Probe for WebsocketProbe {
    fn target(&self) -> String {
        self.url.to_string()
    }

    fn refused_by(&self, policy: &Policy) -> Option<String> {
        policy.judge_method("GET").err().or_else(|| self.endpoint.refused_by(policy))
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

impl WebsocketProbe {
    async fn probe(&self, trace: &mut Trace, context: &ProbeContext) -> Result<(), Stop> {
        let environment = &context.environment;
        environment.policy.judge_method("GET").map_err(|rule| Stop::denied(&rule))?;
        let stream = connect(trace, context, &self.endpoint, self.family).await?;
        if self.url.scheme() == "wss" {
            let name = (self.endpoint.host.as_str(), ["http/1.1"].as_slice());
            let stream = tls::handshake(trace, environment, &self.tls, name, stream).await?;
            self.talk(trace, stream).await?;
        } else {
            self.talk(trace, stream).await?;
        }
        trace.watch.enter(Phase::Assert);
        self.expect.latency(trace.watch.elapsed())
    }

    async fn talk(
        &self,
        trace: &mut Trace,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<(), Stop> {
        let what = (&self.url, &self.headers, self.subprotocol.as_deref());
        let mut socket = Socket::new(open::open(trace, stream, what).await?);
        trace.evidence.protocol = Some("WebSocket".to_owned());
        trace.watch.enter(Phase::Transfer);
        if let Some(text) = &self.send {
            socket.send(text).await?;
        }
        while self.expect.wants_an_answer() {
            match socket.receive().await? {
                Message::Data(data) => {
                    trace.evidence.body_bytes = u64::try_from(data.len()).ok();
                    let first = data.get(..ANSWER_BYTES_MAX).unwrap_or(&data);
                    if self.expect.missed(first).is_none() {
                        break;
                    }
                }
                Message::Close(code) => {
                    trace.evidence.close_code = Some(code);
                    let message = format!("closed with code {code} before the expected message");
                    return Err(Stop::fail(Phase::Transfer, Reason::Body, message));
                }
            }
        }
        match self.close_code {
            None => {
                // Whether the goodbye arrives makes no difference.
                drop(socket.close().await);
                Ok(())
            }
            Some(wanted) => closes(trace, &mut socket, wanted).await,
        }
    }
}

/// Waits for the server to close the connection with this code.
async fn closes(
    trace: &mut Trace,
    socket: &mut Socket<impl AsyncRead + AsyncWrite + Unpin>,
    wanted: u16,
) -> Result<(), Stop> {
    loop {
        let Message::Close(code) = socket.receive().await? else {
            continue;
        };
        trace.evidence.close_code = Some(code);
        if code == wanted {
            return Ok(());
        }
        let message = format!("closed with code {code}, expected {wanted}");
        return Err(Stop::fail(Phase::Assert, Reason::CloseCode, message));
    }
}
