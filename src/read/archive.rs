//! Archives, read as a stream: nothing of them is unpacked onto the disk, so their paths are names and no more.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Reader;
use super::files::{is_hidden, read_manifest, unreadable};
use crate::problem::Problem;

/// The most bytes that an archive may unpack to.
pub const MAX_ARCHIVE: u64 = 8 * 1024 * 1024 * 1024;
/// The most files in an archive.
pub const MAX_MEMBERS: usize = 1_000_000;
/// The most bytes of a header that extends another: they hold a path, and `PATH_MAX` is 4096.
const MAX_EXTENSION: u64 = 64 * 1024;

impl Reader {
    /// Reads the manifests of a tar archive.
    pub(super) fn archive(&mut self, name: &str, stream: impl Read) -> io::Result<()> {
        self.root = PathBuf::from(name);
        let mut archive = tar::Archive::new(stream);
        let mut long_name = None;
        // raw: the library would read long names of any length into memory
        for (count, entry) in archive.entries()?.raw(true).enumerate() {
            let mut entry = entry?;
            if count >= MAX_MEMBERS {
                return Err(io::Error::other(format!("more than {MAX_MEMBERS} files; split it")));
            }
            let kind = entry.header().entry_type();
            if kind.is_gnu_longname() {
                long_name = Some(c_string(&extension(&mut entry)?));
            } else if kind.is_pax_local_extensions() {
                long_name = pax_path(&extension(&mut entry)?).or(long_name);
            }
            if kind.is_gnu_longname()
                || kind.is_gnu_longlink()
                || kind.is_pax_local_extensions()
                || kind.is_pax_global_extensions()
            {
                continue;
            }
            let inner = match long_name.take() {
                Some(name) => PathBuf::from(name),
                None => entry.path()?.into_owned(),
            };
            let path = format!("{name}/{}", inner.to_string_lossy().trim_start_matches("./"));
            let within = inner.strip_prefix(".").unwrap_or(&inner);
            if kind.is_dir() || is_hidden(&inner) || self.exclude.leaves_out(within, &path) {
                continue;
            }
            if !kind.is_file() {
                self.inventory.skipped_files += 1;
            } else if !self.is_second_copy(&path) && !self.member_of_archive(&path, &inner, entry) {
                return Ok(());
            }
            if self.is_full() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads one file of an archive; false when the archive cannot be read on.
    fn member_of_archive(&mut self, path: &str, inner: &Path, entry: impl Read) -> bool {
        match read_manifest(inner, entry) {
            Ok(Some(bytes)) => self.bytes(path, bytes, true),
            Ok(None) => self.inventory.skipped_files += 1,
            Err(error) => {
                self.problems.push(Problem::of_file(path, unreadable(&error)));
                return false;
            }
        }
        true
    }
}

fn extension(entry: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    entry.take(MAX_EXTENSION + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_EXTENSION {
        return Err(io::Error::other(format!("a file name longer than {} KiB", MAX_EXTENSION >> 10)));
    }
    Ok(bytes)
}

fn c_string(bytes: &[u8]) -> String {
    let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

fn pax_path(bytes: &[u8]) -> Option<String> {
    let mut path = None;
    for extension in tar::PaxExtensions::new(bytes).flatten() {
        if extension.key_bytes() == b"path" {
            path = Some(String::from_utf8_lossy(extension.value_bytes()).into_owned());
        }
    }
    path
}

/// A stream that must end within [`MAX_ARCHIVE`] bytes.
pub(super) struct Limited<R> {
    stream: R,
    left: u64,
}

impl<R: Read> Limited<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream, left: MAX_ARCHIVE }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        let Some(left) = self.left.checked_sub(count as u64) else {
            return Err(io::Error::other(format!(
                "unpacks to more than {} GiB; split it",
                MAX_ARCHIVE >> 30
            )));
        };
        self.left = left;
        Ok(count)
    }
}
