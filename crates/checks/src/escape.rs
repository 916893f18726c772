//! Bytes written as text.

/// The bytes of a text with the escapes `\r`, `\n`, `\t`, `\0`, `\\` and `\xHH`.
pub(crate) fn unescaped(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        bytes.extend(before.bytes());
        let (byte, length) = one(escape).ok_or_else(|| {
            let escape: String = escape.chars().take(4).collect();
            format!("unknown escape at {escape}: known are \\r, \\n, \\t, \\0, \\\\ and \\xHH")
        })?;
        bytes.push(byte);
        rest = escape.get(length..).unwrap_or_default();
    }
    bytes.extend(rest.bytes());
    Ok(bytes)
}

/// The byte of the escape at the start of `text`, and the escape's length.
fn one(text: &str) -> Option<(u8, usize)> {
    Some(match text.as_bytes().get(1)? {
        b'r' => (b'\r', 2),
        b'n' => (b'\n', 2),
        b't' => (b'\t', 2),
        b'0' => (0, 2),
        b'\\' => (b'\\', 2),
        b'x' => {
            let digits = text.get(2..4)?;
            let hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            let byte = u8::from_str_radix(digits, 16).ok().filter(|_| hex)?;
            (byte, 4)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_escape_and_leaves_the_rest() {
        assert_eq!(unescaped("PING\\r\\n\\t\\0\\\\\\xfFé").unwrap(), b"PING\r\n\t\0\\\xff\xc3\xa9");
        for text in ["\\", "\\q", "\\x1", "\\x+1", "\\xg0", "a\\é"] {
            assert!(unescaped(text).is_err(), "{text}");
        }
    }
}
