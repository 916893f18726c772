//! `quorate demo`: the whole product on this machine.

use crate::args::{Demo, Global, Output};
use crate::exit::{Exit, Failure, bad};
use crate::output::Console;

/// Plays the demo. Takes everything down before it returns, also when it is interrupted.
///
/// # Cancellation
///
/// Dropping it leaves servers behind that end with the process.
pub(crate) async fn run(
    demo: &Demo,
    global: &Global,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let format = match global.output {
        Output::Table if console.out.terminal() => quorate_demo::Format::Live,
        Output::Table => quorate_demo::Format::Lines,
        Output::Json | Output::Jsonl => quorate_demo::Format::Jsonl,
    };
    let options = quorate_demo::Options {
        urls: demo.urls.clone(),
        duration: demo.duration,
        format,
        colour: console.out.colours(),
    };
    match quorate_demo::run(options, console.out.writer()).await {
        Ok(quorate_demo::Ending::Kept) => Ok(Exit::Ok),
        Ok(quorate_demo::Ending::Broken) => Ok(Exit::Bad),
        Ok(quorate_demo::Ending::Interrupted(code)) => Ok(Exit::Signal(code)),
        Err(quorate_demo::DemoError::Output(error)) => Err(error.into()),
        Err(quorate_demo::DemoError::Usage(message)) => Err(Failure::new(Exit::Usage, message)),
        Err(error) => Err(bad("the demo cannot go on", &error)),
    }
}
