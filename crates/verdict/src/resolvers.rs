//! Resolvers: which region cannot look up names by itself?
//!
//! **What it decides.** An agent's resolver is bad while the last three probes of some check by it
//! all needed its second resolver, and well again when the last three of each such check did not.
//! The operators are told of its region once that has lasted `isolated_after`; it is taken back once
//! it is over for five times `lost_after`: a resolver that comes and goes is one notice, not many.
//!
//! **Why so.** The vote is the success that the second resolver made possible, so no check suffers.
//! But one more fault would take the region away, and everybody else there has no second one. One
//! lost packet makes one lookup slow; three in a row have a cause.
//!
//! **What it ignores.** Lookups that both resolvers failed: then the name is the trouble, and the
//! check's cause says so. Checks that do well with the first one: it can be broken for one zone. And
//! silence: an agent that is gone has not got its resolver back.
//!
//! **Example.** The resolver of fra is gone. Each probe of shop from there takes a second longer, and
//! succeeds: after the third the operators hear of fra, and shop is up, with the cause `resolver`.

use std::collections::{BTreeMap, BTreeSet};

use quorate_model::{CheckId, FleetPolicy, NoticeKind, Timestamp};

use crate::Effect;
use crate::liveness::{AgentIx, RegionIx, Roster};
use crate::operators::{named, notice};
use crate::vote::Lookup;

/// How many times `lost_after` a resolver must do well before it is trusted.
const WELL_FOR: u32 = 5;

/// The regions whose probes need the second resolver.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Resolvers {
    records: BTreeMap<RegionIx, Record>,
    /// Regions about which there may be something to tell.
    changed: Vec<RegionIx>,
}

/// What is known of the resolvers of one region.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    /// Which agents need the second one, and for what.
    needs: BTreeSet<(AgentIx, CheckId)>,
    /// Since when there are any, or none.
    since: Timestamp,
    told: bool,
}

impl Record {
    fn new(now: Timestamp) -> Self {
        Self { needs: BTreeSet::new(), since: now, told: false }
    }

    fn in_words(&self, roster: &Roster) -> String {
        let agents: BTreeSet<&str> =
            self.needs.iter().map(|(agent, _)| roster.agent(*agent).id.as_str()).collect();
        let checks: BTreeSet<&str> = self.needs.iter().map(|(_, check)| check.as_str()).collect();
        format!(
            "fails for {}: {} can be probed from there only by the second resolver; see \
             /etc/resolv.conf there, and the name servers that it names",
            named(agents),
            named(checks)
        )
    }
}

impl Resolvers {
    /// Whether anybody needs a second resolver for this check.
    pub(crate) fn concern(&self, check: &CheckId) -> bool {
        self.records.values().any(|record| record.needs.iter().any(|(_, known)| known == check))
    }

    /// Notes what the last probes of a check by an agent agree on.
    pub(crate) fn note(
        &mut self,
        (region, agent): (RegionIx, AgentIx),
        check: &CheckId,
        agreed: Lookup,
        now: Timestamp,
    ) {
        match agreed {
            Lookup::Second => {
                let record = self.records.entry(region).or_insert_with(|| Record::new(now));
                if record.needs.is_empty() {
                    record.since = now;
                    self.changed.push(region);
                }
                record.needs.insert((agent, check.clone()));
            }
            Lookup::First => self.retain(now, |other, known| other != agent || known != check),
            Lookup::Neither | Lookup::Alone => {}
        }
    }

    /// Notes that a probe from there needed the second resolver: one that was doing well begins
    /// anew.
    pub(crate) fn relapse(&mut self, region: RegionIx, now: Timestamp) {
        if let Some(record) = self.records.get_mut(&region).filter(|record| record.needs.is_empty())
        {
            record.since = now;
        }
    }

    /// Forgets what does not hold any more.
    pub(crate) fn retain(&mut self, now: Timestamp, holds: impl Fn(AgentIx, &CheckId) -> bool) {
        for (region, record) in &mut self.records {
            let before = record.needs.len();
            record.needs.retain(|(agent, check)| holds(*agent, check));
            if record.needs.is_empty() && before > 0 {
                record.since = now;
                self.changed.push(*region);
            }
        }
    }

    /// A region about which there may be something to tell.
    pub(crate) fn take_changed(&mut self) -> Option<RegionIx> {
        self.changed.pop()
    }

    /// Tells what there is to tell about a region's resolver. Returns when to look again.
    pub(crate) fn tend(
        &mut self,
        region: RegionIx,
        (roster, policy): (&Roster, &FleetPolicy),
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Option<Timestamp> {
        let record = self.records.get_mut(&region)?;
        let is_bad = !record.needs.is_empty();
        if is_bad != record.told {
            let hold = if is_bad { policy.isolated_after } else { policy.lost_after * WELL_FOR };
            let due = record.since + hold;
            if now < due {
                return Some(due);
            }
            record.told = is_bad;
            let name = &roster.region(region).id;
            let what = if is_bad { record.in_words(roster) } else { "works again".to_owned() };
            let message = format!("the resolver of region {name} {what}");
            let mut told = notice(NoticeKind::ResolverBad, now, !is_bad, message);
            told.region = Some(name.clone());
            effects.push(Effect::Operator(told));
        }
        if !is_bad {
            self.records.remove(&region);
        }
        None
    }
}
