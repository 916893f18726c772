//! What must be there before the first run: authority, store, token, and settings for people.

#[cfg(test)]
mod tests;

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use quorate_config::{Configuration, Problem};
use quorate_runtime::Clock;
use quorate_store::{ApiToken, Role, StoreError, Write};

use crate::args::InitArgs;
use crate::pki::{Authority, CA_FILE, PkiError};
use crate::{api, token};

/// The folder of the authority, below the data folder.
pub const PKI_FOLDER: &str = "pki";
/// The file with the administrator's token, in the data folder.
pub const TOKEN_FILE: &str = "admin.token";
/// Where people and programs ask unless a configuration says otherwise.
const API: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7443);

/// The first set-up could not be made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The authority.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration that is there already is wrong.
    #[error("{}", lines(.0))]
    Configuration(Vec<Problem>),
    /// A file.
    #[error("cannot {what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// What was made, for people.
#[derive(Debug, Default)]
pub struct Made {
    /// What and where, in order.
    pub lines: Vec<String>,
    /// The commands to go on with.
    pub next: Vec<String>,
}

/// Makes everything that a first run needs. An authority that is there already is never touched.
pub fn init(args: &InitArgs, clock: Clock) -> Result<Made, InitError> {
    let existing = args.config.as_deref().map(read_config).transpose()?;
    let existing = existing.flatten();
    make_folder(&args.data)?;
    let data = std::path::absolute(&args.data).map_err(failed("find", &args.data))?;
    let mut made = Made::default();

    let pki = data.join(PKI_FOLDER);
    let authority = Authority::create(&pki, &args.names, clock.now())?;
    made.lines.push(format!(
        "certificate authority in {} (keep {} secret: agents trust whoever has it)",
        pki.display(),
        pki.join("ca.key").display()
    ));
    made.lines.push(format!(
        "certificate of the listeners, valid until {}",
        authority.listener_not_after()
    ));

    let url = existing.as_ref().map_or_else(
        || format!("sqlite:{}", data.join("quorate.db").display()),
        |configuration| configuration.server.store.clone(),
    );
    let token_file = data.join(TOKEN_FILE);
    make_token(&url, &token_file)?;
    made.lines.push(format!("store {url}"));
    made.lines.push(format!("administrator's token in {}", token_file.display()));

    if let (Some(path), None) = (&args.config, &existing) {
        write_new(path, 0o644, &starter(&data, args.names.first()))?;
        made.lines.push(format!("first configuration in {}", path.display()));
    }
    if !args.no_context {
        save_context(args, existing.as_ref(), &data, &mut made)?;
    }
    let config = args.config.as_deref();
    let config = config.unwrap_or(Path::new("/etc/quorate/quorate.yaml"));
    made.next = vec![
        format!("quorate config check {}", config.display()),
        format!("quorate-coordinator run --config {}", config.display()),
        "quorate agent token --region REGION --name AGENT   # then, there: quorate-agent join"
            .to_owned(),
    ];
    Ok(made)
}

/// The configuration at `path`; `None` if there is no such file.
fn read_config(path: &Path) -> Result<Option<Configuration>, InitError> {
    match std::fs::read_to_string(path) {
        Ok(text) => quorate_config::parse(&path.display().to_string(), &text)
            .map(Some)
            .map_err(InitError::Configuration),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// Stores the hash of a new token, and writes the token to a file that only its owner can read.
fn make_token(url: &str, file: &Path) -> Result<(), InitError> {
    let secret = api::new_token();
    let mut store = quorate_store::open(url)?;
    store.commit(&[Write::ApiToken(ApiToken {
        hash: token::hash(&secret),
        name: "admin".to_owned(),
        role: Role::Admin,
    })])?;
    write_new(file, 0o600, &format!("{secret}\n"))
}

/// Saves how to reach this coordinator, unless something is saved already.
fn save_context(
    args: &InitArgs,
    existing: Option<&Configuration>,
    data: &Path,
    made: &mut Made,
) -> Result<(), InitError> {
    let home = Path::new(&args.config_home_env);
    let base = if home.is_absolute() {
        home.to_owned()
    } else if Path::new(&args.home_env).is_absolute() {
        Path::new(&args.home_env).join(".config")
    } else {
        made.lines.push("no settings for `quorate`: this user has no home folder".to_owned());
        return Ok(());
    };
    let path = base.join("quorate/contexts/default.yaml");
    if path.exists() {
        made.lines.push(format!("settings for `quorate` left as they are in {}", path.display()));
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let quoted = |path: PathBuf| serde_json::Value::from(path.display().to_string());
    let text = format!(
        "address: {}\ntoken_file: {}\nca_file: {}\n",
        serde_json::Value::from(address(existing)),
        quoted(data.join(TOKEN_FILE)),
        quoted(data.join(PKI_FOLDER).join(CA_FILE)),
    );
    write_new(&path, 0o600, &text)?;
    made.lines.push(format!("settings for `quorate` in {}", path.display()));
    Ok(())
}

/// The URL of the API from this machine.
fn address(configuration: Option<&Configuration>) -> String {
    let (mut listen, tls) = configuration.map_or((API, false), |configuration| {
        (configuration.server.api.listen, configuration.server.api.tls)
    });
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    let scheme = if tls { "https" } else { "http" };
    format!("{scheme}://{listen}")
}

/// A configuration to begin with.
fn starter(data: &Path, name: Option<&String>) -> String {
    // Text in JSON is text in YAML.
    let quoted = |text: String| serde_json::Value::from(text);
    let name = name.map_or("localhost", String::as_str);
    let name = match name.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => name.to_owned(),
    };
    format!(
        "# The configuration of the Quorate coordinator. Change what is below, then:\n\
         #   quorate config check FILE\n\
         version: 1\n\
         \n\
         server:\n\
         \x20 data: {data}\n\
         \x20 # What agents dial: mutual TLS, and the listener where they join.\n\
         \x20 agents: {{ listen: \"0.0.0.0:7444\", advertise: {agents} }}\n\
         \x20 join: {{ listen: \"0.0.0.0:7445\", advertise: {join} }}\n\
         \x20 # Where `quorate` and other programs ask; with TLS unless it is loopback.\n\
         \x20 api: {{ listen: \"{API}\" }}\n\
         \n\
         defaults: {{ interval: 60s, timeout: 10s, quorum: majority }}\n\
         \n\
         # Where agents run. Regions that share a provider may fail together.\n\
         regions:\n\
         \x20 fra: {{ provider: hetzner, country: DE }}\n\
         \x20 iad: {{ provider: aws, country: US }}\n\
         \x20 syd: {{ provider: vultr, country: AU }}\n\
         \n\
         # What is watched. `alert: {{ to: [NAME] }}` names receivers.\n\
         checks:\n\
         \x20 example:\n\
         \x20   http: {{ url: \"https://example.com/\" }}\n\
         \n\
         # Who is told, such as:\n\
         #   oncall: {{ webhook: {{ url: \"https://hooks.example.com/x\", secret: {{ file: /run/secrets/x }} }} }}\n\
         receivers: {{}}\n",
        data = quoted(data.display().to_string()),
        agents = quoted(format!("{name}:7444")),
        join = quoted(format!("{name}:7445")),
    )
}

fn failed<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> InitError + 'a {
    move |source| InitError::File { what, path: path.to_owned(), source }
}

fn make_folder(path: &Path) -> Result<(), InitError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed("make the folder", path))
}

fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), InitError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(failed("make", path))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed("write", path))
}
