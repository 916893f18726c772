//! The last good configuration, on disk, so that an agent probes while the coordinator is away.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quorate_model::{AgentSettings, ProbeSpec, Timestamp};
use serde::{Deserialize, Serialize};

use crate::files;

const NAME: &str = "config.json";
/// The largest file that is read. Source: 5,000 checks of the largest spec that fits a message
/// could be more, but their sum is bounded by the messages that carried them.
const BYTES_MAX: u64 = 64 << 20;
/// The shape of the file.
const VERSION: u32 = 1;

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cached {
    version: u32,
    /// The timers and anchors.
    pub(crate) settings: AgentSettings,
    /// The checks and their slots.
    pub(crate) checks: Vec<CachedCheck>,
}

/// A check as it was probed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CachedCheck {
    /// What to probe.
    pub(crate) spec: ProbeSpec,
    /// One of its slots, on the wall clock: the only one that both runs of the process share.
    pub(crate) slot: Timestamp,
    /// Time between two slots.
    pub(crate) every: Duration,
}

impl Cached {
    /// A configuration to keep.
    pub(crate) fn new(settings: AgentSettings, checks: Vec<CachedCheck>) -> Self {
        Self { version: VERSION, settings, checks }
    }
}

/// Where the configuration is kept.
#[derive(Debug, Clone)]
pub(crate) struct ConfigCache {
    folder: PathBuf,
}

impl ConfigCache {
    /// In this state folder.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// What was kept last. Nothing if nothing was, or, with a warning, if it cannot be read.
    pub(crate) fn load(&self) -> Option<Cached> {
        let path = self.folder.join(NAME);
        let size = fs::metadata(&path).ok()?.len();
        let read = || {
            if size > BYTES_MAX {
                return Err(format!("it has {size} bytes"));
            }
            let text = fs::read(&path).map_err(|error| error.to_string())?;
            let cached: Cached =
                serde_json::from_slice(&text).map_err(|error| error.to_string())?;
            if cached.version == VERSION {
                Ok(cached)
            } else {
                Err(format!("it is of version {}", cached.version))
            }
        };
        match read() {
            Ok(cached) => Some(cached),
            Err(reason) => {
                tracing::warn!(
                    path = %path.display(),
                    reason,
                    "kept configuration cannot be used, starting without checks \
                     until the coordinator sends them"
                );
                None
            }
        }
    }

    /// Keeps a configuration, whole or not at all. A failure is a warning: the agent works on, but
    /// would start with what it had kept before.
    pub(crate) fn save(&self, cached: &Cached) {
        // Specs and times always have a JSON form.
        let text = serde_json::to_vec(cached).unwrap_or_default();
        let kept =
            files::make_folder(&self.folder).and_then(|()| files::write(&self.folder, NAME, &text));
        if let Err(error) = kept {
            tracing::warn!(
                folder = %self.folder.display(),
                %error,
                "configuration cannot be kept: a restart without the coordinator would use an older one"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_model::Revision;
    use serde_json::json;

    use super::*;

    fn cached() -> Cached {
        let spec = ProbeSpec {
            check: "shop".parse().unwrap(),
            revision: Revision(u64::MAX),
            kind: "http".parse().unwrap(),
            options: json!({ "url": "https://shop.example.com/", "n": 3 }),
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            slow_after: Duration::from_secs(5),
            suspect_after: Duration::from_secs(2),
        };
        let settings = AgentSettings {
            heartbeat: Duration::from_secs(2),
            anchor_interval: Duration::from_secs(10),
            anchor_timeout: Duration::from_secs(1),
            anchors: vec!["192.0.2.1:53".into()],
        };
        let check = CachedCheck {
            spec,
            slot: Timestamp::from_micros(1_700_000_000_000_001),
            every: Duration::from_secs(20),
        };
        Cached::new(settings, vec![check])
    }

    #[test]
    fn what_is_kept_comes_back() {
        let base = tempfile::tempdir().unwrap();
        let cache = ConfigCache::new(&base.path().join("state"));
        assert_eq!(cache.load(), None);
        cache.save(&cached());
        cache.save(&cached());
        assert_eq!(cache.load(), Some(cached()));
    }

    #[test]
    fn what_is_damaged_counts_as_nothing() {
        let base = tempfile::tempdir().unwrap();
        let cache = ConfigCache::new(base.path());
        cache.save(&cached());
        let path = base.path().join(NAME);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() / 2]).unwrap();
        assert_eq!(cache.load(), None);
        fs::write(&path, text.replace("\"version\":1", "\"version\":99")).unwrap();
        assert_eq!(cache.load(), None);
    }
}
