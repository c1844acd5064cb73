//! Files that are being written: they go when a signal ends the program.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::{Builder, NamedTempFile};

/// A file that is not in its place yet. Dropped, or when the program is told to end, it is removed.
pub(super) struct Unfinished {
    path: PathBuf,
    /// None once the file is in its place.
    file: Option<NamedTempFile>,
}

/// The unfinished files of this run. Who makes, places or removes one holds the lock, so that a signal finds them all.
static ALL: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn all() -> MutexGuard<'static, Vec<PathBuf>> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Unfinished {
    /// An empty file in `folder`.
    ///
    /// # Errors
    /// Whatever the operating system refuses, as everywhere here.
    pub(super) fn new(builder: &Builder<'_, '_>, folder: &Path) -> io::Result<Self> {
        #[cfg(unix)]
        signals::watch();
        let mut all = all();
        let file = builder.tempfile_in(folder)?;
        let path = file.path().to_owned();
        all.push(path.clone());
        Ok(Self { path, file: Some(file) })
    }

    fn open(&mut self) -> io::Result<&mut NamedTempFile> {
        self.file.as_mut().ok_or_else(|| io::Error::other("already in its place"))
    }

    pub(super) fn set_permissions(&mut self, permissions: Permissions) -> io::Result<()> {
        self.open()?.as_file().set_permissions(permissions)
    }

    /// Writes the text, down to the disk.
    pub(super) fn fill(&mut self, text: &str) -> io::Result<()> {
        let file = self.open()?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()
    }

    /// Moves the file to `path`, over what is there.
    pub(super) fn replace(mut self, path: &Path) -> io::Result<()> {
        self.settle(|file| file.persist(path).map(drop).map_err(|e| e.error))
    }

    /// Moves the file to `path`, where nothing may be.
    pub(super) fn place(mut self, path: &Path) -> io::Result<()> {
        self.settle(|file| file.persist_noclobber(path).map(drop).map_err(|e| e.error))
    }

    /// Does the last that is done with the file, which is then unfinished no more.
    fn settle(&mut self, last: impl FnOnce(NamedTempFile) -> io::Result<()>) -> io::Result<()> {
        let mut all = all();
        let settled = self.file.take().map_or(Ok(()), last);
        all.retain(|path| *path != self.path);
        settled
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // what cannot be removed now is left to a later run
        let _ = self.settle(NamedTempFile::close);
    }
}

#[cfg(unix)]
mod signals {
    use std::sync::{Once, mpsc};
    use std::thread;

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;

    use super::{all, fs};

    /// Has the signals that end a program remove the unfinished files first. Where that cannot be, they end it as before.
    pub(super) fn watch() {
        static WATCHED: Once = Once::new();
        WATCHED.call_once(|| {
            let (ready, watched) = mpsc::channel();
            let watch = move || {
                let Ok(mut signals) = Signals::new(deadly()) else { return };
                let _ = ready.send(());
                for signal in signals.forever() {
                    // held to the end: nothing is made or placed any more
                    let all = all();
                    for path in all.iter() {
                        let _ = fs::remove_file(path);
                    }
                    let _ = emulate_default_handler(signal);
                }
            };
            if thread::Builder::new().name("signals".to_owned()).spawn(watch).is_ok() {
                let _ = watched.recv();
            }
        });
    }

    /// The signals that would end this program; what its caller had it ignore (`nohup`), it goes on to ignore.
    fn deadly() -> Vec<i32> {
        match fs::read_to_string("/proc/self/status").ok().as_deref().and_then(ignored) {
            Some(ignored) => {
                [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|n| ignored >> (n - 1) & 1 == 0).collect()
            }
            // only Linux tells, and only SIGHUP is commonly ignored
            None => vec![SIGINT, SIGTERM],
        }
    }

    /// The mask of ignored signals in the status of a process, as proc(5) has it.
    fn ignored(status: &str) -> Option<u64> {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    }
}
