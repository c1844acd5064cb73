//! Files, folders, archives and standard input as texts.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::archive::Limited;
use super::hints::{WORD, states_policy};
use super::{Reader, Source};
use crate::problem::Problem;

/// The most bytes of one text.
pub const MAX_TEXT: u64 = 256 * 1024 * 1024;
/// How much of a stream shows what it holds: the block of a tar archive that has its signature.
const HEAD: u64 = 512;

impl Reader {
    pub(super) fn source(&mut self, source: &Source) {
        if self.is_full() {
            return;
        }
        match source {
            Source::Stdin => self.stream("stdin", io::stdin().lock()),
            Source::Path(path) => self.path(path),
        }
    }

    fn path(&mut self, path: &Path) {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                self.root = path.to_owned();
                self.folder(path);
            }
            Ok(_) if self.is_new(path) => match File::open(path) {
                Ok(file) => self.stream(&path.display().to_string(), file),
                Err(error) => self.unreadable(path, &error),
            },
            Ok(_) => {}
            Err(error) => self.unreadable(path, &error),
        }
    }

    /// Reads the manifests below a folder in the order of their paths; hidden files and folders are left out, and
    /// `node_modules`.
    fn folder(&mut self, folder: &Path) {
        if !self.is_new(folder) {
            return;
        }
        let entries: io::Result<Vec<PathBuf>> =
            fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
        let mut paths = match entries {
            Ok(paths) => paths,
            Err(error) => return self.unreadable(folder, &error),
        };
        paths.retain(|path| !path.file_name().is_some_and(is_passed_by) && !self.leaves_out(path));
        paths.sort();
        for path in paths {
            if self.is_full() {
                return;
            }
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => self.folder(&path),
                // A pipe might never end.
                Ok(metadata) if !metadata.is_file() => self.inventory.skipped_files += 1,
                Ok(_) if self.is_new(&path) && !self.is_second_copy(&path.to_string_lossy()) => {
                    self.member(&path);
                }
                Ok(_) => {}
                // a link whose target is elsewhere
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.inventory.unread_files += 1,
                Err(error) => self.unreadable(&path, &error),
            }
        }
    }

    fn leaves_out(&mut self, path: &Path) -> bool {
        let inner = path.strip_prefix(&self.root).unwrap_or(path);
        self.exclude.leaves_out(inner, &path.to_string_lossy())
    }

    /// A file found in a folder: it need not be a manifest.
    fn member(&mut self, path: &Path) {
        match File::open(path).and_then(|file| read_manifest(path, file)) {
            Ok(Some(bytes)) => self.bytes(&path.display().to_string(), bytes, true),
            Ok(None) => self.inventory.skipped_files += 1,
            Err(error) => self.unreadable(path, &error),
        }
    }

    /// A text or an archive, told apart by what it holds.
    pub(super) fn stream(&mut self, name: &str, stream: impl Read) {
        if let Err(error) = self.try_stream(name, stream) {
            self.problems.push(Problem::of_file(name, unreadable(&error)));
        }
    }

    fn try_stream(&mut self, name: &str, mut stream: impl Read) -> io::Result<()> {
        let head = read_head(&mut stream)?;
        let stream = Cursor::new(head.clone()).chain(stream);
        if !head.starts_with(&[0x1f, 0x8b]) {
            return self.unpacked(name, &head, stream);
        }
        let mut unpacked = Limited::new(MultiGzDecoder::new(stream));
        let head = read_head(&mut unpacked)?;
        self.unpacked(name, &head, Cursor::new(head.clone()).chain(unpacked))
    }

    fn unpacked(&mut self, name: &str, head: &[u8], stream: impl Read) -> io::Result<()> {
        if head.get(257..262) == Some(b"ustar") {
            return self.archive(name, stream);
        }
        let bytes = read_limited(stream)?;
        self.bytes(name, bytes, false);
        Ok(())
    }

    /// A text by its bytes; `found`: in a folder or an archive, rather than named.
    pub(super) fn bytes(&mut self, file: &str, bytes: Vec<u8>, found: bool) {
        let holds_word = !found || memchr::memmem::find(&bytes, WORD.as_bytes()).is_some();
        match decode(bytes) {
            Ok(text) => self.text(file, &text, found),
            Err(_) if !holds_word => self.inventory.unread_files += 1,
            Err(message) => self.problems.push(Problem::of_file(file, message)),
        }
    }

    /// Has the file or folder not been read yet, be it under another name?
    fn is_new(&mut self, path: &Path) -> bool {
        fs::canonicalize(path).map_or(true, |path| self.files.insert(path))
    }

    /// Does a Velero backup hold this object a second time, under another API version?
    pub(super) fn is_second_copy(&mut self, path: &str) -> bool {
        velero_key(path).is_some_and(|key| !self.backed_up.insert(key))
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        self.problems.push(Problem::of_file(&path.display().to_string(), unreadable(error)));
    }
}

