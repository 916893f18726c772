//! A store that forgets everything when it is dropped: for tests and the demo.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use quorate_model::{
    AgentId, BootId, CheckId, Delivery, Incident, IncidentId, IncidentState, ProbeResult,
    ReceiverId, RoundId, Timestamp, Verdict,
};
use serde_json::Value;

use crate::{
    AgentRecord, ApiToken, DeliveryRecord, DeliveryState, IncidentQuery, JoinToken, OutboxEntry,
    PastVerdict, Restored, RestoredCheck, ResultPage, ResultQuery, Store, StoreError, StoreKind,
    Transition, VerdictQuery, Write,
};

/// The row of the registry.
pub(crate) const KIND: StoreKind =
    StoreKind { scheme: "memory", durable: false, open: |_| Ok(Box::new(Memory::default())) };

#[derive(Debug, Default)]
struct Memory {
    /// In the order in which they were stored, each with its number.
    results: Vec<(u64, ProbeResult)>,
    /// The number given out last, to a result or a verdict.
    last_number: u64,
    /// The highest number, and when the last result was received.
    watermarks: BTreeMap<(AgentId, BootId), (u64, Timestamp)>,
    round: u64,
    verdicts: BTreeMap<CheckId, (Verdict, Value)>,
    /// What the engine remembers of the whole.
    of_the_whole: Option<Value>,
    history: BTreeMap<CheckId, Vec<(u64, Verdict)>>,
    incidents: BTreeMap<IncidentId, Incident>,
    /// In the order of decision.
    deliveries: Vec<DeliveryRecord>,
    join_tokens: BTreeMap<[u8; 32], (JoinToken, bool)>,
    api_tokens: BTreeMap<[u8; 32], ApiToken>,
    agents: BTreeMap<AgentId, AgentRecord>,
}

impl Memory {
    /// Finds the one thing that can be wrong with a commit, before any of it is applied.
    fn check(&self, writes: &[Write]) -> Result<(), StoreError> {
        let mut keys: BTreeSet<&str> =
            self.deliveries.iter().map(|record| record.entry.key.as_str()).collect();
        for write in writes {
            match write {
                Write::Transition(change) => {
                    keys.extend(change.deliveries.iter().map(|entry| entry.key.as_str()));
                }
                Write::Deliveries(entries) => {
                    keys.extend(entries.iter().map(|entry| entry.key.as_str()));
                }
                Write::Attempted { key, .. } if !keys.contains(key.as_str()) => {
                    return Err(StoreError::NoSuchDelivery {
                        place: "memory".to_owned(),
                        key: key.clone(),
                    });
                }
                Write::Attempted { .. }
                | Write::Results(_)
                | Write::Remember { .. }
                | Write::JoinToken(_)
                | Write::ApiToken(_)
                | Write::AgentSeen { .. } => {}
            }
        }
        Ok(())
    }

    fn apply(&mut self, write: &Write) {
        match write {
            Write::Results(results) => results.iter().for_each(|result| self.append(result)),
            Write::Transition(change) => self.transition(change),
            Write::Remember { check: None, memory } => self.of_the_whole = Some(memory.clone()),
            Write::Remember { check: Some(check), memory } => {
                if let Some((_, known)) = self.verdicts.get_mut(check) {
                    known.clone_from(memory);
                }
            }
            Write::Deliveries(entries) => self.add(entries),
            Write::Attempted { key, at, state, error, next_attempt } => {
                let found = self.deliveries.iter_mut().find(|record| record.entry.key == *key);
                if let Some(record) = found {
                    record.entry.attempts += 1;
                    record.entry.next_attempt = next_attempt.unwrap_or(record.entry.next_attempt);
                    record.state = *state;
                    record.last_attempt = Some(*at);
                    record.error.clone_from(error);
                }
            }
            Write::JoinToken(token) => {
                if !self.join_tokens.contains_key(&token.hash) {
                    self.join_tokens.retain(|_, (old, used)| *used || old.agent != token.agent);
                    self.join_tokens.insert(token.hash, (token.clone(), false));
                }
            }
            Write::ApiToken(token) => {
                self.api_tokens.insert(token.hash, token.clone());
            }
            Write::AgentSeen { agent, at, version } => {
                if let Some(record) = self.agents.get_mut(agent) {
                    record.seen = Some(*at);
                    record.version = Some(version.clone());
                }
            }
        }
    }

