//! Incidents: what people are told, once.
//!
//! **What it decides.** Trouble opens an incident, worse trouble raises the same one, and its end
//! resolves it. Trouble within `reopen_within` of the end is the same incident again, and is
//! messaged again up to the third time. With three re-opens in the flapping window the check
//! flaps: changes are then told in one digest for each `reopen_within`.
//!
//! **Why so.** A person who is woken five times for one fault stops reading. A person who is never
//! told that it began again is misled. The digest is sent at once when there was none lately, so
//! that an outage which begins while a check flaps is not silent.
//!
//! **Unseen.** That too few regions are left to see a check may be an incident too (`case::sight`). Seen
//! again and down, it is about that from then on. Once it is over, trouble is another incident, with a
//! page of its own however often sight was lost: what is not seen has not failed, so it does not flap.
//!
//! **Milder trouble** is a notice, unless the check asks for a page. An outage on top of such a page is
//! one page more about the same incident, and no re-open.
//!
//! **Withheld.** While a check is muted its incidents are recorded and nobody is messaged; see `mute`.
//!
//! **The end** is told to exactly those whose last word was that it is open. It also comes when the
//! check is taken out of the configuration.

use std::collections::BTreeSet;

use quorate_model::{
    Alert, AlertKind, Ballot, Cause, Check, CheckId, FleetPolicy, Incident, IncidentId,
    IncidentState, ReceiverId, Scope, Severity, State, Timestamp, Verdict,
};

use crate::Transition;
use crate::limits::FLAPPING_REOPENS;
use crate::memory::Memory;
use crate::mute::Mutes;

/// What is to be written into the record of incidents, and said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Filing {
    act: Act,
    say: Option<AlertKind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Open(Severity),
    Raise,
    /// What was open was about a certificate, or that nobody could see the check, and is about this
    /// from now on.
    TakeOver(Severity),
    Reopen(Severity),
    Resolve,
    Tell,
    /// What was withheld is told as it now is.
    Release,
}

pub(crate) fn is_open(incident: Option<&Incident>) -> bool {
    incident.is_some_and(|incident| incident.state == IncidentState::Open)
}

fn kind(severity: Severity) -> AlertKind {
    match severity {
        Severity::Page => AlertKind::Page,
        Severity::Notice => AlertKind::Notice,
    }
}

/// Whether it was told of something milder than an outage.
fn is_mild(incident: &Incident) -> bool {
    matches!(incident.verdict.state, State::Partial | State::Degraded)
}

/// Who is told of trouble of this severity.
pub(crate) fn receivers(check: &Check, severity: Severity) -> BTreeSet<ReceiverId> {
    let to = match severity {
        Severity::Notice if !check.partial.to.is_empty() => &check.partial.to,
        Severity::Notice | Severity::Page => &check.alert.to,
    };
    to.iter().cloned().collect()
}

/// Files trouble of this severity; `None` if it is on record already.
pub(crate) fn trouble(
    severity: Severity,
    incident: Option<&Incident>,
    memory: &mut Memory,
    policy: &FleetPolicy,
    now: Timestamp,
) -> Option<Filing> {
    let fresh = Filing { act: Act::Open(severity), say: Some(kind(severity)) };
    let Some(incident) = incident else {
        return Some(fresh);
    };
    let was_unseen = incident.verdict.state == State::Unknown;
    let is_unseen = memory.unseen.is_some();
    if is_open(Some(incident)) && (memory.expiry.is_incident || was_unseen) {
        return Some(Filing { act: Act::TakeOver(severity), say: Some(kind(severity)) });
    }
    // That what was paged as less is an outage now is news, and no new failure.
    let is_outage = memory.latched == State::Down && is_mild(incident);
    let is_worse = severity > incident.severity || severity == Severity::Page && is_outage;
    if incident.state == IncidentState::Open {
        if is_worse {
            return Some(Filing { act: Act::Raise, say: Some(kind(severity)) });
        }
        if severity == Severity::Notice {
            return None;
        }
    } else if incident.is_past
        || was_unseen && !is_unseen
        || incident.resolved.is_none_or(|end| now > end + policy.reopen_within)
    {
        return Some(fresh);
    }
    let was_flapping = memory.is_flapping(policy, now);
    if !is_unseen {
        memory.reopened(policy, now);
    }
    let few = usize::try_from(incident.reopened).is_ok_and(|count| count < FLAPPING_REOPENS);
    let say = if is_worse || few && !was_flapping { Some(kind(severity)) } else { None };
    Some(Filing { act: Act::Reopen(severity), say: say.or_else(|| digest(memory, policy, now)) })
}

