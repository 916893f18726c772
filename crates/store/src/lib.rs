//! Stores: one file for each. What a store must do is the conformance suite, which runs over every
//! row of the registry.
//!
//! A store decides nothing and sends nothing; it makes what it is given durable and gives it back.

pub mod conformance;
mod history;
mod memory;
mod registry;
mod sqlite;
mod write;

pub use history::{PastVerdict, ResultPage, ResultQuery, VerdictQuery};
pub use registry::{STORES, Store, StoreError, StoreKind, open};
pub use write::{
    AgentRecord, ApiToken, DeliveryRecord, DeliveryState, IncidentQuery, JoinToken, OutboxEntry,
    Restored, RestoredCheck, Role, Transition, Write,
};
