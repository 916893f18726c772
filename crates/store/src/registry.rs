//! Every store.

use std::fmt::Debug;

use quorate_model::{AgentId, CheckId, Incident, IncidentId, ReceiverId, Timestamp};

use crate::{
    AgentRecord, ApiToken, DeliveryRecord, IncidentQuery, JoinToken, OutboxEntry, PastVerdict,
    Restored, ResultPage, ResultQuery, VerdictQuery, Write,
};
use crate::{memory, sqlite};

/// A place that keeps what must survive a restart. One owner calls it, from one thread.
pub trait Store: Debug + Send {
    /// Applies all writes in one transaction, in order: all of them or none. What it applied is
    /// durable when it returns.
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreError>;

    /// Everything that a coordinator needs to go on: verdicts, open and recently resolved
    /// incidents, watermarks, agents, and the results received at or after `results_since` in the
    /// order in which they were stored.
    fn restore(&mut self, results_since: Timestamp) -> Result<Restored, StoreError>;

    /// Incidents, the latest opened first.
    fn incidents(&mut self, query: &IncidentQuery) -> Result<Vec<Incident>, StoreError>;

    /// One incident.
    fn incident(&mut self, id: IncidentId) -> Result<Option<Incident>, StoreError>;

    /// The verdicts that a check has had, each with its ballot, the latest first.
    fn verdicts(&mut self, query: &VerdictQuery) -> Result<Vec<PastVerdict>, StoreError>;

    /// The verdict of a check that was in force at `at`: the latest reached at that time or before.
    fn verdict_at(
        &mut self,
        check: &CheckId,
        at: Timestamp,
    ) -> Result<Option<PastVerdict>, StoreError>;

    /// Results received in a span of time.
    fn results(&mut self, query: &ResultQuery) -> Result<ResultPage, StoreError>;

    /// What was sent about an incident, in the order in which it was decided.
    fn deliveries(&mut self, id: IncidentId) -> Result<Vec<DeliveryRecord>, StoreError>;

    /// Deliveries that are pending and due at `now`, the oldest decision first, at most `limit` to
    /// each receiver, so that a receiver with many hides nobody's; if one is named, only those to
    /// it.
    fn due(
        &mut self,
        now: Timestamp,
        to: Option<&ReceiverId>,
        limit: usize,
    ) -> Result<Vec<OutboxEntry>, StoreError>;

    /// When the next pending delivery is due, if there is any.
    fn next_due(&mut self) -> Result<Option<Timestamp>, StoreError>;

    /// Uses up a join token that is unused and not expired at `now`, and registers its agent, in
    /// one transaction. `None` if there is no such token; then nothing has changed.
    fn redeem(&mut self, hash: &[u8; 32], now: Timestamp) -> Result<Option<JoinToken>, StoreError>;

    /// The agents that have joined, by name.
    fn agents(&mut self) -> Result<Vec<AgentRecord>, StoreError>;

    /// One agent that has joined.
    fn agent(&mut self, id: &AgentId) -> Result<Option<AgentRecord>, StoreError>;

    /// The API token with this hash.
    fn api_token(&mut self, hash: &[u8; 32]) -> Result<Option<ApiToken>, StoreError>;

    /// Deletes results received before `before`, and the watermarks of runs of which no result is
    /// left. Returns how many results.
    fn forget_results(&mut self, before: Timestamp) -> Result<u64, StoreError>;
}

/// A store could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no room left. Nothing was changed.
    #[error("the store at {place} is full")]
    Full {
        /// Where it is.
        place: String,
    },
    /// The store was written by a newer version.
    #[error("the store at {place} has schema version {found}, this program knows up to {known}")]
    TooNew {
        /// Where it is.
        place: String,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// Something stored cannot be read.
    #[error("the store at {place} holds a {what} that cannot be read: {detail}")]
    Corrupt {
        /// Where it is.
        place: String,
        /// What was read.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// An attempt was reported for a delivery that was never stored. Nothing was changed.
    #[error("the store at {place} has no delivery {key:?}")]
    NoSuchDelivery {
        /// Where it is.
        place: String,
        /// What was asked for.
        key: String,
    },
    /// No store has this URL's scheme.
    #[error("no store is called {scheme:?}; there are {known}")]
    UnknownScheme {
        /// What was asked for.
        scheme: String,
        /// What there is.
        known: String,
    },
    /// A read, write or sync failed halfway, so nobody knows what is on the disk: whoever has the
    /// store open must end and open it anew.
    #[error("the store at {place} cannot be trusted after a failed read or write")]
    Broken {
        /// Where it is.
        place: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The engine underneath failed.
    #[error("the store at {place} failed")]
    Engine {
        /// Where it is.
        place: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A kind of store.
#[derive(Debug)]
pub struct StoreKind {
    /// The scheme of its URLs.
    pub scheme: &'static str,
    /// Whether what it holds is still there when it is opened again.
    pub durable: bool,
    /// Opens the store that the rest of the URL names, and brings its schema up to date.
    pub open: fn(&str) -> Result<Box<dyn Store>, StoreError>,
}

/// Every store, in alphabetical order.
pub const STORES: &[StoreKind] = &[memory::KIND, sqlite::KIND];

/// Opens the store that a URL such as `sqlite:/var/lib/quorate/quorate.db` names.
pub fn open(url: &str) -> Result<Box<dyn Store>, StoreError> {
    let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
    match STORES.iter().find(|kind| kind.scheme == scheme) {
        Some(kind) => (kind.open)(rest),
        None => Err(StoreError::UnknownScheme {
            scheme: scheme.to_owned(),
            known: STORES.iter().map(|kind| kind.scheme).collect::<Vec<_>>().join(", "),
        }),
    }
}
