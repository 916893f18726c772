//! Notifiers: one file for each; each renders one message and sends it once.
//!
//! Nothing here retries, queues or decides whether to send: the outbox of the coordinator does.

mod registry;

pub use registry::{KINDS, Message, Notifier, NotifierKind, Retry, SendError, kind};
