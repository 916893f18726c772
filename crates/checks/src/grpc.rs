//! The kind `grpc`: a question to the standard health service.
//!
//! Source: gRPC, "GRPC Health Checking Protocol" (`grpc.health.v1`) and "gRPC over HTTP2".

mod call;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::LazyLock;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use quorate_model::{GrpcFacts, Observation, OptionProblem, Phase, Reason};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;

use self::call::Ended;
use crate::connect::{Endpoint, connect};
use crate::options::{Findings, read, schema_of};
use crate::phase::{Stop, Trace, cut, rounded};
use crate::registry::{CheckKind, Families, Probe};
use crate::resolve::IpFamily;
use crate::tls::{self, TlsOptions, TlsPlan};
use crate::{Policy, ProbeContext};

/// The longest name of a service, in bytes.
const SERVICE_BYTES_MAX: usize = 256;
/// The longest text of a target in a message, in bytes.
const SHOWN_BYTES_MAX: usize = 200;

/// The names of status codes, from 0. Source: gRPC, "Status codes and their use in gRPC".
const STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The schema of the options.
static SCHEMA: LazyLock<Schema> = LazyLock::new(schema_of::<GrpcOptions>);

/// The row of the registry.
pub(super) const KIND: Grpc = Grpc;

/// The kind itself.
#[derive(Debug)]
pub(super) struct Grpc;

/// Options of the kind `grpc`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GrpcOptions {
    /// `host:port`; an IPv6 address in brackets, such as `[2001:db8::1]:443`.
    #[schemars(required)]
    address: Option<String>,
    /// The service to ask about, such as `shop.v1.Orders`. Left out: the server as a whole.
    #[serde(default)]
    service: Option<String>,
    /// `true`, or how: the options below it. `false` speaks HTTP/2 without TLS.
    #[schemars(extend("default" = false))]
    #[serde(default)]
    tls: Option<TlsChoice>,
    /// The authority that the server sees, where it is not the address.
    #[schemars(extend("x-default" = "the address"))]
    #[serde(default)]
    authority: Option<String>,
    /// Metadata to send: name and value. Values are never shown.
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    /// `4`, `6`, `any`: IPv4 if the name has such an address, else IPv6; or `both`: like `any`, and
    /// each time over the other family beside it, which makes the check `degraded` where one fails.
    #[schemars(extend("default" = "any"))]
    #[serde(default)]
    ip_family: IpFamily,
    /// What the answer must be: the options below it. All of it must hold.
    #[serde(default)]
    expect: ExpectOptions,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum TlsChoice {
    /// With the defaults, or not at all.
    Whether(bool),
    /// With these options.
    With(TlsOptions),
}

/// Expectations of an answer.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ExpectOptions {
    /// The status of the RPC by its name, such as `UNAUTHENTICATED` where the check shows that strangers
    /// are kept out.
    #[schemars(extend("default" = "OK"))]
    status: Option<String>,
    /// What the service must say of itself, if the status is `OK`.
    #[schemars(extend("default" = "SERVING"))]
    serving: Option<Serving>,
    /// The whole probe must not take longer.
    #[schemars(extend("x-unit" = "duration"))]
    latency: Option<String>,
}

/// What a service says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(clippy::enum_variant_names, reason = "the words of the protocol")]
enum Serving {
    /// It does not know.
    Unknown,
    /// It serves.
    #[default]
    Serving,
    /// It does not.
    NotServing,
    /// There is no such service; only said in streams.
    ServiceUnknown,
}

impl JsonSchema for Serving {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Serving".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"enum": ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"]})
    }
}

impl Serving {
    /// The word for a number of the protocol.
    fn word(number: i32) -> String {
        match number {
            0 => "UNKNOWN".to_owned(),
            1 => "SERVING".to_owned(),
            2 => "NOT_SERVING".to_owned(),
            3 => "SERVICE_UNKNOWN".to_owned(),
            other => format!("STATUS_{other}"),
        }
    }

    fn number(self) -> i32 {
        match self {
            Self::Unknown => 0,
            Self::Serving => 1,
            Self::NotServing => 2,
            Self::ServiceUnknown => 3,
        }
    }
}

