use super::*;

const ID: u16 = 0x1234;

fn question() -> Question {
    Question { name: Name::parse("www.example.com").unwrap(), kind: 1, recursion: true }
}

/// A message that answers [`question`], with this many answers and these bytes after the question.
fn message(answers: u16, rest: &[u8]) -> Vec<u8> {
    let mut message = question().message(ID);
    message.truncate(HEADER_BYTES + 17 + 4);
    message[2] = 0x84;
    message[3] = 0xa0;
    message[6..8].copy_from_slice(&answers.to_be_bytes());
    message[10..12].copy_from_slice(&[0, 0]);
    message.extend(rest);
    message
}

/// A record whose owner is the name of the question.
fn record(kind: u16, data: &[u8]) -> Vec<u8> {
    let mut record = vec![0xc0, 12];
    record.extend(kind.to_be_bytes());
    record.extend([0, 1, 0, 0, 0, 60]);
    record.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    record.extend(data);
    record
}

#[track_caller]
fn shows(kind: u16, data: &[u8], text: &str) {
    let answer = read(&message(1, &record(kind, data)), &question(), ID).unwrap();
    assert_eq!(answer.answers.records[0].data.text, text);
    assert_eq!(answer.answers.records[0].owner, "www.example.com");
}

#[test]
fn a_question_asks_for_the_flag_ad_and_offers_1232_bytes() {
    let message = question().message(ID);
    assert_eq!(message[..12], [0x12, 0x34, 1, 0x20, 0, 1, 0, 0, 0, 0, 0, 1]);
    assert_eq!(message[12..29], *b"\x03www\x07example\x03com\0");
    assert_eq!(message[29..], [0, 1, 0, 1, 0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn flags_and_codes_are_read() {
    let answer = read(&message(0, &[]), &question(), ID).unwrap();
    let flags = Flags {
        authoritative: true,
        recursion_available: true,
        authentic: true,
        ..Flags::default()
    };
    assert_eq!((answer.rcode, answer.flags), (0, flags));
    // BADVERS is 16: the upper bits stand in OPT.
    let mut extended = message(0, &[0, 0, 41, 4, 0, 1, 0, 0, 0, 0, 0]);
    extended[11] = 1;
    let answer = read(&extended, &question(), ID).unwrap();
    assert_eq!((answer.rcode, answer.additional), (16, Section::default()));
}

#[test]
fn what_answers_something_else_is_none_of_ours() {
    let good = message(1, &record(1, &[192, 0, 2, 1]));
    assert!(read(&good, &question(), ID).is_ok());
    assert_eq!(read(&good, &question(), ID + 1), Err(NoAnswer::Other));
    let other = Question { name: Name::parse("www.example.net").unwrap(), ..question() };
    assert_eq!(read(&good, &other, ID), Err(NoAnswer::Other));
    assert_eq!(read(&good, &Question { kind: 28, ..question() }, ID), Err(NoAnswer::Other));
    let mut query = good.clone();
    query[2] &= 0x7f;
    assert_eq!(read(&query, &question(), ID), Err(NoAnswer::Other));
    let mut unasked = good.clone();
    unasked[5] = 0;
    assert_eq!(read(&unasked, &question(), ID), Err(NoAnswer::Other));
    let mut shouted = good;
    shouted[13..16].copy_from_slice(b"WWW");
    assert!(read(&shouted, &question(), ID).is_ok(), "names have no case");
}

#[test]
fn circles_and_pointers_forward_are_broken() {
    let at = u8::try_from(message(1, &[]).len()).unwrap();
    for name in [
        vec![0xc0, at],                                                             // itself
        vec![0xc0, at + 2, 0xc0, at], // forward, then back
        vec![1, b'a', 0xc0, at],      // its own label again
        vec![0xc0, 0xff],             // beyond the end
        vec![0xc0, 2],                // into the header
        vec![0x40, 0],                // a label of another kind
        [vec![63; 64], vec![63; 64], vec![63; 64], vec![63; 64], vec![0]].concat(), // 257 bytes
        vec![5, b'a'],                // cut short
    ] {
        let read = read(&message(1, &name), &question(), ID);
        assert!(matches!(read, Err(NoAnswer::Broken(_))), "{name:?} is {read:?}");
    }
}

#[test]
fn every_cut_of_an_answer_is_refused_and_no_byte_makes_a_panic() {
    let whole = message(
        2,
        &[record(15, b"\0\x0a\x04mail\xc0\x10"), record(64, b"\0\x01\0\0\x01\0\x03\x02h2")]
            .concat(),
    );
    assert!(read(&whole, &question(), ID).is_ok());
    for length in 0..whole.len() {
        assert!(read(&whole[..length], &question(), ID).is_err(), "{length}");
    }
    for at in 0..whole.len() {
        for byte in 0..=u8::MAX {
            let mut broken = whole.clone();
            broken[at] = byte;
            drop(read(&broken, &question(), ID));
        }
    }
}

#[test]
fn no_more_than_256_records_are_read() {
    let records = record(1, &[192, 0, 2, 1]).repeat(1_000);
    let answer = read(&message(1_000, &records), &question(), ID).unwrap();
    assert_eq!((answer.answers.count, answer.answers.records.len()), (1_000, RECORDS_MAX));
}

#[test]
fn contents_are_shown_as_in_a_zone_file() {
    shows(1, &[192, 0, 2, 1], "192.0.2.1");
    shows(28, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "2001:db8::1");
    shows(5, b"\x04shop\xc0\x10", "shop.example.com");
    shows(15, b"\0\x0a\x04mail\xc0\x10", "10 mail.example.com");
    shows(16, b"\x07v=spf1 \x04-all", "v=spf1 -all");
    shows(33, b"\0\x01\0\x02\x01\xbb\xc0\x10", "1 2 443 example.com");
    let soa = b"\x02ns\xc0\x10\x04root\xc0\x10\0\0\0\x07\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04";
    shows(6, soa, "ns.example.com root.example.com 7 1 2 3 4");
    shows(257, b"\0\x05issueletsencrypt.org", "0 issue \"letsencrypt.org\"");
    shows(43, b"\x30\x39\x0d\x02\xab\xcd", "12345 13 2 abcd");
    shows(48, b"\x01\x01\x03\x0d\xff\xfe", "257 3 13 //4=");
    shows(52, b"\x03\x01\x01\xab\xcd", "3 1 1 abcd");
    shows(
        35,
        b"\0\x64\0\x0a\x01S\x07SIP+D2U\0\x04_sip\xc0\x10",
        "100 10 \"S\" \"SIP+D2U\" \"\" _sip.example.com",
    );
    let https = b"\0\x01\0\0\x01\0\x06\x02h2\x02h3\0\x03\0\x02\x01\xbb\0\x04\0\x04\xc0\0\x02\x01";
    shows(65, https, "1 . alpn=h2,h3 port=443 ipv4hint=192.0.2.1");
    shows(65_280, b"\x01\x02", "\\# 2 0102");
    // Not what the type says: as bytes.
    shows(1, &[192, 0, 2], "\\# 3 c00002");
    shows(15, b"\0\x0a\xc0\x10\x01", "\\# 5 000ac01001");
}
