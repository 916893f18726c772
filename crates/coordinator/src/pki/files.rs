//! Files that hold keys: nobody but their owner may read them.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::PkiError;

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// The rights of everybody but the owner.
const OTHERS: u32 = 0o077;
/// No key and no chain of ours is longer, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1_024;

fn failed<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> PkiError + 'a {
    move |source| PkiError::File { what, path: PathBuf::from(path), source }
}

/// Makes a folder that only its owner may enter, with its parents. One that is there already must
/// be closed to others.
pub(super) fn make_folder(folder: &Path) -> Result<(), PkiError> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)
        .map_err(failed("make the folder", folder))?;
    check_folder(folder)
}

pub(super) fn check_folder(folder: &Path) -> Result<(), PkiError> {
    let found = fs::metadata(folder).map_err(failed("look at", folder))?;
    closed(folder, found.mode(), FOLDER_MODE)
}

fn closed(path: &Path, mode: u32, want: u32) -> Result<(), PkiError> {
    if mode & OTHERS == 0 {
        return Ok(());
    }
    Err(PkiError::Permissions { path: path.to_owned(), mode: mode & 0o7777, want })
}

/// Writes a file that must not be there yet, readable by its owner only.
pub(super) fn write(path: &Path, text: &str) -> Result<(), PkiError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
        .map_err(failed("make", path))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed("write", path))
}

/// Replaces a file as one step.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), PkiError> {
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("remove", &beside)(error)),
    }
    write(&beside, text)?;
    fs::rename(&beside, path).map_err(failed("replace", path))
}

/// Reads a file that may be seen by anybody.
pub(super) fn read(path: &Path) -> Result<String, PkiError> {
    let mut text = String::new();
    fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text))
        .map_err(failed("read", path))?;
    Ok(text)
}

/// Reads a key. Refuses one that others may read, that belongs to somebody else, or that is
/// reached through a link.
pub(super) fn read_key(path: &Path) -> Result<String, PkiError> {
    let found = fs::symlink_metadata(path).map_err(failed("look at", path))?;
    let not_ours = |problem| PkiError::NotOurs { path: path.to_owned(), problem };
    if !found.is_file() {
        return Err(not_ours("is not a plain file"));
    }
    // The owner of this process, without a call that needs unsafe code.
    if fs::metadata("/proc/self").is_ok_and(|own| own.uid() != found.uid()) {
        return Err(not_ours("belongs to another user"));
    }
    closed(path, found.mode(), FILE_MODE)?;
    read(path)
}
