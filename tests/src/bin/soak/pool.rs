//! Plays on all cores.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Outcome;

/// Does each piece of work on some core; the results come in the order of the pieces.
pub(crate) fn each<T: Send, W: Sync>(
    pieces: &[W],
    work: impl Fn(&W) -> Outcome<T> + Sync,
) -> Outcome<Vec<T>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads.min(pieces.len()) {
            scope.spawn(|| {
                while let Some((place, piece)) = {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    pieces.get(place).map(|piece| (place, piece))
                } {
                    let outcome = work(piece);
                    if let Ok(mut done) = done.lock() {
                        done.push((place, outcome));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().map_err(|_| "a player panicked")?;
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Splits a number of things into shares of at most `most`.
pub(crate) fn shares(count: u64, most: u64) -> Vec<u64> {
    let whole = count / most;
    let rest = count % most;
    let shares = std::iter::repeat_n(most, usize::try_from(whole).unwrap_or(0));
    shares.chain((rest > 0).then_some(rest)).collect()
}
