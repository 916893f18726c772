//! The thread that owns the store.
//!
//! One thread calls it, so nothing waits for a lock. Commits that wait together are made durable
//! together: one transaction for all of them, and one answer for all of them, so that none is
//! acknowledged unless it is durable.
//!
//! When the store breaks, the thread ends at once and never touches the store again: a second try
//! could report as written what the system has dropped.

use std::sync::Arc;

use quorate_store::{Store, StoreError, Write};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

/// Commits and reads of everybody but the engine's owner that may wait; more wait for room.
const SHARED_MAX: usize = 256;

/// Commits of the engine's owner that may be under way; it takes no results in while all are.
pub(crate) const ORDERED_MAX: usize = 32;

/// The most commits made durable together.
const GROUP_MAX: usize = 64;

/// What a commit comes back with.
pub(crate) type Committed = Result<(), Arc<StoreError>>;

/// What broke the store.
type Broken = Arc<StoreError>;

type Read = Box<dyn FnOnce(&mut dyn Store) -> Option<Broken> + Send>;

/// A line of commits in which none may succeed after one before it has failed.
///
/// When a commit of an epoch fails, all later ones of the same epoch fail with it. The owner then
/// goes on with the next epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Epoch(pub(crate) u64);

struct Commit {
    writes: Vec<Write>,
    epoch: Option<Epoch>,
    alone: bool,
    done: oneshot::Sender<Committed>,
    // Held for its place in the queue.
    _place: Option<OwnedSemaphorePermit>,
}

enum Job {
    Commit(Commit),
    Read(Read, OwnedSemaphorePermit),
}

/// The way to the store. Clones lead to the same store; it is closed when all are gone.
#[derive(Clone)]
pub struct StoreHandle {
    jobs: mpsc::Sender<Job>,
    places: Arc<Semaphore>,
}

impl std::fmt::Debug for StoreHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreHandle")
    }
}

