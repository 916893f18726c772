//! The kind `http` against nginx: HTTP/2, variants of TLS, files with validators and parts.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use quorate_model::{Observation, Phase, Reason};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Peer, assert_fails, assert_ok, free_address, probe};

/// A running nginx: one server for each variant of TLS.
struct Nginx {
    _peer: Peer,
    _folder: TempDir,
    plain: SocketAddr,
    modern: SocketAddr,
    old: SocketAddr,
    wanting: SocketAddr,
    root: String,
    client: Value,
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).expect("names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn signed(names: &[&str], issuer: &Issuer<'_, KeyPair>) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let params = CertificateParams::new(names).expect("names");
    let certificate = params.signed_by(&key, issuer).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

/// One server of the settings.
fn server(listen: &str, more: &str) -> String {
    format!("server {{ listen {listen}; root files; {more} }}\n")
}

/// Writes a chain whole and with a gap, its key and its root. Returns the root, and a certificate for
/// a client as options.
fn certificates(write: &impl Fn(&str, &str)) -> (String, Value) {
    let root_key = KeyPair::generate().expect("a key");
    let root = authority("a root of the tests");
    let root_pem = root.self_signed(&root_key).expect("a certificate").pem();
    let root_issuer = Issuer::new(root, root_key);
    let between_key = KeyPair::generate().expect("a key");
    let between = authority("an authority between");
    let between_pem = between.signed_by(&between_key, &root_issuer).expect("a certificate").pem();
    let between_issuer = Issuer::new(between, between_key);
    let (own, key) = signed(&["localhost"], &between_issuer);
    write("whole.pem", &format!("{own}{between_pem}"));
    write("alone.pem", &own);
    write("key.pem", &key);
    write("root.pem", &root_pem);
    let (cert, key) = signed(&["a client"], &root_issuer);
    (root_pem, json!({"cert": cert, "key": key}))
}

impl Nginx {
    /// `None` if nginx is not installed.
    async fn start() -> Option<Self> {
        let folder = TempDir::new().expect("a folder");
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).expect("a file");
        };
        let (root_pem, client) = certificates(&write);
        fs::create_dir(folder.path().join("files")).expect("a folder");
        write("files/long.txt", &"a line of text\n".repeat(1_000));

        let [plain, modern, old, wanting] = [
            free_address().await,
            free_address().await,
            free_address().await,
            free_address().await,
        ];
        let tls = |chain: &str, more: &str| {
            format!("ssl_certificate {chain}; ssl_certificate_key key.pem; {more}")
        };
        let servers = [
            server(&plain.to_string(), ""),
            server(&format!("{modern} ssl http2"), &tls("whole.pem", "ssl_protocols TLSv1.3;")),
            server(&format!("{old} ssl"), &tls("alone.pem", "ssl_protocols TLSv1.2;")),
            server(
                &format!("{wanting} ssl"),
                &tls("whole.pem", "ssl_client_certificate root.pem; ssl_verify_client on;"),
            ),
        ];
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {name};"))
            .concat();
        let settings = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr;\n\
             events {{}}\n\
             http {{ access_log off; default_type text/plain; gzip on; gzip_types text/plain; gzip_min_length 100; {temporary}\n{}}}\n",
            servers.concat()
        );
        write("nginx.conf", &settings);
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder.path()).args(["-c", "nginx.conf"]);
        match Peer::start(&mut command) {
            Ok(mut peer) => {
                peer.takes_connections(wanting).await;
                Some(Self {
                    _peer: peer,
                    _folder: folder,
                    plain,
                    modern,
                    old,
                    wanting,
                    root: root_pem,
                    client,
                })
            }
            Err(error) => {
                println!("SKIPPED: probes of a real web server: nginx does not start: {error}");
                None
            }
        }
    }

    /// Asks one of the servers for the long file over TLS.
    async fn ask(&self, at: SocketAddr, tls: Value, more: Value) -> Observation {
        let mut options = more;
        options["url"] = format!("https://localhost:{}/long.txt", at.port()).into();
        options["tls"] = tls;
        options["tls"]["ca"] = self.root.clone().into();
        probe("http", options).await
    }
}

#[tokio::test]
async fn files_are_compressed_cut_and_recognised() {
    let Some(nginx) = Nginx::start().await else {
        return;
    };
    let ask = |more: Value| {
        let mut options = more;
        options["url"] = format!("http://{}/long.txt", nginx.plain).into();
        probe("http", options)
    };
    let whole = json!({"min": "15000B", "max": "15000B"});
    let seen = ask(json!({"compression": true, "expect": {"size": whole}})).await;
    assert_ok(&seen);
    assert!(seen.evidence.wire_bytes.is_some_and(|wire| wire < 1_000), "{seen:?}");
    let seen = ask(json!({"range": "bytes=15-28"})).await;
    assert_ok(&seen);
    assert_eq!((seen.evidence.status, seen.evidence.body_bytes), (Some(206), Some(14)));
    let seen = ask(json!({"range": "bytes=-15", "expect": {"body": {"contains": "a line"}}})).await;
    assert_ok(&seen);
    let seen = ask(json!({"range": "bytes=20000-"})).await;
    assert_fails(&seen, Phase::Assert, Reason::Range, "the resource of 15000 bytes");
    let seen = ask(json!({"method": "POST"})).await;
    assert_fails(&seen, Phase::Assert, Reason::Status, "status 405");
}

#[tokio::test]
async fn versions_of_http_and_tls() {
    let Some(nginx) = Nginx::start().await else {
        return;
    };
    let seen = nginx.ask(nginx.modern, json!({}), json!({})).await;
    assert_ok(&seen);
    assert_eq!(seen.evidence.protocol.as_deref(), Some("HTTP/2"));
    assert_eq!(seen.evidence.body_bytes, Some(15_000));
    let facts = seen.evidence.tls.expect("facts");
    assert_eq!((facts.version.as_deref(), facts.chain.len()), (Some("TLSv1.3"), 2));
    let seen = nginx.ask(nginx.modern, json!({}), json!({"http_version": 1.1})).await;
    assert_eq!(seen.evidence.protocol.as_deref(), Some("HTTP/1.1"));
    let seen = nginx.ask(nginx.modern, json!({"max_version": 1.2}), json!({})).await;
    assert_fails(&seen, Phase::Tls, Reason::TlsVersion, "the server speaks no TLS 1.2");
    let seen = nginx.ask(nginx.old, json!({"min_version": 1.3}), json!({})).await;
    assert_fails(&seen, Phase::Tls, Reason::TlsVersion, "the server speaks no TLS 1.3");
    let seen = nginx.ask(nginx.old, json!({}), json!({})).await;
    assert_fails(&seen, Phase::Tls, Reason::CertIncompleteChain, "CN=an authority between");
    let seen = nginx.ask(nginx.old, json!({"verify": false}), json!({"http_version": 1.1})).await;
    assert_ok(&seen);
    assert_eq!(seen.evidence.tls.expect("facts").version.as_deref(), Some("TLSv1.2"));
}

/// It finishes the handshake without a certificate, and then answers 400.
#[tokio::test]
async fn a_client_certificate_that_is_wanted() {
    let Some(nginx) = Nginx::start().await else {
        return;
    };
    let seen = nginx.ask(nginx.wanting, json!({"client": nginx.client}), json!({})).await;
    assert_ok(&seen);
    let seen = nginx.ask(nginx.wanting, json!({}), json!({})).await;
    assert_fails(&seen, Phase::Assert, Reason::Status, "status 400");
    assert!(seen.evidence.tls.expect("facts").client_certificate_asked);
}
