//! Looking back at an outage: explaining it afterwards, and judging its results once more.

use std::ffi::OsString;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use quorate_cli::{Console, Out};
use quorate_demo::props::Mode;
use quorate_tests::cluster::{Cluster, SHOP};

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(bytes.clone()).expect("text")
    }
}

/// Exit code and standard output of the operator's command.
async fn quorate(cluster: &Cluster, arguments: &[&str]) -> (u8, String) {
    let (out, err) = (Paper::default(), Paper::default());
    let mut console =
        Console { out: Out::new(out.clone(), false), err: Out::new(err.clone(), false) };
    let address = format!("http://{}", cluster.api());
    let fixed = ["quorate", "--address", &address, "--home-env", "/nonexistent"];
    let line = fixed.iter().chain(arguments).map(OsString::from);
    let code = quorate_cli::run(line, &mut console).await;
    assert!(code <= 1, "{arguments:?}: {code}: {}", err.text());
    (code, out.text())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_can_be_explained_and_replayed_afterwards() {
    let mut cluster = Cluster::start().await.expect("the cluster starts and all is up");
    cluster.shop.become_mode(Mode::Unavailable);
    let of_shop = |kind: &'static str| {
        move |arrival: &quorate_demo::props::Arrival| {
            arrival.data["check"] == SHOP && arrival.data["kind"] == kind
        }
    };
    let page = cluster.message(of_shop("page")).await.expect("a page");
    cluster.shop.become_mode(Mode::Fine);
    cluster.message(of_shop("resolved")).await.expect("the end");

    // Why was I paged? The page names the incident and its moment.
    let incident = page.data["incident"].as_str().expect("an incident");
    let opened = page.data["opened"].as_str().expect("a time");
    let (_, told) = quorate(&cluster, &["explain", "--incident", incident]).await;
    assert!(told.contains("page to hook decided "), "{told}");
    assert!(
        told.contains("shop is down since ") && told.contains("chance of coincidence"),
        "{told}"
    );
    // The page's time is cut to milliseconds: the verdict was reached within that one.
    let at = opened.replace('Z', "999Z");
    let (_, told) = quorate(&cluster, &["explain", SHOP, "--at", &at]).await;
    assert!(told.contains("shop is down since ") && told.contains(incident), "{told}");
    assert!(told.contains("the results stored of that moment, voted anew"), "{told}");
    let (_, told) = quorate(&cluster, &["get", "verdicts", SHOP, "-o", "jsonl"]).await;
    assert!(told.contains(r#""state":"down""#) && told.contains(r#""state":"up""#), "{told}");

    // Four of five regions cannot reach it: a page by majority, none if all must agree.
    let shop = cluster.shop.address();
    for network in &cluster.networks[..4] {
        network.black_hole(shop);
    }
    let pages =
        |cluster: &mut Cluster| cluster.messages().iter().filter(|it| of_shop("page")(it)).count();
    cluster
        .until(SHOP, |view| view.open_incident.is_some_and(|id| id.to_string() != incident))
        .await
        .expect("another incident");

    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (results, config) = (path("results.jsonl"), path("quorate.yaml"));
    std::fs::write(&config, cluster.configuration()).expect("written");
    let (_, exported) = quorate(&cluster, &["export", SHOP, "--since", "10m"]).await;
    std::fs::write(&results, exported).expect("written");
    let replay = ["replay", &results, "--config", &config, "--exit-code"];
    let (code, same) = quorate(&cluster, &replay).await;
    assert_eq!(code, 0, "the same policy sends the same: {same}");
    assert!(same.contains("page 2 -> 2"), "{same}");
    let all = [&replay[..], &["--quorum", "all"]].concat();
    let (code, other) = quorate(&cluster, &all).await;
    assert_eq!(code, 1, "another policy sends something else: {other}");
    assert!(other.contains("page 2 -> 1"), "{other}");

    // Straight from the coordinator it is the same.
    let live =
        ["replay", "--since", "10m", "--check", SHOP, "--config", &config, "--quorum", "all"];
    let (_, live) = quorate(&cluster, &live).await;
    assert!(live.contains("page 2 -> 1"), "{live}");
    assert_eq!(pages(&mut cluster), 2);
    cluster.stop().await;
}
