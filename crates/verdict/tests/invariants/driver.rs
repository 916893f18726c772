//! Plays a law over many seeds, on all cores, and makes what fails small.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::composition::Composition;
use crate::draw::Dice;

/// What holds of a composition, or what came instead.
pub(crate) type Law = Result<(), String>;

/// Something drawn that stands on a composition.
pub(crate) trait Drawn: Clone + Debug + Send + Sync {
    /// The composition, to be made smaller.
    fn composition(&mut self) -> &mut Composition;
}

impl Drawn for Composition {
    fn composition(&mut self) -> &mut Composition {
        self
    }
}

impl<T: Clone + Debug + Send + Sync> Drawn for (Composition, T) {
    fn composition(&mut self) -> &mut Composition {
        &mut self.0
    }
}

fn setting(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "the switch of a test is no configuration")]
    let text = std::env::var(name).ok()?;
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    Some(number.unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Draws `quick` compositions, or as many as `QUORATE_CASES` says, and holds each against the law.
pub(crate) fn hold<T: Drawn>(
    name: &str,
    quick: u64,
    draw: impl Fn(&mut Dice) -> T + Sync,
    law: impl Fn(&T) -> Law + Sync,
) {
    if let Some(seed) = setting("QUORATE_SEED") {
        judge(name, seed, &draw, &law);
        return;
    }
    let count = setting("QUORATE_CASES").unwrap_or(quick);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, worst) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count.min(worst.load(Ordering::Relaxed)) {
                        return;
                    }
                    if outcome(&draw(&mut Dice::of(seed(number))), &law).is_err() {
                        worst.fetch_min(number, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let worst = worst.into_inner();
    if worst < u64::MAX {
        judge(name, seed(worst), &draw, &law);
        panic!("{name}: seed {:#x} failed, and does no more", seed(worst));
    }
}

/// The seed of the composition with this number: the quick ones are among the many.
fn seed(number: u64) -> u64 {
    Dice::of(number).roll(u64::MAX)
}

fn outcome<T: Drawn>(drawn: &T, law: &impl Fn(&T) -> Law) -> Law {
    catch_unwind(AssertUnwindSafe(|| law(drawn))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        Err(text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned())
    })
}

/// Plays one seed, and reports the smallest composition that fails like it.
fn judge<T: Drawn>(
    name: &str,
    seed: u64,
    draw: &impl Fn(&mut Dice) -> T,
    law: &impl Fn(&T) -> Law,
) {
    let mut drawn = draw(&mut Dice::of(seed));
    let Err(mut what) = outcome(&drawn, law) else {
        return;
    };
    while let Some((smaller, instead)) = smaller(&drawn, law) {
        (drawn, what) = (smaller, instead);
    }
    panic!(
        "{name}: {what}\n{drawn:#?}\nplay it again: QUORATE_SEED={seed:#x} \
         cargo test -p quorate-verdict --test invariants {name}"
    );
}

/// The first of the compositions with one part less that still fails.
fn smaller<T: Drawn>(drawn: &T, law: &impl Fn(&T) -> Law) -> Option<(T, String)> {
    let parts = drawn.clone().composition().parts();
    (0..parts).find_map(|part| {
        let mut smaller = drawn.clone();
        smaller.composition().remove(part).then_some(())?;
        let what = outcome(&smaller, law).err()?;
        Some((smaller, what))
    })
}
