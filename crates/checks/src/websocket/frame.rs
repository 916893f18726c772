//! Frames of a WebSocket, seen from a client. Source: RFC 6455, section 5.

use quorate_model::{Doubt, Phase, Reason};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::phase::Stop;

/// The most bytes of all messages together.
const BYTES_MAX: usize = 64 * 1024;
/// The most frames that are read, so that a flood of empty ones ends.
const FRAMES_MAX: usize = 1_024;
/// The most bytes of a control frame. Source: RFC 6455, section 5.5.
const CONTROL_BYTES_MAX: usize = 125;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
/// "No status received". Source: RFC 6455, section 7.4.1.
const NO_CODE: u16 = 1005;

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// A whole text, or whole bytes.
    Data(Vec<u8>),
    /// The end, with its code.
    Close(u16),
}

/// An open WebSocket.
#[derive(Debug)]
pub(super) struct Socket<S> {
    stream: S,
    bytes_left: usize,
    frames_left: usize,
}

/// One frame.
struct Frame {
    is_final: bool,
    kind: u8,
    data: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, bytes_left: BYTES_MAX, frames_left: FRAMES_MAX }
    }

    /// Sends a text.
    pub(super) async fn send(&mut self, text: &[u8]) -> Result<(), Stop> {
        self.write(TEXT, text).await
    }

    /// Says that this is the end, without an opinion of why.
    pub(super) async fn close(&mut self) -> Result<(), Stop> {
        const NORMAL: u16 = 1000;
        self.write(CLOSE, &NORMAL.to_be_bytes()).await
    }

    /// Waits for a message, and answers pings meanwhile.
    pub(super) async fn receive(&mut self) -> Result<Message, Stop> {
        let mut whole: Option<(u8, Vec<u8>)> = None;
        loop {
            let frame = self.read().await?;
            match (frame.kind, &mut whole) {
                (PING, _) => self.write(PONG, &frame.data).await?,
                (PONG, _) => {}
                (CLOSE, _) => return code(&frame.data).map(Message::Close),
                (CONTINUATION, Some((_, data))) => data.extend(frame.data),
                (TEXT | BINARY, None) => whole = Some((frame.kind, frame.data)),
                (CONTINUATION, None) => return Err(broken("a part comes without a beginning")),
                (TEXT | BINARY, Some(_)) => {
                    return Err(broken("a message begins before the last one has ended"));
                }
                _ => return Err(broken("a frame has an unknown kind")),
            }
            let is_data = frame.kind <= BINARY;
            if is_data
                && frame.is_final
                && let Some((kind, data)) = whole.take()
            {
                if kind == TEXT && std::str::from_utf8(&data).is_err() {
                    return Err(broken("a text is not UTF-8"));
                }
                return Ok(Message::Data(data));
            }
        }
    }

    async fn read(&mut self) -> Result<Frame, Stop> {
        self.frames_left =
            self.frames_left.checked_sub(1).ok_or_else(|| broken("there are too many frames"))?;
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).await.map_err(|_| closed())?;
        let [first, second] = head;
        if first & 0x70 != 0 {
            return Err(broken("reserved bits are set, although no extension was agreed on"));
        }
        if second & 0x80 != 0 {
            return Err(broken("a frame is masked, which only clients do"));
        }
        let (is_final, kind) = (first & 0x80 != 0, first & 0x0f);
        let length = match second {
            126 => u64::from(self.stream.read_u16().await.map_err(|_| closed())?),
            127 => self.stream.read_u64().await.map_err(|_| closed())?,
            short => u64::from(short),
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if kind >= CLOSE && (length > CONTROL_BYTES_MAX || !is_final) {
            return Err(broken("a control frame is long, or cut into parts"));
        }
        self.bytes_left = self
            .bytes_left
            .checked_sub(length)
            .ok_or_else(|| broken(&format!("more than {BYTES_MAX} bytes come")))?;
        let mut data = vec![0; length];
        self.stream.read_exact(&mut data).await.map_err(|_| closed())?;
        Ok(Frame { is_final, kind, data })
    }

    /// Writes a frame with a mask of its own. Source: RFC 6455, section 5.3.
    async fn write(&mut self, kind: u8, data: &[u8]) -> Result<(), Stop> {
        let mut mask = [0; 4];
        aws_lc_rs::rand::fill(&mut mask)
            .map_err(|_| Stop::doubt(Doubt::Internal, "this agent has no random numbers"))?;
        let mut frame = vec![0x80 | kind];
        match u8::try_from(data.len()) {
            Ok(short) if short < 126 => frame.push(0x80 | short),
            _ => {
                let length = u16::try_from(data.len())
                    .map_err(|_| Stop::doubt(Doubt::Internal, "the text to send is too long"))?;
                frame.push(0x80 | 0x7e);
                frame.extend(length.to_be_bytes());
            }
        }
        frame.extend(mask);
        frame.extend(data.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.stream.write_all(&frame).await.map_err(|_| closed())?;
        self.stream.flush().await.map_err(|_| closed())
    }
}

