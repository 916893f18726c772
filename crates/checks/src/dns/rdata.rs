//! The content of records as text, in the spelling of zone files. Source: RFC 1035, section 5.1.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::names::push;
use super::wire::Reader;

/// The longest text of one record, in bytes.
const TEXT_BYTES_MAX: usize = 4 * 1024;

/// Types by name. Source: IANA, "Domain Name System (DNS) Parameters".
const TYPES: [(&str, u16); 31] = [
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("HINFO", 13),
    ("MX", 15),
    ("TXT", 16),
    ("RP", 17),
    ("AFSDB", 18),
    ("AAAA", 28),
    ("LOC", 29),
    ("SRV", 33),
    ("NAPTR", 35),
    ("CERT", 37),
    ("DNAME", 39),
    ("DS", 43),
    ("SSHFP", 44),
    ("RRSIG", 46),
    ("NSEC", 47),
    ("DNSKEY", 48),
    ("NSEC3", 50),
    ("NSEC3PARAM", 51),
    ("TLSA", 52),
    ("SMIMEA", 53),
    ("CDS", 59),
    ("CDNSKEY", 60),
    ("OPENPGPKEY", 61),
    ("SVCB", 64),
    ("HTTPS", 65),
    ("CAA", 257),
];

/// Response codes by name. Source: IANA, "DNS RCODEs".
const RCODES: [(&str, u16); 20] = [
    ("NOERROR", 0),
    ("FORMERR", 1),
    ("SERVFAIL", 2),
    ("NXDOMAIN", 3),
    ("NOTIMP", 4),
    ("REFUSED", 5),
    ("YXDOMAIN", 6),
    ("YXRRSET", 7),
    ("NXRRSET", 8),
    ("NOTAUTH", 9),
    ("NOTZONE", 10),
    ("DSOTYPENI", 11),
    ("BADVERS", 16),
    ("BADKEY", 17),
    ("BADTIME", 18),
    ("BADMODE", 19),
    ("BADNAME", 20),
    ("BADALG", 21),
    ("BADTRUNC", 22),
    ("BADCOOKIE", 23),
];

/// The parameters of SVCB and HTTPS. Source: RFC 9460, section 14.3.2.
const PARAMETERS: [&str; 7] =
    ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint"];

fn named(table: &[(&str, u16)], prefix: &str, number: u16) -> String {
    let row = table.iter().find(|(_, value)| *value == number);
    row.map_or_else(|| format!("{prefix}{number}"), |(name, _)| (*name).to_owned())
}

fn numbered(table: &[(&str, u16)], prefix: &str, text: &str) -> Option<u16> {
    let name = text.to_ascii_uppercase();
    let row = table.iter().find(|(row, _)| *row == name);
    row.map(|(_, number)| *number).or_else(|| {
        let digits = name.strip_prefix(prefix)?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| plain)
    })
}

/// The name of a type; `TYPE65280` for one without. Source: RFC 3597, section 5.
pub(super) fn type_name(kind: u16) -> String {
    named(&TYPES, "TYPE", kind)
}

/// The type of a name.
pub(super) fn type_number(text: &str) -> Option<u16> {
    numbered(&TYPES, "TYPE", text)
}

/// The name of a response code; `RCODE11` for one without.
pub(super) fn rcode_name(code: u16) -> String {
    named(&RCODES, "RCODE", code)
}

/// The response code of a name.
pub(super) fn rcode_number(text: &str) -> Option<u16> {
    numbered(&RCODES, "RCODE", text).filter(|code| *code < 4096)
}

/// What a record holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Data {
    pub(super) text: String,
    /// Of A and AAAA.
    pub(super) address: Option<IpAddr>,
    /// Of SOA.
    pub(super) serial: Option<u32>,
}

/// Reads the content of a record of type `kind`; what does not fit its type is shown as bytes.
pub(super) fn read(kind: u16, reader: &mut Reader<'_>) -> Data {
    let whole = reader.clone().rest();
    let mut data = understood(kind, reader)
        .filter(|_| reader.rest().is_empty())
        .unwrap_or_else(|| Data { text: raw(whole), ..Data::default() });
    data.text = crate::phase::cut(data.text, TEXT_BYTES_MAX);
    data
}

/// The spelling for any type. Source: RFC 3597, section 5.
fn raw(bytes: &[u8]) -> String {
    format!("\\# {} {}", bytes.len(), hex(bytes)).trim_end().to_owned()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        push(&mut text, format_args!("{byte:02x}"));
    }
    text
}

/// In quotes, escaped.
fn quoted(bytes: &[u8]) -> String {
    let mut text = "\"".to_owned();
    for byte in bytes {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(*byte)]),
            0x20..=0x7e => text.push(char::from(*byte)),
            other => push(&mut text, format_args!("\\{other:03}")),
        }
    }
    text.push('"');
    text
}

