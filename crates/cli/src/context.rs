//! Saved settings: one file for each coordinator, and the name of the one in use.

use std::path::{Path, PathBuf};

use quorate_model::CheckId;
use serde::{Deserialize, Serialize};

use crate::args::Global;
use crate::exit::{Exit, Failure};

/// Where a coordinator is if nobody says otherwise.
pub(crate) const ADDRESS_DEFAULT: &str = "http://127.0.0.1:7443";

/// How to reach a coordinator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Settings {
    /// The URL of its API.
    pub address: String,
    /// The file that holds the token, if one is needed.
    pub token_file: Option<PathBuf>,
    /// The certificate authority of its API; those of the system if absent.
    pub ca_file: Option<PathBuf>,
}

/// What a file of saved settings may say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saved {
    /// As in [`Settings`].
    pub address: Option<String>,
    /// As in [`Settings`].
    pub token_file: Option<PathBuf>,
    /// As in [`Settings`].
    pub ca_file: Option<PathBuf>,
}

/// The folder of saved settings.
#[derive(Debug, Clone)]
pub(crate) struct Contexts {
    folder: PathBuf,
}

impl Contexts {
    /// `$XDG_CONFIG_HOME/quorate`, or `~/.config/quorate`.
    pub(crate) fn of(global: &Global) -> Self {
        let home = Path::new(&global.config_home_env);
        let base = if home.is_absolute() {
            home.to_owned()
        } else {
            Path::new(&global.home_env).join(".config")
        };
        Self { folder: base.join("quorate") }
    }

    fn file(&self, name: &str) -> Result<PathBuf, Failure> {
        // The rule for names also keeps a name from leading out of the folder.
        name.parse::<CheckId>().map_err(|_| {
            Failure::new(
                Exit::Usage,
                format!("{name:?} is not a name for a context: use {}", quorate_model::ID_HELP),
            )
        })?;
        Ok(self.folder.join("contexts").join(format!("{name}.yaml")))
    }

    /// The name of the settings in use, if any were selected.
    pub(crate) fn selected(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.folder.join("current")).ok()?;
        Some(text.trim().to_owned()).filter(|name| !name.is_empty())
    }

    /// The names of all saved settings, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.folder.join("contexts")) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                name.strip_suffix(".yaml").map(str::to_owned)
            })
            .collect();
        names.sort();
        names
    }

    /// Reads what was saved under a name.
    pub(crate) fn load(&self, name: &str) -> Result<Saved, Failure> {
        let file = self.file(name)?;
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Failure::new(
                    Exit::NotFound,
                    format!(
                        "there is no context {name:?}; `quorate context ls` lists them, `quorate context save {name}` makes it"
                    ),
                ));
            }
            Err(error) => {
                return Err(Failure::new(
                    Exit::Usage,
                    format!("cannot read {}: {error}", file.display()),
                ));
            }
        };
        read(&file.display().to_string(), &text)
    }

    /// Saves settings under a name, for the user alone to read.
    pub(crate) fn save(&self, name: &str, saved: &Saved) -> Result<PathBuf, Failure> {
        let file = self.file(name)?;
        let write = || -> std::io::Result<()> {
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder)?;
            }
            replace(&file, &text(saved))
        };
        write().map_err(|error| unwritable(&file, &error))?;
        Ok(file)
    }

    /// Uses the settings saved under a name from now on.
    pub(crate) fn select(&self, name: &str) -> Result<(), Failure> {
        self.load(name)?;
        let file = self.folder.join("current");
        replace(&file, &format!("{name}\n")).map_err(|error| unwritable(&file, &error))
    }

    /// The settings that hold now: flag, then environment, then the context, then the default.
    pub(crate) fn settings(&self, global: &Global) -> Result<Settings, Failure> {
        let name = global.context.clone().or_else(|| self.selected());
        let saved = match name {
            Some(name) => self.load(&name)?,
            None => Saved::default(),
        };
        // A token belongs to the coordinator it was saved for: it must not go anywhere else.
        let elsewhere = match (&global.address, &saved.address) {
            (Some(asked), saved) => saved.as_ref() != Some(asked),
            (None, _) => false,
        };
        let saved_files = if elsewhere { Saved::default() } else { saved.clone() };
        Ok(Settings {
            address: global
                .address
                .clone()
                .or(saved.address)
                .unwrap_or_else(|| ADDRESS_DEFAULT.to_owned()),
            token_file: global.token_file.clone().or(saved_files.token_file),
            ca_file: global.ca_file.clone().or(saved_files.ca_file),
        })
    }
}

/// Writes beside the file and renames, so that it is never half written; only the user can read it.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let draft = file.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let mut open = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    open.write_all(text.as_bytes())?;
    open.sync_all()?;
    std::fs::rename(draft, file)
}

fn unwritable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Bad, format!("cannot write {}: {error}", file.display()))
}

/// JSON strings are YAML strings, with every character that could mean something else escaped.
fn text(saved: &Saved) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut lines = String::new();
    let mut line = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            lines += format!("{key}: {}\n", quoted(&value)).as_str();
        }
    };
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    line("address", saved.address.clone());
    line("token_file", path(&saved.token_file));
    line("ca_file", path(&saved.ca_file));
    lines
}

fn read(file: &str, text: &str) -> Result<Saved, Failure> {
    let read = quorate_yaml::Document::parse(file, text).and_then(|document| document.read());
    read.map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::new(Exit::Usage, lines.join("\n"))
    })
}

#[cfg(test)]
mod tests;
