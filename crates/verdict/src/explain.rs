//! A verdict in words: who voted what, how old, counted or not and why, and what the numbers mean.
//!
//! Works from the verdict alone, so a stored one can be explained as well as the present one.

use quorate_model::{
    Ballot, BallotEntry, BallotOrigin, Cause, CheckId, Counted, DistinctCount, Flag, HumanDuration,
    Odds, OriginFinding, OriginHold, RoundId, State, Verdict,
};

use crate::ballot::reason;
use crate::distinct::{in_words, listed};
use crate::limits::OWN_FAILURES;

/// The ballot of a verdict in sentences: the verdict, one for each region, the arithmetic, and why
/// somebody was paged or nobody was.
///
/// Text that came from the target is escaped.
pub fn ballot_in_words(check: &CheckId, verdict: &Verdict) -> Vec<String> {
    let ballot = &verdict.ballot;
    let mut words = vec![format!(
        "{check} is {} since {} ({}): {}",
        verdict.state, verdict.since, verdict.cause, verdict.summary
    )];
    if !verdict.also.is_empty() {
        let also: Vec<&str> = verdict.also.iter().map(|cause| cause.as_str()).collect();
        words.push(format!("what is seen also fits: {}", also.join(", ")));
    }
    words.extend(ballot.entries.iter().map(line));
    words.push(arithmetic(verdict));
    words.extend(chance(&verdict.ballot));
    if !ballot.rounds.is_empty() {
        let noun = if ballot.rounds.len() == 1 { "round" } else { "rounds" };
        let rounds: Vec<String> = ballot.rounds.iter().map(RoundId::to_string).collect();
        words.push(format!("all regions were asked at once in {noun} {}", rounds.join(", ")));
    }
    words.extend(verdict.ballot.origin.as_deref().map(|origin| behind(verdict.state, origin)));
    words.extend(shortfall(verdict));
    words.push(consequence(verdict).to_owned());
    words.extend(verdict.flags.iter().map(|flag| about(*flag).to_owned()));
    words
}

fn line(entry: &BallotEntry) -> String {
    let (Some(outcome), Some(agent)) = (entry.outcome, &entry.agent) else {
        return format!("{}: no vote ({})", entry.region, reason(entry.counted));
    };
    let mut parts = vec![format!("{}: {outcome}, seen by {agent}", entry.region)];
    if let Some(age) = entry.age {
        parts.push(format!(" {} before", HumanDuration(tenths(age))));
    }
    if let Some(address) = entry.address {
        parts.push(format!(" at {address}"));
    }
    if entry.failed_in_a_row >= u32::from(OWN_FAILURES) {
        parts.push(format!(", {} in a row", entry.failed_in_a_row));
    }
    if entry.one_family {
        parts.push(", over one address family only".to_owned());
    }
    if entry.evidence_milli_nats > 0 {
        parts.push(format!(", by chance {}", Odds(entry.evidence_milli_nats)));
    }
    if entry.counted != Counted::Yes {
        parts.push(format!("; not counted ({})", reason(entry.counted)));
    }
    if !entry.message.is_empty() {
        parts.push(format!(": {}", entry.message.escape_debug()));
    }
    parts.concat()
}

/// Cut to tenths of a second: nobody reads microseconds.
fn tenths(age: std::time::Duration) -> std::time::Duration {
    let millis = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    std::time::Duration::from_millis(millis / 100 * 100)
}

fn arithmetic(verdict: &Verdict) -> String {
    let ballot = &verdict.ballot;
    let scope = ballot.scope;
    let seen = format!(
        "{} of {} live {} affected, {} configured",
        scope.failing,
        scope.live,
        if scope.live == 1 { "region" } else { "regions" },
        scope.configured
    );
    match ballot.quorum_effective {
        0 => format!("{seen}; too few are live for any statement"),
        needed if needed < ballot.quorum => format!(
            "{seen}; the quorum is {}, but only {needed} are left and all of them must agree",
            ballot.quorum
        ),
        needed => format!("{seen}; at least {needed} must fail for down{}", difference(ballot)),
    }
}

/// How different those that fail must be.
fn difference(ballot: &Ballot) -> String {
    let demand = |distinct: &DistinctCount| distinct.demand().to_string();
    match ballot.distinct.iter().find(|distinct| distinct.is_reduced()) {
        None if ballot.distinct.is_empty() => String::new(),
        None => {
            let demands: Vec<String> = ballot.distinct.iter().map(demand).collect();
            format!(", in at least {}", listed(&demands))
        }
        Some(reduced) => {
            format!(", and all of them, because fewer than {} are left", demand(reduced))
        }
    }
}

