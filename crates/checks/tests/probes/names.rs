//! A name server of the tests, honest or not. Source: RFC 1035, section 4.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

pub(crate) const A: u16 = 1;
pub(crate) const CNAME: u16 = 5;
pub(crate) const SOA: u16 = 6;

/// What to answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    /// The low byte of the flags: RA, AD and the code.
    pub(crate) code: u8,
    pub(crate) truncated: bool,
    pub(crate) answers: Vec<Vec<u8>>,
    pub(crate) authorities: Vec<Vec<u8>>,
}

impl Reply {
    pub(crate) fn code(code: u8) -> Self {
        Self { code, ..Self::default() }
    }

    pub(crate) fn with(answers: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self { answers: answers.into_iter().collect(), ..Self::default() }
    }

    /// As a message that answers `query`.
    pub(crate) fn message(&self, query: &Query) -> Vec<u8> {
        let mut message = query.id.to_vec();
        message.extend([0x81 | (u8::from(self.truncated) << 1), 0x80 | self.code, 0, 1]);
        let count = |records: &[Vec<u8>]| u16::try_from(records.len()).expect("few").to_be_bytes();
        message.extend(count(&self.answers));
        message.extend(count(&self.authorities));
        message.extend([0, 0]);
        message.extend(&query.question);
        message.extend(self.answers.concat());
        message.extend(self.authorities.concat());
        message
    }
}

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) id: [u8; 2],
    pub(crate) name: String,
    pub(crate) kind: u16,
    pub(crate) question: Vec<u8>,
    pub(crate) over_udp: bool,
}

impl Query {
    pub(crate) fn read(message: &[u8], over_udp: bool) -> Self {
        let (mut at, mut labels) = (12, Vec::new());
        while message[at] != 0 {
            let end = at + 1 + usize::from(message[at]);
            labels.push(String::from_utf8_lossy(&message[at + 1..end]).into_owned());
            at = end;
        }
        Self {
            id: [message[0], message[1]],
            name: labels.join("."),
            kind: u16::from_be_bytes([message[at + 1], message[at + 2]]),
            question: message[12..at + 5].to_vec(),
            over_udp,
        }
    }
}

/// A name as it travels.
pub(crate) fn name(text: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        wire.push(u8::try_from(label.len()).expect("a short label"));
        wire.extend(label.bytes());
    }
    wire.push(0);
    wire
}

pub(crate) fn record(owner: &str, kind: u16, data: &[u8]) -> Vec<u8> {
    let mut record = name(owner);
    record.extend(kind.to_be_bytes());
    record.extend([0, 1, 0, 0, 0, 60]);
    record.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
    record.extend(data);
    record
}

pub(crate) fn a(owner: &str, address: [u8; 4]) -> Vec<u8> {
    record(owner, A, &address)
}

pub(crate) fn alias(owner: &str, target: &str) -> Vec<u8> {
    record(owner, CNAME, &name(target))
}

/// Messages that answer a query, in order; none stays silent.
pub(crate) type Answers = Vec<Vec<u8>>;

/// A server on UDP and TCP, on the same port.
#[derive(Debug)]
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

/// Serves with messages of any kind.
pub(crate) async fn raw(answer: impl Fn(&Query) -> Answers + Send + Sync + 'static) -> NameServer {
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let address = udp.local_addr().expect("an address");
        if let Ok(tcp) = TcpListener::bind(address).await {
            break (udp, tcp);
        }
    };
    let address = udp.local_addr().expect("an address");
    let answer: Arc<dyn Fn(&Query) -> Answers + Send + Sync> = Arc::new(answer);
    let mut tasks = JoinSet::new();
    let of_udp = Arc::clone(&answer);
    tasks.spawn(async move {
        let mut buffer = [0; 1_500];
        while let Ok((length, client)) = udp.recv_from(&mut buffer).await {
            for message in of_udp(&Query::read(&buffer[..length], true)) {
                // One that is too long is lost, as it would be elsewhere.
                drop(udp.send_to(&message, client).await);
            }
        }
    });
    tasks.spawn(async move {
        while let Ok((stream, _)) = tcp.accept().await {
            talk(stream, answer.as_ref()).await;
        }
    });
    NameServer { address, _tasks: tasks }
}

/// Answers one query on a stream.
pub(crate) async fn talk(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &(dyn Fn(&Query) -> Answers + Send + Sync),
) {
    let Ok(length) = stream.read_u16().await else {
        return;
    };
    let mut query = vec![0; usize::from(length)];
    if stream.read_exact(&mut query).await.is_err() {
        return;
    }
    for message in answer(&Query::read(&query, false)) {
        let length = u16::try_from(message.len()).expect("it fits");
        drop(stream.write_all(&[&length.to_be_bytes()[..], &message].concat()).await);
    }
    drop(stream.shutdown().await);
}

/// Serves with one answer for each query.
pub(crate) async fn serve(answer: impl Fn(&Query) -> Reply + Send + Sync + 'static) -> NameServer {
    raw(move |query| vec![answer(query).message(query)]).await
}
