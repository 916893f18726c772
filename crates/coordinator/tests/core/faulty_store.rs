//! A store that fails or waits when told to, around a real one.

use std::sync::{Arc, Condvar, Mutex};

use quorate_model::{AgentId, CheckId, Incident, IncidentId, ReceiverId, Timestamp};
use quorate_store::{
    AgentRecord, ApiToken, DeliveryRecord, IncidentQuery, JoinToken, OutboxEntry, PastVerdict,
    Restored, ResultPage, ResultQuery, Store, StoreError, VerdictQuery, Write,
};

/// What a faulty store does with commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Passes them on.
    Fine,
    /// Refuses them: no room.
    Full,
    /// Waits.
    Stuck,
    /// Fails them halfway.
    Broken,
}

/// Changes the mood of a store. Clones change the same one's.
#[derive(Debug, Clone)]
pub(crate) struct Fault(Arc<(Mutex<Mood>, Condvar)>);

impl Fault {
    pub(crate) fn set(&self, mood: Mood) {
        *self.0.0.lock().unwrap() = mood;
        self.0.1.notify_all();
    }

    fn pass(&self) -> Result<(), StoreError> {
        let mood = self.0.0.lock().unwrap();
        let mood = self.0.1.wait_while(mood, |mood| *mood == Mood::Stuck);
        match *mood.unwrap() {
            Mood::Full => Err(StoreError::Full { place: "the test".to_owned() }),
            Mood::Broken => Err(StoreError::Broken {
                place: "the test".to_owned(),
                source: "input/output error".into(),
            }),
            Mood::Fine | Mood::Stuck => Ok(()),
        }
    }
}

#[derive(Debug)]
struct Faulty {
    inner: Box<dyn Store>,
    fault: Fault,
}

pub(crate) fn faulty(inner: Box<dyn Store>) -> (Box<dyn Store>, Fault) {
    let fault = Fault(Arc::new((Mutex::new(Mood::Fine), Condvar::new())));
    let store = Faulty { inner, fault: fault.clone() };
    (Box::new(store), fault)
}

impl Store for Faulty {
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        self.fault.pass()?;
        self.inner.commit(writes)
    }
    fn restore(&mut self, results_since: Timestamp) -> Result<Restored, StoreError> {
        self.inner.restore(results_since)
    }
    fn incidents(&mut self, query: &IncidentQuery) -> Result<Vec<Incident>, StoreError> {
        self.inner.incidents(query)
    }
    fn incident(&mut self, id: IncidentId) -> Result<Option<Incident>, StoreError> {
        self.inner.incident(id)
    }
    fn verdicts(&mut self, query: &VerdictQuery) -> Result<Vec<PastVerdict>, StoreError> {
        self.inner.verdicts(query)
    }
    fn verdict_at(
        &mut self,
        check: &CheckId,
        at: Timestamp,
    ) -> Result<Option<PastVerdict>, StoreError> {
        self.inner.verdict_at(check, at)
    }
    fn results(&mut self, query: &ResultQuery) -> Result<ResultPage, StoreError> {
        self.inner.results(query)
    }
    fn deliveries(&mut self, id: IncidentId) -> Result<Vec<DeliveryRecord>, StoreError> {
        self.inner.deliveries(id)
    }
    fn due(
        &mut self,
        now: Timestamp,
        to: Option<&ReceiverId>,
        limit: usize,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        self.inner.due(now, to, limit)
    }
    fn next_due(&mut self) -> Result<Option<Timestamp>, StoreError> {
        self.inner.next_due()
    }
    fn redeem(&mut self, hash: &[u8; 32], now: Timestamp) -> Result<Option<JoinToken>, StoreError> {
        self.inner.redeem(hash, now)
    }
    fn agents(&mut self) -> Result<Vec<AgentRecord>, StoreError> {
        self.inner.agents()
    }
    fn agent(&mut self, id: &AgentId) -> Result<Option<AgentRecord>, StoreError> {
        self.inner.agent(id)
    }
    fn api_token(&mut self, hash: &[u8; 32]) -> Result<Option<ApiToken>, StoreError> {
        self.inner.api_token(hash)
    }
    fn forget_results(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        self.inner.forget_results(before)
    }
}