impl StoreHandle {
    /// Applies all writes in one transaction. They are durable when it returns.
    ///
    /// # Cancellation
    ///
    /// Dropping it leaves open whether the writes are made.
    pub async fn commit(&self, writes: Vec<Write>) -> Result<(), Arc<StoreError>> {
        let (done, answer) = oneshot::channel();
        let commit =
            Commit { writes, epoch: None, alone: false, done, _place: Some(self.place().await?) };
        self.jobs.send(Job::Commit(commit)).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// Asks the store something, after everything that was committed before.
    ///
    /// # Cancellation
    ///
    /// Dropping it leaves open whether `look` runs.
    pub async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Arc<StoreError>> {
        let (done, answer) = oneshot::channel();
        let read: Read = Box::new(move |store| {
            let found = look(store).map_err(Arc::new);
            let broken = found.as_ref().err().and_then(broken);
            // Whoever asked may have gone.
            drop(done.send(found));
            broken
        });
        let place = self.place().await?;
        self.jobs.send(Job::Read(read, place)).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// Hands in writes without waiting. The caller keeps at most [`ORDERED_MAX`] under way; `alone`
    /// keeps them apart from other commits.
    pub(crate) fn submit(
        &self,
        epoch: Epoch,
        writes: Vec<Write>,
        alone: bool,
    ) -> oneshot::Receiver<Committed> {
        let (done, answer) = oneshot::channel();
        let commit = Commit { writes, epoch: Some(epoch), alone, done, _place: None };
        if let Err(error) = self.jobs.try_send(Job::Commit(commit)) {
            tracing::error!("the store takes no commits: {error}");
        }
        answer
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, Arc<StoreError>> {
        let places = Arc::clone(&self.places);
        places.acquire_owned().await.map_err(|_| ended())
    }
}

/// The answer when the thread is gone.
pub(crate) fn ended() -> Arc<StoreError> {
    Arc::new(StoreError::Engine {
        place: "the store's thread".into(),
        source: "it has ended".into(),
    })
}

/// How the thread ends.
#[derive(Debug)]
pub(crate) struct Ending {
    /// Resolves when the thread has ended.
    pub(crate) ended: oneshot::Receiver<()>,
    /// What broke the store, if something has.
    pub(crate) broken: watch::Receiver<Option<Broken>>,
}

/// Gives the store to a thread of its own.
pub(crate) fn spawn(store: Box<dyn Store>) -> std::io::Result<(StoreHandle, Ending)> {
    let (jobs, inbox) = mpsc::channel(SHARED_MAX + ORDERED_MAX);
    let (end, ended) = oneshot::channel();
    let (tell, broken) = watch::channel(None);
    std::thread::Builder::new().name("quorate-store".into()).spawn(move || {
        if let Some(error) = run(store, inbox) {
            tell.send_replace(Some(error));
        }
        if end.send(()).is_err() {
            tracing::debug!("nobody waits for the store to close");
        }
    })?;
    let places = Arc::new(Semaphore::new(SHARED_MAX));
    Ok((StoreHandle { jobs, places }, Ending { ended, broken }))
}

/// Works until all handles are gone, or until the store breaks.
fn run(mut store: Box<dyn Store>, mut inbox: mpsc::Receiver<Job>) -> Option<Broken> {
    let mut refused = None;
    let mut held = None;
    while let Some(job) = held.take().or_else(|| inbox.blocking_recv()) {
        let broken = match job {
            Job::Read(read, _place) => read(store.as_mut()),
            Job::Commit(first) => {
                let group;
                (group, held) = gather(first, &mut inbox);
                commit(store.as_mut(), group, &mut refused)
            }
        };
        if broken.is_some() {
            // Closing it would sync once more.
            Box::leak(store);
            return broken;
        }
    }
    None
}

/// The error again if it is one after which the store must not be used.
fn broken(error: &Arc<StoreError>) -> Option<Broken> {
    matches!(**error, StoreError::Broken { .. }).then(|| Arc::clone(error))
}

/// Takes the commits that wait, up to the first job that must not be among them.
fn gather(first: Commit, inbox: &mut mpsc::Receiver<Job>) -> (Vec<Commit>, Option<Job>) {
    let alone = first.alone;
    let mut group = vec![first];
    while !alone && group.len() < GROUP_MAX {
        match inbox.try_recv() {
            Ok(Job::Commit(next)) if !next.alone => group.push(next),
            Ok(other) => return (group, Some(other)),
            Err(_) => break,
        }
    }
    (group, None)
}

/// The last epoch in which a commit failed, and why.
type Refused = Option<(Epoch, Arc<StoreError>)>;

fn commit(store: &mut dyn Store, mut group: Vec<Commit>, refused: &mut Refused) -> Option<Broken> {
    group = group.into_iter().filter_map(|commit| admit(commit, refused)).collect();
    if group.is_empty() {
        return None;
    }
    let writes: Vec<Write> =
        group.iter_mut().flat_map(|commit| std::mem::take(&mut commit.writes)).collect();
    let committed = store.commit(&writes).map_err(Arc::new);
    for commit in group {
        answer(commit.epoch, commit.done, committed.clone(), refused);
    }
    committed.as_ref().err().and_then(broken)
}

/// Lets a commit pass unless one before it in its epoch has failed.
fn admit(commit: Commit, refused: &Refused) -> Option<Commit> {
    match refused {
        Some((last, error)) if commit.epoch.is_some_and(|epoch| epoch <= *last) => {
            // Whoever asked may have gone.
            drop(commit.done.send(Err(Arc::clone(error))));
            None
        }
        _ => Some(commit),
    }
}

fn answer(
    epoch: Option<Epoch>,
    done: oneshot::Sender<Committed>,
    committed: Committed,
    refused: &mut Refused,
) {
    if let (Some(epoch), Err(error)) = (epoch, &committed)
        && refused.as_ref().is_none_or(|(last, _)| *last < epoch)
    {
        *refused = Some((epoch, Arc::clone(error)));
    }
    // Whoever asked may have gone.
    drop(done.send(committed));
}

#[cfg(test)]
mod tests;
