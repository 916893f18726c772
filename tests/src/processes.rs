//! The built programs as processes of their own, joined by token, and the peers that watch them.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::{TcpListener, UnixDatagram};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Anything that goes wrong.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long anything may take before a test gives up: far above what it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// The folder with the programs that were built beside this test.
fn target() -> Result<PathBuf, Failure> {
    let test = std::env::current_exe()?;
    let profile =
        test.parent().and_then(Path::parent).ok_or("the test is not in a target folder")?;
    Ok(profile.to_path_buf())
}

/// One of our programs, ready to run.
pub fn program(name: &str) -> Result<Command, Failure> {
    let path = target()?.join(name);
    if !path.exists() {
        return Err(
            format!("{} is not built: run `cargo build --workspace`", path.display()).into()
        );
    }
    let mut command = Command::new(path);
    command.kill_on_drop(true).env("NO_COLOR", "1");
    Ok(command)
}

/// A Python script of the tests, with its peers installed; `None` if `tests/run` could not install
/// them, which it counts.
pub fn python(script: &str) -> Result<Option<Command>, Failure> {
    let python = target()?.parent().ok_or("no target folder")?.join("venv/bin/python");
    if !python.exists() {
        return Ok(None);
    }
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e").join(script));
    command.kill_on_drop(true).stdin(Stdio::piped()).stdout(Stdio::piped());
    Ok(Some(command))
}

/// Runs a command to its end, with `input`. Fails with all that it said if it fails.
///
/// # Cancellation
///
/// Dropping it kills the process.
pub async fn run(command: &mut Command, input: &str) -> Result<String, Failure> {
    let output = run_any(command, input).await?;
    if !output.status.success() {
        let (said, erred) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        return Err(format!("{command:?}: {}\n{said}\n{erred}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs a command to its end, with `input`, however it ends.
///
/// # Cancellation
///
/// Dropping it kills the process.
pub async fn run_any(command: &mut Command, input: &str) -> Result<Output, Failure> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn()?;
    let mut stdin = process.stdin.take().ok_or("no standard input")?;
    // A program that does not read its input may have ended already.
    drop(stdin.write_all(input.as_bytes()).await);
    drop(stdin);
    let ended = tokio::time::timeout(PATIENCE, process.wait_with_output()).await;
    Ok(ended.map_err(|_| format!("{command:?} did not end"))??)
}

/// A daemon that has said that it is ready.
#[derive(Debug)]
pub struct Daemon {
    process: Child,
}

impl Daemon {
    /// Starts a program and waits until it tells its service manager that it is ready. Its log goes
    /// to `log`.
    ///
    /// # Cancellation
    ///
    /// Dropping it kills the process.
    pub async fn start(mut command: Command, folder: &Path, name: &str) -> Result<Self, Failure> {
        let socket = folder.join(format!("{name}.notify"));
        drop(std::fs::remove_file(&socket));
        let notified = UnixDatagram::bind(&socket)?;
        let log = folder.join(format!("{name}.log"));
        let open = std::fs::OpenOptions::new().create(true).append(true).open(&log)?;
        command
            .env("NOTIFY_SOCKET", &socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(open);
        let mut process = command.spawn()?;
        let ready = async {
            let mut buffer = [0; 4_096];
            loop {
                let length = notified.recv(&mut buffer).await?;
                if String::from_utf8_lossy(&buffer[..length]).lines().any(|line| line == "READY=1")
                {
                    return Ok::<_, std::io::Error>(());
                }
            }
        };
        tokio::select! {
            ready = tokio::time::timeout(PATIENCE, ready) => ready.map_err(|_| format!("{name} is never ready"))??,
            ended = process.wait() => {
                let log = std::fs::read_to_string(log)?;
                return Err(format!("{name} ended at once ({:?}):\n{log}", ended?).into());
            }
        }
        Ok(Self { process })
    }

    /// Kills it as a power cut would.
    ///
    /// # Cancellation
    ///
    /// Dropping it leaves a killed process to be reaped.
    pub async fn kill(mut self) -> Result<(), Failure> {
        Ok(self.process.kill().await?)
    }

    /// Asks it to end, and returns its exit code.
    ///
    /// # Cancellation
    ///
    /// Dropping it kills the process.
    pub async fn terminate(mut self) -> Result<Option<i32>, Failure> {
        let id = self.process.id().ok_or("it has ended already")?;
        run(Command::new("kill").args(["-TERM", &id.to_string()]), "").await?;
        let ended = tokio::time::timeout(PATIENCE, self.process.wait()).await;
        Ok(ended.map_err(|_| "it does not end")??.code())
    }
}

/// A peer that prints one JSON object a line.
#[derive(Debug)]
pub struct Peer {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    _input: Option<ChildStdin>,
}

impl Peer {
    /// Starts it.
    pub fn start(mut command: Command) -> Result<Self, Failure> {
        let mut process = command.spawn()?;
        let output = process.stdout.take().ok_or("no standard output")?;
        let input = process.stdin.take();
        Ok(Self { process, lines: BufReader::new(output).lines(), _input: input })
    }

    /// The next line that is as wanted; those before it are skipped.
    ///
    /// # Cancellation
    ///
    /// Dropping it may lose a line.
    pub async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Result<Value, Failure> {
        let mut skipped = Vec::new();
        let reading = async {
            loop {
                let line = self.lines.next_line().await?.ok_or("the peer has ended")?;
                let value: Value = serde_json::from_str(&line)?;
                if wanted(&value) {
                    return Ok::<_, Failure>(value);
                }
                skipped.push(line);
            }
        };
        match tokio::time::timeout(PATIENCE, reading).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(format!("{error}; before that: {skipped:#?}").into()),
            Err(_) => Err(format!("no such line; there were: {skipped:#?}").into()),
        }
    }

    /// Waits for its end. Returns whether it was content.
    ///
    /// # Cancellation
    ///
    /// Dropping it kills the process.
    pub async fn ended(mut self) -> Result<bool, Failure> {
        let ended = tokio::time::timeout(PATIENCE, self.process.wait()).await;
        Ok(ended.map_err(|_| "the peer does not end")??.success())
    }
}

/// So many addresses of loopback that were free a moment ago, for programs that read theirs from a
/// file.
///
/// # Cancellation
///
/// Dropping it loses nothing.
pub async fn free_addresses<const N: usize>() -> Result<[String; N], Failure> {
    let mut held = Vec::new();
    for _ in 0..N {
        held.push(TcpListener::bind("127.0.0.1:0").await?);
    }
    let addresses: Result<Vec<String>, std::io::Error> =
        held.iter().map(|listener| Ok(listener.local_addr()?.to_string())).collect();
    addresses?.try_into().map_err(|_| "too few addresses".into())
}
