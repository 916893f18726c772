//! The ballot: who voted what, kept with each verdict, and the verdict's reason in a sentence.

mod certificate;
mod origin;
mod proof;
mod sight;

use std::collections::BTreeMap;
use std::net::IpAddr;

use quorate_model::{
    Ballot, BallotEntry, BlockReason, Cause, Counted, Outcome, Reason, RoundId, Scope, State,
    Timestamp,
};

use crate::case::Context;
use crate::cause::{self, Witness};
use crate::certificate::Near;
use crate::count::Count;
use crate::edge::Edge;
use crate::evidence::MilliNats;
use crate::origin::Behind;
use crate::vote::{AgentVote, Group, Lookup, Reading, Say};

/// The votes behind a verdict.
pub(crate) struct Votes<'a> {
    pub(crate) groups: &'a [Group],
    pub(crate) count: &'a Count,
    /// The certificate that ends soon.
    pub(crate) near: Option<Near>,
    /// The origin that stands behind the target.
    pub(crate) behind: Option<Behind<'a>>,
    /// Whether people are told when too few regions are left to see it.
    pub(crate) tells_unseen: bool,
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl<'a> Votes<'a> {
    /// Failing, live and configured regions as a verdict of `state` shows them: under `partial`
    /// or `degraded` without a failure these are the regions kept from an answer or slow, under a
    /// certificate near its end those that see it, under `up` none.
    pub(crate) fn scope(&self, state: State) -> Scope {
        let tally = &self.count.tally;
        let failing = match state {
            State::Up => 0,
            State::Degraded if self.is_about_certificate() => self.see_near_end().count(),
            State::Partial | State::Degraded if tally.failing == 0 => self.count.milder(),
            State::Partial | State::Degraded | State::Down | State::Unknown => tally.failing,
        };
        Scope {
            failing: number(failing),
            live: number(tally.live),
            configured: number(tally.configured),
        }
    }

    fn each(&self) -> impl Iterator<Item = (&Group, &Reading, Option<&AgentVote>)> {
        self.groups.iter().zip(&self.count.readings).map(|(group, reading)| {
            let spoken = reading.decisive.and_then(|place| group.votes.get(place));
            (group, reading, spoken)
        })
    }

    /// The regions that succeed, but by their second resolver only.
    fn by_second<'b>(&self, ctx: &Context<'b>) -> Vec<&'b str> {
        let by_second = self.each().filter(|(_, reading, vote)| {
            let lookups = vote.and_then(AgentVote::lookups);
            reading.succeeds() && lookups == Some(Lookup::Second)
        });
        by_second.map(|(group, ..)| ctx.roster.region(group.region).id.as_str()).collect()
    }

    /// Who is probably responsible, and what else would fit; `None` if the votes no longer show it.
    pub(crate) fn cause(&self, ctx: &Context<'a>, state: State) -> Option<(Cause, Vec<Cause>)> {
        let witnesses = |holds: &dyn Fn(&Reading) -> bool| self.witnesses(ctx, holds);
        let failing = witnesses(&|reading| self.count.is_failing(reading));
        let only = match state {
            State::Up if !self.by_second(ctx).is_empty() => Some(Cause::Resolver),
            State::Unknown | State::Up => Some(Cause::None),
            State::Partial | State::Down if !failing.is_empty() => {
                let fine = witnesses(&Reading::succeeds);
                let needed = self.count.needed.unwrap_or(usize::MAX);
                let finding = self.behind.filter(|_| state == State::Down);
                let finding = finding.and_then(|behind| behind.known.finding);
                let fitting = cause::of_failures(&failing, &fine, needed, finding);
                let mut fitting = fitting.into_iter();
                return fitting.next().map(|first| (first, fitting.collect()));
            }
            State::Degraded if self.is_cached() => Some(Cause::Origin),
            State::Degraded if self.is_about_certificate() => Some(Cause::TargetTls),
            State::Degraded if self.count.is_intermittent() => Some(Cause::TargetIntermittent),
            State::Partial | State::Degraded => {
                self.milder_cause(state, &witnesses(&Reading::is_blocked))
            }
            State::Down => None,
        };
        only.map(|cause| (cause, Vec::new()))
    }

    /// Who is responsible for what is no failure: whatever most regions suffer from.
    fn milder_cause(&self, state: State, blocked: &[Witness<'_>]) -> Option<Cause> {
        let Count { blocked: kept, one_family, slow, .. } = *self.count;
        if slow > 0 && slow >= kept.max(one_family) && state == State::Degraded {
            Some(Cause::TargetSlow)
        } else if one_family > 0 && one_family >= kept {
            // Of one region alone it is more likely its own network that lacks a family.
            let is_path = one_family == 1 && self.count.succeeding > 0;
            Some(if is_path { Cause::Path } else { Cause::TargetFamily })
        } else {
            blocked_cause(blocked)
        }
    }

    /// What the regions whose vote is such have seen.
    fn witnesses(&self, ctx: &Context<'a>, holds: &dyn Fn(&Reading) -> bool) -> Vec<Witness<'_>> {
        let such = self.each().filter(|(_, reading, _)| holds(reading));
        let witnesses = such.filter_map(|(group, _, vote)| {
            let vote = vote?;
            let region = ctx.fleet.regions.get(&ctx.roster.region(group.region).id);
            let edge = Edge { name: vote.edge(), address: vote.address };
            let (outcome, status) = (vote.outcome, vote.status);
            Some(Witness { region, outcome, status, lookup: vote.lookup(), edge })
        });
        witnesses.collect()
    }

    /// The ballot taken at `ctx.now`.
    pub(crate) fn ballot(&self, ctx: &Context<'_>, state: State, rounds: Vec<RoundId>) -> Ballot {
        let needed = self.count.needed.unwrap_or(0);
        let proof = self.count.proof.as_ref();
        Ballot {
            taken: ctx.now,
            quorum: number(self.count.tally.quorum),
            quorum_effective: number(needed),
            scope: self.scope(state),
            rounds,
            distinct: self.count.distinct.clone(),
            entries: self
                .each()
                .zip(self.count.weights())
                .map(|((group, reading, _), weight)| BallotEntry {
                    evidence_milli_nats: weight,
                    ..self.entry(ctx, group, reading)
                })
                .collect(),
            evidence_milli_nats: nats(proof.map_or(0, |proof| proof.evidence)),
            need_milli_nats: nats(proof.map_or(0, |proof| proof.need)),
            origin: self.origin(state).map(Box::new),
        }
    }

    /// The reason in a sentence, such as `3 of 5 regions: connect timeout from fra, iad, gru`, of the
    /// regions configured: those that are silent or cut off are named with the reason. For `down`
    /// the proof follows: `within 3.1s; chance of coincidence 1 in 10^12, your budget 1 in 26
    /// million; no common provider; anchors fine in all 3`.
    pub(crate) fn summary(&self, ctx: &Context<'_>, state: State, is_recovering: bool) -> String {
        let configured = self.count.tally.configured;
        let noun = if configured == 1 { "region" } else { "regions" };
        if state == State::Unknown && self.count.needed.is_none() {
            return self.unseen_in_words(ctx);
        }
        if state == State::Unknown && self.count.fresh == 0 {
            return "no statement: no fresh vote from any live region".to_owned();
        }
        let Told { symptoms, fine, silent } = self.told(ctx);
        let affected: usize = symptoms.values().map(Vec::len).sum();
        let mut parts: Vec<String> = symptoms
            .into_iter()
            .map(|(symptom, regions)| format!("{symptom} from {}", regions.join(", ")))
            .collect();
        if let Some(spread) = self.spread(state) {
            match parts.as_mut_slice() {
                [only] => *only = format!("{only} within {spread}"),
                _ => parts.push(format!("all within {spread}")),
            }
        }
        parts.extend(self.edge_in_words(ctx, state));
        let (dated, also_dated) = self.certificate_in_words(ctx, state);
        let is_dated = dated.is_some();
        parts.splice(0..0, dated);
        if affected == 0 && !is_dated {
            let names = fine.join(", ");
            parts.push(format!("fine from {} of {configured} {noun}: {names}", fine.len()));
        } else if affected > 0 && !fine.is_empty() {
            parts.push(format!("fine from {}", fine.join(", ")));
        }
        if !silent.is_empty() {
            parts.push(format!("no vote from {}", silent.join(", ")));
        }
        if let Some(share) = self.count.intermittent_ppm.filter(|_| state == State::Degraded) {
            parts.push(format!("about {} % of scheduled probes fail", (share + 5_000) / 10_000));
        }
        let by_second = self.by_second(ctx);
        if !by_second.is_empty() {
            parts.push(format!("only by the second resolver from {}", by_second.join(", ")));
        }
        parts.extend(self.proof_in_words(ctx, state));
        parts.extend(also_dated);
        match self.origin(state).as_ref().map(origin::in_words) {
            Some(words) if self.is_cached() => parts.insert(0, words),
            words => parts.extend(words),
        }
        let parts = parts.join("; ");
        let recovering = if is_recovering { "recovering, " } else { "" };
        if state == State::Unknown {
            format!("no statement: no region succeeds, and too few fail: {parts}")
        } else if affected == 0 || is_dated {
            format!("{recovering}{parts}")
        } else {
            format!("{recovering}{affected} of {configured} {noun}: {parts}")
        }
    }

    /// The region that speaks for a group which shares its place.
    fn speaks_for<'b>(&self, ctx: &Context<'b>, group: &Group) -> &'b str {
        let speaks = self.each().find(|(other, reading, _)| {
            reading.counted != Counted::SamePlace
                && ctx.roster.is_same_place(other.region, group.region)
        });
        speaks.map_or("another", |(other, ..)| ctx.roster.region(other.region).id.as_str())
    }

    fn entry(&self, ctx: &Context<'_>, group: &Group, reading: &Reading) -> BallotEntry {
        let mut entry = entry(ctx, group, reading);
        if reading.counted == Counted::SamePlace {
            entry.message = format!("same place as {}", self.speaks_for(ctx, group));
        }
        entry
    }

    fn told<'b>(&self, ctx: &Context<'b>) -> Told<'b> {
        let mut told = Told::default();
        for (group, reading, vote) in self.each() {
            let region = ctx.roster.region(group.region).id.as_str();
            match vote {
                None if reading.counted == Counted::SamePlace => {
                    let speaks = self.speaks_for(ctx, group);
                    told.silent.push(format!("{region} (same place as {speaks})"));
                }
                None => told.silent.push(format!("{region} ({})", reason(reading.counted))),
                Some(vote) if self.count.is_troubled(reading) => {
                    told.symptoms.entry(phrase(vote)).or_default().push(region);
                }
                Some(_) => told.fine.push(region),
            }
        }
        told
    }
}