/// The code of a close frame. Source: RFC 6455, section 5.5.1.
fn code(data: &[u8]) -> Result<u16, Stop> {
    match data {
        [] => Ok(NO_CODE),
        [high, low, ..] => Ok(u16::from_be_bytes([*high, *low])),
        [_] => Err(broken("half a close code comes")),
    }
}

fn broken(why: &str) -> Stop {
    Stop::fail(Phase::Transfer, Reason::Protocol, format!("the server breaks RFC 6455: {why}"))
}

fn closed() -> Stop {
    Stop::fail(Phase::Transfer, Reason::Reset, "connection lost without a close frame")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client makes of these bytes.
    async fn received(bytes: &[u8]) -> Result<Message, String> {
        let (client, mut server) = tokio::io::duplex(256 * 1024);
        server.write_all(bytes).await.unwrap();
        server.shutdown().await.unwrap();
        Socket::new(client).receive().await.map_err(|stop| stop.message)
    }

    #[tokio::test]
    async fn messages_come_whole_or_in_parts() {
        let data = |text: &str| Ok(Message::Data(text.into()));
        assert_eq!(received(b"\x81\x05hello").await, data("hello"));
        assert_eq!(received(b"\x82\x05hello").await, data("hello"));
        assert_eq!(received(b"\x01\x03hel\x89\x00\x80\x02lo").await, data("hello"));
        assert_eq!(received(b"\x8a\x00\x81\x7e\x00\x01x").await, data("x"));
        assert_eq!(received(b"\x88\x02\x03\xf3bye").await, Ok(Message::Close(1011)));
        assert_eq!(received(b"\x88\x00").await, Ok(Message::Close(1005)));
    }

    #[tokio::test]
    async fn what_breaks_the_protocol_is_told() {
        for (bytes, message) in [
            (&b"\x81\x85\0\0\0\0hello"[..], "masked"),
            (b"\xc1\x00", "reserved bits"),
            (b"\x83\x00", "unknown kind"),
            (b"\x80\x00", "without a beginning"),
            (b"\x01\x00\x81\x00", "before the last one has ended"),
            (b"\x09\x00", "cut into parts"),
            (b"\x89\x7e\x00\x7e", "control frame is long"),
            (b"\x88\x01\x03", "half a close code"),
            (b"\x81\x02\xff\xfe", "not UTF-8"),
            (b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", "more than 65536 bytes"),
            (b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x01", "more than 65536 bytes"),
            (&b"\x02\x00\x00".repeat(2_000)[..], "before the last one"),
            (&b"\x8a\x00".repeat(2_000)[..], "too many frames"),
            (b"\x81", "without a close frame"),
            (b"", "without a close frame"),
        ] {
            let error = received(bytes).await.unwrap_err();
            assert!(error.contains(message), "{error:?} lacks {message:?}");
        }
    }

    #[tokio::test]
    async fn what_is_sent_is_masked_and_pings_are_answered() {
        let (client, mut server) = tokio::io::duplex(4_096);
        let mut socket = Socket::new(client);
        socket.send(&[b'a'; 300]).await.unwrap();
        let mut head = [0; 8];
        server.read_exact(&mut head).await.unwrap();
        assert_eq!(head[..4], [0x81, 0xfe, 1, 44]);
        let mut data = [0; 300];
        server.read_exact(&mut data).await.unwrap();
        let plain = data.iter().zip(head[4..].iter().cycle()).map(|(byte, mask)| byte ^ mask);
        assert!(plain.eq([b'a'; 300]));
        server.write_all(b"\x89\x02hi\x81\x00").await.unwrap();
        assert_eq!(socket.receive().await, Ok(Message::Data(Vec::new())));
        let mut pong = [0; 8];
        server.read_exact(&mut pong).await.unwrap();
        assert_eq!(pong[..2], [0x8a, 0x82]);
    }
}
