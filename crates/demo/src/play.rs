//! Plays the script, or watches, and tells what happens.

use std::time::Duration;

use quorate_model::Timestamp;
use quorate_runtime::Clock;
use tokio::sync::{mpsc, oneshot};

use crate::DemoError;
use crate::board::Board;
use crate::event::{Event, What, millis, span};
use crate::message;
use crate::print::Printer;
use crate::receiver::Arrival;
use crate::script::{Fault, Judge, Progress, SCENES, STEPS, Scene};
use crate::watcher::Sight;
use crate::world::World;

/// A demo that is under way.
#[derive(Debug)]
pub(crate) struct Play<'a> {
    /// Where events are shown.
    pub printer: Printer<'a>,
    /// What is known of the checks.
    pub board: Board,
    /// The clock of the process.
    pub clock: Clock,
    /// When it began.
    pub start: Timestamp,
    /// From the coordinator's API.
    pub sights: mpsc::Receiver<Sight>,
    /// From the receiver of alerts.
    pub arrivals: mpsc::Receiver<Arrival>,
    /// Says why the coordinator's API can no longer be watched.
    pub lost: oneshot::Receiver<tonic::Status>,
    /// When the script last changed something.
    pub changed: Option<Timestamp>,
    /// From the outage to the page.
    pub detected: Option<Duration>,
}

impl Play<'_> {
    /// Tells of something that happens now.
    pub(crate) fn tell(&mut self, what: What) -> Result<(), DemoError> {
        let time = self.clock.now();
        Ok(self.printer.show(&Event { time, what }, &self.board)?)
    }

    /// Plays all scenes; ends early at a promise that is broken. Returns whether all were kept.
    ///
    /// # Cancellation
    ///
    /// Dropping it leaves broken what is broken at the moment.
    pub(crate) async fn script(
        &mut self,
        world: &World,
        limit: Option<Duration>,
    ) -> Result<bool, DemoError> {
        let end = limit.map(|limit| self.start + limit);
        for scene in SCENES {
            if !self.scene(scene, world, end).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn scene(
        &mut self,
        scene: &'static Scene,
        world: &World,
        end: Option<Timestamp>,
    ) -> Result<bool, DemoError> {
        if let Some((step, title, will)) = scene.opens {
            let will = will.to_owned();
            self.tell(What::Step { step, steps: STEPS, title, will })?;
        }
        let started = self.clock.now();
        let mut judge = Judge::new(scene, started);
        if scene.fault != Fault::Nothing {
            self.changed = Some(started);
            world.apply(scene.fault);
        }
        loop {
            let now = self.clock.now();
            let late = end.is_some_and(|end| now >= end);
            let progress = judge.progress(now, &self.board);
            if progress != Progress::Going || late {
                self.tell_promises(&judge, late && progress == Progress::Going)?;
                return Ok(progress == Progress::Kept);
            }
            let next = judge.next_look(now);
            let next = end.map_or(next, |end| end.min(next));
            if let Some(what) = self.happens(Some(next)).await? {
                judge.hear(&what);
                if let (What::Page(message), Fault::Outage) = (&what, scene.fault) {
                    self.detected = message.after_ms.map(Duration::from_millis);
                }
                self.tell(what)?;
            }
        }
    }

    fn tell_promises(&mut self, judge: &Judge, out_of_time: bool) -> Result<(), DemoError> {
        for promise in judge.promises(&self.board) {
            let kept = promise.broken.is_none();
            self.tell(What::Promise { name: promise.name, kept, detail: promise.broken })?;
        }
        if out_of_time {
            let name = "the script is played to its end".to_owned();
            let detail = Some("the time given with --for was up".to_owned());
            self.tell(What::Promise { name, kept: false, detail })?;
        }
        Ok(())
    }

    /// Watches until the time is up, or for ever.
    ///
    /// # Cancellation
    ///
    /// Dropping it stops watching.
    pub(crate) async fn watch(&mut self, limit: Option<Duration>) -> Result<(), DemoError> {
        let end = limit.map(|limit| self.start + limit);
        while end.is_none_or(|end| self.clock.now() < end) {
            if let Some(what) = self.happens(end).await? {
                self.tell(what)?;
            }
        }
        Ok(())
    }

    /// The next thing that happens; `None` when `until` has come, or at nothing worth telling.
    async fn happens(&mut self, until: Option<Timestamp>) -> Result<Option<What>, DemoError> {
        let clock = self.clock;
        let time_up = async {
            match until {
                Some(until) => clock.sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = time_up => Ok(None),
            Some(sight) = self.sights.recv() => match sight {
                Sight::Check(check) => {
                    let change = self.board.update(*check);
                    self.printer.refresh(&self.board, clock.now())?;
                    Ok(change.map(What::Verdict))
                }
                Sight::Ballots(checks) => {
                    // What has changed is told when the watcher brings it; this is for the eye.
                    self.board.look(checks);
                    self.printer.refresh(&self.board, clock.now())?;
                    Ok(None)
                }
            },
            Some(arrival) = self.arrivals.recv() => {
                let after = self.changed.map(|changed| millis(arrival.at - changed));
                Ok(message::read(&arrival, after))
            }
            status = &mut self.lost => Err(DemoError::Lost {
                status: status.map_or_else(|_| "the watcher has ended".to_owned(), |it| it.to_string()),
            }),
        }
    }

    /// Tells the end of watching.
    pub(crate) fn tell_time_up(&mut self) -> Result<(), DemoError> {
        let summary = "the time given with --for is up".to_owned();
        let elapsed_ms = millis(self.clock.now() - self.start);
        self.tell(What::End { kept: true, summary, elapsed_ms })
    }

    /// Tells the end of the script.
    pub(crate) fn tell_end(&mut self, kept: bool) -> Result<(), DemoError> {
        let summary = match (kept, self.detected) {
            (true, Some(detected)) => {
                format!(
                    "every promise was kept; the outage was paged in {}",
                    span(millis(detected))
                )
            }
            (true, None) => "every promise was kept".to_owned(),
            (false, _) => "a promise was broken".to_owned(),
        };
        let elapsed_ms = millis(self.clock.now() - self.start);
        self.tell(What::End { kept, summary, elapsed_ms })
    }
}
