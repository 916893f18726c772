//! Bodies that come compressed, undone within bounds.
//!
//! A few bytes may stand for gigabytes, so what comes out is bounded by size and, beyond the first
//! 64 KiB, by its ratio to what went in. Only one coding is undone. The decoders are safe Rust.

use std::io::{self, Read};

use http::header::{self, HeaderMap};
use quorate_model::{Phase, Reason};
use ruzstd::decoding::StreamingDecoder;

use crate::phase::{Stop, cut};

/// What is asked for when a check wants compressed bodies.
pub(super) const ACCEPTED: &str = "gzip, br, zstd, deflate";

/// How much may come out whatever the ratio, in bytes.
const FREE_BYTES: usize = 64 * 1024;
/// How many times longer than the compressed body the rest may be.
const RATIO_MAX: usize = 100;
/// The largest window of zstd. Source: RFC 9659, section 3.
const WINDOW_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// How much is decoded at a time, in bytes.
const CHUNK_BYTES: usize = 16 * 1024;
/// The longest name of a coding in a message, in bytes.
const SHOWN_BYTES_MAX: usize = 100;

/// A way to compress. Source: RFC 9110, section 8.4.1; RFC 7932; RFC 8878.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// What is left of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) body: Vec<u8>,
    /// Whether it is all of it.
    pub(super) all: bool,
    /// How long it was before, if it was compressed, in bytes.
    pub(super) wire: Option<usize>,
}

/// Undoes the coding that `headers` name; of a body that has been cut before, as much as can be.
/// At most `bytes_max` bytes come out.
pub(super) fn decode(
    headers: &HeaderMap,
    body: Vec<u8>,
    all: bool,
    bytes_max: usize,
) -> Result<Decoded, Stop> {
    let fails = |message: String| Stop::fail(Phase::Transfer, Reason::Encoding, message);
    let Some(coding) = coding(headers).map_err(fails)?.filter(|_| !body.is_empty()) else {
        return Ok(Decoded { body, all, wire: None });
    };
    let room = bytes_max.min(FREE_BYTES.max(body.len().saturating_mul(RATIO_MAX)));
    let (decoded, ended) = coding.undo(&body, room);
    let is_cut = decoded.len() > room;
    match ended {
        Err(error) if all && !is_cut => {
            Err(fails(format!("the body is not valid {}: {error}", coding.name())))
        }
        _ => {
            let (wire, mut body) = (Some(body.len()), decoded);
            body.truncate(room);
            Ok(Decoded { body, all: all && !is_cut, wire })
        }
    }
}

/// The one coding of a body, if it has one.
fn coding(headers: &HeaderMap) -> Result<Option<Coding>, String> {
    let values: Vec<_> = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase())
        .collect();
    let named = values.iter().flat_map(|value| value.split(','));
    let mut named = named.map(str::trim).filter(|name| !matches!(*name, "" | "identity"));
    let Some(name) = named.next() else {
        return Ok(None);
    };
    if named.next().is_some() {
        return Err("the body is compressed more than once".to_owned());
    }
    match name {
        "gzip" | "x-gzip" => Ok(Some(Coding::Gzip)),
        "deflate" => Ok(Some(Coding::Deflate)),
        "br" => Ok(Some(Coding::Brotli)),
        "zstd" => Ok(Some(Coding::Zstd)),
        other => {
            let other = cut(other.to_owned(), SHOWN_BYTES_MAX);
            Err(format!("the body is compressed in an unknown way, {other:?}"))
        }
    }
}

impl Coding {
    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// What comes out, until it is over, breaks off, or is more than `room`.
    fn undo(self, body: &[u8], room: usize) -> (Vec<u8>, io::Result<()>) {
        match self {
            Self::Gzip => drain(flate2::read::MultiGzDecoder::new(body), room),
            // The name stands for zlib, but some servers send what is inside only.
            Self::Deflate if is_zlib(body) => drain(flate2::read::ZlibDecoder::new(body), room),
            Self::Deflate => drain(flate2::read::DeflateDecoder::new(body), room),
            Self::Brotli => drain(brotli_decompressor::Decompressor::new(body, CHUNK_BYTES), room),
            Self::Zstd => {
                match StreamingDecoder::new_with_max_window_size(body, WINDOW_BYTES_MAX) {
                    Ok(decoder) => drain(decoder, room),
                    Err(error) => (Vec::new(), Err(io::Error::other(error.to_string()))),
                }
            }
        }
    }
}

/// Whether a body begins as zlib does. Source: RFC 1950, section 2.2.
fn is_zlib(body: &[u8]) -> bool {
    let [first, second, ..] = body else {
        return false;
    };
    first & 0x0f == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31)
}

fn drain(mut decoder: impl Read, room: usize) -> (Vec<u8>, io::Result<()>) {
    let mut bytes = Vec::new();
    let mut chunk = [0; CHUNK_BYTES];
    while bytes.len() <= room {
        match decoder.read(&mut chunk) {
            Ok(0) => return (bytes, Ok(())),
            Ok(read) => bytes.extend_from_slice(chunk.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (bytes, Err(error)),
        }
    }
    (bytes, Ok(()))
}

#[cfg(test)]
mod tests;
