//! The configured receivers, ready to send.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_config::Configuration;
use quorate_model::ReceiverId;
use quorate_notify::Notifier;

use crate::ReceiversError;
use crate::secrets;

/// Everybody who can be told.
#[derive(Debug, Default)]
pub(crate) struct Receivers {
    /// All of them.
    pub(crate) notifiers: BTreeMap<ReceiverId, Arc<dyn Notifier>>,
    /// Those that hear of Quorate's own troubles.
    pub(crate) operators: Vec<ReceiverId>,
}

impl Receivers {
    /// Makes all receivers of a configuration ready, or says all that stands in the way.
    pub(crate) fn of(configuration: &Configuration) -> Result<Self, ReceiversError> {
        let mut notifiers: BTreeMap<ReceiverId, Arc<dyn Notifier>> = BTreeMap::new();
        let mut problems = Vec::new();
        for (id, receiver) in &configuration.receivers {
            let Some(kind) = quorate_notify::kind(&receiver.kind) else {
                problems.push(format!(
                    "receiver {id}: there is no notifier called {:?}",
                    receiver.kind
                ));
                continue;
            };
            match secrets::resolve(&receiver.options) {
                Ok(options) => match kind.parse(&options) {
                    Ok(notifier) => {
                        notifiers.insert(id.clone(), notifier.into());
                    }
                    Err(found) => {
                        let found = found.iter().map(|found| format!("receiver {id}: {found}"));
                        problems.extend(found);
                    }
                },
                Err(error) => problems.push(format!("receiver {id}: {error}")),
            }
        }
        if problems.is_empty() {
            Ok(Self { notifiers, operators: configuration.fleet.operators.clone() })
        } else {
            Err(ReceiversError { problems })
        }
    }
}
