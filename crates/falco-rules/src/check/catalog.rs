//! The fields that Falco knows: names, types, arguments, event sources.
//!
//! The list is Falco 0.44.1's own (`falco --list`) with the plugins container 0.7.1, json 0.7.4 and
//! k8saudit 0.18.0.

use std::collections::HashMap;
use std::sync::OnceLock;

/// What a field yields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// Text.
    Text,
    /// An unsigned number of so many bits.
    Unsigned(u8),
    /// A signed number of so many bits.
    Signed(u8),
    /// A floating-point number.
    Double,
    /// `true` or `false`.
    Bool,
    /// Raw bytes.
    Bytes,
    /// A port, which may be written as a service's name.
    Port,
    /// An IP address.
    Address,
    /// An IP network.
    Network,
    /// Known at run time only.
    Dynamic,
}

impl FieldType {
    fn from_falco(name: &str) -> Self {
        match name {
            "UINT64" | "ABSTIME" | "RELTIME" => Self::Unsigned(64),
            "UINT32" => Self::Unsigned(32),
            "INT64" => Self::Signed(64),
            "INT32" => Self::Signed(32),
            "INT16" => Self::Signed(16),
            "DOUBLE" => Self::Double,
            "BOOL" => Self::Bool,
            "BYTEBUF" => Self::Bytes,
            "PORT" => Self::Port,
            "IPADDR" => Self::Address,
            "IPNET" => Self::Network,
            "DYNAMIC" => Self::Dynamic,
            _ => Self::Text,
        }
    }

    /// What Falco calls the type in its messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "CHARBUF",
            Self::Unsigned(32) => "UINT32",
            Self::Unsigned(_) => "UINT64",
            Self::Signed(16) => "INT16",
            Self::Signed(32) => "INT32",
            Self::Signed(_) => "INT64",
            Self::Double => "DOUBLE",
            Self::Bool => "BOOL",
            Self::Bytes => "BYTEBUF",
            Self::Port => "PORT",
            Self::Address => "IPADDR",
            Self::Network => "IPNET",
            Self::Dynamic => "DYNAMIC",
        }
    }

    /// Whether Falco orders and compares it as a number.
    #[must_use]
    pub fn is_number(self) -> bool {
        matches!(self, Self::Unsigned(_) | Self::Signed(_) | Self::Double | Self::Port)
    }
}

/// What may stand in brackets after a field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Argument {
    /// Without it the field does not load.
    pub required: bool,
    /// A position in a list.
    pub index: bool,
    /// A name.
    pub key: bool,
}

/// Falco's own field classes.
const FALCO_CLASSES: [&str; 7] = ["evt", "fd", "fdlist", "fs.path", "group", "process", "user"];

/// A field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldInfo {
    /// Its name.
    pub name: &'static str,
    /// What it yields.
    pub kind: FieldType,
    /// Whether it yields a list.
    pub list: bool,
    /// Its argument, if it takes one.
    pub argument: Option<Argument>,
    /// Which plugin it comes from; otherwise Falco's own field class.
    pub origin: &'static str,
    /// The event sources that it works on: `syscall`, `k8s_audit`.
    pub sources: &'static [&'static str],
    /// The version of the plugin that introduced it, where known.
    pub since: Option<&'static str>,
    /// Falco warns about it.
    pub deprecated: bool,
}

impl FieldInfo {
    /// Whether a plugin provides the field.
    #[must_use]
    pub fn is_plugin(&self) -> bool {
        !FALCO_CLASSES.contains(&self.origin)
    }
}

/// All fields.
#[derive(Debug)]
pub struct Catalog {
    fields: Vec<FieldInfo>,
    by_name: HashMap<&'static str, usize>,
    events: Vec<&'static str>,
}

/// The catalogue of Falco 0.44.1.
pub fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(Catalog::read)
}