/// What the origin's check says about who is in trouble.
fn behind(state: State, origin: &BallotOrigin) -> String {
    let name = &origin.check;
    let words = match (state, origin.finding) {
        (_, None) => format!(
            "what {name} shows is not enough to tell the origin from what stands in front of it"
        ),
        (State::Down, Some(OriginFinding::Works)) => format!(
            "{name} works although this fails, so what stands in front of the origin is in trouble"
        ),
        (State::Down, Some(OriginFinding::Fails)) => {
            format!("{name} fails too, so the origin is in trouble, not what stands in front of it")
        }
        (_, Some(OriginFinding::Works)) => format!("{name} works again"),
        (_, Some(OriginFinding::Fails)) => {
            format!("{name} fails while this answers: users are served without the origin")
        }
    };
    match origin.hold {
        Some(OriginHold::Muted) => {
            format!("{words}; {name} is muted, so that is told to nobody yet")
        }
        Some(OriginHold::Brief) => format!(
            "{words}; that is told to nobody until it has lasted for the `ignore_shorter_than` of \
             {name}"
        ),
        None => words,
    }
}

/// The evidence against what is needed; `None` if it was not weighed.
fn chance(ballot: &Ballot) -> Option<String> {
    let weighed = ballot.need_milli_nats > 0 && ballot.evidence_milli_nats > 0;
    weighed.then(|| {
        format!(
            "all of them by chance: {}; your budget of false alerts allows {}",
            Odds(ballot.evidence_milli_nats),
            Odds(ballot.need_milli_nats)
        )
    })
}

/// Whether the ballot proves that the target is down: enough live regions fail, as different as the
/// check asks, and what they weigh is enough. This is the rule applied once more to what was
/// stored.
pub fn proves_down(ballot: &Ballot) -> bool {
    let failing = ballot.entries.iter().filter(|entry| entry.evidence_milli_nats > 0);
    let (count, sum) = failing.fold((0_u32, 0_u32), |(count, sum), entry| {
        (count + 1, sum.saturating_add(entry.evidence_milli_nats))
    });
    let is_quorum = ballot.quorum_effective > 0 && ballot.scope.failing >= ballot.quorum_effective;
    let is_weighed = ballot.need_milli_nats > 0;
    let is_proven = ballot.evidence_milli_nats >= ballot.need_milli_nats
        && count >= ballot.quorum_effective
        && sum >= ballot.evidence_milli_nats;
    is_quorum && too_alike(ballot).is_none() && (!is_weighed || is_proven)
}

/// The demand that the failing regions differ which is not met.
fn too_alike(ballot: &Ballot) -> Option<&DistinctCount> {
    ballot.distinct.iter().find(|distinct| !distinct.is_met(ballot.scope))
}

