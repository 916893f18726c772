//! What a valid configuration says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use quorate_model::{Fleet, ReceiverId};
use quorate_yaml::Problem;
use serde_json::Value;

/// Everything that a coordinator is told. All defaults are filled in and all references hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// Where the coordinator keeps its data and listens. Takes effect at the next start only.
    pub server: Server,
    /// Regions, checks, timers, anchors and operators.
    pub fleet: Arc<Fleet>,
    /// The configured notifiers, by name.
    pub receivers: BTreeMap<ReceiverId, Receiver>,
    /// What hardly says what was meant, sorted by place.
    pub warnings: Vec<Problem>,
}

/// Where the coordinator keeps its data and listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The folder that holds keys and, unless `store` says otherwise, the database.
    pub data: PathBuf,
    /// The URL of the store, such as `sqlite:/var/lib/quorate/quorate.db`.
    pub store: String,
    /// Where agents hold their streams: mutual TLS.
    pub agents: Listener,
    /// Where new agents join with a token: server TLS.
    pub join: Listener,
    /// Where people and programs ask.
    pub api: ApiListener,
    /// How long raw results are kept: at least an hour.
    pub retention: Duration,
}

/// A listener that agents dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The address it is bound to.
    pub listen: SocketAddr,
    /// What agents dial: `host:port`. `None` if it listens on every address and nothing says what
    /// to dial: then no agent can join.
    pub advertise: Option<String>,
}

/// The listener of the operator API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiListener {
    /// The address it is bound to.
    pub listen: SocketAddr,
    /// Whether it speaks TLS; unless set, it does so except on a loopback address.
    pub tls: bool,
}

/// A configured notifier.
#[derive(Debug, Clone, PartialEq)]
pub struct Receiver {
    /// The notifier kind, a row of the registry in the `notify` crate.
    pub kind: String,
    /// The options of the kind, already validated by it: a JSON object in which each secret is
    /// still a reference that [`SecretRef::from_value`] reads.
    pub options: Value,
}

/// Where the value of a secret is to be read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// The environment variable of this name: `{env: NAME}`.
    Env(String),
    /// The content of this file, without a final line break: `{file: /path}`.
    File(PathBuf),
    /// The systemd credential of this name: `{credential: name}`.
    Credential(String),
}

impl SecretRef {
    /// Reads an object with exactly one of the keys `env`, `file` and `credential`, whose value is
    /// a text that is not empty. `None` if `value` is anything else.
    pub fn from_value(value: &Value) -> Option<Self> {
        let object = value.as_object().filter(|object| object.len() == 1)?;
        let (key, value) = object.iter().next()?;
        let text = value.as_str().filter(|text| !text.is_empty())?;
        match key.as_str() {
            "env" => Some(Self::Env(text.into())),
            "file" => Some(Self::File(text.into())),
            "credential" => Some(Self::Credential(text.into())),
            _ => None,
        }
    }
}