/// What the regions say, in words.
#[derive(Default)]
struct Told<'a> {
    symptoms: BTreeMap<String, Vec<&'a str>>,
    fine: Vec<&'a str>,
    /// Those without a vote, with the reason.
    silent: Vec<String>,
}

fn blocked_cause(kept: &[Witness<'_>]) -> Option<Cause> {
    let forbidden = Outcome::Blocked { reason: BlockReason::Forbidden };
    let refused = kept.iter().filter(|witness| witness.outcome == forbidden).count();
    if kept.is_empty() {
        None
    } else if refused * 2 > kept.len() {
        Some(Cause::BlockedGeo)
    } else {
        Some(Cause::BlockedRateLimit)
    }
}

fn entry(ctx: &Context<'_>, group: &Group, reading: &Reading) -> BallotEntry {
    // A region without a counting vote still shows its last word, so that people see what is missing.
    let spoken = reading.decisive.and_then(|place| group.votes.get(place));
    let last = || group.votes.iter().max_by_key(|vote| vote.started());
    let vote = spoken.or_else(last).filter(|vote| vote.started().is_some());
    let started: Option<Timestamp> = vote.and_then(AgentVote::started);
    let is_failure = vote.is_some_and(|vote| vote.say().is_some_and(|say| !say.is_success()));
    let run = vote.map_or(0, |vote| vote.run.length);
    let in_a_row = if spoken.is_some() { reading.in_a_row } else { run };
    BallotEntry {
        region: ctx.roster.region(group.region).id.clone(),
        agent: vote.map(|vote| ctx.roster.agent(vote.agent).id.clone()),
        outcome: vote.map(|vote| vote.outcome),
        started,
        age: started.map(|started| ctx.now - started),
        failed_in_a_row: if is_failure { u32::from(in_a_row) } else { 0 },
        counted: reading.counted,
        message: vote.map(remark).unwrap_or_default(),
        address: vote.and_then(|vote| vote.address),
        evidence_milli_nats: 0,
        one_family: vote.is_some_and(|vote| vote.say() == Some(Say::OneFamily)),
    }
}

/// The sentence of a vote: of a success that took more than usual, what it took.
fn remark(vote: &AgentVote) -> String {
    match vote.message() {
        "" if vote.lookup() == Some(Lookup::Second) => "resolved by the second resolver".to_owned(),
        message => message.to_owned(),
    }
}

fn nats(evidence: MilliNats) -> u32 {
    u32::try_from(evidence.max(0)).unwrap_or(u32::MAX)
}

/// What a probe found, in two or three words.
fn phrase(vote: &AgentVote) -> String {
    if vote.say() == Some(Say::OneFamily) {
        let fails = match (vote.address, vote.outcome.is_fail()) {
            (Some(IpAddr::V4(_)), true) | (Some(IpAddr::V6(_)), false) => "IPv4",
            (Some(IpAddr::V4(_)), false) | (Some(IpAddr::V6(_)), true) => "IPv6",
            (None, _) => "one address family",
        };
        return format!("{fails} alone fails");
    }
    match (vote.outcome, vote.status) {
        (Outcome::Fail { reason: Reason::Status, .. }, Some(status)) => format!("status {status}"),
        (Outcome::Fail { phase, reason }, _) => {
            format!("{phase} {}", reason.as_str().replace('_', " "))
        }
        (Outcome::Blocked { reason: BlockReason::RateLimit }, _) => "rate limit".to_owned(),
        (Outcome::Blocked { reason: BlockReason::Forbidden }, Some(status)) => {
            format!("refused with {status}")
        }
        (Outcome::Blocked { reason: BlockReason::Forbidden }, None) => "refused".to_owned(),
        (outcome @ (Outcome::Ok | Outcome::Slow | Outcome::Inconclusive { .. }), _) => {
            outcome.to_string()
        }
    }
}

/// Why a vote does not count, in words.
pub(crate) fn reason(counted: Counted) -> &'static str {
    match counted {
        Counted::Yes => "counted",
        Counted::NeverVoted => "no probe yet",
        Counted::Stale => "last probe too old",
        Counted::Absent => "silent",
        Counted::Island => "cut off",
        Counted::Suspect => "at odds with the others",
        Counted::Inconclusive => "doubts its own probes",
        Counted::BeforeEpisode => "no answer since the suspicion",
        Counted::SamePlace => "shares its place with another region",
    }
}
