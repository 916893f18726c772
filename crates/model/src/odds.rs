//! Odds: how unlikely something is, in thousandths of a nat and in words. No floating point, so that
//! the same number is the same words everywhere.

use std::fmt;

/// Binary digits behind the point of a logarithm.
pub const LOG_BITS: u32 = 24;

/// The binary logarithm of a number of at least 1, with [`LOG_BITS`] digits behind the point;
/// truncated, so at most `2^-24` too small. Zero counts as one.
pub fn log2(number: u64) -> i64 {
    let number = number.max(1);
    let shift = number.leading_zeros();
    let mut mantissa = u128::from(number << shift);
    let mut log = i64::from(63 - shift);
    for _ in 0..LOG_BITS {
        mantissa = (mantissa * mantissa) >> 63;
        log <<= 1;
        if mantissa >> 64 != 0 {
            mantissa >>= 1;
            log |= 1;
        }
    }
    log
}

/// A binary logarithm, as [`log2`] gives it, in thousandths of a nat, rounded to the nearest.
pub fn nats(log2: i64) -> i64 {
    /// `ln 2` in units of 10^-9.
    const LN2_NANOS: i128 = 693_147_181;
    let product = i128::from(log2) * LN2_NANOS;
    let unit = (1_i128 << LOG_BITS) * 1_000_000;
    let half = if product < 0 { -unit / 2 } else { unit / 2 };
    i64::try_from((product + half) / unit).unwrap_or(i64::MAX)
}

/// `ln(over / under)` in thousandths of a nat; zero counts as one. The error is below 0.501.
pub fn ln_ratio(over: u64, under: u64) -> i64 {
    nats(log2(over) - log2(under))
}

/// A chance of one in `exp(n / 1000)`, where `n` are the thousandths of a nat that it holds. In
/// words it is `1 in 26 million`, cut to two digits, or `1 in 10^12` from there on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Odds(pub u32);

impl fmt::Display for Odds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// `ln 10` in units of 10^-6.
        const TEN_MICROS: i64 = 2_302_585;
        let evidence = i64::from(self.0);
        let power = u32::try_from(evidence * 1_000 / TEN_MICROS).unwrap_or(u32::MAX);
        if power >= 12 {
            return write!(f, "1 in 10^{power}");
        }
        let rest = evidence - ln_ratio(10_u64.pow(power), 1) + ln_ratio(10, 1);
        let two = (10..100_u64).rev().find(|digits| ln_ratio(*digits, 1) <= rest).unwrap_or(10);
        let number = two * 10_u64.pow(power) / 10;
        let (count, word) = match number {
            0..1_000 => (number, ""),
            1_000..1_000_000 => (number / 1_000, " thousand"),
            1_000_000..1_000_000_000 => (number / 1_000_000, " million"),
            _ => (number / 1_000_000_000, " billion"),
        };
        write!(f, "1 in {}{word}", count.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_those_of_the_tables() {
        for (over, under, milli) in [
            (1, 1, 0),
            (2, 1, 693),
            (10, 1, 2_303),
            (1, 10, -2_303),
            (990_000, 5_000, 5_288),
            (990_000, 200_000, 1_599),
            (990_000, 1_000, 6_898),
            (2_629_800, 1, 14_782),
            (1_000_000_000_000, 1, 27_631),
            (u64::MAX, 1, 44_361),
            (0, 1, 0),
        ] {
            assert_eq!(ln_ratio(over, under), milli, "ln({over}/{under})");
        }
    }

    #[test]
    fn odds_are_said_as_people_say_them() {
        for (evidence, words) in [
            (28_039, "1 in 10^12"),
            (17_085, "1 in 26 million"),
            (5_288, "1 in 190"),
            (0, "1 in 1"),
            (2_303, "1 in 10"),
            (10_000, "1 in 22 thousand"),
            (22_000, "1 in 3 billion"),
        ] {
            assert_eq!(Odds(evidence).to_string(), words, "{evidence}");
        }
    }
}
