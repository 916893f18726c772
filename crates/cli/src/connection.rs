//! The way to the coordinator's API.

use std::path::Path;
use std::time::Duration;

use quorate_proto::v1::check_service_client::CheckServiceClient;
use quorate_proto::v1::fleet_service_client::FleetServiceClient;
use quorate_proto::v1::history_service_client::HistoryServiceClient;
use quorate_proto::v1::incident_service_client::IncidentServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::context::Settings;
use crate::exit::{Exit, Failure, chain};
use crate::output::{Console, escaped};

/// Time for a connection to open.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Time for an answer to a single question.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// The longest page of results, in bytes: as long as a coordinator's longest answer.
const PAGE_BYTES_MAX: usize = 16 << 20;
/// The longest token file that is read, in bytes.
const TOKEN_BYTES_MAX: usize = 4_096;

/// An open way to the coordinator. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    channel: Channel,
    bearer: Bearer,
    address: String,
}

/// A channel that adds the token to each request.
pub(crate) type Authorised = InterceptedService<Channel, Bearer>;

/// Adds the token to each request.
#[derive(Debug, Clone)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

impl Connection {
    /// Connects; warns about a token file that others can read.
    ///
    /// # Cancellation
    ///
    /// Dropping it gives the attempt up.
    pub(crate) async fn open(settings: &Settings, console: &mut Console) -> Result<Self, Failure> {
        let address = settings.address.clone();
        let bearer = match &settings.token_file {
            Some(file) => Bearer(Some(token(file, &address, console)?)),
            None => Bearer(None),
        };
        let unusable = |why: String| {
            Failure::new(
                Exit::Usage,
                format!(
                    "{address:?} is not an address of a coordinator: {why}; use a URL such as https://quorate.example.com:7443"
                ),
            )
        };
        let mut endpoint = Endpoint::from_shared(address.clone())
            .map_err(|error| unusable(chain(&error)))?
            .connect_timeout(CONNECT_MAX)
            .user_agent(concat!("quorate/", env!("CARGO_PKG_VERSION")))
            .map_err(|error| unusable(chain(&error)))?
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(10));
        match endpoint.uri().scheme_str() {
            Some("https") => {
                let tls = tls(settings.ca_file.as_deref())?;
                endpoint = endpoint.tls_config(tls).map_err(|error| unusable(chain(&error)))?;
            }
            Some("http") => {}
            _ => {
                return Err(unusable("it must begin with http:// or https://".to_owned()));
            }
        }
        let channel =
            endpoint.connect().await.map_err(|error| unreachable(&address, &root_cause(&error)))?;
        Ok(Self { channel, bearer, address })
    }

    /// Questions about checks.
    pub(crate) fn checks(&self) -> CheckServiceClient<Authorised> {
        CheckServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    /// Questions about agents and regions.
    pub(crate) fn fleet(&self) -> FleetServiceClient<Authorised> {
        FleetServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    /// Questions about incidents.
    pub(crate) fn incidents(&self) -> IncidentServiceClient<Authorised> {
        IncidentServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    /// Questions about the past.
    pub(crate) fn history(&self) -> HistoryServiceClient<Authorised> {
        HistoryServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(PAGE_BYTES_MAX)
    }

    /// What a refusal of the coordinator means for the user.
    pub(crate) fn failure(&self, status: &Status) -> Failure {
        from_status(status, &self.address)
    }
}

/// A request that gives up after ten seconds.
pub(crate) fn question<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(ANSWER_MAX);
    request
}

/// What a refusal of the coordinator at `address` means for the user.
pub(crate) fn from_status(status: &Status, address: &str) -> Failure {
    let said = escaped(status.message());
    let reason = status
        .get_error_details()
        .error_info()
        .map(|info| format!(" [{}]", escaped(&info.reason)))
        .unwrap_or_default();
    if reason.ends_with("_NOT_FOUND]") {
        return Failure::new(Exit::NotFound, format!("{said}{reason}"));
    }
    match status.code() {
        Code::Unavailable => unreachable(address, &said),
        Code::Unauthenticated => Failure::new(
            Exit::Denied,
            format!(
                "the coordinator at {address} does not know this token: {said}{reason}; name a token with --token-file, or save one with `quorate context save`"
            ),
        ),
        Code::PermissionDenied => Failure::new(
            Exit::Denied,
            format!(
                "the coordinator at {address} does not allow this: {said}{reason}; use a token with a higher role"
            ),
        ),
        Code::NotFound => Failure::new(Exit::NotFound, format!("{said}{reason}")),
        Code::DeadlineExceeded => Failure::new(
            Exit::NoAnswer,
            format!("the coordinator at {address} did not answer in time: {said}"),
        ),
        // A timeout that ran out on this side arrives as a cancellation.
        Code::Cancelled => Failure::new(
            Exit::NoAnswer,
            format!(
                "the coordinator at {address} did not answer within {} s",
                ANSWER_MAX.as_secs()
            ),
        ),
        Code::InvalidArgument => Failure::new(Exit::Usage, format!("{said}{reason}")),
        Code::Ok
        | Code::Unknown
        | Code::AlreadyExists
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss => Failure::new(
            Exit::Bad,
            format!("the coordinator at {address} failed: {said}{reason} ({:?})", status.code()),
        ),
    }
}

fn unreachable(address: &str, why: &str) -> Failure {
    Failure::new(
        Exit::Unreachable,
        format!(
            "cannot reach the coordinator at {address}: {why}; start it with `quorate-coordinator`, or name another with --address"
        ),
    )
}

/// The innermost error that says something: what the operating system said.
fn root_cause(error: &tonic::transport::Error) -> String {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    match cause.downcast_ref::<std::io::Error>() {
        Some(io) if io.kind() == std::io::ErrorKind::ConnectionRefused => {
            "connection refused".to_owned()
        }
        Some(_) | None => escaped(&cause.to_string()),
    }
}

fn tls(ca_file: Option<&Path>) -> Result<ClientTlsConfig, Failure> {
    let Some(file) = ca_file else {
        return Ok(ClientTlsConfig::new().with_enabled_roots());
    };
    let pem = std::fs::read(file).map_err(|error| {
        Failure::new(Exit::Usage, format!("cannot read the CA file {}: {error}", file.display()))
    })?;
    Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
}

fn token(
    file: &Path,
    address: &str,
    console: &mut Console,
) -> Result<MetadataValue<Ascii>, Failure> {
    let shown = file.display();
    let usage = |message: String| Failure::new(Exit::Usage, message);
    if address.starts_with("http://") && !is_loopback(address) {
        return Err(usage(format!(
            "{address} is not encrypted, so the token in {shown} was not sent; use https://"
        )));
    }
    let text = std::fs::read_to_string(file)
        .map_err(|error| usage(format!("cannot read the token file {shown}: {error}")))?;
    if readable_by_others(file) {
        console.note(&format!(
            "warning: others can read the token file {shown}; close it with `chmod 600 {shown}`"
        ));
    }
    let token = text.trim();
    if token.is_empty() || token.len() > TOKEN_BYTES_MAX {
        return Err(usage(format!("the token file {shown} holds no token")));
    }
    let mut value: MetadataValue<Ascii> = format!("Bearer {token}")
        .parse()
        .map_err(|_| usage(format!("the token file {shown} holds more than one line of text")))?;
    value.set_sensitive(true);
    Ok(value)
}

fn is_loopback(address: &str) -> bool {
    let authority = address.trim_start_matches("http://").split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn readable_by_others(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_exit_code() {
        let code = |code| from_status(&Status::new(code, "said"), "http://c:1").exit.code();
        assert_eq!(code(Code::Unavailable), 3);
        assert_eq!(code(Code::Unauthenticated), 4);
        assert_eq!(code(Code::PermissionDenied), 4);
        assert_eq!(code(Code::NotFound), 5);
        assert_eq!(code(Code::DeadlineExceeded), 6);
        assert_eq!(code(Code::InvalidArgument), 2);
        assert_eq!(code(Code::Internal), 1);
    }

    #[test]
    fn what_is_missing_is_not_found_whatever_the_code() {
        let details = tonic_types::ErrorDetails::with_error_info(
            "REGION_NOT_FOUND",
            "quorate",
            [("region".to_owned(), "fra".to_owned())],
        );
        let status = Status::with_error_details(Code::FailedPrecondition, "no fra", details);
        let failure = from_status(&status, "http://c:1");
        assert_eq!(failure.exit.code(), 5);
        assert_eq!(failure.message, "no fra [REGION_NOT_FOUND]");
    }

    #[test]
    fn a_token_goes_unencrypted_to_this_machine_only() {
        for address in ["http://127.0.0.1:7443", "http://localhost:1", "http://[::1]:7443/"] {
            assert!(is_loopback(address), "{address}");
        }
        for address in
            ["http://10.0.0.1:7443", "http://localhost.example.com", "http://[2001:db8::1]"]
        {
            assert!(!is_loopback(address), "{address}");
        }
    }
}
