use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use quorate_model::{AgentId, CheckId, Incident, IncidentId, ReceiverId, Timestamp};
use quorate_store::{
    AgentRecord, ApiToken, DeliveryRecord, IncidentQuery, JoinToken, OutboxEntry, PastVerdict,
    Restored, ResultPage, ResultQuery, VerdictQuery,
};

use super::*;

/// A store that waits for permission before each commit and notes how many writes it was given.
#[derive(Debug)]
struct Gate {
    answers: Receiver<bool>,
    sizes: Sizes,
}

type Sizes = Arc<Mutex<VecDeque<usize>>>;

fn gate() -> (Box<dyn Store>, Sender<bool>, Sizes) {
    let (permit, answers) = channel();
    let sizes = Arc::default();
    let store = Gate { answers, sizes: Arc::clone(&sizes) };
    (Box::new(store), permit, sizes)
}

fn full() -> StoreError {
    StoreError::Full { place: "test".into() }
}

impl Store for Gate {
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        let fine = self.answers.recv().unwrap();
        self.sizes.lock().unwrap().push_back(writes.len());
        if fine { Ok(()) } else { Err(full()) }
    }
    fn restore(&mut self, _: Timestamp) -> Result<Restored, StoreError> {
        Ok(Restored::default())
    }
    fn incidents(&mut self, _: &IncidentQuery) -> Result<Vec<Incident>, StoreError> {
        Ok(Vec::new())
    }
    fn incident(&mut self, _: IncidentId) -> Result<Option<Incident>, StoreError> {
        Ok(None)
    }
    fn verdicts(&mut self, _: &VerdictQuery) -> Result<Vec<PastVerdict>, StoreError> {
        Ok(Vec::new())
    }
    fn verdict_at(&mut self, _: &CheckId, _: Timestamp) -> Result<Option<PastVerdict>, StoreError> {
        Ok(None)
    }
    fn results(&mut self, _: &ResultQuery) -> Result<ResultPage, StoreError> {
        Ok(ResultPage { results: Vec::new(), next: None })
    }
    fn deliveries(&mut self, _: IncidentId) -> Result<Vec<DeliveryRecord>, StoreError> {
        Ok(Vec::new())
    }
    fn due(
        &mut self,
        _: Timestamp,
        _: Option<&ReceiverId>,
        _: usize,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        Ok(Vec::new())
    }
    fn next_due(&mut self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }
    fn redeem(&mut self, _: &[u8; 32], _: Timestamp) -> Result<Option<JoinToken>, StoreError> {
        Ok(None)
    }
    fn agents(&mut self) -> Result<Vec<AgentRecord>, StoreError> {
        Ok(Vec::new())
    }
    fn agent(&mut self, _: &AgentId) -> Result<Option<AgentRecord>, StoreError> {
        Ok(None)
    }
    fn api_token(&mut self, _: &[u8; 32]) -> Result<Option<ApiToken>, StoreError> {
        Ok(None)
    }
    fn forget_results(&mut self, _: Timestamp) -> Result<u64, StoreError> {
        Ok(0)
    }
}

fn one() -> Vec<Write> {
    vec![Write::Results(Vec::new())]
}

#[tokio::test]
async fn commits_that_wait_are_made_together_and_reads_come_between() {
    let (store, permit, sizes) = gate();
    let (handle, _closed) = spawn(store).unwrap();
    let epoch = Epoch(1);
    let first = handle.submit(epoch, one(), false);
    // The thread is inside the first commit or will take it with others; a read keeps them apart.
    let seen = Arc::clone(&sizes);
    let read = {
        let handle = handle.clone();
        async move { handle.read(move |_| Ok(seen.lock().unwrap().len())).await }
    };
    let mut read = Box::pin(read);
    assert!(futures_util::poll!(&mut read).is_pending());
    let rest: Vec<_> = (0..5).map(|_| handle.submit(epoch, one(), false)).collect();
    permit.send(true).unwrap();
    permit.send(true).unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(read.await.unwrap(), 1);
    for commit in rest {
        commit.await.unwrap().unwrap();
    }
    assert_eq!(*sizes.lock().unwrap(), [1, 5]);
}

#[tokio::test]
async fn after_a_failure_nothing_of_the_same_epoch_succeeds() {
    let (store, permit, sizes) = gate();
    let (handle, closed) = spawn(store).unwrap();
    let first = handle.submit(Epoch(1), one(), true);
    let second = handle.submit(Epoch(1), one(), true);
    let other = handle.submit(Epoch(2), one(), true);
    permit.send(false).unwrap();
    permit.send(true).unwrap();
    assert!(matches!(*first.await.unwrap().unwrap_err(), StoreError::Full { .. }));
    assert!(second.await.unwrap().is_err());
    other.await.unwrap().unwrap();
    assert_eq!(*sizes.lock().unwrap(), [1, 1]);
    drop(handle);
    closed.ended.await.unwrap();
}