impl Catalog {
    fn read() -> Self {
        let mut fields: Vec<FieldInfo> = Vec::new();
        let mut section = Section::default();
        for line in include_str!("fields.txt").lines() {
            if line.starts_with('#') || line.is_empty() {
                continue;
            }
            match line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                Some(header) => section = Section::parse(header),
                None => fields.extend(parse_line(line, section)),
            }
        }
        let by_name = fields.iter().enumerate().map(|(i, f)| (f.name, i)).collect();
        let events = include_str!("events.txt")
            .lines()
            .filter(|l| !l.starts_with('#'))
            .flat_map(str::split_ascii_whitespace)
            .collect();
        Self { fields, by_name, events }
    }

    /// Every field.
    pub fn fields(&self) -> impl Iterator<Item = &FieldInfo> {
        self.fields.iter()
    }

    /// The field with this name, whatever its source.
    #[must_use]
    pub fn any(&self, name: &str) -> Option<&FieldInfo> {
        self.by_name.get(name).and_then(|i| self.fields.get(*i))
    }

    /// The field with this name, if it works on events of `source`.
    #[must_use]
    pub fn find(&self, name: &str, source: &str) -> Option<&FieldInfo> {
        self.any(name).filter(|f| f.sources.contains(&source))
    }

    /// Whether Falco knows this value of `evt.type`.
    #[must_use]
    pub fn is_event_type(&self, name: &str) -> bool {
        self.events.binary_search(&name).is_ok()
    }

    /// The field of `source` whose name is nearest to `name`, if any is near.
    #[must_use]
    pub fn nearest(&self, name: &str, source: &str) -> Option<&FieldInfo> {
        let limit = 2 + name.len() / 6;
        self.fields
            .iter()
            .filter(|f| f.sources.contains(&source) && !f.deprecated)
            .filter(|f| f.name.len().abs_diff(name.len()) <= limit)
            .map(|f| (strsim::levenshtein(f.name, name), f))
            .filter(|(d, _)| *d <= limit)
            .min_by_key(|(d, f)| (*d, f.name))
            .map(|(_, f)| f)
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Section {
    origin: &'static str,
    sources: &'static [&'static str],
    deprecated: bool,
}

impl Section {
    fn parse(header: &'static str) -> Self {
        let origin = header.split_ascii_whitespace().next().unwrap_or_default();
        let has = |word| header.split_ascii_whitespace().skip(1).any(|w| w == word);
        let sources: &[&str] = match (has("k8s_audit"), has("syscall")) {
            (true, true) => &["k8s_audit", "syscall"],
            (true, false) => &["k8s_audit"],
            _ => &["syscall"],
        };
        Self { origin, sources, deprecated: has("deprecated") }
    }
}

fn parse_line(line: &'static str, section: Section) -> Option<FieldInfo> {
    let mut words = line.split_ascii_whitespace();
    let name = words.next()?;
    let kind = FieldType::from_falco(words.next()?);
    let Section { origin, sources, deprecated } = section;
    let mut info =
        FieldInfo { name, kind, list: false, argument: None, origin, sources, since: None, deprecated };
    for word in words {
        match word.strip_prefix('@') {
            Some(version) => info.since = Some(version),
            None if word == "list" => info.list = true,
            None => {
                info.argument = Some(Argument {
                    required: word.ends_with('!'),
                    index: word.contains("index"),
                    key: word.contains("key"),
                });
            }
        }
    }
    Some(info)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_fields() {
        let field = |name| catalog().any(name).unwrap();
        assert_eq!(catalog().fields().filter(|f| f.origin == "k8saudit").count(), 100);
        assert!(field("ka.user.groups").list && field("ka.user.groups").argument.is_none());
        let index = Argument { required: false, index: true, key: false };
        assert_eq!(field("ka.req.pod.containers.name").argument, Some(index));
        assert_eq!(field("ka.req.pod.initContainers.name").since, Some("0.18.0"));
        assert!(field("jevt.value").argument.unwrap().required);
        assert_eq!(field("evt.num").kind, FieldType::Unsigned(64));
        assert!(catalog().find("ka.verb", "syscall").is_none());
        assert!(catalog().find("evt.type", "k8s_audit").is_none());
        assert!(catalog().is_event_type("execve") && !catalog().is_event_type("exec"));
        assert!(field("evt.dir").deprecated);
    }

    #[test]
    fn names_are_unique_and_event_types_sorted() {
        let names: std::collections::HashSet<&str> = catalog().fields().map(|f| f.name).collect();
        assert_eq!(names.len(), catalog().fields().count());
        assert!(catalog().events.is_sorted());
    }

    #[test]
    fn proposes_the_nearest_name() {
        let nearest = |name, source| catalog().nearest(name, source).map(|f| f.name);
        assert_eq!(nearest("ka.verbs", "k8s_audit"), Some("ka.verb"));
        assert_eq!(
            nearest("ka.req.pod.container.privileged", "k8s_audit"),
            Some("ka.req.pod.containers.privileged")
        );
        assert_eq!(nearest("k8s.namespace.name", "syscall"), None);
        assert_eq!(nearest("proc.nmae", "syscall"), Some("proc.name"));
        assert_eq!(nearest("completely.different", "syscall"), None);
    }
}
