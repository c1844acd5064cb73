//! Puts the files of a run in place: all or none, each whole, with ordinary permissions, and never over somebody
//! else's work.

mod unfinished;

use std::borrow::Cow;
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use crate::messages::write as messages;
use crate::problem::{Message, Problem, Problems};

use unfinished::{Folders, Undisturbed, Unfinished};

/// The words in its first line by which a file is known to be ours.
pub const MARK: &str = "made by psp2falco";

/// Where an output leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// One file.
    File(PathBuf),
    /// A folder, there or not.
    Folder(PathBuf),
}

impl Destination {
    /// Nothing and `-` are standard output; a folder, a trailing `/` and a new path without an extension are a
    /// folder; anything else is a file.
    pub fn of(output: Option<&Path>) -> Self {
        let Some(path) = output.filter(|path| path.as_os_str() != "-") else { return Self::Stdout };
        let is_new_folder = path.extension().is_none() && !path.exists();
        if path.is_dir() || path.as_os_str().to_string_lossy().ends_with('/') || is_new_folder {
            Self::Folder(path.to_owned())
        } else {
            Self::File(path.to_owned())
        }
    }

    /// The file that `name` is written to; none: standard output.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        match self {
            Self::Stdout => None,
            Self::File(path) => Some(path.clone()),
            Self::Folder(folder) => Some(folder.join(name)),
        }
    }
}

/// Is `path` a pipe or a device, which takes the bytes as they come?
pub fn is_stream(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
}

/// Files that are written together, all or none.
pub struct Batch<'t> {
    force: bool,
    files: Vec<New<'t>>,
}

/// A file to be.
struct New<'t> {
    path: PathBuf,
    text: Cow<'t, str>,
    /// May an old one of ours be replaced?
    replaces: bool,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its path.
    pub path: PathBuf,
    /// It held these bytes already, and was left alone.
    pub unchanged: bool,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.unchanged { "unchanged" } else { "wrote" };
        write!(f, "{verb} {}", self.path.display())
    }
}

impl<'t> Batch<'t> {
    /// No files yet; with `force`, files that this program did not write may be replaced.
    pub fn new(force: bool) -> Self {
        Self { force, files: Vec::new() }
    }

    /// Adds a file that replaces an old one. A symbolic link is followed.
    pub fn replace(&mut self, path: &Path, text: impl Into<Cow<'t, str>>) {
        self.files.push(New { path: path.to_owned(), text: text.into(), replaces: true });
    }

    /// Adds a file that must not exist yet, force or not.
    pub fn create(&mut self, path: &Path, text: impl Into<Cow<'t, str>>) {
        self.files.push(New { path: path.to_owned(), text: text.into(), replaces: false });
    }

    /// Checks every target, and writes each file beside it, so that only moves are left to be done. Dropped, nothing
    /// is left of that.
    ///
    /// # Errors
    /// Every target that may not be replaced, that another file of the batch has too, or that is a folder; a folder
    /// that cannot be made; and whatever else the operating system refuses.
    pub fn prepare(self) -> Result<Prepared<'t>> {
        let mut problems = Vec::new();
        let mut targets = Vec::new();
        for file in self.files {
            match Target::of(file, self.force) {
                Ok(target) => targets.push(target),
                Err(problem) => problems.push(problem),
            }
        }
        problems.extend(same_places(&targets));
        if !problems.is_empty() {
            return Err(Problems(problems).into());
        }
        let mut folders = Folders::default();
        for folder in targets.iter().filter_map(Target::folder) {
            folders.make(folder).map_err(|error| of_path(folder, messages::no_folder(error)))?;
            remove_leftovers(folder);
        }
        let last = targets.iter().rposition(|target| matches!(target.place, Place::File { .. }));
        let staged = targets.into_iter().enumerate().map(|(n, target)| target.stage(Some(n) != last));
        Ok(Prepared { files: staged.collect::<Result<_>>()?, folders })
    }
}

/// Files that are written and wait to be moved to their places.
pub struct Prepared<'t> {
    files: Vec<Staged<'t>>,
    /// Those made on the way: removed, where they are empty, after the files.
    folders: Folders,
}

/// A file, and what is left to be done for it.
struct Staged<'t> {
    file: New<'t>,
    step: Step,
}

enum Step {
    /// Write it to a pipe or device.
    Pour,
    /// Nothing: its bytes are there.
    Leave,
    /// Move it; and what puts the old one back, should a later move fail.
    Move { to: PathBuf, new: Unfinished, old: Option<Unfinished> },
}