fn understood(kind: u16, reader: &mut Reader<'_>) -> Option<Data> {
    let text = match type_name(kind).as_str() {
        "A" | "AAAA" => {
            let address = reader.address().filter(|one| one.is_ipv4() == (kind == 1))?;
            let text = address.to_string();
            return Some(Data { text, address: Some(address), serial: None });
        }
        "NS" | "CNAME" | "PTR" | "DNAME" => reader.name()?,
        "MX" | "AFSDB" => format!("{} {}", reader.u16()?, reader.name()?),
        "SRV" => {
            let [priority, weight, port] = [reader.u16()?, reader.u16()?, reader.u16()?];
            format!("{priority} {weight} {port} {}", reader.name()?)
        }
        "SOA" => {
            let (primary, mailbox) = (reader.name()?, reader.name()?);
            let serial = reader.u32()?;
            let [refresh, retry, expire, minimum] =
                [reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?];
            let text = format!("{primary} {mailbox} {serial} {refresh} {retry} {expire} {minimum}");
            return Some(Data { text, address: None, serial: Some(serial) });
        }
        "TXT" => return texts(reader),
        "HINFO" => format!("{} {}", quoted(reader.string()?), quoted(reader.string()?)),
        "CAA" => {
            let (flags, tag) = (reader.u8()?, String::from_utf8_lossy(reader.string()?));
            format!("{flags} {tag} {}", quoted(reader.rest()))
        }
        "DS" | "CDS" => {
            let (tag, algorithm, digest) = (reader.u16()?, reader.u8()?, reader.u8()?);
            format!("{tag} {algorithm} {digest} {}", hex(reader.rest()))
        }
        "DNSKEY" | "CDNSKEY" => {
            let (flags, protocol, algorithm) = (reader.u16()?, reader.u8()?, reader.u8()?);
            format!("{flags} {protocol} {algorithm} {}", BASE64.encode(reader.rest()))
        }
        "TLSA" | "SMIMEA" => {
            let [usage, selector, matching] = [reader.u8()?, reader.u8()?, reader.u8()?];
            format!("{usage} {selector} {matching} {}", hex(reader.rest()))
        }
        "SSHFP" => format!("{} {} {}", reader.u8()?, reader.u8()?, hex(reader.rest())),
        "NAPTR" => {
            let [order, preference] = [reader.u16()?, reader.u16()?];
            let [flags, service, regex] = [reader.string()?, reader.string()?, reader.string()?];
            let (flags, service, regex) = (quoted(flags), quoted(service), quoted(regex));
            format!("{order} {preference} {flags} {service} {regex} {}", reader.name()?)
        }
        "SVCB" | "HTTPS" => service(reader)?,
        "OPENPGPKEY" => BASE64.encode(reader.rest()),
        _ => return None,
    };
    Some(Data { text, ..Data::default() })
}

/// The strings of a TXT record as one text without quotes: how they are cut has no meaning (RFC
/// 7208, section 3.3, says so for SPF).
fn texts(reader: &mut Reader<'_>) -> Option<Data> {
    let mut bytes = reader.string()?.to_vec();
    let mut rest = reader.clone();
    while let Some(more) = rest.string() {
        bytes.extend(more);
        *reader = rest.clone();
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Some(Data { text, ..Data::default() })
}

/// SVCB and HTTPS. Source: RFC 9460, section 2.
fn service(reader: &mut Reader<'_>) -> Option<String> {
    let mut text = format!("{} {}", reader.u16()?, reader.name()?);
    loop {
        let Some(key) = reader.u16() else {
            return Some(text);
        };
        let length = usize::from(reader.u16()?);
        let value = reader.take(length)?;
        let name = PARAMETERS
            .get(usize::from(key))
            .map_or_else(|| format!("key{key}"), |name| (*name).to_owned());
        let value = parameter(&name, value)?;
        let equals = if value.is_empty() { "" } else { "=" };
        push(&mut text, format_args!(" {name}{equals}{value}"));
    }
}

fn parameter(name: &str, value: &[u8]) -> Option<String> {
    Some(match name {
        "mandatory" => {
            let keys = value.chunks(2).map(|pair| pair.try_into().map(u16::from_be_bytes));
            let keys: Vec<u16> = keys.collect::<Result<_, _>>().ok()?;
            let name = |key: &u16| {
                PARAMETERS
                    .get(usize::from(*key))
                    .map_or_else(|| format!("key{key}"), |name| (*name).to_owned())
            };
            keys.iter().map(name).collect::<Vec<_>>().join(",")
        }
        "alpn" => {
            let mut names = Vec::new();
            let mut rest = value;
            while let Some((length, tail)) = rest.split_first() {
                let (name, tail) = tail.split_at_checked(usize::from(*length))?;
                names.push(String::from_utf8_lossy(name).into_owned());
                rest = tail;
            }
            names.join(",")
        }
        "port" => u16::from_be_bytes(value.try_into().ok()?).to_string(),
        "ipv4hint" => {
            let all = value.chunks(4).map(|four| <[u8; 4]>::try_from(four).map(IpAddr::from));
            addresses(&all.collect::<Result<Vec<_>, _>>().ok()?)
        }
        "ipv6hint" => {
            let all = value.chunks(16).map(|many| <[u8; 16]>::try_from(many).map(IpAddr::from));
            addresses(&all.collect::<Result<Vec<_>, _>>().ok()?)
        }
        "ech" => BASE64.encode(value),
        _ if value.is_empty() => String::new(),
        _ => quoted(value),
    })
}

fn addresses(all: &[IpAddr]) -> String {
    all.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(",")
}
