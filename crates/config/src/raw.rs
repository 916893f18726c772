//! The file as written: everything optional, nothing believed.
//!
//! The comments are what an editor shows: the JSON Schema is made from these types.

use std::collections::BTreeMap;

use quorate_model::{CheckId, Quorum, RegionId};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::distinct::Demands;
use crate::moment::{Day, Instant, Selected, TimeOfDay};
use crate::text::{Address, Ahead, FalseAlerts, Span};

/// The pattern of the names that users choose.
const ID: &str = "^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$";

/// Configuration of a Quorate coordinator. Keys at the top that start with `x-` are ignored: a
/// home for YAML anchors.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Quorate configuration")]
pub(crate) struct RawFile {
    /// The version of this format: 1.
    #[schemars(required, range(min = 1, max = 1))]
    pub(crate) version: Option<u64>,
    /// Where the coordinator keeps its data and listens. Takes effect at the next start.
    pub(crate) server: Option<RawServer>,
    /// What holds for every check that does not say otherwise.
    #[expect(dead_code, reason = "read on its own; here as a key and for the schema")]
    pub(crate) defaults: Option<RawDefaults>,
    /// The timers of the whole fleet. The defaults are right for almost everybody.
    #[expect(dead_code, reason = "read on its own; here as a key and for the schema")]
    pub(crate) policy: Option<RawPolicy>,
    /// The places that vote, by name.
    #[schemars(with = "Option<BTreeMap<IdText, Option<RawRegion>>>")]
    pub(crate) regions: Option<BTreeMap<RegionId, Option<RawRegion>>>,
    /// What agents contact to see whether they have a network: `host:port`, best on several
    /// networks. `[]` switches self-tests off.
    pub(crate) anchors: Option<Vec<String>>,
    /// What is probed, by name. One key of each check names its kind.
    #[schemars(with = "Option<BTreeMap<IdText, RawCheck>>")]
    #[expect(dead_code, reason = "read on its own; here as a key and for the schema")]
    pub(crate) checks: Option<BTreeMap<CheckId, RawCheck>>,
    /// Who is told, by name. The one key of each receiver names the notifier.
    #[schemars(with = "Option<BTreeMap<IdText, RawReceiver>>")]
    #[expect(dead_code, reason = "read on its own; here as a key and for the schema")]
    pub(crate) receivers: Option<BTreeMap<String, serde_json::Value>>,
    /// The receivers that hear of Quorate's own troubles: isolated regions, lost agents, a store
    /// that cannot be written.
    pub(crate) operators: Option<Vec<String>>,
    /// Known trouble of which nobody wants to hear for a while, by name.
    #[schemars(with = "Option<BTreeMap<IdText, RawSilence>>")]
    #[expect(dead_code, reason = "read on its own; here as a key and for the schema")]
    pub(crate) silences: Option<BTreeMap<String, serde_json::Value>>,
    /// When work is planned and nobody is to be messaged, by name.
    #[schemars(with = "Option<BTreeMap<IdText, RawMaintenance>>")]
    #[expect(dead_code, reason = "read on its own; here as a key and for the schema")]
    pub(crate) maintenance: Option<BTreeMap<String, serde_json::Value>>,
}

/// A name that a user chose, for the schema only.
pub(crate) struct IdText;

