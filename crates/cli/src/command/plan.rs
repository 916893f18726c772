//! `quorate config plan`: what each check can promise.

use std::path::Path;
use std::time::Duration;

use quorate_model::{HumanDuration, plural};
use quorate_verdict::plan::{Difference, Plan, Step, plan_all};
use serde_json::{Value, json};

use super::{config, print_json};
use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::output::{Colour, Console, escaped};

/// Prints the plans of all checks in the file; the exit code is bad if one is refused.
pub(super) fn run(file: &Path, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let configuration = match config::parse(file)? {
        Ok(configuration) => configuration,
        Err(problems) => {
            config::report(&problems, &[], global, console)?;
            return Ok(Exit::Bad);
        }
    };
    let fleet = &configuration.fleet;
    let plans = plan_all(fleet);
    if global.output.is_json() {
        let entries: Vec<Value> = plans.iter().map(shape).collect();
        print_json(&json!({ "plans": entries }), global, console)?;
    } else {
        for plan in &plans {
            show(plan, console)?;
        }
    }
    let is_refused = plans.iter().any(|plan| plan.refusal.is_some());
    Ok(if is_refused { Exit::Bad } else { Exit::Ok })
}

fn show(plan: &Plan, console: &mut Console) -> Result<(), Failure> {
    for line in lines(plan) {
        let line = escaped(&line);
        let is_refusal = line.starts_with("  refused");
        let line = if is_refusal { console.out.paint(Colour::Red, &line) } else { line };
        console.out.line(&line)?;
    }
    Ok(())
}

fn lines(plan: &Plan) -> Vec<String> {
    let (quorum, regions) = plan.quorum;
    let mut lines = vec![format!(
        "{}: {quorum} of {regions} regions must fail; {} may be lost or wrong",
        plan.check, plan.tolerated
    )];
    lines.extend(
        plan.distinct.iter().map(|difference| format!("  {}", differ(difference, regions))),
    );
    lines.extend(plan.steps.iter().rev().map(|step| format!("  {}", time(step, regions))));
    lines.push(format!(
        "  false alerts: at most {} a year; extra load: {} %",
        decimal(plan.false_alerts_per_year_milli, 1_000),
        decimal(plan.extra_load_ppm, 10_000)
    ));
    if let Some(shared) = &plan.shared {
        let meaning = if shared.is_quorum {
            "that is a quorum, so its own fault looks like the target's"
        } else {
            "fewer than the quorum"
        };
        lines.push(format!(
            "  weakest shared dependency: {} {} holds {} of {regions} regions: {meaning}",
            shared.label, shared.value, shared.regions
        ));
    }
    if let Some(refusal) = &plan.refusal {
        let nearest = match &refusal.nearest {
            Some(setting) => format!("the nearest setting that can: {setting}"),
            None => "add regions, or lower both interval and timeout".to_owned(),
        };
        lines.push(format!("  refused: {}; {nearest}", refusal.why));
    }
    lines
}

/// What a demand that failing regions differ means.
fn differ(difference: &Difference, regions: usize) -> String {
    let Difference { demand, values, largest, .. } = difference;
    let asked = format!("those that fail must be of {demand}");
    let label = &demand.label;
    let Some((name, held)) = largest.as_ref().filter(|_| !difference.outlives_a_loss()) else {
        return format!("{asked}, and are of {values}: any one {label} may be lost");
    };
    let left = values.saturating_sub(1);
    let noun = if left == 1 { label.clone() } else { plural(label) };
    format!(
        "{asked}, which cannot be met without {label} {name} ({held} of {regions} regions): {left} \
         {noun} would be left, and then all regions that are left must fail"
    )
}

fn time(step: &Step, regions: usize) -> String {
    let seen = format!("seen from {} of {regions}", step.failing);
    match (step.worst, step.mean) {
        (Some(worst), Some(mean)) => {
            format!("{seen}: detected in {} at most, {} in the mean", tenths(worst), tenths(mean))
        }
        _ => format!("{seen}: never down, because so few can be chance under the budget"),
    }
}

/// Rounded up to tenths of a second, or to seconds from a minute on.
fn tenths(time: Duration) -> HumanDuration {
    let unit = if time.as_secs() < 60 { 100 } else { 1_000 };
    let millis = u64::try_from(time.as_millis().div_ceil(unit) * unit).unwrap_or(u64::MAX);
    HumanDuration(Duration::from_millis(millis))
}

