//! What people are told.

use std::collections::BTreeMap;

use quorate_model::{AlertKind, Incident, IncidentId, IncidentState, Severity, State};

use crate::composition::{Composition, Fault, What, failure};
use crate::draw::Dice;
use crate::driver::hold;
use crate::world::World;

/// Outages and troubles of all kinds, restarts at any time; then a time in which all is well.
fn anything(dice: &mut Dice) -> Composition {
    let mut composition = Composition::calm(dice);
    let all: Vec<usize> = (0..composition.regions.len()).collect();
    composition.trouble(dice, &all, 0);
    for _ in 0..dice.roll(3) {
        let from = dice.between(composition.warm(), 500_000);
        let to = from + dice.between(20_000, 200_000);
        let (outcome, takes) = failure(dice, composition.timeout);
        for region in &all {
            let what = What::Sees(outcome, takes);
            composition.faults.insert(0, Fault { region: *region, agent: None, from, to, what });
        }
    }
    for _ in 0..dice.roll(4) {
        composition.restarts.push(dice.between(composition.warm(), 700_000));
    }
    composition.restarts.sort_unstable();
    for fault in &mut composition.faults {
        fault.to = fault.to.min(700_000);
    }
    composition.deliver_badly(dice, 2_000);
    composition.alerts_no_quorum = dice.once_in(2);
    // Longer than any recovery, which is half a minute that doubles up to a quarter of an hour, and
    // than the slow detector remembers: its highest level takes 127 good probes to go.
    composition.interval = composition.interval.min(30_000);
    composition.run = 700_000 + 1_200_000 + 127 * composition.interval;
    composition
}

/// What was said of one incident.
#[derive(Debug, Default)]
struct Told {
    /// Whether the last word is that it is open.
    is_open: bool,
    paged: bool,
    pages: u32,
    ends: u32,
    /// Whether it was put on record when it was over.
    only_on_record: bool,
    /// How often it was found to be down after nobody could see it.
    found: u32,
}

#[test]
fn invariant_9_each_incident_is_told_once_and_its_end_once() {
    hold("invariant_9_", 200, anything, |composition| {
        let mut world = World::new(composition);
        world.run(composition.run);
        let mut told: BTreeMap<IncidentId, Told> = BTreeMap::new();
        let mut last = BTreeMap::new();
        for (at, transition) in world.transitions() {
            let Some(incident) = &transition.incident else {
                continue;
            };
            let before: Option<Incident> = last.insert(incident.id, incident.clone());
            let is_new = before.is_none();
            let reopened = before.as_ref().map_or(0, |before| before.reopened);
            let is_again = incident.reopened > reopened;
            let entry = told.entry(incident.id).or_default();
            // Nobody could see the check, and now it is seen to be down.
            let was_unseen = before.is_some_and(|it| it.verdict.state == State::Unknown);
            let is_found = was_unseen && incident.verdict.state == State::Down;
            entry.found += u32::from(is_found);
            for (_, alert) in &transition.alerts {
                let wrong = match alert.kind {
                    AlertKind::Page => entry.is_open && entry.paged && !is_again && !is_found,
                    AlertKind::Notice => entry.is_open && !is_again,
                    AlertKind::Resolved => !entry.is_open,
                    AlertKind::Digest => is_new,
                };
                if wrong {
                    return Err(format!("{:?} at {at:?} after {entry:?}", alert.kind));
                }
                entry.is_open = alert.kind != AlertKind::Resolved;
                entry.paged |= alert.kind == AlertKind::Page;
                entry.pages += u32::from(alert.kind == AlertKind::Page);
                entry.ends += u32::from(alert.kind == AlertKind::Resolved);
            }
            if entry.pages > incident.reopened + 1 + entry.found
                || entry.ends > incident.reopened + 1
            {
                return Err(format!("{entry:?} at {at:?}, reopened {} times", incident.reopened));
            }
            if is_new && incident.state == IncidentState::Resolved {
                // It was over before anybody heard of it.
                entry.only_on_record = true;
            }
            if incident.severity == Severity::Page && !entry.paged && !entry.only_on_record {
                return Err(format!("a page that nobody got at {at:?}"));
            }
        }
        if world.state() != State::Up {
            return Err(format!("{} although all is well for long", world.state()));
        }
        for (id, incident) in &last {
            let until = |incident: &Incident| incident.resolved.unwrap_or(incident.opened);
            let is_same = |other: &Incident| {
                other.id != *id
                    && other.check == incident.check
                    && other.severity == Severity::Page
                    // That nobody could see it is another thing than what was to be seen.
                    && other.verdict.state != State::Unknown
                    && other.first_failure <= until(incident)
                    && incident.first_failure <= until(other)
            };
            if told[id].only_on_record && last.values().any(is_same) {
                return Err(format!("{id} is on record twice"));
            }
        }
        for (id, incident) in last {
            let entry = &told[&id];
            if incident.state != IncidentState::Resolved || entry.is_open {
                return Err(format!("the end of {id} was not told: {entry:?}"));
            }
        }
        Ok(())
    });
}
