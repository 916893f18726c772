//! Numbers that look random and are the same for the same seed.

/// A die whose throws depend on the seed and on how often it was thrown.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0) % sides.max(1)
    }

    /// A number from `least` to `most`.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.roll(most - least + 1)
    }

    /// A place in something of this length.
    pub(crate) fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.roll(u64::try_from(length).expect("small"))).expect("small")
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.place(of.len())]
    }

    /// Whether something happens that does so once in `times`.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.roll(times) == 0
    }

    /// Some of `0..length`, `count` of them, in order.
    pub(crate) fn some(&mut self, length: usize, count: usize) -> Vec<usize> {
        let mut left: Vec<usize> = (0..length).collect();
        while left.len() > count {
            left.remove(self.place(left.len()));
        }
        left
    }
}

/// A number that depends on these and nothing else.
pub(crate) fn hash(numbers: &[u64]) -> u64 {
    numbers.iter().fold(0x5eed, |hash, number| mixed(hash ^ number.wrapping_mul(0x9e37_79b9)))
}

/// The finaliser of splitmix64.
fn mixed(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
