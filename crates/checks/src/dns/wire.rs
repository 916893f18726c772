//! DNS messages: a question is written, an answer is read.
//!
//! The reader trusts nothing: a pointer must lead backwards, a name has at most 255 bytes, a record
//! that it does not understand is shown as bytes. Source: RFC 1035, section 4.

use std::net::IpAddr;

use super::names::{self, Name};
use super::rdata::{self, Data};

/// The most records of one section that are looked at.
pub(super) const RECORDS_MAX: usize = 256;
/// The most bytes of an answer over UDP. Source: RFC 9715, section 3.
const UDP_BYTES: u16 = 1232;
/// The class IN.
const INTERNET: u16 = 1;
/// The type of the pseudo record that extends a message. Source: RFC 6891, section 6.1.
const OPT: u16 = 41;
/// The length of a header.
const HEADER_BYTES: usize = 12;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) name: Name,
    pub(super) kind: u16,
    /// Whether the server should look further than in its own zones.
    pub(super) recursion: bool,
}

impl Question {
    /// The message. The flag AD asks to be told whether the answer is authentic; source: RFC 6840,
    /// section 5.7.
    pub(super) fn message(&self, id: u16) -> Vec<u8> {
        const AUTHENTIC: u8 = 0x20;
        let mut message = id.to_be_bytes().to_vec();
        message.extend([u8::from(self.recursion), AUTHENTIC, 0, 1, 0, 0, 0, 0, 0, 1]);
        message.extend(self.name.wire());
        message.extend(self.kind.to_be_bytes());
        message.extend(INTERNET.to_be_bytes());
        message.push(0); // the root is the owner of OPT
        message.extend(OPT.to_be_bytes());
        message.extend(UDP_BYTES.to_be_bytes());
        message.extend([0; 6]);
        message
    }
}

/// A record of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// As text, without the final dot.
    pub(super) owner: String,
    pub(super) kind: u16,
    pub(super) data: Data,
}

impl std::fmt::Display for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.owner, rdata::type_name(self.kind), self.data.text)
    }
}

/// The flags that people ask about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "a message has these flags, each for itself")]
pub(super) struct Flags {
    pub(super) authoritative: bool,
    pub(super) truncated: bool,
    pub(super) recursion_available: bool,
    pub(super) authentic: bool,
}

/// A section: how many records it is said to have, and those that were read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Section {
    pub(super) count: u16,
    pub(super) records: Vec<Record>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) rcode: u16,
    pub(super) flags: Flags,
    pub(super) answers: Section,
    pub(super) authority: Section,
    pub(super) additional: Section,
}

/// Why bytes are no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// They answer something else: another id, another question, or no question at all.
    Other,
    /// They answer this question, and are broken.
    Broken(&'static str),
}

/// Reads the answer to `question`, which was asked as `id`.
pub(super) fn read(message: &[u8], question: &Question, id: u16) -> Result<Answer, NoAnswer> {
    let mut reader = Reader::new(message);
    let (flags, [_, answers, authorities, additionals]) =
        head(&mut reader, question, id).ok_or(NoAnswer::Other)?;
    let [high, low] = flags;
    let mut answer = Answer {
        rcode: u16::from(low & 0x0f),
        flags: Flags {
            authoritative: high & 0x04 != 0,
            truncated: high & 0x02 != 0,
            recursion_available: low & 0x80 != 0,
            authentic: low & 0x20 != 0,
        },
        answers: Section { count: answers, ..Section::default() },
        authority: Section { count: authorities, ..Section::default() },
        additional: Section { count: additionals, ..Section::default() },
    };
    if answer.flags.truncated {
        // What follows is not complete, and nobody looks at it.
        return Ok(answer);
    }
    'sections: for section in [&mut answer.answers, &mut answer.authority, &mut answer.additional] {
        for index in 0..usize::from(section.count) {
            // What is beyond the limit of an earlier section cannot be told from a later one's.
            if index >= RECORDS_MAX {
                break 'sections;
            }
            let (record, extended) =
                record(&mut reader).ok_or(NoAnswer::Broken("a record cannot be read"))?;
            match extended {
                Some(high) => {
                    answer.rcode |= u16::from(high) << 4;
                    section.count = section.count.saturating_sub(1);
                }
                None => section.records.push(record),
            }
        }
    }
    Ok(answer)
}