    fn append(&mut self, result: &ProbeResult) {
        let key = (result.id.agent.clone(), result.id.boot);
        let mark = self.watermarks.entry(key).or_insert((0, result.received));
        if result.id.sequence <= mark.0 {
            return;
        }
        *mark = (result.id.sequence, mark.1.max(result.received));
        if let Some(round) = result.round {
            self.saw(round);
        }
        let number = self.number();
        self.results.push((number, result.clone()));
    }

    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn saw(&mut self, round: RoundId) {
        // No coordinator gets beyond this; a larger number comes from a broken agent.
        if i64::try_from(round.0).is_ok() {
            self.round = self.round.max(round.0);
        }
    }

    fn transition(&mut self, change: &Transition) {
        for round in &change.verdict.ballot.rounds {
            self.saw(*round);
        }
        let check = &change.check;
        self.verdicts.insert(check.clone(), (change.verdict.clone(), change.memory.clone()));
        let number = self.number();
        self.history.entry(check.clone()).or_default().push((number, change.verdict.clone()));
        if let Some(incident) = &change.incident {
            self.incidents.insert(incident.id, incident.clone());
        }
        self.add(&change.deliveries);
    }

    fn add(&mut self, entries: &[OutboxEntry]) {
        for entry in entries {
            if self.deliveries.iter().all(|record| record.entry.key != entry.key) {
                self.deliveries.push(DeliveryRecord {
                    entry: entry.clone(),
                    state: DeliveryState::Pending,
                    last_attempt: None,
                    error: None,
                });
            }
        }
    }

    fn pending(&self) -> impl Iterator<Item = &OutboxEntry> {
        self.deliveries
            .iter()
            .filter(|record| record.state == DeliveryState::Pending)
            .map(|record| &record.entry)
    }
}

