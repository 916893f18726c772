//! The built programs as a user runs them: initialised, joined by token, watched by Python peers,
//! killed and started again in an outage.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use quorate_demo::props::{Mode, Target};
use quorate_runtime::Tasks;
use quorate_tests::processes::{
    Daemon, Failure, Peer, free_addresses, program, python, run, run_any,
};
use serde_json::Value;
use tokio::process::Command;

const REGIONS: [&str; 3] = ["fra", "iad", "syd"];
/// 32 bytes, as Standard Webhooks wants them.
const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A coordinator and three agents, each a process.
pub(crate) struct Deployment {
    folder: tempfile::TempDir,
    api: String,
    pub(crate) coordinator: Option<Daemon>,
    pub(crate) agents: Vec<Daemon>,
}

impl Deployment {
    /// Starts one in a folder, where the coordinator's data is in `data`.
    pub(crate) async fn start(
        folder: tempfile::TempDir,
        target: SocketAddr,
        receiver: u64,
        secret: &str,
    ) -> Result<Self, Failure> {
        let at = |name: &str| folder.path().join(name);
        let [agents, join, api] = free_addresses().await?;
        let data = at("data");
        run(
            program("quorate-coordinator")?
                .args(["init", "--no-context", "--name", "127.0.0.1", "--data"])
                .arg(&data),
            "",
        )
        .await?;
        std::fs::write(at("secret"), secret)?;
        let listeners = [agents.as_str(), join.as_str(), api.as_str()];
        let text = configuration(&data, listeners, target, receiver, &at("secret"));
        std::fs::write(at("quorate.yaml"), text)?;
        let mut deployment = Self { folder, api, coordinator: None, agents: Vec::new() };
        run(deployment.quorate()?.args(["config", "check"]).arg(deployment.at("quorate.yaml")), "")
            .await?;
        deployment.start_coordinator().await?;
        for region in REGIONS {
            deployment.add_agent(region).await?;
        }
        Ok(deployment)
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn token_file(&self) -> PathBuf {
        self.at("data/admin.token")
    }

    /// The operator's command, with its settings.
    fn quorate(&self) -> Result<Command, Failure> {
        let mut command = program("quorate")?;
        command
            .env("QUORATE_ADDRESS", format!("http://{}", self.api))
            .env("QUORATE_TOKEN_FILE", self.token_file())
            .env("HOME", self.folder.path())
            .env_remove("XDG_CONFIG_HOME");
        Ok(command)
    }

    pub(crate) async fn start_coordinator(&mut self) -> Result<(), Failure> {
        let mut command = program("quorate-coordinator")?;
        command.args(["run", "--config"]).arg(self.at("quorate.yaml"));
        self.coordinator = Some(Daemon::start(command, self.folder.path(), "coordinator").await?);
        Ok(())
    }

    /// What a second coordinator on the same folder says before it ends.
    async fn second_coordinator(&self) -> Result<String, Failure> {
        let mut command = program("quorate-coordinator")?;
        command.args(["run", "--config"]).arg(self.at("quorate.yaml"));
        let output = run_any(&mut command, "").await?;
        assert_eq!(output.status.code(), Some(1));
        Ok(String::from_utf8(output.stderr)?)
    }

    async fn add_agent(&mut self, region: &str) -> Result<(), Failure> {
        let name = format!("{region}-1");
        let state = self.at(&name);
        let file = self.at(&format!("{name}.yaml"));
        let text = format!("state: \"{}\"\npolicy: {{ allow: [127.0.0.0/8] }}\n", state.display());
        std::fs::write(&file, text)?;
        let token = ["agent", "token", "--region", region, "--name", &name];
        let bundle = run(self.quorate()?.args(token), "").await?;
        run(program("quorate-agent")?.args(["join", "--config"]).arg(&file), &bundle).await?;
        let mut thief = program("quorate-agent")?;
        thief.args(["join", "--state"]).arg(self.at("thief"));
        let again = run_any(&mut thief, &bundle).await?;
        assert!(!again.status.success(), "a bundle works once");
        let mut command = program("quorate-agent")?;
        command.args(["run", "--config"]).arg(&file);
        self.agents.push(Daemon::start(command, self.folder.path(), &name).await?);
        Ok(())
    }

    pub(crate) async fn json(&self, arguments: &[&str]) -> Result<Value, Failure> {
        let text = run(self.quorate()?.args(["-o", "json"]).args(arguments), "").await?;
        Ok(serde_json::from_str(&text)?)
    }

    pub(crate) async fn wait_for(&self, state: &str) -> Result<(), Failure> {
        let watch = ["watch", "shop", "--until", state, "--timeout", "60s"];
        run(self.quorate()?.args(watch), "").await.map(drop)
    }
}

fn configuration(
    data: &Path,
    [agents, join, api]: [&str; 3],
    target: SocketAddr,
    receiver: u64,
    secret: &Path,
) -> String {
    format!(
        r#"version: 1
server:
  data: "{data}"
  agents: {{ listen: "{agents}", advertise: "{agents}" }}
  join: {{ listen: "{join}", advertise: "{join}" }}
  api: {{ listen: "{api}" }}
defaults: {{ interval: 3s, timeout: 1s }}
policy: {{ recovery: 2s, recovery_interval: 1s, heartbeat: 500ms, absent_after: 3s, suspect_min: 500ms }}
anchors: []
regions: {{ fra: {{ provider: a }}, iad: {{ provider: b }}, syd: {{ provider: c }} }}
receivers:
  hook: {{ webhook: {{ url: "http://127.0.0.1:{receiver}/", secret: {{ file: "{secret}" }} }} }}
operators: [hook]
checks:
  shop:
    http: {{ url: "http://{target}/health", expect: {{ status: [200], json: {{ "$.status": ok }} }} }}
    alert: {{ to: [hook] }}
"#,
        data = data.display(),
        secret = secret.display(),
    )
}

fn alert(line: &Value, kind: &str) -> bool {
    line["message"]["data"]["kind"] == kind && line["message"]["data"]["check"] == "shop"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_from_the_outside() {
    let Some(mut receiver) = python("receiver.py").expect("a target folder") else {
        println!("SKIPPED: an outage seen by Python peers: they are not installed");
        return;
    };
    receiver.arg(SECRET);
    let mut receiver = Peer::start(receiver).expect("the receiver starts");
    let listening = receiver.until(|line| line["event"] == "listening").await.expect("a port");
    let tasks = Tasks::new();
    let target = Target::start(&tasks).await.expect("a target");
    let port = listening["port"].as_u64().expect("a number");
    let folder = tempfile::tempdir().expect("a folder");
    let deployment = Deployment::start(folder, target.address(), port, SECRET).await;
    let mut deployment = deployment.expect("a deployment");
    deployment.wait_for("up").await.expect("all is up");
    let second = deployment.second_coordinator().await.expect("it ends");
    assert!(second.contains("another coordinator runs"), "{second}");

    let mut watcher = python("watch.py").expect("a target folder").expect("installed");
    watcher.arg(&deployment.api).arg(deployment.token_file()).args(["shop", "up", "down"]);
    let mut watcher = Peer::start(watcher).expect("the watcher starts");
    let services = watcher.until(|line| line["event"] == "services").await.expect("reflection");
    let services = services["services"].as_array().expect("a list");
    assert!(services.contains(&Value::from("quorate.v1.CheckService")), "{services:?}");
    let health = watcher.until(|line| line["event"] == "health").await.expect("health");
    assert_eq!(health["status"], "SERVING");
    let check = watcher.until(|line| line["event"] == "check").await.expect("a check");
    let votes = check["check"]["verdict"]["ballot"]["votes"].as_array().expect("a ballot");
    assert_eq!(votes.len(), REGIONS.len(), "{check:#}");
    let missing = watcher.until(|line| line["event"] == "missing").await.expect("an error");
    assert_eq!(
        (&missing["code"], &missing["reason"]),
        (&"NOT_FOUND".into(), &"CHECK_NOT_FOUND".into())
    );
    let denied = watcher.until(|line| line["event"] == "no-token").await.expect("an error");
    assert_eq!(
        (&denied["code"], &denied["reason"]),
        (&"UNAUTHENTICATED".into(), &"TOKEN_INVALID".into())
    );
    watcher.until(|line| line["event"] == "synced").await.expect("a snapshot");

    target.become_mode(Mode::Unavailable);
    watcher.until(|line| line["state"] == "STATE_DOWN").await.expect("it sees the outage");
    assert!(watcher.ended().await.expect("it ends"), "the independent client is content");
    let page = receiver.until(|line| alert(line, "page")).await.expect("a page");
    assert_eq!(page["verified"], true);

    deployment.coordinator.take().expect("it runs").kill().await.expect("killed");
    deployment.start_coordinator().await.expect("it starts again");
    deployment.wait_for("down").await.expect("still down");
    let incidents = deployment.json(&["get", "incidents"]).await.expect("incidents");
    assert_eq!(incidents["incidents"].as_array().map(Vec::len), Some(1), "{incidents:#}");
    let words = run(deployment.quorate().expect("built").args(["explain", "shop"]), "").await;
    let words = words.expect("an explanation");
    assert!(REGIONS.iter().all(|region| words.contains(region)), "{words}");

    target.become_mode(Mode::Fine);
    // The next message after the page is its resolution: nothing was paged twice.
    let next =
        receiver.until(|line| line["message"]["data"]["check"] == "shop").await.expect("more");
    assert!(alert(&next, "resolved"), "{next:#}");
    assert_eq!(next["message"]["data"]["incident"], page["message"]["data"]["incident"]);

    for agent in deployment.agents {
        assert_eq!(agent.terminate().await.expect("it ends"), Some(0));
    }
    let coordinator = deployment.coordinator.take().expect("it runs");
    assert_eq!(coordinator.terminate().await.expect("it ends"), Some(0));
    tasks.stop();
}

#[tokio::test]
async fn a_bad_configuration_starts_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("quorate.yaml");
    std::fs::write(&file, "version: 1\nchecks:\n  shop: { htp: {} }\nregions: { FRA: {} }\n")
        .expect("written");
    let mut command = program("quorate-coordinator").expect("built");
    let output = run_any(command.args(["run", "--config"]).arg(&file), "").await.expect("it ends");
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("quorate.yaml:3:") && said.contains("quorate.yaml:4:"), "{said}");

    let file = folder.path().join("agent.yaml");
    std::fs::write(&file, "stat: /tmp\negress: carrier-pigeon\n").expect("written");
    let mut command = program("quorate-agent").expect("built");
    let output = run_any(command.args(["run", "--config"]).arg(&file), "").await.expect("it ends");
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("agent.yaml:1:") && said.contains("agent.yaml:2:"), "{said}");
}