impl CheckKind for Grpc {
    fn name(&self) -> &'static str {
        "grpc"
    }

    fn parse(&self, options: &Value) -> Result<Box<dyn Probe>, Vec<OptionProblem>> {
        let (read, mut problems) = read::<GrpcOptions>(&SCHEMA, options);
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

impl GrpcOptions {
    /// Validates; adds what is wrong to `problems`.
    fn plan(self, problems: &mut Vec<OptionProblem>) -> Option<GrpcProbe> {
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
        let service = self.service.unwrap_or_default();
        if service.len() > SERVICE_BYTES_MAX {
            findings.at("service").note(format!("at most {SERVICE_BYTES_MAX} bytes are sent"));
        }
        if let Some(authority) = &self.authority
            && http::uri::Authority::try_from(authority.as_str()).is_err()
        {
            findings.at("authority").note(format!("{authority:?} is not host or host:port"));
        }
        let metadata = read_metadata(&self.metadata, &mut findings.at("metadata"));
        let mut at = findings.at("expect");
        let status = self.expect.status.as_deref().unwrap_or("OK");
        let known = STATUSES.iter().position(|name| *name == status);
        let status = known.and_then(|code| u8::try_from(code).ok()).ok_or_else(|| {
            format!("unknown status {status:?}: write one of {}", STATUSES.join(", "))
        });
        let status = at.at("status").keep(status);
        let latency = self.expect.latency.and_then(|text| at.at("latency").duration(&text));
        Some(GrpcProbe {
            endpoint: endpoint?,
            service,
            tls,
            authority: self.authority,
            metadata,
            family: self.ip_family,
            status: status?,
            serving: self.expect.serving.unwrap_or_default(),
            latency,
        })
    }
}

/// Reads metadata. Names of the protocol's own are refused; so are those of values in binary, which
/// no health service asks for.
fn read_metadata(metadata: &BTreeMap<String, String>, at: &mut Findings<'_>) -> HeaderMap {
    let mut read = HeaderMap::new();
    for (name, value) in metadata {
        let mut at = at.at(name.as_str());
        let Ok(header) = HeaderName::try_from(name) else {
            at.note(format!("{name:?} is not a name of metadata"));
            continue;
        };
        let name = header.as_str();
        let own = ["te", "content-type", "content-length", "connection", "host", "user-agent"];
        if own.contains(&name) || name.starts_with("grpc-") {
            at.note(format!("{name} is set by the probe itself"));
        }
        if name.ends_with("-bin") {
            at.note("values in binary are not sent");
        }
        match HeaderValue::try_from(value) {
            Ok(mut value) => {
                value.set_sensitive(true);
                read.insert(header, value);
            }
            Err(_) => at.note("the value holds control characters"),
        }
    }
    read
}

/// A probe that is ready to run.
struct GrpcProbe {
    endpoint: Endpoint,
    service: String,
    tls: Option<TlsPlan>,
    authority: Option<String>,
    metadata: HeaderMap,
    family: IpFamily,
    status: u8,
    serving: Serving,
    latency: Option<Duration>,
}

/// Metadata may hold secrets, so they are not shown.
impl std::fmt::Debug for GrpcProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrpcProbe").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Probe for GrpcProbe {
    fn target(&self) -> String {
        match self.service.as_str() {
            "" => self.endpoint.to_string(),
            service => format!("{} {service}", self.endpoint),
        }
    }

    fn refused_by(&self, policy: &Policy) -> Option<String> {
        policy.judge_method("POST").err().or_else(|| self.endpoint.refused_by(policy))
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

impl GrpcProbe {
    async fn probe(&self, trace: &mut Trace, context: &ProbeContext) -> Result<(), Stop> {
        let policy = &context.environment.policy;
        policy.judge_method("POST").map_err(|rule| Stop::denied(&rule))?;
        let stream = connect(trace, context, &self.endpoint, self.family).await?;
        let ended = match &self.tls {
            None => self.call(trace, stream, "http").await?,
            Some(plan) => {
                let name = (self.endpoint.host.as_str(), ["h2"].as_slice());
                let environment = &context.environment;
                let stream = tls::handshake(trace, environment, plan, name, stream).await?;
                self.call(trace, stream, "https").await?
            }
        };
        trace.watch.enter(Phase::Assert);
        self.judge(&ended)?;
        match self.latency {
            Some(most) if trace.watch.elapsed() > most => {
                let took = rounded(trace.watch.elapsed());
                let message = format!("took {took}, expected at most {}", rounded(most));
                Err(Stop::fail(Phase::Assert, Reason::Latency, message))
            }
            _ => Ok(()),
        }
    }

    async fn call(
        &self,
        trace: &mut Trace,
        stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
        scheme: &str,
    ) -> Result<Ended, Stop> {
        let authority = self.authority.clone().unwrap_or_else(|| self.endpoint.to_string());
        let question = call::Question {
            uri: format!("{scheme}://{authority}/grpc.health.v1.Health/Check"),
            service: &self.service,
            metadata: &self.metadata,
        };
        let ended = call::check(trace, stream, question).await?;
        trace.evidence.grpc = Some(Box::new(GrpcFacts {
            status: ended.status,
            serving: ended.serving.map(Serving::word).unwrap_or_default(),
        }));
        Ok(ended)
    }

    fn judge(&self, ended: &Ended) -> Result<(), Stop> {
        let name = |code: u8| STATUSES.get(usize::from(code)).copied().unwrap_or("UNKNOWN");
        if ended.status != self.status {
            let said = match ended.message.as_str() {
                "" => String::new(),
                message => format!(" ({:?})", cut(message.to_owned(), SHOWN_BYTES_MAX)),
            };
            let hint = match (ended.status, self.service.as_str()) {
                (5, service) if !service.is_empty() => {
                    ": the server does not know this service's name"
                }
                (12, _) => ": the server has no health service",
                _ => "",
            };
            let (found, wanted) = (name(ended.status), name(self.status));
            let message = format!("the RPC ended with {found}{said}, expected {wanted}{hint}");
            return Err(Stop::fail(Phase::Assert, Reason::GrpcStatus, message));
        }
        match ended.serving {
            Some(found) if found != self.serving.number() => {
                let (found, wanted) = (Serving::word(found), Serving::word(self.serving.number()));
                let message = format!("the service says {found}, expected {wanted}");
                Err(Stop::fail(Phase::Assert, Reason::NotServing, message))
            }
            _ => Ok(()),
        }
    }
}
