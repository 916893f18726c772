//! Asking a server in plain text to go on over TLS.
//!
//! Answers are read byte by byte and no further than they need, so whatever somebody on the way puts
//! behind them is taken for a broken handshake, and not for what the server says over TLS.

use quorate_model::{Phase, Reason};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::answer::shown;
use crate::phase::{Stop, Trace};

/// The longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 8 * 1024;
/// `SSLRequest`. Source: PostgreSQL, "Message Formats".
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// The protocol in which to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StartTls {
    /// `STARTTLS` after `EHLO`. Source: RFC 3207.
    Smtp,
    /// `STARTTLS`. Source: RFC 9051, section 6.2.1.
    Imap,
    /// `STLS`. Source: RFC 2595, section 4.
    Pop3,
    /// `AUTH TLS`. Source: RFC 4217, section 4.
    Ftp,
    /// `starttls` in a stream of a client. Source: RFC 6120, section 5.
    Xmpp,
    /// `SSLRequest`.
    Postgres,
}

impl JsonSchema for StartTls {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StartTls".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"enum": ["smtp", "imap", "pop3", "ftp", "xmpp", "postgres"]})
    }
}

impl StartTls {
    /// Asks on `stream`; afterwards the handshake begins. `host` is who the server is.
    pub(crate) async fn ask(
        self,
        trace: &mut Trace,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        host: &str,
    ) -> Result<(), Stop> {
        trace.watch.enter(Phase::Tls);
        let mut talk = Talk { stream };
        match self {
            Self::Smtp => talk.smtp().await,
            Self::Imap => talk.imap().await,
            Self::Pop3 => talk.pop3().await,
            Self::Ftp => talk.ftp().await,
            Self::Xmpp => talk.xmpp(host).await,
            Self::Postgres => talk.postgres().await,
        }
    }
}

