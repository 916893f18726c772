//! `quorate context`: save how to reach coordinators.

use serde_json::json;

use super::print_json;
use crate::args::{Context, Global};
use crate::context::{Contexts, Saved};
use crate::exit::{Exit, Failure};
use crate::output::Console;

/// Does what was asked for.
pub(super) fn run(
    context: &Context,
    global: &Global,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let contexts = Contexts::of(global);
    match context {
        Context::Ls => list(&contexts, global, console)?,
        Context::Show { name } => {
            let mut wanted = global.clone();
            if name.is_some() {
                wanted.context.clone_from(name);
                (wanted.address, wanted.token_file, wanted.ca_file) = (None, None, None);
            }
            let settings = contexts.settings(&wanted)?;
            if global.output.is_json() {
                print_json(&json!(settings), global, console)?;
            } else {
                let path = |path: Option<std::path::PathBuf>| {
                    path.map_or_else(|| "-".to_owned(), |path| path.display().to_string())
                };
                console.out.line(&format!("address     {}", settings.address))?;
                console.out.line(&format!("token_file  {}", path(settings.token_file)))?;
                console.out.line(&format!("ca_file     {}", path(settings.ca_file)))?;
            }
        }
        Context::Save { name } => {
            let saved = Saved {
                address: global.address.clone(),
                token_file: absolute(global.token_file.as_deref())?,
                ca_file: absolute(global.ca_file.as_deref())?,
            };
            if saved == Saved::default() {
                return Err(Failure::new(
                    Exit::Usage,
                    "there is nothing to save: add --address, --token-file or --ca-file",
                ));
            }
            let file = contexts.save(name, &saved)?;
            console.note(&format!(
                "saved {}; use it with `quorate context select {name}`",
                file.display()
            ));
        }
        Context::Select { name } => {
            contexts.select(name)?;
            console.note(&format!("using {name} from now on"));
        }
    }
    Ok(Exit::Ok)
}

fn list(contexts: &Contexts, global: &Global, console: &mut Console) -> Result<(), Failure> {
    let current = global.context.clone().or_else(|| contexts.selected());
    let names = contexts.names();
    if global.output.is_json() {
        return print_json(&json!({ "contexts": names, "current": current }), global, console);
    }
    for name in &names {
        let mark = if current.as_ref() == Some(name) { '*' } else { ' ' };
        console.out.line(&format!("{mark} {name}"))?;
    }
    if names.is_empty() {
        console.note("no contexts; `quorate context save NAME --address URL` makes one");
    }
    Ok(())
}

/// Relative files would mean something else in another folder.
fn absolute(file: Option<&std::path::Path>) -> Result<Option<std::path::PathBuf>, Failure> {
    file.map(std::path::absolute)
        .transpose()
        .map_err(|error| crate::exit::bad("cannot tell the current folder", &error))
}
