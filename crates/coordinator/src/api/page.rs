//! Pages of lists.
//!
//! A page token says after which key to go on and for which question it was given out. It is
//! signed, so that nobody makes one up; the key is made at start, so a token of an earlier run has
//! expired.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use tonic::Status;

use super::errors;

/// Entries of a page unless the request says otherwise.
const SIZE_DEFAULT: usize = 50;
/// The most entries of a page.
const SIZE_MAX: usize = 1_000;
/// The longest page token, in bytes: one with the longest key has some 200.
const TOKEN_BYTES_MAX: usize = 1_024;
/// The version of what a token holds.
const VERSION: u32 = 1;
const TAG_BYTES: usize = 32;

/// Signs page tokens.
#[derive(Debug, Clone)]
pub(super) struct Pager {
    key: hmac::Key,
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// At most so many entries.
    pub(super) size: usize,
    /// Go on after this key; from the start if absent.
    pub(super) after: Option<String>,
    question: String,
}

#[derive(Serialize, Deserialize)]
struct Token {
    version: u32,
    question: String,
    after: String,
}

impl Pager {
    /// With a key of its own.
    pub(super) fn new() -> Self {
        let key: [u8; 32] = quorate_runtime::random::bytes();
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &key) }
    }

    /// Reads size and token of a request. `question` is everything else that decides what is on
    /// the list; a token given out for another question is refused.
    pub(super) fn page(&self, size: i32, token: &str, question: &str) -> Result<Page, Status> {
        let size = match usize::try_from(size) {
            Ok(0) => SIZE_DEFAULT,
            Ok(size) => size.min(SIZE_MAX),
            Err(_) => {
                let problem = "must not be below zero; 0 stands for 50";
                return Err(errors::field_invalid("page_size", problem));
            }
        };
        let question = URL_SAFE_NO_PAD.encode(digest(&SHA256, question.as_bytes()));
        let after = if token.is_empty() { None } else { Some(self.read(token, &question)?) };
        Ok(Page { size, after, question })
    }

    fn read(&self, token: &str, question: &str) -> Result<String, Status> {
        let invalid = || {
            let problem = "is not one that this coordinator gave out: begin without a token";
            errors::page_token("FIELD_INVALID", problem)
        };
        if token.len() > TOKEN_BYTES_MAX {
            return Err(invalid());
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
        let split = bytes.len().checked_sub(TAG_BYTES).ok_or_else(invalid)?;
        let (json, tag) = bytes.split_at(split);
        // The shape first: what has another shape was never a token of ours, in no run.
        let read: Token = serde_json::from_slice(json).map_err(|_| invalid())?;
        if hmac::verify(&self.key, json, tag).is_err() || read.version != VERSION {
            let problem = "is of an earlier run of the coordinator: begin without a token";
            return Err(errors::page_token("PAGE_TOKEN_EXPIRED", problem));
        }
        if read.question != question {
            let problem = "was given out for another filter: begin without a token";
            return Err(errors::page_token("FIELD_INVALID", problem));
        }
        Ok(read.after)
    }

    /// Cuts `entries` (at most one more than the page's size) to the page, and gives the token of
    /// the next one: empty if this is the last.
    pub(super) fn cut<T>(
        &self,
        page: &Page,
        entries: &mut Vec<T>,
        key: impl Fn(&T) -> String,
    ) -> String {
        if entries.len() <= page.size {
            return String::new();
        }
        entries.truncate(page.size);
        self.token(page, entries.last().map(key).unwrap_or_default())
    }

    /// The token of the page that goes on after a key.
    pub(super) fn token(&self, page: &Page, after: String) -> String {
        let token = Token { version: VERSION, question: page.question.clone(), after };
        // Text and numbers always have a JSON form.
        let mut bytes = serde_json::to_vec(&token).unwrap_or_default();
        let tag = hmac::sign(&self.key, &bytes);
        bytes.extend_from_slice(tag.as_ref());
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;
    use tonic_types::StatusExt as _;

    use super::*;

    /// One page of the numbers from 0 to 9.
    fn list(pager: &Pager, size: i32, token: &str) -> Result<(Vec<usize>, String), Status> {
        let page = pager.page(size, token, "numbers")?;
        let after = page.after.as_ref().map(|key| key.parse::<usize>().unwrap());
        let mut entries: Vec<usize> =
            (after.map_or(0, |key| key + 1)..10).take(page.size + 1).collect();
        let next = pager.cut(&page, &mut entries, usize::to_string);
        Ok((entries, next))
    }

    fn reason(result: Result<impl Sized, Status>) -> String {
        let status = result.err().unwrap();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.get_details_bad_request().unwrap().field_violations.len(), 1);
        status.get_details_error_info().unwrap().reason
    }

    #[test]
    fn walks_everything_once_even_when_the_size_changes() {
        let pager = Pager::new();
        let (mut seen, mut token) = list(&pager, 3, "").unwrap();
        for size in [1, 4, 2] {
            let (entries, next) = list(&pager, size, &token).unwrap();
            seen.extend(entries);
            token = next;
        }
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
        assert_eq!(token, "");
    }

    #[test]
    fn sizes_have_a_default_and_a_bound() {
        let pager = Pager::new();
        assert_eq!(pager.page(0, "", "").unwrap().size, 50);
        assert_eq!(pager.page(5_000, "", "").unwrap().size, 1_000);
        assert_eq!(reason(pager.page(-1, "", "")), "FIELD_INVALID");
    }

    #[test]
    fn refuses_tokens_that_are_not_its_own() {
        let pager = Pager::new();
        let (_, token) = list(&pager, 3, "").unwrap();
        assert_eq!(reason(list(&Pager::new(), 3, &token)), "PAGE_TOKEN_EXPIRED");
        assert_eq!(reason(pager.page(3, &token, "other")), "FIELD_INVALID");
        assert_eq!(reason(list(&pager, 3, "AAAA")), "FIELD_INVALID");
        assert_eq!(reason(list(&pager, 3, &"A".repeat(2_000))), "FIELD_INVALID");
        let mut bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        let place = bytes.windows(3).position(|part| part == b"\"2\"").unwrap();
        bytes[place + 1] = b'7';
        let forged = URL_SAFE_NO_PAD.encode(bytes);
        assert_eq!(reason(list(&pager, 3, &forged)), "PAGE_TOKEN_EXPIRED");
    }
}
