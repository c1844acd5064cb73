//! The bundle's file: read at the start, and again when it changes.
//!
//! A thread looks at the file every two seconds, so that no event waits for it. A file that cannot be used leaves the
//! bundle in force that was read before, and a line in Falco's log.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use falco_plugin::anyhow::{Context as _, Error, anyhow};
use psp_admission::Admission;
use psp_admission::bundle::MAX_BYTES;

/// How long a change of the file may go unseen.
const INTERVAL: Duration = Duration::from_secs(2);

/// The file, and the bundle that is in force.
#[derive(Debug)]
pub(crate) struct BundleFile {
    shared: Arc<Shared>,
    /// Dropped, it ends the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    admission: Mutex<Arc<Admission>>,
    has_changed: AtomicBool,
}

/// What changes when the file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

impl BundleFile {
    /// Reads the file, and looks out for its changes from then on.
    ///
    /// # Errors
    /// When it cannot be read, or is no bundle.
    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        let stamp = stamp(path);
        let admission = Arc::new(read(path)?);
        let shared =
            Arc::new(Shared { admission: Mutex::new(admission), has_changed: AtomicBool::new(false) });
        let (stop, stopped) = channel();
        let watch = {
            let (shared, path) = (Arc::clone(&shared), path.to_owned());
            move || {
                let mut watch = Watch { path, shared, stamp };
                while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    watch.look();
                }
            }
        };
        let thread = std::thread::Builder::new().name("psp-bundle".to_owned()).spawn(watch);
        let thread = thread.context("no thread to look out for changes of the bundle")?;
        Ok(Self { shared, stop: Some(stop), thread: Some(thread) })
    }

    /// The bundle in force.
    pub(crate) fn current(&self) -> Arc<Admission> {
        Arc::clone(&self.shared.admission.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The bundle in force, if it is another than at the last call.
    pub(crate) fn changed(&self) -> Option<Arc<Admission>> {
        (self.shared.has_changed.load(Ordering::Relaxed)
            && self.shared.has_changed.swap(false, Ordering::Acquire))
        .then(|| self.current())
    }
}

impl Drop for BundleFile {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // a thread that has failed has nothing left to say
            let _ = thread.join();
        }
    }
}

/// What the thread knows.
struct Watch {
    path: PathBuf,
    shared: Arc<Shared>,
    /// Of the file when it was last read, to good effect or not.
    stamp: Option<Stamp>,
}

impl Watch {
    /// Reads the file if it has changed.
    fn look(&mut self) {
        let stamp = stamp(&self.path);
        if stamp == self.stamp {
            return;
        }
        self.stamp = stamp;
        let path = &self.path;
        match std::panic::catch_unwind(|| read(path)).unwrap_or_else(|_| Err(anyhow!("internal error"))) {
            Ok(admission) => {
                let mut current = self.shared.admission.lock().unwrap_or_else(PoisonError::into_inner);
                let is_other = current.digest() != admission.digest();
                if is_other {
                    log::info!("psp: {} has changed; {} is in force", path.display(), admission.digest());
                    *current = Arc::new(admission);
                }
                drop(current);
                self.shared.has_changed.fetch_or(is_other, Ordering::Release);
            }
            Err(error) => {
                let current = self.shared.admission.lock().unwrap_or_else(PoisonError::into_inner);
                log::error!("psp: {error:#}; {} stays in force", current.digest());
            }
        }
    }
}

fn read(path: &Path) -> Result<Admission, Error> {
    let place = || path.display().to_string();
    let file =
        File::open(path).with_context(|| format!("{}: the bundle of policies cannot be read", place()))?;
    // The memory is reserved whole, and only what the text fills is used. A block of some hundred kilobytes would be
    // dearer: once one is freed, the C library takes blocks of that size from the heap, and the event buffers of the
    // plugin k8saudit, which are mostly empty, would fill 18 MB there.
    let mut text = Vec::with_capacity(MAX_BYTES);
    let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    file.take(most.saturating_add(1)).read_to_end(&mut text).with_context(place)?;
    Admission::parse(&text).with_context(place)
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(Stamp { length: metadata.len(), modified: metadata.modified().ok(), inode: inode(&metadata) })
}

#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}
