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
