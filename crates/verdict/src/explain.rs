//! A verdict in words.

use quorate_model::{CheckId, Verdict};

/// The ballot of a verdict in sentences.
pub fn ballot_in_words(check: &CheckId, verdict: &Verdict) -> Vec<String> {
    vec![format!("{check}: {}", verdict.summary)]
}
