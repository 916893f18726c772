//! Notifiers: one file for each; each renders one message and sends it once.
//!
//! Nothing here retries, queues or decides whether to send: the outbox of the coordinator does.

mod option;
mod registry;
pub mod render;
#[cfg(test)]
mod sample;
mod send;
mod webhook;

pub use registry::{Content, KINDS, Message, Notifier, NotifierKind, Retry, SendError, kind};
