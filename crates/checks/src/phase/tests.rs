use super::*;

const STEP: Duration = Duration::from_millis(7);

fn phases(laps: &[PhaseTiming]) -> Vec<(Phase, Duration)> {
    laps.iter().map(|lap| (lap.phase, lap.elapsed)).collect()
}

#[tokio::test(start_paused = true)]
async fn phases_add_up_and_repeat_once() {
    let mut watch = Stopwatch::start(PhaseCell::default());
    tokio::time::advance(STEP).await;
    for phase in [Phase::Dns, Phase::Connect, Phase::Dns, Phase::Assert] {
        watch.enter(phase);
        tokio::time::advance(STEP).await;
    }
    let (total, laps) = watch.stop();
    assert_eq!(total, STEP * 5);
    assert_eq!(
        phases(&laps),
        [(Phase::Dns, STEP * 3), (Phase::Connect, STEP), (Phase::Assert, STEP)]
    );
}

#[tokio::test(start_paused = true)]
async fn sending_ends_with_the_last_write_before_the_answer() {
    let cell = PhaseCell::default();
    let mut watch = Stopwatch::start(cell.clone());
    let mark = watch.begin_send();
    mark.read();
    tokio::time::advance(STEP).await;
    mark.wrote();
    assert_eq!(cell.current(), Phase::Send);
    mark.flushed();
    assert_eq!(cell.current(), Phase::Ttfb);
    tokio::time::advance(STEP * 2).await;
    mark.read();
    mark.wrote();
    watch.answer_begun(Phase::Transfer);
    let (total, laps) = watch.stop();
    assert_eq!(total, STEP * 3);
    assert_eq!(
        phases(&laps),
        [(Phase::Send, STEP), (Phase::Ttfb, STEP * 2), (Phase::Transfer, Duration::ZERO)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_time_out_after_the_request_went_out_is_one_of_the_answer() {
    let mut watch = Stopwatch::start(PhaseCell::default());
    let mark = watch.begin_send();
    assert_eq!(watch.reached(), Phase::Send);
    mark.wrote();
    assert_eq!(watch.reached(), Phase::Ttfb);
}

#[test]
fn text_is_cut_at_a_character() {
    assert_eq!(cut("abc".to_owned(), 3), "abc");
    assert_eq!(cut("äöü".to_owned(), 5), "ä…");
}
