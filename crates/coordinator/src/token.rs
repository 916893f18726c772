//! Tokens: 256 random bits behind a prefix that says what they are. Only their hash is kept.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A new token.
pub(crate) fn new(prefix: &str) -> String {
    let secret: [u8; 32] = quorate_runtime::random::bytes();
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(secret))
}

/// SHA-256 of a token: fast, which is right for something that nobody can guess.
pub(crate) fn hash(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}
