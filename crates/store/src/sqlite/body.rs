//! Values as JSON, with a checksum, because `SQLite` itself does not notice a flipped bit.

use rusqlite::Row;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fault::Fault;

/// A value ready to be stored.
pub(super) struct Body {
    pub(super) sum: i64,
    pub(super) json: String,
}

impl Body {
    /// Writes `value` as JSON.
    pub(super) fn of<T: Serialize>(what: &'static str, value: &T) -> Result<Self, Fault> {
        let json = serde_json::to_string(value)
            .map_err(|error| Fault::Bad { what, detail: error.to_string() })?;
        Ok(Self { sum: sum(json.as_bytes()), json })
    }
}

/// Reads the value of a row whose column `at` is `sum` and whose next column is `body`.
pub(super) fn read<T: DeserializeOwned>(
    what: &'static str,
    row: &Row<'_>,
    at: usize,
) -> Result<T, Fault> {
    let bad = |detail: String| Fault::Bad { what, detail };
    let stored: i64 = row.get(at)?;
    let json = row.get_ref(at + 1)?;
    let json = json.as_bytes().map_err(|error| bad(error.to_string()))?;
    if sum(json) != stored {
        return Err(bad("its checksum does not match".to_owned()));
    }
    serde_json::from_slice(json).map_err(|error| bad(error.to_string()))
}

/// A checksum, eight bytes at a time. Each step is a bijection of the sum and of the word, so any
/// damage within one word changes the sum, and other damage goes unnoticed once in 2^64.
fn sum(bytes: &[u8]) -> i64 {
    let mix =
        |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let mut chunks = bytes.chunks_exact(8);
    let mut total = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    for chunk in &mut chunks {
        total = mix(total, chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
    }
    let rest = chunks.remainder();
    mix(total, rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_changes_the_sum() {
        let bytes = b"{\"outcome\":\"fail\",\"total\":12345}".to_vec();
        let whole = sum(&bytes);
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(sum(&damaged), whole, "bit {bit}");
        }
        assert_ne!(sum(&bytes[..bytes.len() - 1]), whole);
    }
}
