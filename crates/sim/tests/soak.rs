//! The soak, shortened: what the decision promises of false alerts and of time to detect, and that
//! skipping quiet stretches changes nothing.

#![expect(clippy::expect_used, reason = "a test says what it expects")]

use std::time::Duration;

use quorate_sim::soak::{Model, Moment, Setting, Watch};

const DAY: Duration = Duration::from_secs(86_400);

/// Everything that was told in so many days.
fn log(setting: &Setting, days: u32) -> Vec<Moment> {
    let mut watch = Watch::new(setting).expect("a fleet");
    watch.keep_log();
    watch.play(DAY * days);
    watch.log().to_vec()
}

#[test]
fn skipping_changes_nothing() {
    for (model, seed) in
        [(Model::Alone, 1), (Model::Bursts, 2), (Model::Bursts, 3), (Model::SharedProvider, 4)]
    {
        let quick = Setting::plain(seed, model);
        let plain = Setting { skips: false, ..quick.clone() };
        let (quick, plain) = (log(&quick, 20), log(&plain, 20));
        let differs = quick.iter().zip(&plain).find(|(quick, plain)| quick != plain);
        assert_eq!(differs, None, "{model:?} {seed}");
        assert_eq!(quick.len(), plain.len());
    }
}
