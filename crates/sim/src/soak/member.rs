//! An agent: when it probes, and what its probes meet.

use std::time::Duration;

use quorate_agent::logic::Schedule;
use quorate_model::{AgentId, RegionId, Timestamp};

use super::noise::{Model, Noise};
use super::setting::{Region, Setting};
use super::watch::START;
use crate::random::Draw;

/// The bounds of a round trip to the target, and of the way of a message to the coordinator.
const ROUND_TRIP: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));
const WAY_UP: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(60));

#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: AgentId,
    pub(super) region: RegionId,
    pub(super) is: Region,
    pub(super) schedule: Schedule,
    pub(super) phase: Duration,
    /// What the probes to come will meet, asked for in order.
    pub(super) ahead: Noise,
    /// The first slot that is not known to succeed.
    pub(super) sure_until: Timestamp,
    pub(super) noise: Noise,
    lies: Draw,
    pub(super) sequence: u64,
    pub(super) round_trip: Duration,
    pub(super) way_up: Duration,
}

impl Member {
    /// The agent in this place.
    pub(super) fn new(
        (setting, place): (&Setting, usize),
        (id, region): (AgentId, RegionId),
        is: Region,
        phase: Duration,
    ) -> Self {
        let model = if is == Region::Sound { setting.model } else { Model::Silent };
        let noise = Noise::new(model, setting.seed, place, START);
        let draw = Draw::of(setting.seed).word(id.as_str());
        Self {
            round_trip: draw.word("trip").between(ROUND_TRIP.0, ROUND_TRIP.1),
            way_up: draw.word("way").between(WAY_UP.0, WAY_UP.1),
            lies: draw.word("lies"),
            ahead: noise.clone(),
            noise,
            id,
            region,
            is,
            schedule: Schedule::default(),
            phase,
            sure_until: START,
            sequence: 0,
        }
    }

    /// Whether it reports a failure of a target that is fine.
    pub(super) fn misleads(&self, at: Timestamp) -> bool {
        match self.is {
            Region::Sound => false,
            Region::Island => true,
            Region::Lies(times) => {
                let micros = u64::try_from(at.as_micros()).unwrap_or(0);
                self.lies.number(micros).happens(1.0 / f64::from(times.max(1)))
            }
        }
    }
}