pub(crate) fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or folder; check the path".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "no permission to read this; change its mode or the user".to_owned()
        }
        io::ErrorKind::IsADirectory => "is a folder; name a file".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

fn read_head(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    stream.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

fn read_limited(stream: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(MAX_TEXT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_TEXT {
        return Err(io::Error::other(format!("larger than {} MiB; split it", MAX_TEXT >> 20)));
    }
    Ok(bytes)
}

/// The bytes of a file that is a manifest by its extension or by how it begins.
pub(super) fn read_manifest(path: &Path, mut file: impl Read) -> io::Result<Option<Vec<u8>>> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known)) {
        return read_limited(file).map(Some);
    }
    // what renders to a manifest need not begin as one
    if TEMPLATES.iter().any(|known| extension.eq_ignore_ascii_case(known)) {
        let bytes = read_limited(file)?;
        return Ok(Some(bytes).filter(|bytes| states_policy(&String::from_utf8_lossy(bytes))));
    }
    let head = read_head(&mut file)?;
    if !looks_like_manifest(&head) {
        return Ok(None);
    }
    read_limited(Cursor::new(head).chain(file)).map(Some)
}

/// The extensions of templates.
const TEMPLATES: [&str; 7] = ["erb", "gotmpl", "j2", "jinja", "jinja2", "tmpl", "tpl"];

/// Does a file begin as an object of Kubernetes does, comments aside?
fn looks_like_manifest(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let text = text.trim_start_matches('\u{feff}');
    let first = text
        .lines()
        .map(str::trim_end)
        .find(|line| !line.is_empty() && !line.starts_with(['#', '%']) && *line != "---");
    match first {
        Some(line) if line.starts_with('{') => text.contains("\"kind\"") || text.contains("\"apiVersion\""),
        Some(line) => ["apiVersion:", "kind:", "metadata:", "items:"].iter().any(|key| line.starts_with(key)),
        None => false,
    }
}

/// Is a file or folder of this name none that a person keeps manifests in?
fn is_passed_by(name: &OsStr) -> bool {
    let hidden = name.as_encoded_bytes().starts_with(b".") && name != "." && name != "..";
    hidden || name == "node_modules"
}

pub(super) fn is_hidden(path: &Path) -> bool {
    path.iter().any(is_passed_by)
}

/// What identifies an object in a Velero backup: its path without the API version, which the backup repeats it under
/// (`resources/RESOURCE.GROUP[/VERSION[-preferredversion]]/(cluster|namespaces/NAMESPACE)/NAME.json`).
/// Clusters up to 1.15 served each policy in two groups, so the group of policies does not count.
fn velero_key(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').collect();
    let at = parts.iter().rposition(|part| *part == "resources")?;
    let (before, below) = parts.split_at(at);
    let is_version = |part: &str| {
        part.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let (resource, scope) = match below {
        [_, resource, version, scope @ ..] if is_version(version) => (*resource, scope),
        [_, resource, scope @ ..] => (*resource, scope),
        _ => return None,
    };
    if !path.ends_with(".json") || !matches!(scope, ["cluster", _] | ["namespaces", _, _]) {
        return None;
    }
    let resource =
        if resource.starts_with("podsecuritypolicies.") { "podsecuritypolicies" } else { resource };
    Some(format!("{}/{resource}/{}", before.join("/"), scope.join("/")))
}

/// The text of a file: UTF-8, or UTF-16 with a byte order mark as PowerShell writes it.
fn decode(bytes: Vec<u8>) -> Result<String, String> {
    let wide = |unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks();
        let text: Result<String, _> = char::decode_utf16(pairs.iter().copied().map(unit)).collect();
        text.ok().filter(|_| rest.is_empty()).ok_or_else(|| "not valid UTF-16; save it as UTF-8".to_owned())
    };
    match bytes.as_slice() {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        _ => String::from_utf8(bytes).map_err(|error| {
            format!(
                "neither text in UTF-8 nor an archive (byte {}); give a manifest",
                error.utf8_error().valid_up_to() + 1
            )
        }),
    }
}
