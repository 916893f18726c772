//! From tree to typed value.

use std::collections::BTreeSet;
use std::slice::Iter;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use crate::fault::Fault;
use crate::tree::{Content, Entry, NodeId, Tree};

/// Reads one node. Nodes in `out` are passed over as if they were not there.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'t> {
    pub(crate) tree: &'t Tree,
    pub(crate) out: &'t BTreeSet<NodeId>,
    pub(crate) node: NodeId,
}

impl<'t> Reader<'t> {
    fn content(self) -> &'t Content {
        self.tree.content(self.node)
    }

    fn to(self, node: NodeId) -> Self {
        Self { node, ..self }
    }

    fn any<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.content() {
            Content::Null => visitor.visit_unit(),
            Content::Bool(value) => visitor.visit_bool(*value),
            Content::Signed(value) => visitor.visit_i64(*value),
            Content::Unsigned(value) => visitor.visit_u64(*value),
            Content::Float(value) => visitor.visit_f64(*value),
            Content::Text(value) => visitor.visit_str(value),
            Content::List(items) => visitor.visit_seq(Items { reader: self, items: items.iter() }),
            Content::Map(map) => {
                visitor.visit_map(Entries { reader: self, left: map.entries.iter(), current: None })
            }
        }
    }

    /// A whole number where a text is wanted is the text of the number.
    fn text<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if let Content::Signed(value) = self.content() {
            visitor.visit_string(value.to_string())
        } else if let Content::Unsigned(value) = self.content() {
            visitor.visit_string(value.to_string())
        } else {
            self.any(visitor)
        }
    }

    fn variant<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if let Content::Text(name) = self.content() {
            return visitor.visit_enum(name.as_str().into_deserializer());
        }
        let Content::Map(map) = self.content() else {
            return self.any(visitor);
        };
        let mut left = map.entries.iter().filter(|entry| !self.out.contains(&entry.value));
        if let (Some(entry), None) = (left.next(), left.next()) {
            let reader = self.to(entry.value);
            visitor.visit_enum(Variant { reader, entry })
        } else {
            let expected = &"a map with exactly one key";
            Err(Fault::invalid_value(Unexpected::Map, expected))
        }
    }

    fn located<T>(self, read: Result<T, Fault>) -> Result<T, Fault> {
        read.map_err(|fault| fault.or_at(self.node, || self.tree.place(self.node)))
    }
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.located(self.any(visitor))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.located(self.text(visitor))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.located(self.text(visitor))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.located(if matches!(self.content(), Content::Null) {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        // Derived code would take a list for the fields in their order.
        self.located(if matches!(self.content(), Content::List(_)) {
            Err(Fault::invalid_type(Unexpected::Seq, &visitor))
        } else {
            self.any(visitor)
        })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.located(visitor.visit_newtype_struct(self))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.located(self.variant(visitor))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'t> {
    reader: Reader<'t>,
    items: Iter<'t, NodeId>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let out = self.reader.out;
        match self.items.find(|item| !out.contains(item)) {
            Some(item) => seed.deserialize(self.reader.to(*item)).map(Some),
            None => Ok(None),
        }
    }
}

struct Entries<'t> {
    reader: Reader<'t>,
    left: Iter<'t, Entry>,
    current: Option<&'t Entry>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let out = self.reader.out;
        self.current = self.left.find(|entry| !out.contains(&entry.value));
        let Some(entry) = self.current else {
            return Ok(None);
        };
        let key: StrDeserializer<'_, Fault> = entry.key.as_str().into_deserializer();
        seed.deserialize(key)
            .map(Some)
            .map_err(|fault| fault.or_at(entry.value, || self.reader.tree.key_place(entry.value)))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let entry =
            self.current.ok_or_else(|| Fault::custom("a value was asked for before its key"))?;
        seed.deserialize(self.reader.to(entry.value))
    }
}

struct Variant<'t> {
    reader: Reader<'t>,
    entry: &'t Entry,
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let key: StrDeserializer<'_, Fault> = self.entry.key.as_str().into_deserializer();
        let value = seed.deserialize(key).map_err(|fault| {
            let node = self.entry.value;
            fault.or_at(node, || self.reader.tree.key_place(node))
        })?;
        Ok((value, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        serde::Deserialize::deserialize(self.reader)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(self.reader)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Fault> {
        self.reader.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.reader.deserialize_any(visitor)
    }
}
