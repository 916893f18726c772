//! Every notifier.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use quorate_model::{Alert, AlertKind, Delivery, OptionProblem, Timestamp};
use serde_json::Value;

use crate::webhook;

/// A way of telling people.
pub trait NotifierKind: Debug + Sync {
    /// The key that names it in a configuration.
    fn name(&self) -> &'static str;

    /// Reads the options, which are a JSON object, into a notifier; or says everything that is
    /// wrong with them.
    ///
    /// A secret that is still a reference (`{env}`, `{file}` or `{credential}`) is accepted, so
    /// that a configuration can be judged without its secrets; such a notifier refuses to send.
    fn parse(&self, options: &Value) -> Result<Box<dyn Notifier>, Vec<OptionProblem>>;

    /// The option names (dotted paths) whose values are secrets, so that a configuration must give
    /// them as `{env}`, `{file}` or `{credential}`.
    fn secrets(&self) -> &'static [&'static str];

    /// The JSON Schema of the options, with a description for each field.
    fn schema(&self) -> schemars::Schema;
}

/// A notifier that is ready to send.
pub trait Notifier: Debug + Send + Sync {
    /// Sends one message once, and returns when the other side has taken it.
    ///
    /// # Cancellation
    ///
    /// Dropping it leaves open whether the other side has taken the message.
    fn send<'a>(
        &'a self,
        message: &'a Message,
    ) -> Pin<Box<dyn Future<Output = Result<(), SendError>> + Send + 'a>>;
}

/// A message and its envelope.
#[derive(Debug, Clone)]
pub struct Message {
    /// The same for every attempt, so that a receiver can tell a repetition.
    pub id: String,
    /// When this attempt is made.
    pub attempt_at: Timestamp,
    /// What is to be said.
    pub content: Content,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// One thing.
    Single(Delivery),
    /// Several alerts of one kind that were held for each other.
    Group(Vec<Alert>),
}

impl Content {
    /// The dotted event type of Standard Webhooks, such as `incident.opened`.
    pub fn event_type(&self) -> &'static str {
        match self {
            Self::Single(delivery) => delivery.event_type(),
            Self::Group(alerts) => match alerts.first().map(|alert| alert.kind) {
                Some(AlertKind::Page | AlertKind::Notice) | None => "incidents.opened",
                Some(AlertKind::Resolved) => "incidents.resolved",
                Some(AlertKind::Digest) => "incidents.digest",
            },
        }
    }
}

/// A message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SendError {
    /// What happened, without secrets.
    pub message: String,
    /// Whether trying again can help.
    pub retry: Retry,
}

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Yes, at the sender's own pace.
    BackOff,
    /// Yes, but not before so long: the receiver said so.
    After(Duration),
    /// No.
    Never,
}

/// Every notifier, in alphabetical order.
pub const KINDS: &[&dyn NotifierKind] = &[&webhook::KIND];

/// The notifier of a name.
pub fn kind(name: &str) -> Option<&'static dyn NotifierKind> {
    KINDS.iter().copied().find(|kind| kind.name() == name)
}
