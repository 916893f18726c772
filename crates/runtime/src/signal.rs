//! Signals of the operating system.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Returns when the process is asked to end (SIGTERM or SIGINT); the exit code that says so.
pub async fn terminated() -> std::io::Result<u8> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => 143,
        _ = interrupt.recv() => 130,
    })
}

/// Requests to read the configuration again (SIGHUP).
pub fn reloads() -> std::io::Result<Signal> {
    signal(SignalKind::hangup())
}
