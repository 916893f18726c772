//! Going over to another configuration, and what is done from time to time.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use quorate_config::Configuration;
use quorate_runtime::Clock;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::engine_task::Command;
use crate::receivers::Receivers;
use crate::{ConfigSource, ReceiversError, StoreHandle};

/// Time between two deletions of old results.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);

/// Puts a configuration in the place of another. Clones do the same.
#[derive(Debug, Clone)]
pub(crate) struct Reloader {
    pub(crate) configuration: Arc<ArcSwap<Configuration>>,
    pub(crate) receivers: Arc<ArcSwap<Receivers>>,
    pub(crate) commands: mpsc::Sender<Command>,
}

impl Reloader {
    /// Goes over to another configuration, whole or not at all.
    pub(crate) async fn apply(&self, configuration: Configuration) -> Result<(), ReceiversError> {
        let receivers = Receivers::of(&configuration)?;
        for warning in &configuration.warnings {
            tracing::warn!("{warning}");
        }
        if configuration.server != self.configuration.load().server {
            tracing::warn!("what `server` says has changed: it takes effect at the next start");
        }
        let (done, gone_over) = oneshot::channel();
        let fleet = Arc::clone(&configuration.fleet);
        // Receivers first: the engine may want to tell new ones at once.
        self.receivers.store(Arc::new(receivers));
        self.configuration.store(Arc::new(configuration));
        if self.commands.send(Command::Reload { fleet, done }).await.is_ok() {
            // It ends without an answer only when the coordinator stops.
            drop(gone_over.await);
        }
        Ok(())
    }

    /// Reads the configuration again whenever the process is sent SIGHUP.
    pub(crate) async fn on_signal(
        self,
        source: Box<dyn ConfigSource>,
        mut signal: tokio::signal::unix::Signal,
        stop: CancellationToken,
    ) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                asked = signal.recv() => if asked.is_none() { return },
            }
            self.read_again(source.as_ref()).await;
        }
    }

    /// Goes over to what is read, unless anything is wrong with it.
    async fn read_again(&self, source: &dyn ConfigSource) {
        match source.read() {
            Ok(configuration) => match self.apply(configuration).await {
                Ok(()) => tracing::info!("configuration reloaded"),
                Err(error) => keep(error.problems),
            },
            Err(problems) => keep(problems),
        }
    }
}

/// Says what is wrong with a configuration that is not taken over.
fn keep<T: std::fmt::Display>(problems: Vec<T>) {
    for problem in problems {
        tracing::error!("{problem}");
    }
    tracing::error!("the configuration stays as it was");
}

/// Deletes results that are older than the configuration wants them, every hour.
pub(crate) async fn forget_old(
    store: StoreHandle,
    configuration: Arc<ArcSwap<Configuration>>,
    clock: Clock,
    stop: CancellationToken,
) {
    loop {
        let before = clock.now().before(configuration.load().server.retention);
        match store.read(move |store| store.forget_results(before)).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "deleted old results"),
            Err(error) => tracing::warn!(%error, "cannot delete old results"),
        }
        let next = clock.now() + FORGET_EVERY;
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep_until(next) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_config::{Problem, parse};

    use super::*;

    #[derive(Debug)]
    struct Text(&'static str);

    impl ConfigSource for Text {
        fn read(&self) -> Result<Configuration, Vec<Problem>> {
            parse("quorate.yaml", self.0)
        }
    }

    const FIRST: Text = Text("{ version: 1, regions: { fra: {} } }");

    #[tokio::test]
    async fn only_a_good_configuration_takes_the_place_of_another() {
        let first = Arc::new(FIRST.read().unwrap());
        let (commands, mut told) = mpsc::channel(1);
        let reloader = Reloader {
            receivers: Arc::new(ArcSwap::from_pointee(Receivers::of(&first).unwrap())),
            configuration: Arc::new(ArcSwap::new(Arc::clone(&first))),
            commands,
        };
        for bad in [
            "{ version: 1, regions: { FRA: {} } }",
            "{ version: 1, regions: { fra: {} }, receivers: { hook: { webhook: \
               { url: 'https://a.example.com/', secret: { file: /nowhere/at/all } } } } }",
        ] {
            reloader.read_again(&Text(bad)).await;
            assert!(Arc::ptr_eq(&reloader.configuration.load(), &first), "{bad}");
            assert!(told.try_recv().is_err(), "the engine is not told of {bad}");
        }
        // Nobody answers: it does not wait for an engine that has stopped.
        drop(told);
        reloader.read_again(&Text("{ version: 1, regions: { iad: {} } }")).await;
        assert!(reloader.configuration.load().fleet.regions.keys().any(|id| id.as_str() == "iad"));
    }
}
