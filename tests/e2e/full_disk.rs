//! A coordinator whose disk is full: it acknowledges nothing, loses nothing that it acknowledged, says
//! so, and goes on by itself when there is room.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use quorate_demo::props::{Arrival, Mode, Secret, Target, start_receiver};
use quorate_model::{AgentId, BootId, Timestamp};
use quorate_runtime::{Clock, Tasks};
use quorate_tests::processes::Failure;
use tokio::sync::mpsc;

use crate::processes::Deployment;

/// How long anything may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(90);

/// A small file system in memory, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts it at a folder; or says why that cannot be done here.
    fn mount(folder: &Path) -> Result<Self, String> {
        std::fs::create_dir(folder).map_err(|error| error.to_string())?;
        let output = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs"])
            .arg(folder)
            .output()
            .map_err(|error| format!("no mount: {error}"))?;
        if output.status.success() {
            return Ok(Self(folder.to_owned()));
        }
        Err(String::from_utf8_lossy(&output.stderr).trim().replace('\n', " "))
    }

    /// Leaves no room, until the file that is returned is removed.
    fn fill(&self) -> std::io::Result<PathBuf> {
        let path = self.0.join("fill");
        let mut file = File::create(&path)?;
        loop {
            match file.write_all(&[0; 4_096]) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(path),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The processes that used it may only just have been killed.
        drop(std::process::Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

/// The next message that is as wanted; those before it are skipped.
async fn message(
    arrivals: &mut mpsc::Receiver<Arrival>,
    wanted: impl Fn(&Arrival) -> bool,
) -> Result<Arrival, Failure> {
    let reading = async {
        loop {
            let arrival = arrivals.recv().await.ok_or("the receiver has ended")?;
            if wanted(&arrival) {
                return Ok::<_, Failure>(arrival);
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.map_err(|_| "no such message")?
}

fn of_store(arrival: &Arrival, kind: &str) -> bool {
    arrival.kind == kind && arrival.data["kind"] == "store_failing"
}

fn of_shop(arrival: &Arrival) -> bool {
    arrival.kind.starts_with("incident.") && arrival.data["check"] == "shop"
}

/// Returns when each agent keeps at least `least` results for the coordinator.
async fn until_spooled(deployment: &Deployment, least: u64) -> Result<(), Failure> {
    let spooled = async {
        loop {
            let agents = deployment.json(&["get", "agents"]).await?;
            let counts = agents["agents"].as_array().ok_or("no list")?.iter();
            let counts = counts.map(|agent| agent["spooled_results"].as_u64());
            if counts.into_iter().all(|count| count.is_some_and(|count| count >= least)) {
                return Ok::<_, Failure>(());
            }
        }
    };
    tokio::time::timeout(PATIENCE, spooled).await.map_err(|_| "the agents keep nothing")?
}

/// The numbers of the stored results of each run of each agent, in the order of storing.
fn stored(deployment: &Deployment) -> Result<BTreeMap<(AgentId, BootId), Vec<u64>>, Failure> {
    let url = format!("sqlite:{}", deployment.at("data/quorate.db").display());
    let restored = quorate_store::open(&url)?.restore(Timestamp::EPOCH)?;
    let mut found: BTreeMap<_, Vec<u64>> = BTreeMap::new();
    for result in restored.results {
        found.entry((result.id.agent, result.id.boot)).or_default().push(result.id.sequence);
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_nothing_and_heals() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = match SmallDisk::mount(&folder.path().join("data")) {
        Ok(disk) => disk,
        Err(reason) => {
            println!("SKIPPED: a full disk under real processes: {reason}");
            return;
        }
    };
    let tasks = Tasks::new();
    let target = Target::start(&tasks).await.expect("a target");
    let secret = Secret::draw();
    let text = secret.text();
    let (send, mut arrivals) = mpsc::channel(256);
    let receiver = start_receiver(&tasks, secret, Clock::start(), send).await.expect("a receiver");
    let deployment =
        Deployment::start(folder, target.address(), receiver.port().into(), &text).await;
    let mut deployment = deployment.expect("a deployment");
    deployment.wait_for("up").await.expect("all is up");

    let fill = disk.fill().expect("no room is left");
    let told = message(&mut arrivals, |arrival| of_store(arrival, "operator.notice")).await;
    told.expect("operators are told");
    target.become_mode(Mode::Unavailable);
    until_spooled(&deployment, 3).await.expect("nothing is acknowledged");

    std::fs::remove_file(fill).expect("there is room");
    let page = message(&mut arrivals, of_shop).await.expect("a page");
    assert_eq!(page.kind, "incident.opened");
    let told = message(&mut arrivals, |arrival| of_store(arrival, "operator.resolved")).await;
    told.expect("operators are told");

    deployment.coordinator.take().expect("it runs").kill().await.expect("killed");
    deployment.start_coordinator().await.expect("it starts again");
    target.become_mode(Mode::Fine);
    // Neither the full disk nor the restart paged twice.
    let next = message(&mut arrivals, of_shop).await.expect("its end");
    assert_eq!(
        (next.kind.as_str(), &next.data["incident"]),
        ("incident.resolved", &page.data["incident"])
    );

    for agent in std::mem::take(&mut deployment.agents) {
        assert_eq!(agent.terminate().await.expect("it ends"), Some(0));
    }
    let coordinator = deployment.coordinator.take().expect("it runs");
    assert_eq!(coordinator.terminate().await.expect("it ends"), Some(0));
    let stored = stored(&deployment).expect("the store can be read");
    assert_eq!(stored.len(), 3, "{:?}", stored.keys());
    for (run, numbers) in stored {
        let count = u64::try_from(numbers.len()).expect("few");
        assert_eq!(numbers, (1..=count).collect::<Vec<_>>(), "{run:?}");
    }
    tasks.stop();
}
