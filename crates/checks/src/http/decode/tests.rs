use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use http::HeaderValue;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::*;

const TEXT: &[u8] = b"hello, compressed world";
const MIB: usize = 1024 * 1024;

/// `TEXT` as the reference implementation compresses it.
const TEXT_BROTLI: &str = "1b1600f82541c8ca72904d80c9122eea484e3fe81d";
/// 64 MiB of the letter x in the same way.
const BOMB_BROTLI: &str = "cbffff3ff825f0e2b14020f7fe8fffff7ff04b00c4611180eefd1fffffffe0970088c302\
00ddfb3ffeffffc12f0110870500baf77ffcffff835f02200e0b0074effff8ffff07bf04401c1600e8defff1ffff0f7e0980\
382c00d0bdffcbffff3ffc1200715800a07bff07";

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().collect();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    compress_to_vec(text, CompressionLevel::Fastest)
}

fn named(codings: &[&'static str]) -> HeaderMap {
    let values = codings.iter().map(|coding| HeaderValue::from_static(coding));
    values.map(|value| (header::CONTENT_ENCODING, value)).collect()
}

#[test]
fn each_coding_is_undone() {
    for (coding, body) in [
        ("gzip", gzip(TEXT)),
        ("X-GZIP", gzip(TEXT)),
        ("deflate", zlib(TEXT)),
        ("deflate", deflate(TEXT)),
        ("br", unhex(TEXT_BROTLI)),
        ("zstd", zstd(TEXT)),
        ("identity, gzip", gzip(TEXT)),
    ] {
        let length = body.len();
        let decoded = decode(&named(&[coding]), body, true, MIB).unwrap();
        let wanted = Decoded { body: TEXT.to_vec(), all: true, wire: Some(length) };
        assert_eq!(decoded, wanted, "{coding}");
    }
    for codings in [&[][..], &["identity"], &[""]] {
        let decoded = decode(&named(codings), TEXT.to_vec(), true, MIB).unwrap();
        assert_eq!(decoded, Decoded { body: TEXT.to_vec(), all: true, wire: None });
    }
}

#[test]
fn bombs_come_out_cut() {
    let text = vec![b'x'; 8 * MIB];
    for (coding, body) in [
        ("gzip", gzip(&text)),
        ("deflate", zlib(&text)),
        ("br", unhex(BOMB_BROTLI)),
        ("zstd", zstd(&text)),
    ] {
        let length = body.len();
        let decoded = decode(&named(&[coding]), body, true, 10 * MIB).unwrap();
        assert!(!decoded.all, "{coding}");
        assert!(decoded.body.len() <= FREE_BYTES.max(length * RATIO_MAX), "{coding}");
        assert!(decoded.body.len() <= 10 * MIB && decoded.body.iter().all(|byte| *byte == b'x'));
    }
}

#[test]
fn more_than_is_wanted_is_cut() {
    let text = vec![b'y'; 300];
    let decoded = decode(&named(&["gzip"]), gzip(&text), true, 100).unwrap();
    assert_eq!((decoded.body.len(), decoded.all), (100, false));
    let whole = decode(&named(&["gzip"]), gzip(&text), true, 300).unwrap();
    assert_eq!((whole.body.len(), whole.all), (300, true));
}

#[test]
fn of_a_body_that_was_cut_as_much_as_can_be() {
    let text: Vec<u8> =
        (0..100_000_u32).flat_map(|number| number.to_string().into_bytes()).collect();
    for (coding, body) in [("gzip", gzip(&text)), ("deflate", zlib(&text))] {
        let half = body.get(..body.len() / 2).unwrap().to_vec();
        let decoded = decode(&named(&[coding]), half, false, MIB).unwrap();
        assert!(!decoded.all && !decoded.body.is_empty() && text.starts_with(&decoded.body));
    }
}

#[test]
fn what_cannot_be_undone_is_told() {
    for (codings, body, problem) in [
        (&["gzip, gzip"][..], gzip(&gzip(TEXT)), "compressed more than once"),
        (&["gzip", "br"], gzip(TEXT), "compressed more than once"),
        (&["compress"], TEXT.to_vec(), "an unknown way, \"compress\""),
        (&["gzip"], TEXT.to_vec(), "not valid gzip"),
        (&["br"], vec![0xff; 40], "not valid br"),
        (&["zstd"], TEXT.to_vec(), "not valid zstd"),
        (&["gzip"], gzip(TEXT).into_iter().take(20).collect(), "not valid gzip"),
    ] {
        let stop = decode(&named(codings), body, true, MIB).unwrap_err();
        assert!(stop.message.contains(problem), "{} lacks {problem}", stop.message);
    }
}
