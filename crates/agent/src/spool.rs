//! Results that the coordinator has not acknowledged.

use std::collections::VecDeque;
use std::fmt::Debug;

use prost::Message as _;
use quorate_proto::agent::v1 as wire;

/// Keeps results until the coordinator has stored them.
///
/// The one implementation lives in memory. A durable one, with segments on disk, takes its place
/// behind this trait: results go in in the order of their numbers and leave from the front.
pub trait Spool: Debug + Send {
    /// Keeps a result. Its number is greater than all before. A full spool drops its oldest ones,
    /// and counts them.
    fn append(&mut self, result: &wire::Result);

    /// Results with numbers above `sequence`, in order: at most `count`, and at most `bytes` of
    /// them, but at least one if there is any.
    fn unacked_after(&self, sequence: u64, count: usize, bytes: usize) -> Vec<wire::Result>;

    /// Whether there is a result with a number above `sequence`.
    fn has_after(&self, sequence: u64) -> bool;

    /// Forgets the results up to and with `sequence`.
    fn ack_through(&mut self, sequence: u64);

    /// How many there are.
    fn unacked(&self) -> usize;

    /// How many were dropped, since the start of the process.
    fn dropped(&self) -> u64;
}

/// A spool in memory: what it holds is lost when the process ends.
#[derive(Debug)]
pub struct MemorySpool {
    /// Number and encoded form; a fraction of the size of the decoded form.
    records: VecDeque<(u64, Vec<u8>)>,
    bytes: usize,
    count_max: usize,
    bytes_max: usize,
    dropped: u64,
    dropping: bool,
}

impl MemorySpool {
    /// An empty one with bounds.
    pub fn new(count_max: usize, bytes_max: usize) -> Self {
        Self {
            records: VecDeque::new(),
            bytes: 0,
            count_max: count_max.max(1),
            bytes_max,
            dropped: 0,
            dropping: false,
        }
    }

    fn pop(&mut self) {
        if let Some((_, record)) = self.records.pop_front() {
            self.bytes -= record.len();
        }
    }

    fn first_after(&self, sequence: u64) -> usize {
        self.records.partition_point(|(number, _)| *number <= sequence)
    }
}

impl Spool for MemorySpool {
    fn append(&mut self, result: &wire::Result) {
        let record = result.encode_to_vec();
        self.bytes += record.len();
        self.records.push_back((result.sequence, record));
        while self.records.len() > self.count_max
            || (self.bytes > self.bytes_max && self.records.len() > 1)
        {
            self.pop();
            self.dropped += 1;
            if !self.dropping {
                self.dropping = true;
                tracing::error!(
                    kept = self.records.len(),
                    "spool is full, the oldest results are being dropped: \
                     restore the connection to the coordinator"
                );
            }
        }
    }

    fn unacked_after(&self, sequence: u64, count: usize, bytes: usize) -> Vec<wire::Result> {
        let mut size = 0;
        let mut results = Vec::new();
        let records = self.records.iter().skip(self.first_after(sequence));
        for (_, record) in records.take(count) {
            size += record.len();
            if size > bytes && !results.is_empty() {
                break;
            }
            // What was encoded here a moment ago can be decoded.
            results.extend(wire::Result::decode(record.as_slice()));
        }
        results
    }

    fn has_after(&self, sequence: u64) -> bool {
        self.records.back().is_some_and(|(number, _)| *number > sequence)
    }

    fn ack_through(&mut self, sequence: u64) {
        while self.records.front().is_some_and(|(number, _)| *number <= sequence) {
            self.pop();
        }
        if self.dropping
            && self.records.len() <= self.count_max / 2
            && self.bytes <= self.bytes_max / 2
        {
            self.dropping = false;
            tracing::info!(dropped = self.dropped, "spool has room again");
        }
    }

    fn unacked(&self) -> usize {
        self.records.len()
    }

    fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(sequence: u64) -> wire::Result {
        wire::Result { sequence, check: "shop".into(), ..wire::Result::default() }
    }

    fn spool(results: u64, count_max: usize) -> MemorySpool {
        let mut spool = MemorySpool::new(count_max, 1 << 20);
        for sequence in 1..=results {
            spool.append(&result(sequence));
        }
        spool
    }

    fn numbers(results: &[wire::Result]) -> Vec<u64> {
        results.iter().map(|result| result.sequence).collect()
    }

    #[test]
    fn keeps_results_until_they_are_acknowledged() {
        let mut spool = spool(10, 100);
        assert_eq!(numbers(&spool.unacked_after(0, 3, 1 << 20)), [1, 2, 3]);
        assert_eq!(numbers(&spool.unacked_after(0, 3, 1 << 20)), [1, 2, 3]);
        spool.ack_through(8);
        assert_eq!(numbers(&spool.unacked_after(0, 100, 1 << 20)), [9, 10]);
        assert!(!spool.has_after(10));
        assert_eq!(spool.unacked(), 2);
        spool.ack_through(999);
        assert_eq!((spool.unacked(), spool.bytes), (0, 0));
    }

    #[test]
    fn a_full_one_drops_the_oldest_and_counts_them() {
        let spool = spool(25, 10);
        assert_eq!(spool.dropped(), 15);
        assert_eq!(numbers(&spool.unacked_after(0, 2, 1 << 20)), [16, 17]);
    }

    #[test]
    fn bytes_bound_what_is_kept_and_what_is_taken() {
        let mut spool = MemorySpool::new(1_000, 100);
        for sequence in 1..=100 {
            spool.append(&result(sequence));
        }
        assert!(spool.bytes <= 100);
        let size = result(100).encoded_len();
        let last = spool.unacked_after(0, 100, size * 2);
        assert_eq!(last.len(), 2);
        assert_eq!(spool.unacked_after(0, 100, 1).len(), 1);
    }
}