impl Prepared<'_> {
    /// Moves all files to their places; a signal that ends the program waits until that is done. Says what became of
    /// each, in the order in which they were added.
    ///
    /// # Errors
    /// A pipe or device that does not take its bytes, and a move that fails; the old files are then put back, or it is
    /// said which could not be.
    pub fn put_in_place(mut self) -> Result<Vec<Written>> {
        for staged in self.files.iter().filter(|staged| matches!(staged.step, Step::Pour)) {
            pour(&staged.file)?;
        }
        let mut written = Vec::new();
        // what is taken from it is dropped when signals are let through again
        let mut moved: Vec<(PathBuf, PathBuf, Option<Unfinished>)> = Vec::new();
        let mut failure = None;
        let mut undisturbed = Undisturbed::begin();
        for staged in &mut self.files {
            let path = staged.file.path.clone();
            let unchanged = matches!(staged.step, Step::Leave);
            if let Step::Move { to, new, old } = &mut staged.step {
                let result = match staged.file.replaces {
                    true => undisturbed.replace(new, to),
                    false => undisturbed.place(new, to),
                };
                if let Err(error) = result {
                    failure = Some(put_back(&path, &error, &mut moved, &mut undisturbed));
                    break;
                }
                moved.push((path.clone(), to.clone(), old.take()));
            }
            written.push(Written { path, unchanged });
        }
        drop(undisturbed);
        match failure {
            Some(failure) => Err(failure),
            None => {
                self.folders.keep();
                Ok(written)
            }
        }
    }
}

/// Undoes what was moved before `path` could not be.
fn put_back(
    path: &Path,
    error: &io::Error,
    moved: &mut [(PathBuf, PathBuf, Option<Unfinished>)],
    undisturbed: &mut Undisturbed,
) -> anyhow::Error {
    let mut problems = vec![unwritten(path, error)];
    for (path, to, old) in moved.iter_mut().rev() {
        let back = match old {
            Some(old) => undisturbed.replace(old, to),
            None => fs::remove_file(to),
        };
        problems.extend(back.err().map(|error| of_path(path, messages::not_put_back(error))));
    }
    Problems(problems).into()
}

/// Writes to a pipe or device; a reader that leaves has read enough.
fn pour(file: &New<'_>) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    let poured = options.write(true).open(&file.path).and_then(|mut to| to.write_all(file.text.as_bytes()));
    match poured {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(of_path(&file.path, messages::stream_not_written(error)).into()),
        Ok(()) => Ok(()),
    }
}

/// A file to be, whose place was looked at.
struct Target<'t> {
    file: New<'t>,
    place: Place,
}

enum Place {
    /// A pipe or device.
    Stream,
    /// A file with these bytes, in this folder.
    Same(PathBuf),
    /// The end of its symbolic links, and the permissions of the file that is there.
    File { real: PathBuf, permissions: Option<fs::Permissions> },
}

impl<'t> Target<'t> {
    fn of(file: New<'t>, force: bool) -> Result<Self, Problem> {
        let path = &file.path;
        if is_stream(path) {
            return Ok(Self { file, place: Place::Stream });
        }
        if !file.replaces && fs::symlink_metadata(path).is_ok() {
            return Err(of_path(path, messages::exists()));
        }
        let cannot_tell = |error| of_path(path, messages::unreadable_target(error));
        let real = followed(path).map_err(cannot_tell)?;
        let meta = match fs::metadata(&real) {
            Ok(meta) => meta,
            // whether it can be made, its folder will tell
            Err(_) => return Ok(Self { file, place: Place::File { real, permissions: None } }),
        };
        if meta.is_dir() {
            return Err(of_path(path, messages::is_folder()));
        }
        if meta.len() == file.text.len() as u64
            && fs::read(&real).is_ok_and(|bytes| bytes == file.text.as_bytes())
        {
            return Ok(Self { file, place: Place::Same(parent(&real).to_owned()) });
        }
        if !force && !is_ours(&real).map_err(cannot_tell)? {
            return Err(of_path(path, messages::not_ours()));
        }
        Ok(Self { file, place: Place::File { real, permissions: Some(meta.permissions()) } })
    }

    /// The folder of the file; pipes and devices are in none of ours.
    fn folder(&self) -> Option<&Path> {
        match &self.place {
            Place::File { real, .. } => Some(parent(real)),
            Place::Same(folder) => Some(folder),
            Place::Stream => None,
        }
    }