/// Reads header and question; `None` unless they answer `question`.
fn head(reader: &mut Reader<'_>, question: &Question, id: u16) -> Option<([u8; 2], [u16; 4])> {
    let found = reader.u16()?;
    let flags: [u8; 2] = reader.take(2)?.try_into().ok()?;
    let counts = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
    let is_response = flags[0] & 0x80 != 0;
    if found != id || !is_response || counts[0] != 1 {
        return None;
    }
    let name = reader.name()?;
    let same =
        question.name.is(&name) && reader.u16()? == question.kind && reader.u16()? == INTERNET;
    same.then_some((flags, counts))
}

/// Reads a record, or of OPT the upper bits of the response code.
fn record(reader: &mut Reader<'_>) -> Option<(Record, Option<u8>)> {
    let owner = reader.name()?;
    let kind = reader.u16()?;
    let _class = reader.u16()?;
    let [extended, ..]: [u8; 4] = reader.take(4)?.try_into().ok()?;
    let length = usize::from(reader.u16()?);
    let mut data = reader.part(length)?;
    if kind == OPT {
        return Some((Record { owner, kind, data: Data::default() }, Some(extended)));
    }
    let data = rdata::read(kind, &mut data);
    Some((Record { owner, kind, data }, None))
}

/// Reads a message from front to back.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    message: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    fn new(message: &'a [u8]) -> Self {
        Self { message, at: 0, end: message.len() }
    }

    /// A reader of the next `length` bytes, which this one skips. Names in them may point before.
    fn part(&mut self, length: usize) -> Option<Self> {
        let at = self.at;
        self.take(length)?;
        Some(Self { message: self.message, at, end: self.at })
    }

    /// The next `length` bytes.
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.end)?;
        let taken = self.message.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        self.take(self.end.saturating_sub(self.at)).unwrap_or_default()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// A string of at most 255 bytes with its length before it.
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.u8()?);
        self.take(length)
    }

    /// An address, of four bytes or of sixteen.
    pub(super) fn address(&mut self) -> Option<IpAddr> {
        match self.rest() {
            four if four.len() == 4 => Some(IpAddr::from(<[u8; 4]>::try_from(four).ok()?)),
            many => Some(IpAddr::from(<[u8; 16]>::try_from(many).ok()?)),
        }
    }

    /// A name, decompressed. A pointer must lead to before the labels that it ends, so no name has
    /// more pointers than bytes, and none is a circle.
    pub(super) fn name(&mut self) -> Option<String> {
        let mut labels: Vec<&[u8]> = Vec::new();
        let mut bytes = 1;
        let mut walk = self.clone();
        let mut start = self.at;
        let mut after = None;
        loop {
            let length = walk.u8()?;
            match length {
                0 => break,
                1..=0x3f => {
                    let label = walk.take(usize::from(length))?;
                    bytes += 1 + label.len();
                    if bytes > names::BYTES_MAX {
                        return None;
                    }
                    labels.push(label);
                }
                0xc0.. => {
                    let low = walk.u8()?;
                    after = after.or(Some(walk.at));
                    let target = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                    if target >= start || target < HEADER_BYTES {
                        return None;
                    }
                    (walk.at, walk.end, start) = (target, self.message.len(), target);
                }
                0x40..=0xbf => return None,
            }
        }
        self.at = after.unwrap_or(walk.at);
        Some(names::shown(&labels))
    }
}

#[cfg(test)]
mod tests;