struct Talk<'a, S> {
    stream: &'a mut S,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<'_, S> {
    async fn smtp(&mut self) -> Result<(), Stop> {
        self.reply("220", "greets with").await?;
        self.say("EHLO quorate.invalid\r\n").await?;
        let offers = self.reply("250", "answers EHLO with").await?;
        let offered = |line: &str| {
            line.get(4..).is_some_and(|word| word.trim().eq_ignore_ascii_case("STARTTLS"))
        };
        if !offers.lines().any(offered) {
            return Err(refused("does not offer STARTTLS"));
        }
        self.say("STARTTLS\r\n").await?;
        self.reply("220", "answers STARTTLS with").await.map(drop)
    }

    async fn imap(&mut self) -> Result<(), Stop> {
        let greeting = self.line().await?;
        if !greeting.starts_with("* OK") {
            return Err(unexpected("greets with", &greeting));
        }
        self.say("q1 STARTTLS\r\n").await?;
        loop {
            let line = self.line().await?;
            if line.starts_with("q1 OK") {
                return Ok(());
            }
            if !line.starts_with("* ") {
                return Err(unexpected("answers STARTTLS with", &line));
            }
        }
    }

    async fn pop3(&mut self) -> Result<(), Stop> {
        for (ask, when) in [("", "greets with"), ("STLS\r\n", "answers STLS with")] {
            self.say(ask).await?;
            let line = self.line().await?;
            if !line.starts_with("+OK") {
                return Err(unexpected(when, &line));
            }
        }
        Ok(())
    }

    async fn ftp(&mut self) -> Result<(), Stop> {
        self.reply("220", "greets with").await?;
        self.say("AUTH TLS\r\n").await?;
        self.reply("234", "answers AUTH TLS with").await.map(drop)
    }

    async fn xmpp(&mut self, host: &str) -> Result<(), Stop> {
        const NAMESPACE: &str = "urn:ietf:params:xml:ns:xmpp-tls";
        // A host has no character that XML would take for its own.
        self.say(&format!(
            "<?xml version='1.0'?><stream:stream to='{host}' version='1.0' xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams'>"
        ))
        .await?;
        let features = self.until("</stream:features>").await?;
        if !features.contains(NAMESPACE) {
            return Err(refused("does not offer starttls"));
        }
        self.say(&format!("<starttls xmlns='{NAMESPACE}'/>")).await?;
        let answer = self.until(">").await?;
        if answer.trim_start().starts_with("<proceed") {
            if !answer.ends_with("/>") {
                self.until("</proceed>").await?;
            }
            return Ok(());
        }
        Err(unexpected("answers starttls with", &answer))
    }

    async fn postgres(&mut self) -> Result<(), Stop> {
        self.stream.write_all(&SSL_REQUEST).await.map_err(|_| closed())?;
        match self.stream.read_u8().await.map_err(|_| closed())? {
            b'S' => Ok(()),
            b'N' => Err(refused("does not do TLS")),
            other => Err(unexpected("answers SSLRequest with", &char::from(other).to_string())),
        }
    }

    async fn say(&mut self, text: &str) -> Result<(), Stop> {
        self.stream.write_all(text.as_bytes()).await.map_err(|_| closed())
    }

    /// A reply of one line or several, of which the last has a blank after its code. Source: RFC
    /// 5321, section 4.2.1; RFC 959, section 4.2.
    async fn reply(&mut self, code: &str, when: &str) -> Result<String, Stop> {
        let mut reply = String::new();
        loop {
            let line = self.line().await?;
            let first = reply.is_empty();
            reply.push_str(&line);
            let is_last = line.as_bytes().get(3) != Some(&b'-')
                && line.get(..3).is_some_and(|code| code.bytes().all(|it| it.is_ascii_digit()));
            if first && !line.starts_with(code) || is_last && !line.starts_with(code) {
                return Err(unexpected(when, &line));
            }
            if is_last {
                return Ok(reply);
            }
            if reply.len() >= ANSWER_BYTES_MAX {
                return Err(unexpected(when, &reply));
            }
        }
    }

    async fn line(&mut self) -> Result<String, Stop> {
        self.until("\n").await
    }

    /// What comes up to `end`, and not a byte more.
    async fn until(&mut self, end: &str) -> Result<String, Stop> {
        let mut answer = Vec::new();
        while !answer.ends_with(end.as_bytes()) {
            if answer.len() >= ANSWER_BYTES_MAX {
                return Err(unexpected("sends", &String::from_utf8_lossy(&answer)));
            }
            answer.push(self.stream.read_u8().await.map_err(|_| closed())?);
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

fn unexpected(when: &str, answer: &str) -> Stop {
    let message = format!("the server {when} {}", shown(answer.trim_end().as_bytes()));
    Stop::fail(Phase::Tls, Reason::Protocol, message)
}

fn refused(what: &str) -> Stop {
    Stop::fail(Phase::Tls, Reason::TlsHandshake, format!("the server {what}"))
}

fn closed() -> Stop {
    Stop::fail(Phase::Tls, Reason::Reset, "connection closed before TLS had begun")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a server that says `answers`, each after the client has said something, and what
    /// the client said. What a server sends behind its last answer must be left.
    async fn talk(protocol: StartTls, answers: &[&str]) -> (Result<(), String>, String) {
        let (mut client, mut server) = tokio::io::duplex(64 * 1024);
        let context = crate::ProbeContext::new(
            crate::Environment::new(crate::Egress::Direct, crate::Policy::default()).unwrap(),
            std::time::Duration::from_secs(10),
            std::time::Duration::from_secs(10),
        );
        let mut trace = Trace::start(&context);
        for answer in answers {
            server.write_all(answer.as_bytes()).await.unwrap();
        }
        server.write_all(b"rest").await.unwrap();
        let asked = protocol.ask(&mut trace, &mut client, "chat.example").await;
        if asked.is_ok() {
            let mut rest = [0; 4];
            client.read_exact(&mut rest).await.unwrap();
            assert_eq!(&rest, b"rest");
        }
        drop(client);
        let mut said = Vec::new();
        server.read_to_end(&mut said).await.unwrap();
        (asked.map_err(|stop| stop.message), String::from_utf8_lossy(&said).into_owned())
    }

    #[track_caller]
    fn agrees((asked, said): (Result<(), String>, String), last: &str) {
        assert_eq!(asked, Ok(()));
        assert!(said.ends_with(last), "{said:?}");
    }

    #[tokio::test]
    async fn servers_that_agree() {
        let smtp = [
            "220-mail\r\n220 ready\r\n",
            "250-mail\r\n250-SIZE 10\r\n250 StartTLS\r\n",
            "220 go\r\n",
        ];
        agrees(talk(StartTls::Smtp, &smtp).await, "EHLO quorate.invalid\r\nSTARTTLS\r\n");
        let imap = ["* OK ready\r\n", "* CAPABILITY IMAP4rev2\r\n", "q1 OK go\r\n"];
        agrees(talk(StartTls::Imap, &imap).await, "q1 STARTTLS\r\n");
        agrees(talk(StartTls::Pop3, &["+OK\r\n", "+OK go\r\n"]).await, "STLS\r\n");
        agrees(
            talk(StartTls::Ftp, &["220-a\r\n hello\r\n220 b\r\n", "234 go\r\n"]).await,
            "AUTH TLS\r\n",
        );
        let features = "<?xml version='1.0'?><stream:stream id='1'><stream:features><starttls \
                        xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>";
        for proceed in
            ["<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "<proceed xmlns='x'></proceed>"]
        {
            agrees(
                talk(StartTls::Xmpp, &[features, proceed]).await,
                "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            );
        }
        agrees(talk(StartTls::Postgres, &["S"]).await, "\u{4}\u{fffd}\u{16}/");
    }

    #[tokio::test]
    async fn servers_that_do_not() {
        for (protocol, answers, message) in [
            (StartTls::Smtp, &["554 no\r\n"][..], "greets with \"554 no\""),
            (StartTls::Smtp, &["220 a\r\n", "250-a\r\n250 SIZE\r\n"], "does not offer STARTTLS"),
            (
                StartTls::Smtp,
                &["220 a\r\n", "250-a\r\n250 STARTTLS\r\n", "454 not now\r\n"],
                "answers STARTTLS with \"454 not now\"",
            ),
            (StartTls::Imap, &["* BYE\r\n"], "greets with"),
            (StartTls::Imap, &["* OK\r\n", "q1 BAD\r\n"], "answers STARTTLS with \"q1 BAD\""),
            (StartTls::Pop3, &["+OK\r\n", "-ERR\r\n"], "answers STLS with \"-ERR\""),
            (StartTls::Ftp, &["220 a\r\n", "500 what\r\n"], "answers AUTH TLS with"),
            (StartTls::Xmpp, &["<stream:features></stream:features>"], "does not offer starttls"),
            (StartTls::Postgres, &["N"], "does not do TLS"),
            (StartTls::Postgres, &["E"], "answers SSLRequest with \"E\""),
        ] {
            let (asked, _) = talk(protocol, answers).await;
            let error = asked.expect_err("must fail");
            assert!(error.contains(message), "{error:?} lacks {message:?}");
        }
        let flood = "x".repeat(ANSWER_BYTES_MAX);
        assert!(talk(StartTls::Imap, &[&flood]).await.0.is_err());
    }
}