/// What a failure of regions lacks to be a page: more regions, others, more evidence, or to be
/// believed.
/// `None` where nothing fails, or nothing is lacking.
fn shortfall(verdict: &Verdict) -> Option<String> {
    let ballot = &verdict.ballot;
    if verdict.state == State::Down || ballot.quorum_effective == 0 {
        return None;
    }
    let failed = |entry: &&BallotEntry| entry.fails();
    let (counted, void): (Vec<&BallotEntry>, Vec<&BallotEntry>) =
        ballot.entries.iter().filter(failed).partition(|entry| entry.counted == Counted::Yes);
    let count = u32::try_from(counted.len()).unwrap_or(u32::MAX);
    let names: Vec<&str> = counted.iter().map(|entry| entry.region.as_str()).collect();
    let verb = if count == 1 { "fails" } else { "fail" };
    let fail = format!("{} {verb}", names.join(", "));
    let (evidence, need) = (ballot.evidence_milli_nats, ballot.need_milli_nats);
    let lacking = match ballot.quorum_effective.saturating_sub(count) {
        _ if count == 0 => None,
        0 if let Some(distinct) = too_alike(ballot) => {
            let [shared, lacking] = in_words(distinct, names.len(), ballot.scope.live);
            Some(format!("{} {verb}, {shared}; {lacking}", listed(&names)))
        }
        0 if need > evidence => Some(format!(
            "{fail}, which is enough regions but not enough evidence: the chance of coincidence is \
             {}, your budget of false alerts allows {}",
            Odds(evidence),
            Odds(need)
        )),
        0 => None,
        1 => Some(format!("{fail}; a page needs 1 more region to fail")),
        missing => Some(format!("{fail}; a page needs {missing} more regions to fail")),
    };
    let void = void.iter().map(|entry| {
        format!("the failure of {} does not count ({})", entry.region, reason(entry.counted))
    });
    let all: Vec<String> = lacking.into_iter().chain(void).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn consequence(verdict: &Verdict) -> &'static str {
    let ballot = &verdict.ballot;
    let is_quorum = ballot.quorum_effective > 0 && ballot.scope.failing >= ballot.quorum_effective;
    let fails = |entry: &BallotEntry| {
        entry.counted == Counted::Yes && entry.outcome.is_some_and(|outcome| !outcome.is_success())
    };
    let is_held = ballot.origin.as_ref().is_some_and(|origin| origin.hold.is_some());
    let is_muted =
        verdict.flags.iter().any(|flag| matches!(flag, Flag::Maintenance | Flag::Silenced));
    let has = |flag| verdict.flags.contains(&flag);
    match verdict.state {
        _ if has(Flag::Past) => {
            "the quorum failed, but that was known only when it was over, so nobody was paged"
        }
        State::Partial | State::Degraded | State::Down if is_muted => {
            "nobody is messaged of it now; what still lasts when that ends is told then"
        }
        State::Partial if is_quorum && too_alike(ballot).is_some() => {
            "nobody is paged because those that fail are too alike; a notice follows if it lasts, \
             unless the check's `partial` says otherwise"
        }
        State::Partial if is_quorum => {
            "enough regions fail, but that could still be chance under the budget of false alerts, \
             so nobody is paged yet"
        }
        State::Down if has(Flag::Brief) && has(Flag::Recovering) => {
            "the quorum failed, but it succeeds again before that has lasted for the check's \
             `ignore_shorter_than`, so nobody is paged"
        }
        State::Down if has(Flag::Brief) => {
            "the quorum fails; that pages once it has lasted for the check's `ignore_shorter_than`"
        }
        State::Down if has(Flag::Flapping) => "it flaps, so changes are told in a digest",
        State::Down if has(Flag::Recovering) => {
            "the quorum failed, so this was paged; the end is told once success has lasted"
        }
        State::Down => "the quorum fails, so this pages",
        State::Partial | State::Degraded if has(Flag::Recovering) => {
            "its incident is open and told; the end is told once success has lasted"
        }
        State::Degraded if is_held && ballot.scope.failing == 0 => {
            "it answers and only lacks its origin, of which nobody is told yet"
        }
        State::Degraded if verdict.cause == Cause::TargetIntermittent => {
            "it answers some requests, so this is a notice and no page, unless the check's \
             `alert.intermittent` says otherwise"
        }
        State::Degraded => "it answers, though not as it should, so this is a notice and no page",
        State::Partial => {
            "nobody is paged because fewer regions are affected than the quorum; a notice follows \
             if it lasts, unless the check's `partial` says otherwise"
        }
        State::Up if verdict.ballot.entries.iter().any(fails) => {
            "nobody is paged because others succeed, and a failure must be seen by the quorum or \
             last"
        }
        State::Up => "nobody is paged because the target works",
        State::Unknown => {
            "silence is not failure, so nobody is paged unless the check's `on_no_quorum` says \
             otherwise; what was open stays open; see `quorate get agents` for who is missing"
        }
    }
}

fn about(flag: Flag) -> &'static str {
    match flag {
        Flag::ReducedQuorum => {
            "fewer regions than the quorum were left, or fewer different ones than asked for, and \
             all of them agreed"
        }
        Flag::Flapping => "it goes up and down too often to report each change",
        Flag::Maintenance => "it is covered by a maintenance window",
        Flag::Silenced => "its alerts are silenced",
        Flag::Paused => "it is not probed at the moment",
        Flag::Brief => {
            "it has not been down for as long as the check's `ignore_shorter_than`, so nobody is \
             told yet"
        }
        Flag::Past => "it was over before anybody here heard of it, from results that came late",
        Flag::Recovering => "it succeeds again, but not for long enough to be resolved",
    }
}
