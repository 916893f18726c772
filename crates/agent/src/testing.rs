//! A check kind that does what a test says.

use std::future::Future;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use quorate_checks::{CheckKind, Egress, Environment, Families, Policy, Probe, ProbeContext};
use quorate_model::{
    BlockReason, Evidence, Observation, OptionProblem, Outcome, Phase, ProbeSpec, Reason,
};
use quorate_proto::agent::v1 as wire;
use quorate_proto::convert::agent as convert;
use serde_json::{Value, json};

use crate::config::Gate;
use crate::options::Limits;

/// The one kind there is: `fake`, with the option `does`.
pub(crate) static FAKES: &[&dyn CheckKind] = &[&Fake];

#[derive(Debug)]
struct Fake;

/// Does as told: `ok`, `fail`, `hang`, `panic`, `blocked`, or `denied`, which the policy refuses;
/// `nameless` fails to resolve, and tells in its evidence how many milliseconds the second resolver
/// had to wait; `split` is refused over IPv4 and answers over IPv6.
#[derive(Debug)]
struct FakeProbe {
    does: String,
    runs: String,
}

/// How often each probe ran, by its option `runs`.
static RUNS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// How often a probe with this option `runs` was started.
pub(crate) fn runs(name: &str) -> usize {
    RUNS.lock().unwrap().iter().filter(|run| *run == name).count()
}

impl CheckKind for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn parse(&self, options: &Value) -> Result<Box<dyn Probe>, Vec<OptionProblem>> {
        let text = |key: &str| options[key].as_str().unwrap_or_default().to_owned();
        let does = text("does");
        if !["ok", "fail", "hang", "panic", "blocked", "denied", "nameless", "split"]
            .contains(&does.as_str())
        {
            return Err(vec![OptionProblem::at(&["does"], "cannot do that")]);
        }
        let runs = text("runs");
        Ok(Box::new(FakeProbe { does, runs }))
    }

    fn schema(&self) -> schemars::Schema {
        schemars::Schema::default()
    }
}

impl Probe for FakeProbe {
    fn target(&self) -> String {
        "fake.example.com:80".into()
    }

    fn refused_by(&self, _policy: &Policy) -> Option<String> {
        (self.does == "denied").then(|| "denied is not allowed".into())
    }

    fn families(&self) -> Families {
        if self.does == "split" { Families::Any } else { Families::One }
    }

    fn run<'a>(
        &'a self,
        context: &'a ProbeContext,
    ) -> Pin<Box<dyn Future<Output = Observation> + Send + 'a>> {
        RUNS.lock().unwrap().push(self.runs.clone());
        Box::pin(async {
            let (mut retry_after, mut body_bytes, mut address) = (None, None, None);
            let (total, outcome) = match self.does.as_str() {
                "panic" => panic!("as told"),
                "hang" => {
                    context.phase.enter(Phase::Connect);
                    tokio::time::sleep(context.timeout).await;
                    let (phase, reason) = (Phase::Connect, Reason::Timeout);
                    (context.timeout, Outcome::Fail { phase, reason })
                }
                "split" if context.is_over_other_family() => {
                    address = Some(Ipv6Addr::LOCALHOST.into());
                    (Duration::from_millis(1), Outcome::Ok)
                }
                "split" => {
                    address = Some(Ipv4Addr::LOCALHOST.into());
                    let (phase, reason) = (Phase::Connect, Reason::Refused);
                    (Duration::from_millis(1), Outcome::Fail { phase, reason })
                }
                "fail" => {
                    let (phase, reason) = (Phase::Connect, Reason::Refused);
                    (Duration::from_millis(1), Outcome::Fail { phase, reason })
                }
                "nameless" => {
                    body_bytes = u64::try_from(context.second_after.as_millis()).ok();
                    let (phase, reason) = (Phase::Dns, Reason::DnsFailed);
                    (Duration::from_millis(1), Outcome::Fail { phase, reason })
                }
                "blocked" => {
                    retry_after = Some(Duration::from_secs(3_600));
                    let reason = BlockReason::RateLimit;
                    (Duration::from_millis(1), Outcome::Blocked { reason })
                }
                _ => (Duration::from_millis(1), Outcome::Ok),
            };
            Observation {
                outcome,
                total,
                phases: Vec::new(),
                evidence: Evidence { address, retry_after, body_bytes, ..Evidence::default() },
            }
        })
    }
}

/// A check that does as told, every 60 s with a timeout of 10 s.
pub(crate) fn spec(check: &str, revision: u64, does: &str) -> wire::CheckSpec {
    convert::spec_to_wire(&ProbeSpec {
        check: check.parse().unwrap(),
        revision: quorate_model::Revision(revision),
        kind: "fake".parse().unwrap(),
        options: json!({ "does": does, "runs": check }),
        interval: Duration::from_secs(60),
        timeout: Duration::from_secs(10),
        slow_after: Duration::from_secs(5),
        suspect_after: Duration::from_secs(2),
    })
}

/// A gate with these limits.
pub(crate) fn gate_with(limits: Limits) -> Gate {
    Gate {
        kinds: FAKES,
        environment: Environment::new(Egress::Direct, Policy::default()).unwrap(),
        limits,
    }
}
