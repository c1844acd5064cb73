//! Files, folders, archives and standard input as texts.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tar::EntryType;

use super::archive::{self, Limited};
use super::exclude::Exclude;
use super::hints::{WORD, states_policy};
use super::inventory::{Inventory, Why};
use super::reader::Reader;
use crate::messages::read as messages;
use crate::problem::{Message, Problem};

/// The most bytes of one text.
pub const MAX_TEXT: u64 = 256 * 1024 * 1024;
/// How much of a stream shows what it holds: the block of a tar archive that has its signature.
const HEAD: u64 = 512;

/// Where to read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file, a folder with everything below it, or an archive (`.tar`, `.tar.gz`).
    Path(PathBuf),
    /// Standard input: text or an archive.
    Stdin,
}

/// How to read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Refuse what the API server or kubectl would have refused, instead of reading it as it was meant with a warning.
    pub strict: bool,
    /// Patterns of paths to leave out of folders and archives, as in a `.gitignore`.
    pub exclude: Vec<String>,
}

/// Reads all sources. A file that several sources name is read once.
///
/// # Errors
/// Everything that is wrong with the input, in its order.
pub fn read(sources: &[Source], options: &Options) -> Result<Inventory, Vec<Problem>> {
    let mut files = Files::new(options);
    for source in sources {
        files.source(source);
    }
    files.finish()
}

/// Reads the documents of one text; `name` stands for the file in places.
///
/// # Errors
/// Everything that is wrong with the text.
pub fn read_text(name: &str, text: &str, options: &Options) -> Result<Inventory, Vec<Problem>> {
    let mut reader = Reader::new(options.strict);
    reader.text(name, text, None);
    reader.finish()
}

/// Reads bytes as it reads a file: a text or an archive, compressed or not; `name` stands for the file in places.
///
/// # Errors
/// Everything that is wrong with them.
pub fn read_bytes(name: &str, bytes: &[u8], options: &Options) -> Result<Inventory, Vec<Problem>> {
    let mut files = Files::new(options);
    files.stream(name, bytes);
    files.finish()
}

/// Finds the texts and hands them to a [`Reader`].
struct Files {
    reader: Reader,
    exclude: Exclude,
    /// The files read, by canonical path.
    seen: HashSet<PathBuf>,
    /// The objects read from Velero backups, by their path without the API version.
    backed_up: HashSet<String>,
}

impl Files {
    fn new(options: &Options) -> Self {
        let (exclude, problems) = Exclude::new(&options.exclude);
        let mut reader = Reader::new(options.strict);
        reader.problems = problems;
        Self { reader, exclude, seen: HashSet::new(), backed_up: HashSet::new() }
    }

    fn finish(self) -> Result<Inventory, Vec<Problem>> {
        let mut inventory = self.reader.finish()?;
        inventory.warnings.extend(self.exclude.idle());
        Ok(inventory)
    }

    fn source(&mut self, source: &Source) {
        if self.reader.is_full() {
            return;
        }
        match source {
            Source::Stdin => self.stream("stdin", io::stdin().lock()),
            Source::Path(path) => self.path(path),
        }
    }

