//! Names of the DNS, as users write them and as they travel.

use std::fmt::{Arguments, Write as _};
use std::net::IpAddr;

/// The longest name on the wire, in bytes, with its final zero. Source: RFC 1035, section 2.3.4.
pub(super) const BYTES_MAX: usize = 255;
/// The longest label, in bytes.
const LABEL_BYTES_MAX: usize = 63;

/// A name that can be asked for: ASCII, without the final dot; the root is `.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(String);

impl Name {
    /// Reads a name such as `example.com`, `_sip._tcp.example.com.` or `bücher.example`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let error = |why: &str| format!("{text:?} is no name: {why}");
        let ascii = if text.is_ascii() {
            text.to_owned()
        } else {
            match url::Host::parse(text) {
                Ok(url::Host::Domain(name)) => name,
                _ => return Err(error("its letters cannot be written in ASCII (IDNA)")),
            }
        };
        let name = ascii.strip_suffix('.').unwrap_or(&ascii);
        if name.is_empty() {
            let is_root = text == ".";
            return if is_root { Ok(Self(text.to_owned())) } else { Err(error("it is empty")) };
        }
        for label in name.split('.') {
            match label.len() {
                0 => return Err(error("a label is empty")),
                1..=LABEL_BYTES_MAX => {}
                _ => return Err(error("a label has more than 63 bytes")),
            }
            if !label.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
                return Err(error("only letters, digits and signs of ASCII may be in it"));
            }
        }
        if name.len() + 2 > BYTES_MAX {
            return Err(error("it has more than 253 bytes"));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name under which a PTR record stands. Source: RFC 1035, section 3.5; RFC 3596,
    /// section 2.5.
    pub(super) fn reverse(address: IpAddr) -> Self {
        let mut name = String::new();
        match address {
            IpAddr::V4(address) => {
                for byte in address.octets().iter().rev() {
                    push(&mut name, format_args!("{byte}."));
                }
                name.push_str("in-addr.arpa");
            }
            IpAddr::V6(address) => {
                for byte in address.octets().iter().rev() {
                    push(&mut name, format_args!("{:x}.{:x}.", byte & 0x0f, byte >> 4));
                }
                name.push_str("ip6.arpa");
            }
        }
        Self(name)
    }

    /// As it travels.
    pub(super) fn wire(&self) -> Vec<u8> {
        let mut wire = Vec::with_capacity(self.0.len() + 2);
        for label in self.0.split('.').filter(|label| !label.is_empty()) {
            wire.push(u8::try_from(label.len()).unwrap_or_default());
            wire.extend(label.bytes());
        }
        wire.push(0);
        wire
    }

    /// Whether it is the name that `text`, read from a message, is.
    pub(super) fn is(&self, text: &str) -> bool {
        self.0.eq_ignore_ascii_case(text)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Adds to a text.
pub(super) fn push(text: &mut String, more: Arguments<'_>) {
    let added = text.write_fmt(more);
    debug_assert!(added.is_ok(), "a string takes all");
}

/// Labels of a message as text: without the final dot; dots inside a label and whatever is no letter
/// are escaped. Source: RFC 4343, section 2.1.
pub(super) fn shown(labels: &[&[u8]]) -> String {
    if labels.is_empty() {
        return ".".to_owned();
    }
    let mut text = String::new();
    for (index, label) in labels.iter().enumerate() {
        if index > 0 {
            text.push('.');
        }
        for byte in *label {
            match byte {
                b'.' | b'\\' => text.extend(['\\', char::from(*byte)]),
                0x21..=0x7e => text.push(char::from(*byte)),
                other => push(&mut text, format_args!("\\{other:03}")),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_users_write() {
        for (text, name) in [
            ("example.com", "example.com"),
            ("Example.COM.", "Example.COM"),
            ("_sip._tcp.example.com", "_sip._tcp.example.com"),
            ("*.example.com", "*.example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            (".", "."),
        ] {
            assert_eq!(Name::parse(text).unwrap().as_str(), name);
        }
        let long = format!("{}.example", "a".repeat(64));
        let longer = vec!["a".repeat(63); 4].join(".");
        for text in ["", "..", "a..b", ".a", "a b", "a\\b", "a\u{7f}", &long, &longer] {
            assert!(Name::parse(text).is_err(), "{text}");
        }
        let fits = format!(
            "{}.{}",
            ["a".repeat(63), "b".repeat(63), "c".repeat(63)].join("."),
            "d".repeat(61)
        );
        assert_eq!(Name::parse(&fits).unwrap().wire().len(), BYTES_MAX);
    }

    #[test]
    fn addresses_have_names() {
        let name = |text: &str| Name::reverse(text.parse().unwrap()).as_str().to_owned();
        assert_eq!(name("192.0.2.7"), "7.2.0.192.in-addr.arpa");
        let six = name("2001:db8::1");
        assert!(six.starts_with("1.0.0.0.") && six.ends_with(".8.b.d.0.1.0.0.2.ip6.arpa"), "{six}");
    }

    #[test]
    fn shows_labels_that_are_no_words() {
        assert_eq!(shown(&[b"a.b", b"\x1b[0m", b"c"]), "a\\.b.\\027[0m.c");
        assert_eq!(shown(&[]), ".");
    }
}
