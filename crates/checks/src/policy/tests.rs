use super::*;

fn judge(policy: &Policy, address: &str) -> Result<(), String> {
    policy.judge(address.parse().unwrap())
}

#[test]
fn public_addresses_are_open() {
    for address in [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700::1111",
        "2001:4860:4860::8888",
        "::ffff:1.1.1.1",
        "64:ff9b::101:101",
        "2002:101:101::1",
    ] {
        assert_eq!(judge(&Policy::default(), address), Ok(()), "{address}");
    }
}

#[test]
fn the_first_and_last_address_of_each_closed_network_is_denied() {
    for address in [
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.0.0",
        "169.254.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.0",
        "192.0.0.255",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.0",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.0",
        "255.255.255.255",
        "::",
        "::1",
        "fc00::",
        "fdff:ffff::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "100::1",
        "2001::1",
        "2001:1ff::1",
        "2001:db8::1",
        "3fff:fff::1",
        "64:ff9b:1::1",
        "4000::1",
        "5f00::1",
    ] {
        assert!(judge(&Policy::default(), address).is_err(), "{address}");
    }
}

#[test]
fn addresses_inside_others_are_judged_again() {
    for address in [
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a00:1:1::5",
        "::ffff:169.254.169.254",
    ] {
        assert!(judge(&Policy::default(), address).is_err(), "{address}");
    }
    let message = judge(&Policy::default(), "::ffff:10.0.0.5").unwrap_err();
    assert_eq!(
        message,
        "::ffff:10.0.0.5 leads to 10.0.0.5; 10.0.0.5 is in 10.0.0.0/8, a private network (open \
         it with allow)"
    );
}

#[test]
fn allow_opens_a_network_and_nothing_beside_it() {
    let policy = Policy::allowing(["127.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
    for address in ["127.0.0.1", "::ffff:127.0.0.1", "fd00::1"] {
        assert_eq!(judge(&policy, address), Ok(()), "{address}");
    }
    for address in ["10.0.0.1", "::1", "fc00::1"] {
        assert!(judge(&policy, address).is_err(), "{address}");
    }
}

#[test]
fn metadata_needs_a_second_switch() {
    let everything = ["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
    let mut policy = Policy::allowing(everything);
    for address in [
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
    ] {
        policy.allow_metadata = false;
        let refusal = judge(&policy, address).unwrap_err();
        assert!(refusal.contains("metadata"), "{refusal}");
        policy.allow_metadata = true;
        assert_eq!(judge(&policy, address), Ok(()), "{address}");
    }
}

#[test]
fn deny_wins_over_allow() {
    let mut policy = Policy::allowing(["10.0.0.0/8".parse().unwrap()]);
    policy.deny = vec!["10.1.0.0/16".parse().unwrap(), "9.9.9.9".parse().unwrap()];
    assert_eq!(judge(&policy, "10.2.0.1"), Ok(()));
    assert!(judge(&policy, "10.1.0.1").is_err());
    assert!(judge(&policy, "9.9.9.9").is_err());
    assert!(judge(&policy, "::ffff:10.1.0.1").is_err());
}

#[test]
fn the_machines_own_addresses_are_found_without_a_packet() {
    assert!(is_own("127.0.0.1".parse().unwrap()));
    assert!(!is_own("192.0.2.1".parse().unwrap()));
}

#[test]
fn ports_and_methods() {
    let policy = Policy::default();
    assert_eq!(policy.judge_port(443), Ok(()));
    assert!(policy.judge_port(25).is_err());
    for method in ["GET", "HEAD", "OPTIONS", "POST"] {
        assert_eq!(policy.judge_method(method), Ok(()));
    }
    for method in ["PUT", "DELETE", "get", "CONNECT"] {
        assert!(policy.judge_method(method).is_err(), "{method}");
    }
}
