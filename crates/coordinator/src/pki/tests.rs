use std::os::unix::fs::PermissionsExt as _;

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, PKCS_ECDSA_P256_SHA256,
    PKCS_ED25519, SanType,
};
use x509_parser::extensions::{GeneralName, ParsedExtension};

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

fn now() -> Timestamp {
    quorate_runtime::Clock::start().now()
}

fn names() -> Vec<String> {
    vec!["coordinator.example.com".to_owned(), "192.0.2.9".to_owned()]
}

fn ids() -> (RegionId, AgentId) {
    ("fra".parse().unwrap(), "fra-1".parse().unwrap())
}

fn csr(params: &CertificateParams) -> Vec<u8> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    params.serialize_request(&key).unwrap().der().to_vec()
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

#[test]
fn a_greedy_request_gets_what_the_token_says_and_no_more() {
    let authority = Authority::ephemeral(&names(), now()).unwrap();
    let mut params = CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
    let other = Ia5String::try_from("spiffe://quorate/agent/iad/boss").unwrap();
    params.subject_alt_names.push(SanType::URI(other));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let (region, agent) = ids();
    let at = now();
    let issued = authority.sign_agent(&csr(&params), &region, &agent, at).unwrap();

    let certificate = der(&issued.certificate_pem);
    let parsed = identity::parse(&certificate).unwrap();
    let names = parsed.subject_alternative_name().unwrap().unwrap();
    let uri = "spiffe://quorate/agent/fra/fra-1";
    assert_eq!(names.value.general_names, [GeneralName::URI(uri)]);
    assert!(!parsed.is_ca());
    let usage = parsed.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any && usage.other.is_empty());
    let key_usage = parsed.key_usage().unwrap().unwrap().value;
    assert!(key_usage.digital_signature() && !key_usage.key_cert_sign());
    let (from, until) = (parsed.validity().not_before, parsed.validity().not_after);
    assert!(from.timestamp() * 1_000_000 <= at.before(Duration::from_secs(59)).as_micros());
    assert_eq!(until.timestamp() * 1_000_000, issued.not_after.as_micros());
    assert!(issued.not_after - at <= AGENT_VALID);
    assert!(parsed.raw_serial().len() == 16);
    assert!(
        parsed.extensions().iter().all(|extension| !matches!(
            extension.parsed_extension(),
            ParsedExtension::UnsupportedExtension { .. }
        )),
        "an extension that nobody asked for"
    );
    let identity = Identity::of(&certificate).unwrap();
    assert_eq!((identity.region, identity.agent), (region, agent));
    assert_eq!(identity.not_after, issued.not_after);
}

#[test]
fn requests_without_proof_or_with_other_keys_are_refused() {
    let authority = Authority::ephemeral(&names(), now()).unwrap();
    let refused = |csr: &[u8]| {
        let error = authority.check_csr(csr).unwrap_err();
        assert!(matches!(error, PkiError::Csr { .. }), "{error}");
    };
    let mut forged = csr(&CertificateParams::default());
    let last = forged.len() - 1;
    forged[last] ^= 1;
    refused(&forged);
    refused(b"");
    refused(&vec![0x30; 20_000]);
    let other = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let request = CertificateParams::default().serialize_request(&other);
    refused(request.unwrap().der());
    authority.check_csr(&csr(&CertificateParams::default())).unwrap();
}

/// A certificate with these names, signed by our authority.
fn named(authority: &Authority, names: Vec<SanType>) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let signed = params.signed_by(&key, &authority.issuer).unwrap();
    signed.der().clone()
}

