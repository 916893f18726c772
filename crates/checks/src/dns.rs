//! The kind `dns`: one question to a name server, and what the answer must be.

mod ask;
mod chain;
mod dangling;
mod expect;
mod names;
mod rdata;
mod server;
mod wire;

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::LazyLock;

use quorate_model::{DnsFacts, Observation, OptionProblem, Phase};
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::Value;

use self::ask::Asker;
use self::chain::Chain;
use self::dangling::Search;
use self::expect::{Expect, ExpectOptions};
use self::names::Name;
use self::server::Server;
use self::wire::{Answer, Question};
use crate::options::{Findings, read, schema_of};
use crate::phase::{Stop, Trace, cut};
use crate::registry::{CheckKind, Families, Probe};
use crate::resolve::IpFamily;
use crate::tls::{TlsOptions, TlsPlan};
use crate::{Policy, ProbeContext};

/// How many records of an answer are evidence.
const ANSWERS_SHOWN_MAX: usize = 16;
/// The most bytes of one of them.
const ANSWER_SHOWN_BYTES_MAX: usize = 256;

/// The schema of the options.
static SCHEMA: LazyLock<Schema> = LazyLock::new(schema_of::<DnsOptions>);

/// The row of the registry.
pub(super) const KIND: Dns = Dns;

/// The kind itself.
#[derive(Debug)]
pub(super) struct Dns;

/// Options of the kind `dns`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DnsOptions {
    /// The name to ask for. No search list is used. With `type: PTR` also an address.
    #[schemars(required)]
    name: Option<String>,
    /// The type of records, such as `A`, `MX` or `TLSA`; `TYPE65280` for any number.
    #[schemars(extend("default" = "A"))]
    #[serde(default, rename = "type")]
    kind: Option<String>,
    /// Whom to ask: `system` (the agent's own name servers), an address or a name with an optional port
    /// (UDP, and TCP when the answer does not fit), `tcp://`, `tls://` (DNS over TLS, port 853) or
    /// `https://` (DNS over HTTPS).
    #[schemars(extend("default" = "system"))]
    #[serde(default)]
    resolver: Option<String>,
    /// Whether the server should look further than in its own zones. `false` for authoritative
    /// servers.
    #[schemars(extend("default" = true))]
    #[serde(default)]
    recursion: Option<bool>,
    /// Whether a CNAME chain may lead to what is gone. Left out: the end of the chain must exist.
    /// `true`: and, for A and AAAA, no hosting service may say that nobody has claimed the name; that
    /// asks for a page over port 80. `false`: nothing is looked at.
    #[schemars(extend("x-default" = "the end of the chain"))]
    #[serde(default)]
    dangling: Option<bool>,
    /// How TLS is done, for `tls://` and `https://`: the options below it.
    #[serde(default)]
    tls: Option<TlsOptions>,
    /// Over which family the resolver is reached, if it is a name: `4`, `6`, `any` (IPv4 if it has
    /// such an address), or `both`: like `any`, and each time over the other family beside it.
    #[schemars(extend("default" = "any"))]
    #[serde(default)]
    ip_family: IpFamily,
    /// What the answer must be: the options below it. All of it must hold.
    #[serde(default)]
    expect: ExpectOptions,
}