    /// Writes the file beside its target; if it is `kept`, the old one can be put back.
    fn stage(self, kept: bool) -> Result<Staged<'t>> {
        let file = self.file;
        let (real, permissions) = match self.place {
            Place::Stream => return Ok(Staged { file, step: Step::Pour }),
            Place::Same(_) => return Ok(Staged { file, step: Step::Leave }),
            Place::File { real, permissions } => (real, permissions),
        };
        let failed = |error| unwritten(&file.path, &error);
        // a name that no file can have, and a folder that was made on the way to another file of the batch
        match fs::symlink_metadata(&real) {
            Ok(meta) if meta.is_dir() => return Err(of_path(&file.path, messages::is_folder()).into()),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error).into()),
            _ => {}
        }
        let folder = parent(&real);
        let exists = permissions.is_some();
        let mut new =
            Unfinished::new(&builder(), folder).map_err(|error| of_path(folder, messages::no_file(error)))?;
        new.fill(&file.text, permissions).map_err(failed)?;
        let old = (kept && exists).then(|| Unfinished::copy_of(&real, &builder(), folder));
        let old = old.transpose().map_err(failed)?;
        Ok(Staged { file, step: Step::Move { to: real, new, old } })
    }
}

fn of_path(path: &Path, message: Message) -> Problem {
    Problem::of_file(&path.display().to_string(), message)
}

fn unwritten(path: &Path, error: &io::Error) -> Problem {
    of_path(path, messages::not_written(error))
}

/// The folder of a file.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Those that have the place of an earlier one, or lie in it as if it were a folder.
fn same_places(targets: &[Target<'_>]) -> Vec<Problem> {
    let mut seen: Vec<(PathBuf, &Path)> = Vec::new();
    let mut problems = Vec::new();
    for target in targets.iter().filter(|target| !matches!(target.place, Place::Stream)) {
        let path = &target.file.path;
        let place = settled(&followed(path).unwrap_or_else(|_| path.clone()));
        let first = seen.iter().find(|(other, _)| place.starts_with(other) || other.starts_with(&place));
        if let Some((_, first)) = first {
            problems.push(of_path(path, messages::same_place(first.display())));
        }
        seen.push((place, path));
    }
    problems
}

/// A path whose part that exists is spelt in one way only.
fn settled(path: &Path) -> PathBuf {
    for folder in path.ancestors() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        if let (Ok(real), rest) = (folder.canonicalize(), path.strip_prefix(folder).unwrap_or(path)) {
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    path.to_owned()
}

/// Names for new files, which everybody may read as far as the umask lets them.
fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.prefix(PREFIX).rand_bytes(SUFFIX);
    builder
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
    Err(io::Error::other(messages::too_many_links()))
}

/// Is this the beginning of a bundle of policies, which as JSON bears no mark?
fn is_bundle(start: &[u8]) -> bool {
    let lines: Vec<&[u8]> = start.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).take(3).collect();
    matches!(lines.as_slice(), [b"{", version, digest]
        if version.starts_with(b"\"version\":") && digest.starts_with(b"\"digest\":"))
}