/// Files a notice of something that is not trouble yet.
pub(crate) fn notice() -> Filing {
    Filing { act: Act::Open(Severity::Notice), say: Some(AlertKind::Notice) }
}

/// Files what was withheld until now.
pub(crate) fn release(severity: Severity) -> Filing {
    Filing { act: Act::Release, say: Some(kind(severity)) }
}

/// Files the end of the open incident.
pub(crate) fn over(memory: &Memory) -> Filing {
    Filing { act: Act::Resolve, say: memory.is_announced.then_some(AlertKind::Resolved) }
}

/// Ends the open incident of a check that is no longer configured: nobody would see its end. Those
/// who were told that it is open are told that it is over; the verdict says why. `check` is its last
/// definition, if known.
pub(crate) fn withdraw(
    id: &CheckId,
    check: Option<&Check>,
    record: Option<Incident>,
    mut memory: Memory,
    now: Timestamp,
) -> Option<Transition> {
    let mut incident = record.filter(|incident| is_open(Some(incident)))?;
    incident.state = IncidentState::Resolved;
    incident.resolved = Some(now);
    incident.verdict.summary = format!(
        "not watched any more: the check was removed from the configuration; before that: {}",
        incident.verdict.summary
    );
    let alert = Alert {
        kind: AlertKind::Resolved,
        at: now,
        target: check.map_or_else(|| id.to_string(), |check| check.target.clone()),
        labels: check.map(|check| check.labels.clone()).unwrap_or_default(),
        runbook: check.and_then(|check| check.runbook.clone()),
        held_until: None,
        incident: incident.clone(),
    };
    let to = if std::mem::take(&mut memory.is_announced) {
        memory.told.iter().map(|receiver| (receiver.clone(), alert.clone())).collect()
    } else {
        Vec::new()
    };
    let verdict = Verdict {
        state: State::Unknown,
        flags: BTreeSet::new(),
        cause: Cause::None,
        also: Vec::new(),
        summary: "the check is no longer configured".to_owned(),
        since: now,
        ballot: Ballot {
            taken: now,
            quorum: 0,
            quorum_effective: 0,
            scope: Scope::default(),
            rounds: Vec::new(),
            distinct: Vec::new(),
            entries: Vec::new(),
            evidence_milli_nats: 0,
            need_milli_nats: 0,
            origin: None,
        },
    };
    // Should the check come back, it begins anew.
    let memory = Memory::default().write();
    Some(Transition { check: id.clone(), verdict, incident: Some(incident), alerts: to, memory })
}

/// Files a digest if one is due while an incident is open.
pub(crate) fn overdue(memory: &mut Memory, policy: &FleetPolicy, now: Timestamp) -> Option<Filing> {
    if !memory.is_untold {
        return None;
    }
    digest(memory, policy, now).map(|say| Filing { act: Act::Tell, say: Some(say) })
}

/// When the next digest is due.
pub(crate) fn digest_due(memory: &Memory, policy: &FleetPolicy) -> Option<Timestamp> {
    memory.digest.filter(|_| memory.is_untold).map(|last| last + policy.reopen_within)
}

fn digest(memory: &mut Memory, policy: &FleetPolicy, now: Timestamp) -> Option<AlertKind> {
    let is_due = memory.digest.is_none_or(|last| now >= last + policy.reopen_within);
    memory.is_untold = !is_due;
    if is_due {
        memory.digest = Some(now);
    }
    is_due.then_some(AlertKind::Digest)
}

