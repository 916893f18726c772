//! Noise: probes that fail although the target is fine.
//!
//! Whether a probe fails depends on the seed, its region and the instant of its start, and on
//! nothing else, so that two runs that probe at the same instants meet the same noise.

use std::time::Duration;

use quorate_model::Timestamp;

use crate::random::Draw;

/// Mean length of a burst.
const BURST: f64 = 90.0;

/// How probes fail by themselves. Each model lets 0.5 % of them fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Never.
    Silent,
    /// Each alone.
    Alone,
    /// 0.4 % alone, and all of a region's in bursts of 90 s in the mean, which take 0.1 % of the
    /// time.
    Bursts,
    /// As [`Model::Bursts`], and a tenth of the burst time of the first two regions, which share a
    /// provider, is common to both.
    SharedProvider,
}

impl Model {
    /// Its name for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Silent => "no noise",
            Self::Alone => "alone",
            Self::Bursts => "bursts",
            Self::SharedProvider => "shared provider",
        }
    }

    /// The share of probes that fail alone.
    const fn alone(self) -> f64 {
        match self {
            Self::Silent => 0.0,
            Self::Alone => 0.005,
            Self::Bursts | Self::SharedProvider => 0.004,
        }
    }

    /// The shares of time that bursts of this region alone, and common ones, take.
    fn bursts(self, region: usize) -> (f64, f64) {
        match self {
            Self::Silent | Self::Alone => (0.0, 0.0),
            Self::SharedProvider if region < 2 => (0.000_9, 0.000_1),
            Self::Bursts | Self::SharedProvider => (0.001, 0.0),
        }
    }
}

/// The noise that one region meets.
#[derive(Debug, Clone)]
pub(super) struct Noise {
    glitches: Draw,
    alone: f64,
    own: Bursts,
    common: Bursts,
}

impl Noise {
    pub(super) fn new(model: Model, seed: u64, region: usize, start: Timestamp) -> Self {
        let draw = Draw::of(seed).word(model.as_str());
        let number = u64::try_from(region).unwrap_or(u64::MAX);
        let (own, common) = model.bursts(region);
        Self {
            glitches: draw.word("alone").number(number),
            alone: model.alone(),
            own: Bursts::new(draw.word("burst").number(number), own, start),
            common: Bursts::new(draw.word("common"), common, start),
        }
    }

    /// Whether a probe that starts at `at` fails. To be asked in the order of time.
    pub(super) fn fails(&mut self, at: Timestamp) -> bool {
        let micros = u64::try_from(at.as_micros()).unwrap_or(0);
        let is_glitch = self.alone > 0.0 && self.glitches.number(micros).happens(self.alone);
        // Both are always asked: each must see the time pass.
        let is_own = self.own.covers(at);
        let is_common = self.common.covers(at);
        is_glitch || is_own || is_common
    }
}

/// A sequence of bursts.
#[derive(Debug, Clone)]
struct Bursts {
    draw: Draw,
    /// Mean time from the end of one to the start of the next; `None` if there are none.
    pause: Option<f64>,
    number: u64,
    from: Timestamp,
    to: Timestamp,
}

impl Bursts {
    fn new(draw: Draw, share: f64, start: Timestamp) -> Self {
        let pause = (share > 0.0).then(|| BURST * (1.0 / share - 1.0));
        let mut bursts = Self { draw, pause, number: 0, from: start, to: start };
        bursts.advance();
        bursts
    }

    /// The next one.
    fn advance(&mut self) {
        let Some(pause) = self.pause else {
            return;
        };
        let draw = self.draw.number(self.number);
        self.number += 1;
        self.from = self.to + exponential(draw.word("pause"), pause);
        self.to = self.from + exponential(draw.word("length"), BURST);
    }

    fn covers(&mut self, at: Timestamp) -> bool {
        if self.pause.is_none() {
            return false;
        }
        while self.to <= at {
            self.advance();
        }
        self.from <= at
    }
}

/// A time with an exponential distribution of this mean in seconds.
fn exponential(draw: Draw, mean: f64) -> Duration {
    Duration::from_secs_f64(-mean * draw.share().ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    const SECONDS: u32 = 4_000_000;

    /// What regions meet each second: how often each fails, both first do, and a failure is
    /// followed by another ten seconds later.
    fn shares(model: Model, seconds: u32) -> (f64, f64, f64) {
        let mut noise: Vec<Noise> =
            (0..2).map(|region| Noise::new(model, 3, region, START)).collect();
        let (mut failed, mut both, mut again) = (0_u32, 0_u32, 0_u32);
        let mut last = [false; 10];
        for second in 0..seconds {
            let at = START + Duration::from_secs(second.into());
            let fails: Vec<bool> = noise.iter_mut().map(|noise| noise.fails(at)).collect();
            failed += u32::from(fails[0]);
            both += u32::from(fails[0] && fails[1]);
            let slot = usize::try_from(second % 10).unwrap();
            again += u32::from(std::mem::replace(&mut last[slot], fails[0]) && fails[0]);
        }
        let part = |count: u32, of: u32| f64::from(count) / f64::from(of);
        (part(failed, seconds), part(both, seconds), part(again, failed))
    }

    #[test]
    fn each_model_is_what_it_says() {
        assert!(shares(Model::Silent, SECONDS).0 <= 0.0);
        let (failed, both, again) = shares(Model::Alone, SECONDS);
        assert!((0.0048..0.0052).contains(&failed) && both < 0.000_05, "{failed} {both}");
        assert!(again < 0.01, "{again}");
        let (failed, both, again) = shares(Model::Bursts, SECONDS);
        assert!((0.0044..0.0056).contains(&failed) && both < 0.000_06, "{failed} {both}");
        assert!((0.12..0.24).contains(&again), "{again}");
        let (failed, both, _) = shares(Model::SharedProvider, SECONDS * 10);
        assert!((0.0044..0.0056).contains(&failed), "{failed}");
        assert!((0.000_08..0.000_17).contains(&both), "{both}");
    }

    #[test]
    fn the_noise_of_an_instant_does_not_depend_on_what_was_asked_before() {
        let mut often = Noise::new(Model::Bursts, 9, 4, START);
        let mut seldom = often.clone();
        let mut seen = 0;
        for second in 0..200_000_u32 {
            let at = START + Duration::from_secs(second.into());
            let fails = often.fails(at);
            if second % 60 == 0 {
                assert_eq!(seldom.fails(at), fails);
                seen += u32::from(fails);
            }
        }
        assert!(seen > 3, "{seen}");
    }
}
