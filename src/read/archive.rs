//! Archives, read as a stream: nothing of them is unpacked onto the disk, so their paths are names and no more.

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use tar::EntryType;

use crate::messages::read as messages;

/// The most bytes that an archive may unpack to.
pub const MAX_ARCHIVE: u64 = 8 * 1024 * 1024 * 1024;
/// The most files in an archive.
pub const MAX_MEMBERS: usize = 1_000_000;
/// The most bytes of a header that extends another: they hold a path, and `PATH_MAX` is 4096.
const MAX_EXTENSION: u64 = 64 * 1024;

/// Hands each member of a tar archive to `take`, with its path and type, until `take` says stop.
///
/// # Errors
/// Whatever the archive lacks, and what `take` fails with.
pub(super) fn members<R: Read>(
    stream: R,
    mut take: impl FnMut(&Path, EntryType, &mut tar::Entry<'_, R>) -> ControlFlow<()>,
) -> io::Result<()> {
    let mut archive = tar::Archive::new(stream);
    let mut long_name = None;
    // raw: the library would read long names of any length into memory
    for (count, entry) in archive.entries()?.raw(true).enumerate() {
        let mut entry = entry?;
        if count >= MAX_MEMBERS {
            return Err(io::Error::other(messages::too_many_members(MAX_MEMBERS)));
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
        let path = match long_name.take() {
            Some(name) => PathBuf::from(name),
            None => entry.path()?.into_owned(),
        };
        if take(&path, kind, &mut entry).is_break() {
            return Ok(());
        }
    }
    Ok(())
}

fn extension(entry: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    entry.take(MAX_EXTENSION + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_EXTENSION {
        return Err(io::Error::other(messages::long_member_name(MAX_EXTENSION >> 10)));
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
            return Err(io::Error::other(messages::unpacks_to_more(MAX_ARCHIVE >> 30)));
        };
        self.left = left;
        Ok(count)
    }
}