impl Store for Memory {
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        self.check(writes)?;
        for write in writes {
            self.apply(write);
        }
        Ok(())
    }

    fn restore(&mut self, results_since: Timestamp) -> Result<Restored, StoreError> {
        let latest = |check: &CheckId| {
            let of_check = || {
                let all = self.incidents.values().rev();
                all.filter(|incident| incident.check == *check && !incident.is_past)
            };
            let is_open = |incident: &&Incident| incident.state == IncidentState::Open;
            of_check().find(is_open).or_else(|| of_check().next()).cloned()
        };
        let checks = self.verdicts.iter().map(|(check, (verdict, memory))| {
            let restored = RestoredCheck {
                verdict: verdict.clone(),
                incident: latest(check),
                memory: memory.clone(),
            };
            (check.clone(), restored)
        });
        let results = self.results.iter().map(|(_, result)| result);
        let recent = |result: &&ProbeResult| result.received >= results_since;
        let mut heard: BTreeMap<AgentId, Timestamp> = BTreeMap::new();
        for ((agent, _), (_, received)) in &self.watermarks {
            let last = heard.entry(agent.clone()).or_insert(*received);
            *last = (*last).max(*received);
        }
        Ok(Restored {
            checks: checks.collect(),
            watermarks: self.watermarks.iter().map(|(key, mark)| (key.clone(), mark.0)).collect(),
            results: results.filter(recent).cloned().collect(),
            next_round: self.round + 1,
            memory: self.of_the_whole.clone(),
            heard,
        })
    }

    fn incidents(&mut self, query: &IncidentQuery) -> Result<Vec<Incident>, StoreError> {
        let upper = query.after.map_or(Bound::Unbounded, Bound::Excluded);
        let wanted = |incident: &&Incident| {
            query.check.as_ref().is_none_or(|check| incident.check == *check)
                && (!query.open_only || incident.state == IncidentState::Open)
        };
        let found = self.incidents.range((Bound::Unbounded, upper)).rev();
        let found = found.map(|(_, incident)| incident).filter(wanted);
        Ok(found.take(query.limit).cloned().collect())
    }

    fn incident(&mut self, id: IncidentId) -> Result<Option<Incident>, StoreError> {
        Ok(self.incidents.get(&id).cloned())
    }

    fn verdicts(&mut self, query: &VerdictQuery) -> Result<Vec<PastVerdict>, StoreError> {
        let verdicts = self.history.get(&query.check).into_iter().flatten();
        let mut ended = None;
        let past = verdicts.rev().map(|(number, verdict)| {
            let ended = ended.replace(verdict.ballot.taken);
            PastVerdict { number: *number, verdict: verdict.clone(), ended }
        });
        let wanted = |past: &PastVerdict| {
            let taken = past.verdict.ballot.taken;
            query.before.is_none_or(|before| past.number < before)
                && query.from.is_none_or(|from| taken >= from)
                && query.until.is_none_or(|until| taken < until)
        };
        Ok(past.filter(wanted).take(query.limit).collect())
    }

    fn verdict_at(
        &mut self,
        check: &CheckId,
        at: Timestamp,
    ) -> Result<Option<PastVerdict>, StoreError> {
        let all = self.verdicts(&VerdictQuery::latest(check.clone(), usize::MAX))?;
        Ok(all.into_iter().find(|past| past.verdict.ballot.taken <= at))
    }

    fn results(&mut self, query: &ResultQuery) -> Result<ResultPage, StoreError> {
        let start = query
            .after
            .map_or(0, |after| self.results.partition_point(|(number, _)| *number <= after));
        let rest = &self.results[start..];
        let wanted = |result: &ProbeResult| {
            query.check.as_ref().is_none_or(|check| result.check == *check)
                && query.from <= result.received
                && result.received < query.until
        };
        let mut page = ResultPage { results: Vec::new(), next: None };
        for (looked, (number, result)) in rest.iter().enumerate() {
            if looked >= query.scan.max(1) || page.results.len() >= query.limit {
                page.next = rest[..looked].last().map(|(last, _)| *last).or(query.after);
                break;
            }
            if wanted(result) {
                page.results.push((*number, result.clone()));
            }
        }
        Ok(page)
    }

    fn deliveries(&mut self, id: IncidentId) -> Result<Vec<DeliveryRecord>, StoreError> {
        let about = |record: &&DeliveryRecord| match &record.entry.delivery {
            Delivery::Alert(alert) => alert.incident.id == id,
            Delivery::Operator(_) => false,
        };
        Ok(self.deliveries.iter().filter(about).cloned().collect())
    }

    fn due(
        &mut self,
        now: Timestamp,
        to: Option<&ReceiverId>,
        limit: usize,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        let mut found: BTreeMap<&ReceiverId, usize> = BTreeMap::new();
        let due = self
            .pending()
            .filter(|entry| entry.next_attempt <= now)
            .filter(|entry| to.is_none_or(|to| entry.receiver == *to))
            .filter(|entry| {
                let count = found.entry(&entry.receiver).or_default();
                *count += 1;
                *count <= limit
            });
        Ok(due.cloned().collect())
    }

    fn next_due(&mut self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.pending().map(|entry| entry.next_attempt).min())
    }

    fn redeem(&mut self, hash: &[u8; 32], now: Timestamp) -> Result<Option<JoinToken>, StoreError> {
        let Some((token, used)) = self.join_tokens.get_mut(hash) else {
            return Ok(None);
        };
        if *used || token.expires <= now {
            return Ok(None);
        }
        *used = true;
        let fresh = AgentRecord {
            agent: token.agent.clone(),
            region: token.region.clone(),
            joined: now,
            seen: None,
            version: None,
        };
        let record = self.agents.entry(token.agent.clone()).or_insert(fresh);
        record.region = token.region.clone();
        record.joined = now;
        Ok(Some(token.clone()))
    }

    fn agents(&mut self) -> Result<Vec<AgentRecord>, StoreError> {
        Ok(self.agents.values().cloned().collect())
    }

    fn agent(&mut self, id: &AgentId) -> Result<Option<AgentRecord>, StoreError> {
        Ok(self.agents.get(id).cloned())
    }

    fn api_token(&mut self, hash: &[u8; 32]) -> Result<Option<ApiToken>, StoreError> {
        Ok(self.api_tokens.get(hash).cloned())
    }

    fn forget_results(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        let held = self.results.len();
        self.results.retain(|(_, result)| result.received >= before);
        self.watermarks.retain(|_, (_, received)| *received >= before);
        Ok(u64::try_from(held - self.results.len()).unwrap_or(u64::MAX))
    }
}
