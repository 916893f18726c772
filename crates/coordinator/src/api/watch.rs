//! Watching verdicts: what is, a marker, and what changes from then on.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use quorate_model::CheckId;
use quorate_proto::convert::agent::timestamp_to_wire;
use quorate_proto::v1 as wire;
use quorate_proto::v1::watch_checks_response::Event;
use quorate_runtime::Clock;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{Api, check, errors};
use crate::CheckView;

/// Watchers at a time.
pub(super) const WATCHERS_MAX: usize = 500;
/// The most names that one request may give.
const NAMES_MAX: usize = 1_000;
/// Silence after which a watcher is told that the stream lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What a watcher hears.
pub(super) type Changes =
    Pin<Box<dyn Stream<Item = Result<wire::WatchChecksResponse, Status>> + Send>>;

struct Watch {
    /// What is left of the snapshot, the next one last.
    snapshot: Vec<CheckView>,
    synced: bool,
    changes: broadcast::Receiver<CheckView>,
    names: BTreeSet<CheckId>,
    full: bool,
    ended: bool,
    draining: CancellationToken,
    clock: Clock,
    _place: OwnedSemaphorePermit,
}

impl Api {
    /// Begins to watch.
    pub(super) fn watch(&self, request: &wire::WatchChecksRequest) -> Result<Changes, Status> {
        let full = check::full(request.view, false)?;
        if request.names.len() > NAMES_MAX {
            let problem = "names more than 1000 checks: name none to watch all";
            return Err(errors::field_invalid("names", problem));
        }
        let names = request.names.iter().map(|name| check::id("names", name));
        let names: BTreeSet<CheckId> = names.collect::<Result<_, _>>()?;
        let place = Arc::clone(&self.watchers)
            .try_acquire_owned()
            .map_err(|_| errors::too_many_watchers(WATCHERS_MAX))?;
        let (mut snapshot, changes) = self.parts.mirror.watch();
        if !names.is_empty() {
            snapshot.retain(|check| names.contains(&check.check.id));
            if let Some(missing) =
                names.iter().find(|name| !snapshot.iter().any(|check| check.check.id == **name))
            {
                let name = quorate_proto::convert::api::check_name(missing);
                return Err(errors::not_found(&errors::CHECK, &name));
            }
        }
        snapshot.reverse();
        let watch = Watch {
            snapshot,
            synced: false,
            changes,
            names,
            full,
            ended: false,
            draining: self.parts.draining.clone(),
            clock: self.clock,
            _place: place,
        };
        Ok(Box::pin(unfold(watch, Watch::next)))
    }
}

impl Watch {
    async fn next(mut self) -> Option<(Result<wire::WatchChecksResponse, Status>, Self)> {
        if self.ended {
            return None;
        }
        let event = self.event().await;
        self.ended = event.is_err();
        let message = event.map(|event| wire::WatchChecksResponse {
            event_time: Some(timestamp_to_wire(self.clock.now())),
            event: Some(event),
        });
        Some((message, self))
    }

    async fn event(&mut self) -> Result<Event, Status> {
        if let Some(check) = self.snapshot.pop() {
            return Ok(Event::Snapshot(check::to_wire(&check, self.full)));
        }
        if !self.synced {
            self.synced = true;
            return Ok(Event::Synced(wire::Synced {}));
        }
        let silence = std::pin::pin!(tokio::time::sleep(KEEP_ALIVE));
        tokio::select! {
            () = self.draining.cancelled() => Err(errors::draining()),
            () = silence => Ok(Event::KeepAlive(wire::KeepAlive {})),
            change = change(&mut self.changes, &self.names) => match change {
                Ok(check) => Ok(Event::Change(check::to_wire(&check, self.full))),
                Err(RecvError::Lagged(missed)) => Err(errors::watch_lagged(missed)),
                Err(RecvError::Closed) => Err(errors::draining()),
            },
        }
    }
}

/// The next change that the watcher asked for. Cancel-safe: a change is taken only to be returned
/// or because nobody asked for it.
async fn change(
    changes: &mut broadcast::Receiver<CheckView>,
    names: &BTreeSet<CheckId>,
) -> Result<CheckView, RecvError> {
    loop {
        let check = changes.recv().await?;
        if names.is_empty() || names.contains(&check.check.id) {
            return Ok(check);
        }
    }
}
