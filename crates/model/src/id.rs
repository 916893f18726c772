//! Identifiers.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The rule that every name a user chooses obeys, for error messages.
pub const ID_HELP: &str = "1 to 63 lower-case letters, digits and hyphens, starting with a letter, not ending in a hyphen";

/// A name that breaks the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid {what}: use {ID_HELP}")]
pub struct IdError {
    /// What the name was meant for, such as `check`.
    pub what: &'static str,
    /// The text given.
    pub text: String,
}

/// `^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`.
fn is_valid(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    (1..=63).contains(&bytes.len())
        && bytes[0].is_ascii_lowercase()
        && bytes[bytes.len() - 1] != b'-'
        && bytes.iter().all(inner)
}

macro_rules! user_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        ///
        /// Cheap to clone. Always matches `^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                if is_valid(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(IdError { what: $what, text: text.into() })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

user_id!(
    /// The name of a check.
    CheckId, "check id");
user_id!(
    /// The name of a region.
    RegionId, "region id");
user_id!(
    /// The name of an agent, unique over all regions.
    AgentId, "agent id");
user_id!(
    /// The name of a receiver of alerts.
    ReceiverId, "receiver id");
user_id!(
    /// The name of a maintenance window or of a silence.
    MuteId, "name of a mute");
user_id!(
    /// The name of a check kind, such as `http`.
    KindName, "check kind");

/// One run of an agent's process: random, 128 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BootId(pub u128);

/// One incident: 128 bits whose upper 48 are the milliseconds of its opening, so that identifiers
/// sort by time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IncidentId(pub u128);

impl IncidentId {
    /// The identifier of the incident that `check` opened at `at`.
    ///
    /// Derived, not drawn at random: the same decision made twice names the same incident. The
    /// layout is that of a UUID of version 8. Source: RFC 9562, section 5.8.
    pub fn derive(check: &CheckId, at: Timestamp) -> Self {
        let millis =
            u128::from(u64::try_from(at.as_micros() / 1_000).unwrap_or(0)) & ((1 << 48) - 1);
        let hash = u128::from(fnv1a(check.as_str().as_bytes(), at.as_micros().unsigned_abs()));
        let (high, low) = (hash >> 52, hash & ((1 << 62) - 1));
        Self(millis << 80 | 0x8 << 76 | high << 64 | 0b10 << 62 | low)
    }
}

/// FNV-1a over `bytes`, started from `seed`.
fn fnv1a(bytes: &[u8], seed: u64) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ seed;
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

macro_rules! uuid_text {
    ($name:ident, $what:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let hex = format!("{:032x}", self.0);
                let text = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
                f.pad(&text.join("-"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let hex: String = text.chars().filter(|c| *c != '-').collect();
                let error = || IdError { what: $what, text: text.into() };
                if hex.len() != 32 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(error());
                }
                u128::from_str_radix(&hex, 16).map(Self).map_err(|_| error())
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

uuid_text!(BootId, "boot id");
uuid_text!(IncidentId, "incident id");

/// One confirmation round or on-demand probe, unique within the coordinator's store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoundId(pub u64);

impl fmt::Display for RoundId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_ids_obey_the_rule() {
        for good in ["a", "shop", "dns-shop", "a1", &"a".repeat(63)] {
            assert!(good.parse::<CheckId>().is_ok(), "{good}");
        }
        for bad in ["", "1a", "-a", "a-", "A", "a_b", "ä", "a/b", "..", &"a".repeat(64)] {
            assert!(bad.parse::<CheckId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn incident_ids_sort_by_opening_and_survive_text() {
        let check: CheckId = "shop".parse().unwrap();
        let first = IncidentId::derive(&check, Timestamp::from_micros(1_700_000_000_000_000));
        let later = IncidentId::derive(&check, Timestamp::from_micros(1_700_000_000_001_000));
        assert!(first < later);
        assert_eq!(first.to_string().parse::<IncidentId>().unwrap(), first);
        assert_eq!(&first.to_string()[14..15], "8");
    }
}