impl JsonSchema for IdText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Id".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": ID })
    }
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawServer {
    /// The folder for keys and, unless `store` says otherwise, the database. Default:
    /// `/var/lib/quorate`.
    pub(crate) data: Option<String>,
    /// The URL of the store. Default: `sqlite:<data>/quorate.db`.
    pub(crate) store: Option<String>,
    /// Where agents hold their streams (mutual TLS). Listens on `0.0.0.0:7444` by default.
    pub(crate) agents: Option<RawListener>,
    /// Where new agents join with a token (server TLS). Listens on `0.0.0.0:7445` by default.
    pub(crate) join: Option<RawListener>,
    /// Where people and programs ask. Listens on `127.0.0.1:7443` by default.
    pub(crate) api: Option<RawApi>,
    /// How long raw results are kept, at least `1h`. Default: `7d`.
    pub(crate) retention: Option<Span>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawListener {
    /// The address to listen on, `address:port`.
    #[schemars(with = "Option<String>")]
    pub(crate) listen: Option<Address>,
    /// What agents dial, `host:port`. New agents cannot join without it, unless `listen` is an
    /// address that they can dial.
    pub(crate) advertise: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawApi {
    /// The address to listen on, `address:port`.
    #[schemars(with = "Option<String>")]
    pub(crate) listen: Option<Address>,
    /// Whether to speak TLS. Default: yes, unless the address is a loopback address.
    pub(crate) tls: Option<bool>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawDefaults {
    /// Time between two probes from one region, at least `1s`. Default: `60s`.
    pub(crate) interval: Option<Span>,
    /// Time after which a probe has failed, shorter than the interval. Default: `10s`.
    pub(crate) timeout: Option<Span>,
    /// Time after which a success is slow. Default: half the timeout.
    pub(crate) slow_after: Option<Span>,
    /// How many regions must agree: `majority`, `all`, `any` or a number such as `2 of 5`.
    /// Default: `majority`.
    #[schemars(with = "Option<QuorumText>")]
    pub(crate) quorum: Option<Quorum>,
    /// How different failing regions must be for the check to be down, such as `2 providers` or
    /// `2 providers, 3 countries`, with labels of regions. Default: they need not differ.
    pub(crate) distinct: Option<Demands>,
    /// Allows `quorum: any`, with which one region alone can page. Default: false.
    pub(crate) allow_single_region: Option<bool>,
    /// What happens when a check is down.
    pub(crate) alert: Option<RawAlert>,
    /// What happens when only some regions fail.
    pub(crate) partial: Option<RawPartial>,
    /// What happens when the target's certificate ends soon.
    pub(crate) certificate: Option<RawCertificate>,
}

/// A quorum, for the schema only.
pub(crate) struct QuorumText;

impl JsonSchema for QuorumText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quorum".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "integer"],
            "pattern": "^(majority|all|any|[1-9][0-9]*( of [1-9][0-9]*)?)$",
            "minimum": 1
        })
    }
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawAlert {
    /// The receivers to tell.
    pub(crate) to: Option<Vec<String>>,
    /// The time within which an outage is to be detected.
    pub(crate) within: Option<Span>,
    /// The budget of false alerts, such as `1 per year`, which is the default.
    pub(crate) false_alerts: Option<FalseAlerts>,
    /// Whether failures are weighed against that budget: `on` or `off`. With `off` the number of
    /// failing regions alone decides, and the budget is not kept. Default: `on`.
    pub(crate) evidence: Option<Evidence>,
    /// What happens when fewer than two regions are left to see the target: `alert` pages, `ignore`
    /// tells the operators only. Default: `ignore`.
    pub(crate) on_no_quorum: Option<OnNoQuorum>,
    /// What a target is that answers only some of its requests: a `page` or a `notice`. Default:
    /// `notice`.
    pub(crate) intermittent: Option<Urgency>,
    /// Outages that are over within this time page nobody; the check is shown as down all the same.
    /// Default: none is ignored.
    pub(crate) ignore_shorter_than: Option<Span>,
}

/// What happens when too few regions are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum OnNoQuorum {
    Alert,
    Ignore,
}

/// How urgently people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum Urgency {
    Page,
    Notice,
}