/// A number of parts as a decimal with up to two places, rounded up.
fn decimal(parts: u64, whole: u64) -> String {
    let hundredths = (u128::from(parts) * 100).div_ceil(u128::from(whole.max(1)));
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn shape(plan: &Plan) -> Value {
    let millis = |time: Option<Duration>| time.map(|time| time.as_millis());
    let steps = plan.steps.iter().map(|step| {
        json!({
            "failing_regions": step.failing,
            "worst_ms": millis(step.worst),
            "mean_ms": millis(step.mean),
        })
    });
    json!({
        "check": plan.check,
        "quorum": plan.quorum.0,
        "regions": plan.quorum.1,
        "tolerated": plan.tolerated,
        "distinct": plan.distinct.iter().map(difference).collect::<Vec<_>>(),
        "need_milli_nats": plan.need_milli_nats,
        "detection": steps.collect::<Vec<_>>(),
        "false_alerts_per_year_milli": plan.false_alerts_per_year_milli,
        "extra_load_ppm": plan.extra_load_ppm,
        "shared": plan.shared.as_ref().map(|shared| json!({
            "label": shared.label,
            "value": shared.value,
            "regions": shared.regions,
            "is_quorum": shared.is_quorum,
        })),
        "refusal": plan.refusal.as_ref().map(|refusal| json!({
            "why": refusal.why,
            "nearest": refusal.nearest,
        })),
    })
}

fn difference(difference: &Difference) -> Value {
    json!({
        "label": difference.demand.label,
        "asked": difference.demand.values,
        "values": difference.values,
        "largest": difference.largest.as_ref().map(|(value, regions)| json!({
            "value": value,
            "regions": regions,
        })),
        "outlives_a_loss": difference.outlives_a_loss(),
        "hidden_by": difference.hidden_by,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"version: 1
server: { agents: { advertise: "quorate.example.com:7444" } }
regions:
  fra: { provider: hetzner }
  iad: { provider: aws }
  syd: { provider: aws }
  gru: { provider: vultr }
  bom: { provider: gcp }
checks:
  shop:
    tcp: { address: "shop.example.com:443" }
    alert: { within: 15s }
"#;

    #[test]
    fn a_plan_reads_like_a_promise() {
        let configuration = quorate_config::parse("quorate.yaml", FILE).unwrap();
        let plans = plan_all(&configuration.fleet);
        let lines: Vec<String> = plans.iter().flat_map(lines).collect();
        assert_eq!(
            lines,
            [
                "shop: 3 of 5 regions must fail; 2 may be lost or wrong",
                "  seen from 5 of 5: detected in 24.2s at most, 18.2s in the mean",
                "  seen from 4 of 5: detected in 36.2s at most, 20.6s in the mean",
                "  seen from 3 of 5: detected in 2m1s at most, 1m37s in the mean",
                "  false alerts: at most 0.3 a year; extra load: 2.5 %",
                "  weakest shared dependency: provider aws holds 2 of 5 regions: fewer than the \
                 quorum",
                "  refused: an outage can take 24.2s to detect, not 15s; the nearest setting that \
                 can: interval: 14s",
            ]
        );
    }

    #[test]
    fn a_plan_says_whether_one_provider_may_be_lost() {
        let of = |demand: &str, provider: &str| {
            let demand = format!("within: 30s }}\n    distinct: {demand}");
            let file = FILE.replace("within: 15s }", &demand).replace("vultr", provider);
            let file = file.replace("provider: gcp", "provider: hetzner");
            let fleet = quorate_config::parse("quorate.yaml", &file).unwrap().fleet;
            plan_all(&fleet).iter().flat_map(lines).collect::<Vec<_>>()
        };
        let free = of("2 providers", "vultr");
        assert_eq!(free[0], "shop: 3 of 5 regions must fail; 2 may be lost or wrong");
        assert_eq!(
            free[1],
            "  those that fail must be of 2 providers, and are of 3: any one provider may be lost"
        );
        let bound = of("2 providers", "aws");
        assert_eq!(bound[0], "shop: 3 of 5 regions must fail; 1 may be lost or wrong");
        assert_eq!(
            bound[1],
            "  those that fail must be of 2 providers, which cannot be met without provider aws (3 \
             of 5 regions): 1 provider would be left, and then all regions that are left must fail"
        );
    }

    #[test]
    fn numbers_are_rounded_up() {
        assert_eq!(decimal(300, 1_000), "0.3");
        assert_eq!(decimal(1, 1_000), "0.01");
        assert_eq!(decimal(2_629_800, 1_000), "2629.8");
        assert_eq!(tenths(Duration::from_millis(72_001)).to_string(), "1m13s");
    }
}