impl CheckKind for Dns {
    fn name(&self) -> &'static str {
        "dns"
    }

    fn parse(&self, options: &Value) -> Result<Box<dyn Probe>, Vec<OptionProblem>> {
        let (read, mut problems) = read::<DnsOptions>(&SCHEMA, options);
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

impl DnsOptions {
    /// Validates; adds what is wrong to `problems`.
    fn plan(self, problems: &mut Vec<OptionProblem>) -> Option<DnsProbe> {
        let has_tls = self.tls.is_some();
        let tls = self.tls.map_or_else(TlsPlan::default, |options| options.plan(problems));
        let mut findings = Findings::new(problems);
        let text = self.kind.as_deref().unwrap_or("A");
        let kind = rdata::type_number(text).ok_or_else(|| {
            format!("unknown type {text:?}: write one such as A or MX, or TYPE and a number")
        });
        let kind = findings.at("type").keep(kind);
        let name = self.name.as_deref().and_then(|text| {
            let address = text.parse::<IpAddr>().ok();
            let name =
                match address.filter(|_| kind.map(rdata::type_name).as_deref() == Some("PTR")) {
                    Some(address) => Ok(Name::reverse(address)),
                    None => Name::parse(text),
                };
            findings.at("name").keep(name)
        });
        let server = Server::parse(self.resolver.as_deref().unwrap_or("system"));
        let server = findings.at("resolver").keep(server);
        if has_tls && server.as_ref().is_some_and(|server| !server.is_encrypted()) {
            findings.at("tls").note("only a resolver with tls:// or https:// speaks TLS");
        }
        let expect = self.expect.plan(kind.unwrap_or_default(), &mut findings.at("expect"));
        let search = match self.dangling {
            Some(true) => Search::Services,
            None if !expect.wants_nothing() => Search::Chain,
            None | Some(false) => Search::Off,
        };
        let recursion = self.recursion.unwrap_or(true);
        Some(DnsProbe {
            question: Question { name: name?, kind: kind?, recursion },
            server: server?,
            tls,
            family: self.ip_family,
            search,
            expect,
        })
    }
}

/// A probe that is ready to run.
#[derive(Debug)]
struct DnsProbe {
    question: Question,
    server: Server,
    tls: TlsPlan,
    family: IpFamily,
    search: Search,
    expect: Expect,
}

impl Probe for DnsProbe {
    fn target(&self) -> String {
        let (name, kind) = (self.question.name.as_str(), rdata::type_name(self.question.kind));
        format!("{name} {kind} from {}", self.server)
    }

    fn refused_by(&self, policy: &Policy) -> Option<String> {
        self.server.refused_by(policy)
    }

    fn families(&self) -> Families {
        self.server.endpoint().map_or(Families::One, |endpoint| self.family.of(&endpoint))
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

impl DnsProbe {
    async fn probe(&self, trace: &mut Trace, context: &ProbeContext) -> Result<(), Stop> {
        let mut asker =
            Asker { trace, context, server: &self.server, tls: &self.tls, family: self.family };
        let question = &self.question;
        let answer = asker.ask(question).await?;
        let took = asker.trace.watch.elapsed();
        asker.trace.evidence.dns = Some(Box::new(facts(&answer)));
        asker.trace.watch.enter(Phase::Assert);
        let chain = Chain::follow(question, &answer)?;
        self.search.look(&mut asker, question, (&answer, &chain)).await?;
        asker.trace.watch.enter(Phase::Assert);
        let now = context.environment.wall().now();
        self.expect.judge(question, (&answer, &chain), now)?;
        self.expect.latency(took)
    }
}

/// What of an answer is evidence.
fn facts(answer: &Answer) -> DnsFacts {
    let flags = [
        ("aa", answer.flags.authoritative),
        ("tc", answer.flags.truncated),
        ("ra", answer.flags.recursion_available),
        ("ad", answer.flags.authentic),
    ];
    let records = &answer.answers.records;
    DnsFacts {
        rcode: rdata::rcode_name(answer.rcode),
        flags: flags.iter().filter(|(_, set)| *set).map(|(name, _)| (*name).to_owned()).collect(),
        answers: records
            .iter()
            .take(ANSWERS_SHOWN_MAX)
            .map(|record| cut(record.to_string(), ANSWER_SHOWN_BYTES_MAX))
            .collect(),
        answer_count: answer.answers.count,
        authority_count: answer.authority.count,
        additional_count: answer.additional.count,
        serial: records.iter().find_map(|record| record.data.serial),
    }
}
