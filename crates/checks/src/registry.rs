//! Every check kind.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use quorate_model::{Observation, OptionProblem};
use serde_json::Value;

use crate::{Policy, ProbeContext, certificate, dns, grpc, http, icmp, tcp, udp, websocket};

/// A protocol family of checks.
pub trait CheckKind: Debug + Sync {
    /// The key that names it in a configuration.
    fn name(&self) -> &'static str;

    /// Reads the options, which are a JSON object, into a probe; or says everything that is wrong
    /// with them. The coordinator and the agent both call it, so both refuse the same.
    fn parse(&self, options: &Value) -> Result<Box<dyn Probe>, Vec<OptionProblem>>;

    /// The JSON Schema of the options, with a description for each field.
    fn schema(&self) -> schemars::Schema;
}

/// The address families that a probe uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Families {
    /// Only ever one: it is asked for, or the target is an address.
    One,
    /// One; the other can be tried for evidence.
    Any,
    /// One, and each time the other beside it.
    Both,
}

/// A probe that is ready to run, any number of times.
pub trait Probe: Debug + Send + Sync {
    /// What is contacted, for people: a URL or `host:port`, without credentials.
    fn target(&self) -> String;

    /// Why `policy` forbids this probe whatever its names resolve to (method, port, literal
    /// address): a clause that names the rule. `None` if nothing can be said before it runs.
    fn refused_by(&self, _policy: &Policy) -> Option<String> {
        None
    }

    /// The address families that it can use.
    fn families(&self) -> Families {
        Families::One
    }

    /// Runs once. Ends by itself when the context's timeout is over.
    ///
    /// # Cancellation
    ///
    /// Dropping it closes its connections and loses the observation.
    fn run<'a>(
        &'a self,
        context: &'a ProbeContext,
    ) -> Pin<Box<dyn Future<Output = Observation> + Send + 'a>>;
}

/// Every check kind, in alphabetical order.
pub const KINDS: &[&dyn CheckKind] = &[
    &dns::KIND,
    &grpc::KIND,
    &http::KIND,
    &icmp::KIND,
    &tcp::KIND,
    &certificate::KIND,
    &udp::KIND,
    &websocket::KIND,
];

/// The kind of a name.
pub fn kind(name: &str) -> Option<&'static dyn CheckKind> {
    KINDS.iter().copied().find(|kind| kind.name() == name)
}
