//! The engine on a virtual clock: a fleet of agents that probe by schedule, answer confirmations
//! and fail as told, and what people then hear.

#![expect(clippy::expect_used, reason = "a test says what it expects")]

mod adversary;
mod attack;
mod certificate;
mod clocks;
mod distinct;
mod evidence;
mod fleet;
mod mute;
mod onset;
mod origin;
mod origin_news;
mod origin_rounds;
mod outage;
mod past;
mod places;
mod properties;
mod replay;
mod resolver;
mod restart;
mod sight;
mod stage;
mod urgency;
mod votes;
mod words;
