//! `webhook`: a signed POST to a URL of the user's own.
//!
//! Follows Standard Webhooks 1.0.0: three headers, a signature over `id.timestamp.body`, and only
//! 2xx as success.

mod options;
mod payload;
mod sign;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use quorate_model::OptionProblem;
use serde_json::Value;

use self::sign::SigningKey;
use crate::send::{Endpoint, Sender};
use crate::{Message, Notifier, NotifierKind, Retry, SendError};

/// The row of the registry.
pub(crate) const KIND: Kind = Kind;

/// The kind.
#[derive(Debug)]
pub(crate) struct Kind;

impl NotifierKind for Kind {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn parse(&self, options: &Value) -> Result<Box<dyn Notifier>, Vec<OptionProblem>> {
        Ok(Box::new(options::parse(options)?))
    }

    fn secrets(&self) -> &'static [&'static str] {
        &["secret"]
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(options::Options)
    }
}

/// A configured webhook.
#[derive(Debug)]
enum Webhook {
    /// One that can send.
    Ready(Box<Ready>),
    /// One that lacks the secret that this option refers to.
    Unresolved(String),
}

#[derive(Debug)]
struct Ready {
    endpoint: Endpoint,
    keys: Vec<SigningKey>,
    headers: HeaderMap,
    timeout: Duration,
    sender: Sender,
}

impl Notifier for Webhook {
    fn send<'a>(
        &'a self,
        message: &'a Message,
    ) -> Pin<Box<dyn Future<Output = Result<(), SendError>> + Send + 'a>> {
        Box::pin(async move {
            match self {
                Self::Ready(ready) => ready.send(message).await,
                Self::Unresolved(option) => Err(never(format!(
                    "the option `{option}` refers to a secret that was not read"
                ))),
            }
        })
    }
}

fn never(message: String) -> SendError {
    SendError { message, retry: Retry::Never }
}

impl Ready {
    async fn send(&self, message: &Message) -> Result<(), SendError> {
        let body = payload::render(&message.content)
            .map_err(|error| never(format!("the message cannot be written: {error}")))?;
        let headers = self.headers(message, &body)?;
        let answer =
            self.sender.post(&self.endpoint, headers, Bytes::from(body), self.timeout).await?;
        answer.judge(&self.endpoint, message.attempt_at)
    }

    /// The headers of one attempt. Source: Standard Webhooks 1.0.0, "Webhook Headers".
    fn headers(&self, message: &Message, body: &str) -> Result<HeaderMap, SendError> {
        let seconds = message.attempt_at.as_micros().div_euclid(1_000_000);
        let signature = sign::header(&self.keys, &message.id, seconds, body);
        let mut headers = self.headers.clone();
        let ours = [
            ("webhook-id", message.id.clone()),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-signature", signature),
        ];
        for (name, value) in ours {
            let value = HeaderValue::try_from(value)
                .map_err(|_| never(format!("{name} holds what no header can")))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(headers)
    }
}
