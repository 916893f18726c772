//! Asking a name server one question.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use quorate_model::{Doubt, Outcome, Phase, Reason};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use url::Url;

use super::server::Server;
use super::wire::{self, Answer, NoAnswer, Question};
use crate::ProbeContext;
use crate::connect::{self, Endpoint, connect};
use crate::datagram;
use crate::http::exchange;
use crate::phase::{Stop, Trace};
use crate::resolve::IpFamily;
use crate::status::refused;
use crate::tls::{self, TlsPlan};

/// How often a question is sent over UDP, which loses some.
const TRIES: usize = 3;
/// The longest message, in bytes: its length travels in 16 bits.
const MESSAGE_BYTES_MAX: usize = 65_535;

/// Asks one server.
pub(super) struct Asker<'a> {
    pub(super) trace: &'a mut Trace,
    pub(super) context: &'a ProbeContext,
    pub(super) server: &'a Server,
    pub(super) tls: &'a TlsPlan,
    pub(super) family: IpFamily,
}

impl Asker<'_> {
    /// The answer to `question`. One over UDP that is cut short is asked for over TCP, once.
    pub(super) async fn ask(&mut self, question: &Question) -> Result<Answer, Stop> {
        let answer = match self.server {
            Server::Own => self.ask_own(question).await?,
            Server::Udp(endpoint) => {
                datagram::direct(self.context, "UDP")?;
                let address =
                    connect::locate(self.trace, self.context, endpoint, self.family).await?;
                let answer = self.over_udp(&[address], question).await?.0;
                if answer.flags.truncated {
                    self.over_tcp(endpoint, question).await?
                } else {
                    answer
                }
            }
            Server::Tcp(endpoint) => self.over_tcp(endpoint, question).await?,
            Server::Tls(endpoint) => {
                let stream = connect(self.trace, self.context, endpoint, self.family).await?;
                let name = (endpoint.host.as_str(), ["dot"].as_slice());
                let environment = &self.context.environment;
                let stream =
                    tls::handshake(self.trace, environment, self.tls, name, stream).await?;
                self.over_stream(stream, question).await?
            }
            Server::Https(url) => self.over_https(url, question).await?,
        };
        if answer.flags.truncated {
            return Err(broken("it is cut short (TC), although not sent over UDP"));
        }
        Ok(answer)
    }

    /// Asks the agent's own servers in turn, directly, as its lookups do.
    async fn ask_own(&mut self, question: &Question) -> Result<Answer, Stop> {
        let servers = self.context.environment.resolver.servers().to_vec();
        if servers.is_empty() {
            let message = "this agent has no name server, see /etc/resolv.conf";
            return Err(Stop::doubt(Doubt::Internal, message));
        }
        let (answer, server) = self.over_udp(&servers, question).await?;
        if !answer.flags.truncated {
            return Ok(answer);
        }
        self.trace.watch.enter(Phase::Connect);
        let stream = TcpStream::connect(server)
            .await
            .map_err(|error| connect::failed(&format!("connection to {server}"), &error))?;
        self.over_stream(stream, question).await
    }

    /// Asks `servers` in turn over UDP until one answers. Returns which one did.
    async fn over_udp(
        &mut self,
        servers: &[SocketAddr],
        question: &Question,
    ) -> Result<(Answer, SocketAddr), Stop> {
        self.trace.evidence.protocol = Some("UDP".to_owned());
        let tries = servers.len().max(TRIES);
        let wait = self.context.timeout / u32::try_from(tries + 1).unwrap_or(u32::MAX);
        let mut refusal = None;
        for (server, turn) in servers.iter().cycle().zip(1..=tries) {
            self.trace.evidence.address = Some(server.ip());
            let socket = datagram::socket(*server).await?;
            let asked = self.datagram(&socket, question);
            let ended = if turn == tries {
                Ok(asked.await)
            } else {
                tokio::time::timeout(wait, asked).await
            };
            match ended {
                Ok(Ok(answer)) => return Ok((answer, *server)),
                Ok(Err(stop)) if is_refusal(&stop) => refusal = Some(stop),
                Ok(Err(stop)) => return Err(stop),
                Err(_) => {}
            }
        }
        Err(refusal.unwrap_or_else(|| broken("none came")))
    }

    /// Sends a datagram and waits for the one that answers it. Whatever has another id or another
    /// question is not for this probe; that it comes from the server asked is the kernel's care.
    async fn datagram(&mut self, socket: &UdpSocket, question: &Question) -> Result<Answer, Stop> {
        let id = random_id()?;
        self.trace.watch.enter(Phase::Send);
        let gone = |error: &std::io::Error| {
            let server = socket.peer_addr().map_or_else(|_| String::new(), |at| at.to_string());
            datagram::failed(&format!("datagram to {server}"), error)
        };
        socket.send(&question.message(id)).await.map_err(|error| gone(&error))?;
        self.trace.watch.enter(Phase::Ttfb);
        let mut buffer = vec![0; MESSAGE_BYTES_MAX];
        loop {
            let length = socket.recv(&mut buffer).await.map_err(|error| gone(&error))?;
            let message = buffer.get(..length).unwrap_or_default();
            match wire::read(message, question, id) {
                Ok(answer) => {
                    self.trace.evidence.body_bytes = u64::try_from(length).ok();
                    return Ok(answer);
                }
                Err(NoAnswer::Other) => {}
                Err(NoAnswer::Broken(why)) => return Err(broken(why)),
            }
        }
    }

    async fn over_tcp(&mut self, endpoint: &Endpoint, question: &Question) -> Result<Answer, Stop> {
        let stream = connect(self.trace, self.context, endpoint, self.family).await?;
        self.over_stream(stream, question).await
    }

    /// Each message goes after its length. Source: RFC 1035, section 4.2.2.
    async fn over_stream(
        &mut self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        question: &Question,
    ) -> Result<Answer, Stop> {
        if !self.server.is_encrypted() {
            self.trace.evidence.protocol = Some("TCP".to_owned());
        }
        let id = random_id()?;
        let message = question.message(id);
        let mut framed = u16::try_from(message.len()).unwrap_or_default().to_be_bytes().to_vec();
        framed.extend(message);
        let closed = |phase| Stop::fail(phase, Reason::Reset, "connection closed before an answer");
        self.trace.watch.enter(Phase::Send);
        stream.write_all(&framed).await.map_err(|_| closed(Phase::Send))?;
        stream.flush().await.map_err(|_| closed(Phase::Send))?;
        self.trace.watch.enter(Phase::Ttfb);
        let length = stream.read_u16().await.map_err(|_| closed(Phase::Ttfb))?;
        self.trace.watch.enter(Phase::Transfer);
        let mut message = vec![0; usize::from(length)];
        stream.read_exact(&mut message).await.map_err(|_| closed(Phase::Transfer))?;
        self.understood(&message, question, id)
    }

    /// Asks with POST. The id is 0, so that caches know the question again. Source: RFC 8484,
    /// section 4.1.
    async fn over_https(&mut self, url: &Url, question: &Question) -> Result<Answer, Stop> {
        const MEDIA_TYPE: &str = "application/dns-message";
        let policy = &self.context.environment.policy;
        policy.judge_method("POST").map_err(|rule| Stop::denied(&rule))?;
        let endpoint = self.server.endpoint().ok_or_else(|| broken("the URL names no server"))?;
        let stream = connect(self.trace, self.context, &endpoint, self.family).await?;
        let name = (endpoint.host.as_str(), ["h2", "http/1.1"].as_slice());
        let environment = &self.context.environment;
        let stream = tls::handshake(self.trace, environment, self.tls, name, stream).await?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let path = url
            .query()
            .map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let uri = if http2 { url.as_str().to_owned() } else { path };
        let request = Request::post(uri)
            .header(header::HOST, url.authority())
            .header(header::CONTENT_TYPE, MEDIA_TYPE)
            .header(header::ACCEPT, MEDIA_TYPE)
            .body(Full::new(Bytes::from(question.message(0))))
            .map_err(|_| broken("the URL cannot be asked for"))?;
        let (answer, mut live) = exchange::once(self.trace, stream, request, http2).await?;
        let status = answer.status().as_u16();
        self.trace.evidence.status = Some(status);
        if status != 200 {
            let message = format!("the resolver answered with status {status}, expected 200");
            return Err(refused(status, message));
        }
        let (_, mut body) = answer.into_parts();
        let (message, all) = live.read(&mut body, MESSAGE_BYTES_MAX).await?;
        if !all {
            return Err(broken("it is longer than any answer"));
        }
        self.understood(&message, question, 0)
    }

    fn understood(&mut self, message: &[u8], question: &Question, id: u16) -> Result<Answer, Stop> {
        self.trace.evidence.body_bytes = u64::try_from(message.len()).ok();
        wire::read(message, question, id).map_err(|no| match no {
            NoAnswer::Other => broken("it answers another question"),
            NoAnswer::Broken(why) => broken(why),
        })
    }
}

fn is_refusal(stop: &Stop) -> bool {
    matches!(stop.outcome, Outcome::Fail { reason: Reason::Refused, .. })
}

fn broken(why: &str) -> Stop {
    Stop::fail(Phase::Ttfb, Reason::Protocol, format!("the answer is not usable DNS: {why}"))
}

fn random_id() -> Result<u16, Stop> {
    let mut id = [0; 2];
    aws_lc_rs::rand::fill(&mut id)
        .map_err(|_| Stop::doubt(Doubt::Internal, "this agent has no random numbers"))?;
    Ok(u16::from_be_bytes(id))
}
