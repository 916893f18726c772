//! What the decision promises of false alerts and of time to detect, played in virtual time.
//!
//! `cargo run --release -p quorate-tests --bin quorate-soak` plays some years of noise in about a
//! minute, `-- --full` three thousand of each kind; `docs/decision-figures.md` says how to read it.
//! Ends with 1 if a promise is broken.

mod noise;
mod outages;
mod pool;

use std::process::ExitCode;

/// How much is played.
#[derive(Debug, Clone, Copy)]
struct Extent {
    seed: u64,
    /// Whether it is so long that luck plays no part.
    is_full: bool,
    /// Check-years of each model of noise.
    years: u32,
    /// Those with one region excluded.
    excluded_years: u32,
    /// Days with a region that fails all the time and is believed.
    isolated_days: u32,
    /// Days with a region that lies.
    lying_days: u32,
    /// Outages that everybody sees, of each kind.
    outages: u64,
    /// Those that a part sees.
    partial_outages: u64,
    /// Those through the player of scenarios.
    scenarios: u64,
}

const QUICK: Extent = Extent {
    seed: 1,
    is_full: false,
    years: 40,
    excluded_years: 10,
    isolated_days: 120,
    lying_days: 4,
    outages: 1_000,
    partial_outages: 300,
    scenarios: 200,
};

const FULL: Extent = Extent {
    seed: 1,
    is_full: true,
    years: 3_000,
    excluded_years: 500,
    isolated_days: 3_653,
    lying_days: 30,
    outages: 8_000,
    partial_outages: 2_000,
    scenarios: 8_000,
};

/// Writes one line to standard output.
#[expect(clippy::print_stdout, reason = "the figures are the program's output")]
fn say(line: &str) {
    println!("{line}");
}

type Outcome<T> = Result<T, String>;

fn extent() -> Outcome<Extent> {
    let mut extent = QUICK;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--full" => extent = Extent { seed: extent.seed, ..FULL },
            "--seed" => {
                let seed = words.next().and_then(|text| text.parse().ok());
                extent.seed = seed.ok_or("--seed wants a number")?;
            }
            other => return Err(format!("unknown argument {other:?}: --full, --seed NUMBER")),
        }
    }
    Ok(extent)
}

fn soak() -> Outcome<Vec<String>> {
    let extent = extent()?;
    let mut broken = noise::soak(&extent)?;
    say("");
    broken.extend(outages::soak(&extent)?);
    Ok(broken)
}

fn main() -> ExitCode {
    match soak() {
        Ok(broken) if broken.is_empty() => ExitCode::SUCCESS,
        Ok(broken) => {
            for what in broken {
                say(&format!("BROKEN: {what}"));
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            say(&format!("the soak failed: {error}"));
            ExitCode::FAILURE
        }
    }
}
