//! Random numbers, from the TLS provider's generator.

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};

/// `N` random bytes.
///
/// # Panics
///
/// If the operating system gives no randomness: nothing here is safe then.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "without randomness there are no keys and no tokens")]
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// Makes the generator ready. Its first use in a process takes some 30 ms, which must not show up
/// as the TLS time of the first probe.
pub fn warm_up() {
    let _: [u8; 1] = bytes();
}
