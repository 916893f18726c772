use super::*;

#[test]
fn reads_endpoints() {
    for (text, host, port) in [
        ("db.example.com:5432", "db.example.com", 5432),
        ("192.0.2.1:1", "192.0.2.1", 1),
        ("[2001:db8::1]:443", "2001:db8::1", 443),
        ("BÜCHER.example:80", "xn--bcher-kva.example", 80),
        ("0x7f.1:80", "127.0.0.1", 80),
    ] {
        let endpoint = Endpoint::parse(text).unwrap();
        assert_eq!((endpoint.host.as_str(), endpoint.port), (host, port));
    }
    for text in ["", "host", "host:", "host:0", "host:65536", "::1:80", "a b:1", "h:+1", ":80"] {
        assert!(Endpoint::parse(text).is_err(), "{text}");
    }
}

#[test]
fn what_the_agents_own_machine_forbids_or_lacks_is_not_the_targets() {
    let outcome = |number| failed("connection", &io::Error::from_raw_os_error(number)).outcome;
    let doubt = |reason| Outcome::Inconclusive { reason };
    assert_eq!(outcome(1), doubt(Doubt::NoPrivilege), "EPERM");
    for number in [12, 23, 24] {
        assert_eq!(outcome(number), doubt(Doubt::Overloaded), "ENOMEM, ENFILE, EMFILE");
    }
    // EACCES is what a firewall on the way says over IPv6.
    for number in [13, 111, 113] {
        assert!(outcome(number).is_fail(), "{number}");
    }
}