/// Is the file empty, or known as ours by its beginning?
pub(crate) fn is_ours(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    fs::File::open(path)?.take(512).read_to_end(&mut start)?;
    Ok(start.is_empty() || String::from_utf8_lossy(&start).contains(MARK) || is_bundle(&start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str, force: bool) -> Result<Vec<Written>> {
        let mut batch = Batch::new(force);
        batch.replace(path, text);
        batch.prepare()?.put_in_place()
    }

    #[test]
    fn replaces_its_own_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/rules.yaml");
        write(&path, "# made by psp2falco\none", false).unwrap();
        write(&path, "# made by psp2falco\ntwo", false).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "# made by psp2falco\ntwo");
        fs::write(&path, "mine").unwrap();
        let refused = format!("{:#}", write(&path, "x", false).unwrap_err());
        assert!(refused.contains("was not written by psp2falco"), "{refused}");
        write(&path, "x", true).unwrap();
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn the_same_bytes_are_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules.yaml");
        assert!(!write(&path, "mine", false).unwrap()[0].unchanged);
        let then = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        fs::File::options().write(true).open(&path).unwrap().set_modified(then).unwrap();
        let again = write(&path, "mine", false).unwrap();
        assert_eq!(again[0].to_string(), format!("unchanged {}", path.display()));
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), then);
    }

    #[cfg(unix)]
    #[test]
    fn follows_links_and_keeps_permissions() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.yaml"), folder.path().join("link.yaml"));
        std::os::unix::fs::symlink("real.yaml", &link).unwrap();
        write(&link, "# made by psp2falco", false).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_ne!(mode(&real), 0o600, "others may read it");
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        write(&link, "# made by psp2falco again", false).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(mode(&real), 0o640);
    }

    #[test]
    fn a_move_that_fails_undoes_those_before_it() {
        let temp = tempfile::tempdir().unwrap();
        let path = |name: &str| temp.path().join(name);
        let old = "# made by psp2falco\nold";
        fs::write(path("old.yaml"), old).unwrap();
        let before = fs::metadata(path("old.yaml")).unwrap().modified().unwrap();
        let mut batch = Batch::new(false);
        for name in ["old.yaml", "new/deep.yaml", "taken.yaml", "other.yaml"] {
            batch.replace(&path(name), "# made by psp2falco\nnew");
        }
        let prepared = batch.prepare().unwrap();
        assert_eq!(fs::read_to_string(path("old.yaml")).unwrap(), old, "nothing is moved yet");
        fs::create_dir(path("taken.yaml")).unwrap();
        let said = format!("{:#}", prepared.put_in_place().unwrap_err());
        let expected = format!("{}: cannot be written (", path("taken.yaml").display());
        assert!(said.starts_with(&expected) && said.lines().count() == 1, "{said}");
        assert_eq!(fs::read_to_string(path("old.yaml")).unwrap(), old);
        assert_eq!(fs::metadata(path("old.yaml")).unwrap().modified().unwrap(), before);
        fs::remove_dir(path("taken.yaml")).unwrap();
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn what_cannot_be_put_back_is_said() {
        let temp = tempfile::tempdir().unwrap();
        let path = |name: &str| temp.path().join(name);
        let mut batch = Batch::new(false);
        for name in ["one.yaml", "taken.yaml"] {
            batch.replace(&path(name), "new");
        }
        let mut prepared = batch.prepare().unwrap();
        fs::create_dir(path("taken.yaml")).unwrap();
        // the old file is to be put where none can be
        for staged in &mut prepared.files {
            if let Step::Move { old, .. } = &mut staged.step {
                let mut lost = Unfinished::new(&builder(), temp.path()).unwrap();
                lost.fill("old", None).unwrap();
                lost.forget();
                *old = Some(lost);
            }
        }
        let said = format!("{:#}", prepared.put_in_place().unwrap_err());
        let expected = format!(
            "\n{}: is new, since what was there before could not be put back (",
            path("one.yaml").display()
        );
        assert!(said.contains(&expected), "{said}");
    }

    #[test]
    fn two_files_of_a_batch_cannot_have_one_place() {
        let temp = tempfile::tempdir().unwrap();
        let path = |name: &str| temp.path().join(name);
        fs::create_dir(path("there")).unwrap();
        for (one, two) in [
            ("a.yaml", "a.yaml"),
            ("a.yaml", "there/../a.yaml"),
            ("a.yaml", "a.yaml/b"),
            ("new/b/c", "new/b"),
        ] {
            let mut batch = Batch::new(false);
            batch.replace(&path(one), "");
            batch.replace(&path(two), "");
            let said = format!("{:#}", batch.prepare().err().unwrap());
            assert!(said.contains(": another output of this run goes to "), "{said}");
            assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1, "{one} and {two}");
        }
    }

    #[test]
    fn where_an_output_leads() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("rules.d")).unwrap();
        fs::write(temp.path().join("rules"), "").unwrap();
        assert_eq!(Destination::of(None), Destination::Stdout);
        assert_eq!(Destination::of(Some(Path::new("-"))), Destination::Stdout);
        for (name, file) in [
            ("out", "out/r.yaml"),
            ("falco.d/", "falco.d/r.yaml"),
            ("rules.d", "rules.d/r.yaml"),
            ("rules", "rules"),
            ("x/mine.yml", "x/mine.yml"),
            ("rules.json", "rules.json"),
            ("out.txt", "out.txt"),
        ] {
            // a trailing slash has to stay
            let path = PathBuf::from(format!("{}/{name}", temp.path().display()));
            assert_eq!(Destination::of(Some(&path)).file("r.yaml"), Some(temp.path().join(file)), "{name}");
        }
    }
}
