//! Values as scenario files write them.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use quorate_model::HumanDuration;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A duration such as `2m24.4s`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span(pub(crate) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let read: Result<HumanDuration, String> = text.parse();
        read.map(|duration| Self(duration.0)).map_err(D::Error::custom)
    }
}

/// A value, or a list of allowed values; a whole number reads as its text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words(pub(crate) Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let any = OneOrMany(PhantomData::<String>);
        deserializer.deserialize_any(any).map(Self)
    }
}

/// A number, or a list of allowed numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts(pub(crate) Vec<usize>);

impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = deserializer.deserialize_any(OneOrMany(PhantomData::<String>))?;
        let numbers = texts.iter().map(|text| {
            text.parse().map_err(|_| D::Error::custom(format!("expected a number, found {text:?}")))
        });
        numbers.collect::<Result<_, _>>().map(Self)
    }
}

struct OneOrMany<T>(PhantomData<T>);

impl<'de> Visitor<'de> for OneOrMany<String> {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a word or a list of words")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<String>, E> {
        Ok(vec![text.to_owned()])
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Vec<String>, E> {
        Ok(vec![number.to_string()])
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Vec<String>, E> {
        Ok(vec![number.to_string()])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Vec<String>, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list))
    }
}

/// An agent in a list of a region: a name, or a map with its name and network.
#[derive(Debug, Clone)]
pub(crate) struct AgentText {
    pub(crate) id: String,
    pub(crate) network: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentMap {
    id: String,
    network: Option<String>,
}

impl<'de> Deserialize<'de> for AgentText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = AgentText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an agent's name, or a map with `id` and `network`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<AgentText, E> {
                Ok(AgentText { id: text.to_owned(), network: None })
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                map: A,
            ) -> Result<AgentText, A::Error> {
                let map = serde::de::value::MapAccessDeserializer::new(map);
                let AgentMap { id, network } = AgentMap::deserialize(map)?;
                Ok(AgentText { id, network })
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// Names of agents, or how many new ones.
#[derive(Debug, Clone)]
pub(crate) enum AgentsText {
    Named(Vec<AgentText>),
    Count(usize),
}

impl<'de> Deserialize<'de> for AgentsText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = AgentsText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of agents, or how many")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<AgentsText, E> {
                let agent = AgentText { id: text.to_owned(), network: None };
                Ok(AgentsText::Named(vec![agent]))
            }

            fn visit_u64<E: Error>(self, count: u64) -> Result<AgentsText, E> {
                usize::try_from(count).map(AgentsText::Count).map_err(E::custom)
            }

            fn visit_i64<E: Error>(self, count: i64) -> Result<AgentsText, E> {
                usize::try_from(count).map(AgentsText::Count).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<AgentsText, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(AgentsText::Named)
            }
        }

        deserializer.deserialize_any(Either)
    }
}
