//! Files and folders of a batch that is not in place yet: they go when a signal ends the program.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use tempfile::{Builder, TempPath};

use crate::signals;

/// What is unfinished in this run, in the order in which it was made. Who makes, places or removes something holds the
/// lock, so that a signal finds all.
static ALL: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn all() -> MutexGuard<'static, Vec<PathBuf>> {
    static REMOVED: Once = Once::new();
    REMOVED.call_once(|| signals::before_end(remove_all));
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what is unfinished before the program ends; nothing is made or placed any more.
fn remove_all() {
    let all = all();
    for path in all.iter().rev() {
        let _ = fs::remove_file(path).or_else(|_| fs::remove_dir(path));
    }
    // the lock is never given back
    mem::forget(all);
}

/// A file that is not in its place yet. Dropped, or when the program is told to end, it is removed.
pub(super) struct Unfinished {
    path: PathBuf,
    /// None once it is in its place.
    temporary: Option<TempPath>,
    /// None once it is whole.
    file: Option<File>,
}

impl Unfinished {
    /// An empty file in `folder`.
    ///
    /// # Errors
    /// Whatever the operating system refuses, as everywhere here.
    pub(super) fn new(builder: &Builder<'_, '_>, folder: &Path) -> io::Result<Self> {
        let mut all = all();
        let (file, temporary) = builder.tempfile_in(folder)?.into_parts();
        Ok(Self::listed(&mut all, temporary, Some(file)))
    }

    /// The file at `path` under another name, with all that it has: its times, its owner.
    pub(super) fn copy_of(path: &Path, builder: &Builder<'_, '_>, folder: &Path) -> io::Result<Self> {
        let mut all = all();
        let link = builder.make_in(folder, |name| fs::hard_link(path, name));
        let temporary = match link {
            Ok(link) => link.into_temp_path(),
            // a file system without links
            Err(_) => {
                let copy = builder.tempfile_in(folder)?.into_temp_path();
                fs::copy(path, &copy)?;
                copy
            }
        };
        Ok(Self::listed(&mut all, temporary, None))
    }

    fn listed(all: &mut Vec<PathBuf>, temporary: TempPath, file: Option<File>) -> Self {
        let path = temporary.to_path_buf();
        all.push(path.clone());
        Self { path, temporary: Some(temporary), file }
    }

    /// Writes the text, down to the disk.
    pub(super) fn fill(&mut self, text: &str, permissions: Option<Permissions>) -> io::Result<()> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        if let Some(permissions) = permissions {
            file.set_permissions(permissions)?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    /// Removes the file behind its back.
    #[cfg(test)]
    pub(super) fn forget(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            let mut all = all();
            // what cannot be removed now is left to a later run
            let _ = temporary.close();
            all.retain(|path| *path != self.path);
        }
    }
}

/// While it lives, a signal that would end the program waits.
pub(super) struct Undisturbed(MutexGuard<'static, Vec<PathBuf>>);

impl Undisturbed {
    pub(super) fn begin() -> Self {
        Self(all())
    }

    /// Moves the file to `path`, over what is there.
    pub(super) fn replace(&mut self, file: &mut Unfinished, path: &Path) -> io::Result<()> {
        self.settle(file, |temporary| temporary.persist(path).map_err(|error| error.error))
    }

    /// Moves the file to `path`, where nothing may be.
    pub(super) fn place(&mut self, file: &mut Unfinished, path: &Path) -> io::Result<()> {
        self.settle(file, |temporary| temporary.persist_noclobber(path).map_err(|error| error.error))
    }

    fn settle(
        &mut self,
        file: &mut Unfinished,
        settle: impl FnOnce(TempPath) -> io::Result<()>,
    ) -> io::Result<()> {
        // moved, or removed by the failure
        let settled = file.temporary.take().map_or(Ok(()), settle);
        self.0.retain(|path| *path != file.path);
        settled
    }
}

/// Folders that were made for files. Dropped, those that are empty are removed.
#[derive(Default)]
pub(super) struct Folders(Vec<PathBuf>);

impl Folders {
    /// Makes a folder and those on the way to it, where they are missing.
    pub(super) fn make(&mut self, folder: &Path) -> io::Result<()> {
        let mut all = all();
        let missing: Vec<&Path> = folder
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            .collect();
        let made = fs::create_dir_all(folder);
        for folder in missing.into_iter().rev().filter(|folder| folder.is_dir()) {
            self.0.push(folder.to_owned());
            all.push(folder.to_owned());
        }
        made
    }

    /// The files are there: the folders stay.
    pub(super) fn keep(&mut self) {
        let kept = mem::take(&mut self.0);
        all().retain(|path| !kept.contains(path));
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        if self.0.is_empty() {
            return;
        }
        let mut all = all();
        for folder in self.0.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
        all.retain(|path| !self.0.contains(path));
    }
}
