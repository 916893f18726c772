//! The join bundle: everything that an agent needs to join, in one line of text.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// What every bundle begins with: says what the text is, and which version of it.
const PREFIX: &str = "quorate-join-v1.";

/// The longest text that is read, in bytes: sixteen addresses of each kind need a tenth of it.
const TEXT_MAX: usize = 16 * 1_024;

/// The most addresses of each kind.
const ADDRESSES_MAX: usize = 16;

/// What an agent needs to join: a one-time token, whom to trust, and where to go.
///
/// The text form is a secret. `Debug` leaves the token out.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinBundle {
    /// The one-time token.
    pub token: String,
    /// SHA-256 of the DER form of the certificate authority's `SubjectPublicKeyInfo`.
    pub ca_pin: [u8; 32],
    /// `host:port` of the coordinator's join listeners, at least one.
    pub join: Vec<String>,
    /// `host:port` of the coordinator's listeners for agents, at least one.
    pub agents: Vec<String>,
}

/// A text is not a join bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// It begins otherwise.
    #[error(
        "this is not a join bundle: it must begin with {PREFIX:?}; paste the whole line that \
         `quorate agent token` printed"
    )]
    NotABundle,
    /// It is a bundle of another version.
    #[error(
        "this join bundle is of version {version:?}, this program reads v1: use programs of the \
         same release"
    )]
    OtherVersion {
        /// The version that it names.
        version: String,
    },
    /// It is too long.
    #[error("this join bundle has {bytes} bytes, more than any can have ({TEXT_MAX})")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A part is missing, or something was changed on the way.
    #[error("this join bundle is cut off or damaged ({what}): copy the whole line again")]
    Damaged {
        /// What cannot be read. Never holds the token.
        what: &'static str,
    },
}

/// The text form, without its prefix and its base64.
#[derive(Serialize, Deserialize)]
struct Document {
    token: String,
    ca_pin: String,
    join: Vec<String>,
    agents: Vec<String>,
}

impl JoinBundle {
    /// The bundle as one line of text without spaces.
    pub fn encode(&self) -> String {
        let document = Document {
            token: self.token.clone(),
            ca_pin: URL_SAFE_NO_PAD.encode(self.ca_pin),
            join: self.join.clone(),
            agents: self.agents.clone(),
        };
        // Text and lists of text always have a JSON form.
        let json = serde_json::to_vec(&document).unwrap_or_default();
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json))
    }

    /// Reads what [`JoinBundle::encode`] wrote. Space around it and line breaks within it, as
    /// terminals and mail programs make them, do no harm.
    pub fn decode(text: &str) -> Result<Self, BundleError> {
        if text.len() > TEXT_MAX {
            return Err(BundleError::TooLong { bytes: text.len() });
        }
        let text: String = text.split_whitespace().collect();
        let Some(body) = text.strip_prefix(PREFIX) else {
            return Err(not_ours(&text));
        };
        let damaged = |what| BundleError::Damaged { what };
        let json = URL_SAFE_NO_PAD
            .decode(body.trim_end_matches('='))
            .map_err(|_| damaged("not base64url"))?;
        let document: Document =
            serde_json::from_slice(&json).map_err(|_| damaged("its content cannot be read"))?;
        let ca_pin = URL_SAFE_NO_PAD
            .decode(&document.ca_pin)
            .ok()
            .and_then(|pin| <[u8; 32]>::try_from(pin).ok())
            .ok_or_else(|| damaged("the pin of the certificate authority is not 32 bytes"))?;
        if document.token.is_empty() {
            return Err(damaged("the token is empty"));
        }
        for addresses in [&document.join, &document.agents] {
            if !(1..=ADDRESSES_MAX).contains(&addresses.len()) {
                return Err(damaged("it must name 1 to 16 addresses of each kind"));
            }
        }
        Ok(Self { token: document.token, ca_pin, join: document.join, agents: document.agents })
    }
}

/// Why a text without our prefix is refused.
fn not_ours(text: &str) -> BundleError {
    text.strip_prefix("quorate-join-")
        .and_then(|rest| rest.split_once('.'))
        .filter(|(version, _)| *version != "v1")
        .map_or(BundleError::NotABundle, |(version, _)| BundleError::OtherVersion {
            version: version.chars().take(16).collect(),
        })
}

impl fmt::Debug for JoinBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinBundle")
            .field("token", &"<redacted>")
            .field("ca_pin", &URL_SAFE_NO_PAD.encode(self.ca_pin))
            .field("join", &self.join)
            .field("agents", &self.agents)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle() -> JoinBundle {
        JoinBundle {
            token: "qjt_secret".to_owned(),
            ca_pin: [7; 32],
            join: vec!["coordinator.example.com:7442".to_owned()],
            agents: vec!["coordinator.example.com:7441".to_owned()],
        }
    }

    #[test]
    fn survives_text_even_when_wrapped() {
        let text = bundle().encode();
        assert!(text.starts_with("quorate-join-v1."));
        assert!(!text.contains(char::is_whitespace));
        assert_eq!(JoinBundle::decode(&text), Ok(bundle()));
        let (first, second) = text.split_at(40);
        let wrapped = format!("  {first}\r\n{second}\n");
        assert_eq!(JoinBundle::decode(&wrapped), Ok(bundle()));
    }

    #[test]
    fn says_what_is_wrong_with_a_text() {
        let text = bundle().encode();
        let error = |text: &str| JoinBundle::decode(text).unwrap_err().to_string();
        assert!(error("qjt_secret").contains("must begin with"));
        assert!(error("").contains("must begin with"));
        assert!(error("quorate-join-v9.abc").contains("version \"v9\""));
        assert!(error(&text[..text.len() - 9]).contains("cut off"));
        assert!(error("quorate-join-v1.***").contains("not base64url"));
        assert!(error(&"x".repeat(20_000)).contains("20000 bytes"));
        let nowhere = JoinBundle { join: Vec::new(), ..bundle() };
        assert!(error(&nowhere.encode()).contains("addresses"));
    }

    #[test]
    fn debug_does_not_show_the_token() {
        let shown = format!("{:?}", bundle());
        assert!(!shown.contains("qjt_secret"), "{shown}");
        assert!(shown.contains("coordinator.example.com:7442"));
    }
}
