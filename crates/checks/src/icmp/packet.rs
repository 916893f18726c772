//! Echo requests and their replies. Source: RFC 792, page 14; RFC 4443, section 4.

use std::net::IpAddr;

/// The bytes that make a probe's packets known again, whoever else forges or repeats replies.
pub(super) const NONCE_BYTES: usize = 16;
/// The length of the head of an echo.
const HEAD_BYTES: usize = 8;

/// The packets of one probe.
#[derive(Debug, Clone)]
pub(super) struct Echo {
    /// Whether over IPv6.
    v6: bool,
    ident: u16,
    nonce: [u8; NONCE_BYTES],
    /// Bytes after the head, the nonce among them.
    size: usize,
}

impl Echo {
    pub(super) fn new(to: IpAddr, nonce: [u8; NONCE_BYTES], size: usize) -> Self {
        let [high, low, ..] = nonce;
        Self { v6: to.is_ipv6(), ident: u16::from_be_bytes([high, low]), nonce, size }
    }

    /// Request number `sequence`.
    pub(super) fn request(&self, sequence: u16) -> Vec<u8> {
        let kind = if self.v6 { 128 } else { 8 };
        let mut packet = vec![kind, 0, 0, 0];
        packet.extend(self.ident.to_be_bytes());
        packet.extend(sequence.to_be_bytes());
        packet.extend(self.nonce);
        packet.resize(HEAD_BYTES + self.size, 0);
        if !self.v6 {
            // Over IPv6 the kernel fills it in, as it covers the source address.
            let [high, low] = checksum(&packet).to_be_bytes();
            if let Some(field) = packet.get_mut(2..4) {
                field.copy_from_slice(&[high, low]);
            }
        }
        packet
    }

    /// The number of the request that `packet` replies to. An IPv4 header before it, as raw sockets
    /// have it, is skipped. The ident is not looked at: the kernel changes it for ping sockets.
    pub(super) fn reply(&self, packet: &[u8]) -> Option<u16> {
        let packet = if self.v6 { packet } else { without_header(packet) };
        let kind = if self.v6 { 129 } else { 0 };
        let (head, rest) = packet.split_at_checked(HEAD_BYTES)?;
        let &[found, code, _, _, _, _, high, low] = head else {
            return None;
        };
        let whole = rest.len() == self.size && rest.starts_with(&self.nonce);
        (found == kind && code == 0 && whole).then(|| u16::from_be_bytes([high, low]))
    }
}

/// Echo replies begin with 0, IPv4 headers with a 4.
fn without_header(packet: &[u8]) -> &[u8] {
    match packet.first() {
        Some(first) if first >> 4 == 4 => {
            packet.get(usize::from(first & 0x0f) * 4..).unwrap_or_default()
        }
        _ => packet,
    }
}

/// The checksum of the internet. Source: RFC 1071, section 1.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        let high = pair.first().copied().unwrap_or(0);
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([high, low]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: [u8; NONCE_BYTES] = *b"0123456789abcdef";

    fn v4() -> Echo {
        Echo::new([192, 0, 2, 1].into(), NONCE, 24)
    }

    /// The reply to a request, as a host makes it.
    fn replied(request: &[u8], kind: u8) -> Vec<u8> {
        let mut reply = request.to_vec();
        reply[0] = kind;
        reply[4..6].copy_from_slice(&[9, 9]); // as a ping socket has it
        reply
    }

    #[test]
    fn a_reply_is_known_by_its_nonce_and_number() {
        let request = v4().request(0x0102);
        assert_eq!(request.len(), 32);
        assert_eq!(checksum(&request), 0, "a packet with its checksum sums up to nothing");
        let reply = replied(&request, 0);
        assert_eq!(v4().reply(&reply), Some(0x0102));
        let header = [&[0x45][..], &[0; 19]].concat();
        assert_eq!(v4().reply(&[&header[..], &reply].concat()), Some(0x0102));
        let longer = [&[0x46][..], &[0; 23]].concat();
        assert_eq!(v4().reply(&[&longer[..], &reply].concat()), Some(0x0102));

        let six = Echo::new("2001:db8::1".parse().unwrap(), NONCE, 24);
        assert_eq!(six.reply(&replied(&six.request(7), 129)), Some(7));
    }

    #[test]
    fn what_is_forged_counts_for_nothing() {
        let request = v4().request(1);
        assert_eq!(v4().reply(&request), None, "our own request, as raw sockets hear it");
        let good = replied(&request, 0);
        let mut other_nonce = good.clone();
        other_nonce[8] ^= 1;
        let mut other_code = good.clone();
        other_code[1] = 1;
        let unreachable = [&[3, 1, 0, 0, 0, 0, 0, 0][..], &good].concat();
        for forged in [
            other_nonce,
            other_code,
            good[..31].to_vec(),
            unreachable,
            Vec::new(),
            vec![0x4f],
            vec![0x45; 20],
        ] {
            assert_eq!(v4().reply(&forged), None, "{forged:?}");
        }
    }

    #[test]
    fn the_checksum_of_the_example() {
        // Source: RFC 1071, section 3.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(checksum(&[0xff]), !0xff00);
    }
}
