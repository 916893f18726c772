//! Incidents of checks that are not configured any more: nobody watches them, so nobody else would
//! ever close them.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_model::{
    Alert, AlertKind, Ballot, Cause, Delivery, Fleet, Incident, IncidentState, ReceiverId, Scope,
    State, Timestamp, Verdict,
};
use quorate_store::{DeliveryRecord, IncidentQuery, OutboxEntry, StoreError, Transition, Write};

use crate::{StoreHandle, outbox};

/// Incidents closed at a time; the others follow at the next reload or start.
const CLOSED_MAX: usize = 10_000;

/// Closes the open incidents of checks that `fleet` does not have, and tells those who were told of
/// them. Returns what is to be delivered, which is in the store by then.
///
/// # Cancellation
///
/// Dropping it leaves open which of them are closed.
pub(crate) async fn close(
    store: &StoreHandle,
    fleet: Arc<Fleet>,
    now: Timestamp,
) -> Result<Vec<OutboxEntry>, Arc<StoreError>> {
    let found = store.read(move |store| {
        let query =
            IncidentQuery { open_only: true, limit: CLOSED_MAX, ..IncidentQuery::default() };
        let mut found = Vec::new();
        for incident in store.incidents(&query)? {
            if !fleet.checks.contains_key(&incident.check) {
                let told = store.deliveries(incident.id)?;
                found.push(closed(incident, told, now));
            }
        }
        Ok(found)
    });
    let mut deliveries = Vec::new();
    for transition in found.await? {
        tracing::info!(check = %transition.check, "check removed, its incident is closed");
        deliveries.extend(transition.deliveries.iter().cloned());
        store.commit(vec![Write::Transition(Box::new(transition))]).await?;
    }
    Ok(deliveries)
}

fn closed(mut incident: Incident, told: Vec<DeliveryRecord>, now: Timestamp) -> Transition {
    incident.state = IncidentState::Resolved;
    incident.resolved = Some(now);
    incident.verdict.summary = format!(
        "not watched any more, the check was removed from the configuration; before that: {}",
        incident.verdict.summary
    );
    let mut last: BTreeMap<ReceiverId, Box<Alert>> = BTreeMap::new();
    for record in told {
        if let Delivery::Alert(alert) = record.entry.delivery {
            last.insert(record.entry.receiver, alert);
        }
    }
    let deliveries = last
        .into_iter()
        .filter(|(_, alert)| alert.kind != AlertKind::Resolved)
        .map(|(receiver, alert)| {
            let alert =
                Alert { kind: AlertKind::Resolved, at: now, incident: incident.clone(), ..*alert };
            outbox::entry(receiver, Delivery::Alert(Box::new(alert)), now)
        })
        .collect();
    Transition {
        check: incident.check.clone(),
        verdict: removed(&incident.verdict.ballot, now),
        incident: Some(incident),
        memory: serde_json::Value::Null,
        deliveries,
    }
}

/// The verdict of a check without regions: what it is found with if it is configured again.
fn removed(before: &Ballot, now: Timestamp) -> Verdict {
    Verdict {
        state: State::Unknown,
        flags: std::collections::BTreeSet::new(),
        cause: Cause::None,
        summary: "the check was removed from the configuration".to_owned(),
        since: now,
        ballot: Ballot {
            taken: now,
            quorum: before.quorum,
            quorum_effective: before.quorum,
            scope: Scope { failing: 0, live: 0, configured: before.scope.configured },
            rounds: Vec::new(),
            entries: Vec::new(),
        },
    }
}