    fn path(&mut self, path: &Path) {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.folder(path, path),
            Ok(_) if self.is_new(path) => match File::open(path) {
                Ok(file) => self.stream(&path.display().to_string(), file),
                Err(error) => self.unreadable(path, &error),
            },
            Ok(_) => {}
            Err(error) => self.unreadable(path, &error),
        }
    }

    /// Reads the manifests in `folder`, which is `root` or lies below it, in the order of their paths. Hidden files and
    /// folders are left out, and `node_modules`.
    fn folder(&mut self, folder: &Path, root: &Path) {
        if !self.is_new(folder) {
            return;
        }
        let entries: io::Result<Vec<PathBuf>> =
            fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
        let mut paths = match entries {
            Ok(paths) => paths,
            Err(error) => return self.unreadable(folder, &error),
        };
        paths.retain(|path| !path.file_name().is_some_and(is_passed_by) && !self.leaves_out(path, root));
        paths.sort();
        for path in paths {
            if self.reader.is_full() {
                return;
            }
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => self.folder(&path, root),
                // A pipe might never end.
                Ok(metadata) if !metadata.is_file() => {
                    self.reader.not_read(&path.to_string_lossy(), Why::NoManifest);
                }
                Ok(_) if self.is_new(&path) && !self.is_second_copy(&path.to_string_lossy()) => {
                    self.member(&path, root);
                }
                Ok(_) => {}
                // a link whose target is elsewhere
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.reader.not_read(&path.to_string_lossy(), Why::Unreadable);
                }
                Err(error) => self.unreadable(&path, &error),
            }
        }
    }

    fn leaves_out(&mut self, path: &Path, root: &Path) -> bool {
        let inner = path.strip_prefix(root).unwrap_or(path);
        self.exclude.leaves_out(inner, &path.to_string_lossy())
    }

    /// A file found in a folder: it need not be a manifest.
    fn member(&mut self, path: &Path, root: &Path) {
        match File::open(path).and_then(|file| read_manifest(path, file)) {
            Ok(Some(bytes)) => self.bytes(&path.display().to_string(), bytes, Some(root)),
            Ok(None) => self.reader.not_read(&path.to_string_lossy(), Why::NoManifest),
            Err(error) => self.unreadable(path, &error),
        }
    }

    /// A text or an archive, told apart by what it holds.
    fn stream(&mut self, name: &str, stream: impl Read) {
        if let Err(error) = self.try_stream(name, stream) {
            self.reader.problems.push(Problem::of_file(name, unreadable(&error)));
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
            return archive::members(stream, |inner, kind, entry| {
                self.member_of_archive(name, inner, kind, entry)
            });
        }
        let bytes = read_limited(stream)?;
        self.bytes(name, bytes, None);
        Ok(())
    }

    /// Reads one member of an archive; breaks off when the archive cannot be read on, or need not be.
    fn member_of_archive(
        &mut self,
        archive: &str,
        inner: &Path,
        kind: EntryType,
        entry: impl Read,
    ) -> ControlFlow<()> {
        let path = format!("{archive}/{}", inner.to_string_lossy().trim_start_matches("./"));
        let within = inner.strip_prefix(".").unwrap_or(inner);
        if kind.is_dir() || inner.iter().any(is_passed_by) || self.exclude.leaves_out(within, &path) {
            return ControlFlow::Continue(());
        }
        if !kind.is_file() {
            self.reader.not_read(&path, Why::NoManifest);
        } else if !self.is_second_copy(&path) {
            match read_manifest(inner, entry) {
                Ok(Some(bytes)) => self.bytes(&path, bytes, Some(Path::new(archive))),
                Ok(None) => self.reader.not_read(&path, Why::NoManifest),
                Err(error) => {
                    self.reader.problems.push(Problem::of_file(&path, unreadable(&error)));
                    return ControlFlow::Break(());
                }
            }
        }
        if self.reader.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// A text by its bytes. `root` is the folder or archive that it was found in.
    fn bytes(&mut self, file: &str, bytes: Vec<u8>, root: Option<&Path>) {
        let holds_word = root.is_none() || memchr::memmem::find(&bytes, WORD.as_bytes()).is_some();
        match decode(bytes) {
            Ok(text) => self.reader.text(file, &text, root),
            Err(_) if !holds_word => self.reader.not_read(file, Why::Unreadable),
            Err(message) => self.reader.problems.push(Problem::of_file(file, message)),
        }
    }

    /// Has the file or folder not been read yet, be it under another name?
    fn is_new(&mut self, path: &Path) -> bool {
        fs::canonicalize(path).map_or(true, |path| self.seen.insert(path))
    }

    /// Does a Velero backup hold this object a second time, under another API version?
    fn is_second_copy(&mut self, path: &str) -> bool {
        velero_key(path).is_some_and(|key| !self.backed_up.insert(key))
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        self.reader.problems.push(Problem::of_file(&path.display().to_string(), unreadable(error)));
    }
}

pub(crate) fn unreadable(error: &io::Error) -> Message {
    match error.kind() {
        io::ErrorKind::NotFound => messages::not_found(),
        io::ErrorKind::PermissionDenied => messages::no_permission(),
        io::ErrorKind::IsADirectory => messages::is_folder(),
        _ => messages::unreadable(error),
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
        return Err(io::Error::other(messages::too_large(MAX_TEXT >> 20)));
    }
    Ok(bytes)
}

/// The bytes of a file that is a manifest by its extension or by how it begins.
fn read_manifest(path: &Path, mut file: impl Read) -> io::Result<Option<Vec<u8>>> {
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
fn decode(bytes: Vec<u8>) -> Result<String, Message> {
    let wide = |unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks();
        let text: Result<String, _> = char::decode_utf16(pairs.iter().copied().map(unit)).collect();
        text.ok().filter(|_| rest.is_empty()).ok_or_else(messages::not_utf16)
    };
    match bytes.as_slice() {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        _ => {
            String::from_utf8(bytes).map_err(|error| messages::not_text(error.utf8_error().valid_up_to() + 1))
        }
    }
}
