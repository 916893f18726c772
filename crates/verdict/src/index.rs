//! Look-ups by name.
//!
//! Each result names an agent and a check, and one look-up in an ordered map of a hundred thousand
//! names compares seventeen of them. A hash needs one comparison. Nothing here gives out an order,
//! so no decision can depend on one: there is no way to walk through an index.

use std::hash::{BuildHasherDefault, Hash, Hasher};

/// The place of each name.
#[derive(Debug)]
#[expect(clippy::disallowed_types, reason = "only looked up in, never walked through")]
pub(crate) struct Index<K, V>(std::collections::HashMap<K, V, BuildHasherDefault<Mixer>>);

impl<K, V> Default for Index<K, V> {
    #[expect(clippy::disallowed_types, reason = "only looked up in, never walked through")]
    fn default() -> Self {
        Self(std::collections::HashMap::default())
    }
}

impl<K: Hash + Eq, V: Copy> Index<K, V> {
    pub(crate) fn get(&self, name: &K) -> Option<V> {
        self.0.get(name).copied()
    }

    pub(crate) fn insert(&mut self, name: K, place: V) {
        self.0.insert(name, place);
    }

    pub(crate) fn remove(&mut self, name: &K) -> Option<V> {
        self.0.remove(name)
    }
}

/// Eight bytes at a time, each step a multiplication. The same in every run; names come from the
/// configuration, so nobody can choose them to collide.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Mixer(u64);

/// An odd number without pattern: the golden ratio in 64 bits.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Mixer {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(FACTOR);
    }
}

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_le_bytes(last));
    }

    fn write_u8(&mut self, byte: u8) {
        self.mix(u64::from(byte));
    }

    fn finish(&self) -> u64 {
        // The upper bits of a product are the better ones, and tables use the lower ones too.
        self.0 ^ (self.0 >> 32)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::hash::BuildHasher;

    use quorate_model::CheckId;

    use super::*;

    fn id(text: &str) -> CheckId {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_is_found_until_it_is_removed() {
        let mut index = Index::default();
        for number in 0..1_000 {
            index.insert(id(&format!("check-{number}")), number);
        }
        assert_eq!(index.get(&id("check-7")), Some(7));
        assert_eq!(index.get(&id("check-1000")), None);
        assert_eq!(index.remove(&id("check-7")), Some(7));
        assert_eq!(index.get(&id("check-7")), None);
        assert_eq!(index.get(&id("check-8")), Some(8));
    }

    /// Names that differ in one digit are spread over both ends of the hash.
    #[test]
    fn names_of_one_pattern_are_spread() {
        let build = BuildHasherDefault::<Mixer>::default();
        let names = (0..10_000_u32).map(|number| id(&format!("service-{number}-health")));
        let hashes: Vec<u64> = names.map(|name| build.hash_one(&name)).collect();
        let low: BTreeSet<u64> = hashes.iter().map(|hash| hash & 0xffff).collect();
        let high: BTreeSet<u64> = hashes.iter().map(|hash| hash >> 48).collect();
        // 10,000 balls in 65,536 bins hit 9,274 of them on average.
        assert!(low.len() > 9_000, "{}", low.len());
        assert!(high.len() > 9_000, "{}", high.len());
        assert_eq!(hashes.iter().collect::<BTreeSet<_>>().len(), hashes.len());
    }
}