/// Writes the filing into the record. Returns the messages; those that the mutes allow.
pub(crate) fn file(
    filing: Filing,
    record: &mut Option<Box<Incident>>,
    memory: &mut Memory,
    (check, mutes): (&Check, &Mutes),
    verdict: &Verdict,
) -> Vec<(ReceiverId, Alert)> {
    let now = verdict.ballot.taken;
    // What nobody can see began when the last but one was gone.
    let is_unseen = verdict.state == State::Unknown;
    let began = if is_unseen { memory.unseen } else { memory.first_failure };
    let first_failure = began.unwrap_or(now);
    if let Act::Open(severity) = filing.act {
        memory.told.clear();
        *record = Some(Box::new(Incident {
            id: IncidentId::derive(&check.id, now),
            check: check.id.clone(),
            severity,
            state: IncidentState::Open,
            last_success: memory.last_success.filter(|last| *last < first_failure),
            first_failure,
            opened: now,
            resolved: None,
            reopened: 0,
            withheld_by: BTreeSet::new(),
            is_past: false,
            verdict: verdict.clone(),
        }));
    }
    let Some(incident) = record.as_deref_mut() else {
        return Vec::new();
    };
    match filing.act {
        Act::Open(_) | Act::Tell => {}
        Act::Release => incident.verdict = verdict.clone(),
        Act::Raise => {
            incident.severity = Severity::Page;
            incident.verdict = verdict.clone();
        }
        Act::TakeOver(severity) => {
            memory.expiry.is_incident = false;
            incident.severity = severity;
            incident.opened = now;
            incident.last_success = memory.last_success.filter(|last| *last < first_failure);
            incident.first_failure = first_failure;
            incident.verdict = verdict.clone();
        }
        Act::Reopen(severity) => {
            incident.state = IncidentState::Open;
            incident.resolved = None;
            incident.reopened = incident.reopened.saturating_add(1);
            let is_worse =
                severity > incident.severity || verdict.state == State::Down && is_mild(incident);
            if is_unseen || incident.verdict.state == State::Unknown || is_worse {
                incident.severity = incident.severity.max(severity);
                incident.verdict = verdict.clone();
            }
        }
        Act::Resolve => {
            memory.expiry.is_incident = false;
            memory.withheld = None;
            incident.state = IncidentState::Resolved;
            incident.resolved = Some(now);
        }
    }
    // Who was told of the beginning is told the end.
    if mutes.is_active() && filing.say.is_some_and(|kind| kind != AlertKind::Resolved) {
        memory.withheld = Some(now);
        incident.withheld_by.extend(mutes.names());
        return Vec::new();
    }
    filing.say.map(|kind| say(kind, incident, memory, check, now)).unwrap_or_default()
}

fn say(
    kind: AlertKind,
    incident: &Incident,
    memory: &mut Memory,
    check: &Check,
    now: Timestamp,
) -> Vec<(ReceiverId, Alert)> {
    let to: BTreeSet<ReceiverId> = match kind {
        // A page that some regions keep failing is for those who are to hear of that.
        AlertKind::Page if incident.verdict.state == State::Partial => {
            receivers(check, Severity::Notice)
        }
        AlertKind::Page => receivers(check, Severity::Page),
        AlertKind::Notice => receivers(check, Severity::Notice),
        AlertKind::Resolved | AlertKind::Digest => memory.told.clone(),
    };
    memory.is_announced = kind != AlertKind::Resolved;
    memory.withheld = None;
    memory.told.extend(to.iter().cloned());
    let alert = Alert {
        kind,
        at: now,
        target: check.target.clone(),
        labels: check.labels.clone(),
        runbook: check.runbook.clone(),
        held_until: None,
        incident: incident.clone(),
    };
    to.into_iter().map(|receiver| (receiver, alert.clone())).collect()
}