#[test]
fn only_exactly_one_name_of_our_form_is_an_agent() {
    let authority = Authority::ephemeral(&names(), now()).unwrap();
    let uri = |text: &str| SanType::URI(Ia5String::try_from(text).unwrap());
    let dns = |text: &str| SanType::DnsName(Ia5String::try_from(text).unwrap());
    let good = "spiffe://quorate/agent/fra/fra-1";
    Identity::of(&named(&authority, vec![uri(good)])).unwrap();
    for names in [
        vec![],
        vec![dns("fra-1")],
        vec![uri(good), uri(good)],
        vec![uri(good), dns("fra-1")],
        vec![uri("SPIFFE://quorate/agent/fra/fra-1")],
        vec![uri("spiffe://Quorate/agent/fra/fra-1")],
        vec![uri("spiffe://quorate/agent/fra/FRA-1")],
        vec![uri("spiffe://quorate/agent/fra/fra%2D1")],
        vec![uri("spiffe://quorate/agent/fra/fra-1/")],
        vec![uri("spiffe://quorate/agent/fra//fra-1")],
        vec![uri("spiffe://quorate/agent/fra/fra-1?x")],
        vec![uri("spiffe://quorate/agent/fra")],
        vec![uri(" spiffe://quorate/agent/fra/fra-1")],
        vec![uri("spiffe://quorate.evil/agent/fra/fra-1")],
    ] {
        let certificate = named(&authority, names.clone());
        assert!(Identity::of(&certificate).is_err(), "{names:?}");
    }
    assert!(Identity::of(b"nonsense").is_err());
}

#[test]
fn survives_in_its_folder_and_keeps_its_pin() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("pki");
    let made = Authority::create(&folder, &names(), now()).unwrap();
    let opened = Authority::open(&folder, now()).unwrap();
    assert_eq!(made.ca_pin(), opened.ca_pin());
    assert_eq!(made.ca_pem(), opened.ca_pem());
    assert_eq!(made.listener_not_after(), opened.listener_not_after());
    let parsed = der(made.ca_pem());
    let spki = identity::parse(&parsed).unwrap().tbs_certificate.subject_pki.raw;
    assert_eq!(digest(&SHA256, spki).as_ref(), made.ca_pin());
    let error = Authority::create(&folder, &names(), now()).unwrap_err();
    assert!(matches!(error, PkiError::Exists { .. }), "{error}");
}

#[test]
fn renews_the_listener_with_its_names_when_little_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("pki");
    let old = Authority::create(&folder, &names(), now()).unwrap();
    let later = now() + 340 * DAY;
    let renewed = Authority::open(&folder, later).unwrap();
    assert!(renewed.listener_not_after() - later > 300 * DAY);
    assert_eq!(old.ca_pin(), renewed.ca_pin());
    let mut bears = issue::names_of(&renewed.listener[0]).unwrap();
    bears.sort();
    let mut expected = names();
    expected.extend([LISTENER_NAME, "localhost", "127.0.0.1", "::1"].map(str::to_owned));
    expected.sort();
    assert_eq!(bears, expected);
    let again = Authority::open(&folder, later).unwrap();
    assert_eq!(again.listener_not_after(), renewed.listener_not_after());
}

#[test]
fn keys_that_others_can_read_are_refused_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("pki");
    Authority::create(&folder, &names(), now()).unwrap();
    let set = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let error = || Authority::open(&folder, now()).unwrap_err().to_string();

    set(&folder.join(CA_KEY_FILE), 0o640);
    assert!(error().contains("run `chmod 600"), "{}", error());
    set(&folder.join(CA_KEY_FILE), 0o600);
    set(&folder, 0o755);
    assert!(error().contains("run `chmod 700"), "{}", error());
    set(&folder, 0o700);

    let (key, elsewhere) = (folder.join(CA_KEY_FILE), folder.join("elsewhere"));
    std::fs::rename(&key, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &key).unwrap();
    assert!(error().contains("not a plain file"), "{}", error());
    std::fs::remove_file(&key).unwrap();

    let other = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    files::write(&key, &other.serialize_pem()).unwrap();
    assert!(error().contains("not the key of ca.pem"), "{}", error());
    let nowhere = Authority::open(Path::new("/nonexistent/pki"), now());
    assert!(nowhere.unwrap_err().to_string().contains("init"));
}

#[test]
fn names_of_the_listener_must_be_names() {
    for bad in ["", "not a name", "https://x", "a..b"] {
        let error = Authority::ephemeral(&[bad.to_owned()], now()).unwrap_err();
        assert!(matches!(error, PkiError::Name { .. }), "{bad:?}: {error}");
    }
}
