//! One receiver: its notifier, its options and where its secrets are.

use quorate_model::{OptionProblem, ReceiverId};
use quorate_notify::KINDS;
use serde_json::Value;

use crate::gather::Gather;
use crate::kind::{choose, options};
use crate::{Receiver, SecretRef};

/// Reads one receiver. `None` if it is not usable; then there is a problem that says so.
pub(crate) fn receiver(gather: &mut Gather<'_>, id: &ReceiverId) -> Option<Receiver> {
    let path = ["receivers", id.as_str()];
    let names: Vec<&str> = KINDS.iter().map(|kind| kind.name()).collect();
    let choice = choose(gather, &path, &[], &names, "notifier");
    let name = choice.kind?;
    let kind = quorate_notify::kind(&name)?;
    let here = ["receivers", id.as_str(), name.as_str()];
    let (options, parsed) = options(gather, &here, |value| {
        let mut problems = secrets(value, kind.secrets());
        // What the notifier says about a secret that is not a reference adds nothing.
        let said = |problem: &OptionProblem| problems.iter().any(|p| p.path == problem.path);
        let others = match kind.parse(value) {
            Ok(_) => Vec::new(),
            Err(others) => others.into_iter().filter(|p| !said(p)).collect(),
        };
        problems.extend(others);
        Some(if problems.is_empty() { Ok(()) } else { Err(problems) })
    });
    parsed.map(|()| Receiver { kind: name, options })
}

/// What is wrong with the secrets of `options`, which stand at the dotted `paths`.
fn secrets(options: &Value, paths: &[&str]) -> Vec<OptionProblem> {
    let mut problems = Vec::new();
    for dotted in paths {
        let path: Vec<&str> = dotted.split('.').collect();
        let pointer: String = path.iter().flat_map(|part| ["/", part]).collect();
        let Some(value) = options.pointer(&pointer).filter(|value| !value.is_null()) else {
            continue;
        };
        let message = match SecretRef::from_value(value) {
            None => {
                "a secret does not stand in this file: write `{ env: NAME }`, \
                     `{ file: /path }` or `{ credential: name }`"
            }
            Some(SecretRef::File(file)) if !file.is_absolute() => {
                "the path of a secret's file starts with `/`"
            }
            Some(SecretRef::Credential(name)) if name.contains('/') => {
                "the name of a credential has no `/`"
            }
            Some(SecretRef::Env(name)) if name.contains(['=', '\0']) => {
                "this is not the name of an environment variable"
            }
            Some(_) => continue,
        };
        problems.push(OptionProblem::at(&path, message));
    }
    problems
}