/// Whether failures are weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum Evidence {
    On,
    Off,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPartial {
    /// How long some regions must fail before anybody is told. Default: `5m`.
    pub(crate) after: Option<Span>,
    /// The receivers to tell. Default: those of the alert.
    pub(crate) to: Option<Vec<String>>,
    /// Whether anybody is told at all. Default: true.
    pub(crate) notify: Option<bool>,
    /// How they are told: with a `page` or a `notice`. Default: `notice`.
    pub(crate) severity: Option<Urgency>,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawCertificate {
    /// How long before the end of the certificate people are told: up to `400d`, or `off`.
    /// Default: `21d`.
    pub(crate) warn: Option<Ahead>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPolicy {
    /// Time between two heartbeats of an agent. Default: `2s`.
    pub(crate) heartbeat: Option<Span>,
    /// Silence after which an agent has no vote: at least two heartbeats. Default: `6s`.
    pub(crate) absent_after: Option<Span>,
    /// Silence after which the operators hear that an agent is lost. Default: `1m`.
    pub(crate) lost_after: Option<Span>,
    /// How long a region must be cut off before the operators hear of it. Default: `5s`.
    pub(crate) isolated_after: Option<Span>,
    /// Time between two self-tests of an agent. Default: `10s`.
    pub(crate) anchor_interval: Option<Span>,
    /// Time for one attempt to reach one anchor. Default: `1s`.
    pub(crate) anchor_timeout: Option<Span>,
    /// How long success must last before an incident is resolved. Default: `30s`.
    pub(crate) recovery: Option<Span>,
    /// The longest that `recovery` grows when an incident reopens. Default: `15m`.
    pub(crate) recovery_max: Option<Span>,
    /// The interval of probes while a check is down, if shorter than its own. Default: `20s`.
    pub(crate) recovery_interval: Option<Span>,
    /// Within this time of its end, a new failure reopens the same incident. Default: `30m`.
    pub(crate) reopen_within: Option<Span>,
    /// Least time between two confirmation rounds of a check after the second. Default: `10s`.
    pub(crate) round_gap: Option<Span>,
    /// The lateness that raises suspicion, never above half the timeout. Default: `2s`.
    pub(crate) suspect_min: Option<Span>,
    /// How often what was learned of regions and targets is stored, at most. Default: `10m`.
    pub(crate) remember_every: Option<Span>,
    /// How far an agent's wall clock may be off before the operators hear of it. No decision reads
    /// such a clock. Default: `5s`.
    pub(crate) clock_tolerance: Option<Span>,
    /// Whether regions whose agents reach the coordinator from one public /24 or /48 are one vote.
    /// `false` where a proxy before the coordinator hides where agents are. Default: `true`.
    pub(crate) merge_places: Option<bool>,
    /// So many messages to a receiver go out at once when very many are decided; the others come
    /// together. Default: `3`.
    pub(crate) group_after: Option<u32>,
    /// How long those wait for each other, at most 5 minutes; `0s` groups nothing. Default: `10s`.
    pub(crate) group_wait: Option<Span>,
}

/// What a region shares with others; regions that share much fail together.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRegion {
    /// Who runs the machines.
    pub(crate) provider: Option<String>,
    /// Where they stand.
    pub(crate) country: Option<String>,
    /// Who carries their traffic.
    pub(crate) transit: Option<String>,
    /// Which resolver they use.
    pub(crate) resolver: Option<String>,
    /// Whatever else it shares with other regions, by names of yours. `distinct` may name them.
    pub(crate) labels: Option<BTreeMap<String, String>>,
}

/// A check. One further key names its kind.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawCheck {
    /// Time between two probes from one region, at least `1s`.
    pub(crate) interval: Option<Span>,
    /// Time after which a probe has failed, shorter than the interval.
    pub(crate) timeout: Option<Span>,
    /// Time after which a success is slow. Default: half the timeout.
    pub(crate) slow_after: Option<Span>,
    /// The regions that probe it. Default: all.
    pub(crate) regions: Option<Vec<String>>,
    /// How many regions must agree: `majority`, `all`, `any` or a number such as `2 of 5`.
    #[schemars(with = "Option<QuorumText>")]
    pub(crate) quorum: Option<Quorum>,
    /// How different failing regions must be for the check to be down, such as `2 providers` or
    /// `2 providers, 3 countries`, with labels of regions.
    pub(crate) distinct: Option<Demands>,
    /// Allows `quorum: any`, with which one region alone can page.
    pub(crate) allow_single_region: Option<bool>,
    /// What happens when it is down.
    pub(crate) alert: Option<RawAlert>,
    /// What happens when only some regions fail.
    pub(crate) partial: Option<RawPartial>,
    /// What happens when the target's certificate ends soon.
    pub(crate) certificate: Option<RawCertificate>,
    /// Free labels, copied into alerts.
    pub(crate) labels: Option<BTreeMap<String, String>>,
    /// The checks that this one needs. Written down only: nothing is judged or withheld by it.
    pub(crate) depends_on: Option<Vec<String>>,
    /// The check that probes the origin behind the delivery network or gateway of this one.
    pub(crate) origin: Option<String>,
    /// Where the people paged find what to do: a URL.
    pub(crate) runbook: Option<String>,
}

/// The keys of [`RawCheck`]: what of a check does not name its kind.
pub(crate) const CHECK_KEYS: &[&str] = &[
    "interval",
    "timeout",
    "slow_after",
    "regions",
    "quorum",
    "distinct",
    "allow_single_region",
    "alert",
    "partial",
    "certificate",
    "labels",
    "depends_on",
    "origin",
    "runbook",
];

/// Known trouble: judging goes on, and nobody is messaged.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSilence {
    /// The checks that it covers: a list of names, or `all`.
    pub(crate) checks: Option<Selected>,
    /// Covers each check that has all these labels, too.
    pub(crate) labels: Option<BTreeMap<String, String>>,
    /// When it begins, such as `2026-10-01T20:00:00Z`. Default: it has begun.
    pub(crate) from: Option<Instant>,
    /// When it ends.
    pub(crate) to: Option<Instant>,
    /// Why, for people.
    pub(crate) reason: Option<String>,
}

/// A maintenance window: judging goes on, and nobody is messaged. It has `from` and `to`, or
/// `every`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawMaintenance {
    /// The checks that it covers: a list of names, or `all`.
    pub(crate) checks: Option<Selected>,
    /// Covers each check that has all these labels, too.
    pub(crate) labels: Option<BTreeMap<String, String>>,
    /// When it begins, such as `2026-10-01T20:00:00Z` or `2026-10-01T22:00:00+02:00`.
    pub(crate) from: Option<Instant>,
    /// When it ends.
    pub(crate) to: Option<Instant>,
    /// When it comes again.
    pub(crate) every: Option<RawEvery>,
    /// Why, for people.
    pub(crate) reason: Option<String>,
}

/// A time of some days of each week.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawEvery {
    /// The days on which it begins. Default: each day.
    #[schemars(with = "Option<Vec<Day>>")]
    pub(crate) days: Option<Vec<Day>>,
    /// The time of day at which it begins: `HH:MM`.
    pub(crate) at: Option<TimeOfDay>,
    /// How long it lasts, at most `7d`.
    #[serde(rename = "for")]
    pub(crate) lasts: Option<Span>,
    /// Whose clocks show that time, such as `Europe/Berlin`. Default: `UTC`.
    pub(crate) timezone: Option<String>,
}

/// A receiver of messages. Its one key names the notifier.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct RawReceiver {}
