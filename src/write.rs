//! Puts a file in place: whole or not at all, with ordinary permissions, and never over somebody else's work.

mod unfinished;

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use unfinished::Unfinished;

/// The words in its first line by which a file is known to be ours.
pub const MARK: &str = "made by psp2falco";

/// Where `output` leads: itself, or `name` in it when it is (or looks like) a folder.
pub fn target(output: &Path, name: &str) -> PathBuf {
    if is_folder(output) { output.join(name) } else { output.to_owned() }
}

/// Is `output` a folder, or does it look like one?
pub fn is_folder(output: &Path) -> bool {
    output.is_dir()
        || output.as_os_str().to_string_lossy().ends_with('/')
        || (!output.exists() && output.extension().is_none_or(|e| !is_rules_file(e)))
}

fn is_rules_file(extension: &OsStr) -> bool {
    extension == "yaml" || extension == "yml"
}

/// May `path` be replaced? A symbolic link is followed.
///
/// # Errors
/// A folder; and a file that this program did not write, unless `force`.
pub fn may_replace(path: &Path, force: bool) -> Result<()> {
    let place = || path.display().to_string();
    let cannot_tell = || format!("{}: cannot be read, so it is not overwritten", path.display());
    let path = &followed(path).with_context(cannot_tell)?;
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => bail!("{}: is a folder; name a file", place()),
        Ok(meta) if meta.is_file() && !force && !is_ours(path).with_context(cannot_tell)? => {
            bail!(
                "{}: was not written by psp2falco; choose another file, or overwrite it with --force",
                place()
            )
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Replaces `path` by `text` atomically, making the folders on the way. A symbolic link is followed.
///
/// # Errors
/// What [`may_replace`] refuses, and whatever the operating system does; the old file is then left as it was.
pub fn replace(path: &Path, text: &str, force: bool) -> Result<()> {
    may_replace(path, force)?;
    let place = || format!("{}: cannot be written; what was there stays", path.display());
    let path = &followed(path).with_context(place)?;
    // a pipe or a device takes the bytes as they come
    if fs::metadata(path).is_ok_and(|meta| !meta.is_file()) {
        return fs::OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("{}: cannot be written", path.display()));
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| no_folder(folder))?;
    remove_leftovers(folder);
    let mut file = new_file(folder)?;
    if let Ok(meta) = fs::metadata(path) {
        file.set_permissions(meta.permissions()).with_context(place)?;
    }
    file.fill(text).and_then(|()| file.replace(path)).with_context(place)
}

/// Writes a file that must not exist yet, making the folders on the way.
///
/// # Errors
/// A file that exists, and whatever the operating system refuses.
pub fn create(path: &Path, text: &str) -> Result<()> {
    let place = || format!("{}: cannot be written", path.display());
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| no_folder(folder))?;
    let mut file = new_file(folder)?;
    file.fill(text).and_then(|()| file.place(path)).with_context(place)
}

fn no_folder(folder: &Path) -> String {
    format!("{}: no folder can be made here; choose another place", folder.display())
}

/// A new file in `folder` that everybody may read as far as the umask lets them.
fn new_file(folder: &Path) -> Result<Unfinished> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let file = Unfinished::new(builder.prefix(PREFIX).rand_bytes(SUFFIX), folder);
    file.with_context(|| format!("{}: no file can be made here; choose another folder", folder.display()))
}

/// How the names of new files begin before they are in place, and how many letters follow.
const PREFIX: &str = ".psp2falco-";
const SUFFIX: usize = 6;
/// A new file that has not changed for so long was left behind by a run that was killed.
const LEFT_BEHIND: Duration = Duration::from_secs(3600);

/// Removes what killed runs have left in `folder`; what cannot be removed does no harm.
fn remove_leftovers(folder: &Path) {
    let is_left_behind = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        let ours = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).is_some_and(|rest| {
            rest.len() == SUFFIX && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
        let age = || entry.metadata().ok().filter(fs::Metadata::is_file)?.modified().ok()?.elapsed().ok();
        ours && age().is_some_and(|age| age > LEFT_BEHIND)
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten().filter(is_left_behind) {
        let _ = fs::remove_file(entry.path());
    }
}

/// Where a symbolic link leads, be there a file or not.
fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(link) => path = path.parent().unwrap_or(Path::new("")).join(link),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

/// Is the file empty, or marked as ours in its beginning?
fn is_ours(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    fs::File::open(path)?.take(512).read_to_end(&mut start)?;
    Ok(start.is_empty() || String::from_utf8_lossy(&start).contains(MARK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_its_own_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/rules.yaml");
        replace(&path, "# made by psp2falco\none", false).unwrap();
        replace(&path, "# made by psp2falco\ntwo", false).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "# made by psp2falco\ntwo");
        fs::write(&path, "mine").unwrap();
        let refused = format!("{:#}", replace(&path, "x", false).unwrap_err());
        assert!(refused.contains("was not written by psp2falco"), "{refused}");
        replace(&path, "x", true).unwrap();
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file is left");
    }

    #[cfg(unix)]
    #[test]
    fn follows_links_and_keeps_permissions() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.yaml"), folder.path().join("link.yaml"));
        std::os::unix::fs::symlink("real.yaml", &link).unwrap();
        replace(&link, "# made by psp2falco", false).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_ne!(mode(&real), 0o600, "others may read it");
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        replace(&link, "# made by psp2falco again", false).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(mode(&real), 0o640);
    }

    #[test]
    fn a_name_without_a_rules_extension_is_a_folder() {
        assert_eq!(target(Path::new("falco"), "r.yaml"), Path::new("falco/r.yaml"));
        assert_eq!(target(Path::new("falco.d/"), "r.yaml"), Path::new("falco.d/r.yaml"));
        assert_eq!(target(Path::new("x/mine.yml"), "r.yaml"), Path::new("x/mine.yml"));
    }
}
