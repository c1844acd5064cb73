//! Manifests that are templates still: which tool they are for, and the command that renders them.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::messages::read as messages;
use crate::problem::{Message, printable};
use crate::yaml::{self, Data, Mark, Node};

/// The tool that a template is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Template {
    /// Helm: `{{ .Values.x }}`.
    Helm,
    /// Another tool with Go's templates: `{{ .x }}`.
    Go,
    /// Jinja, of Ansible and Salt: `{{ x }}`, `{% if x %}`.
    Jinja,
    /// ytt of Carvel: `#@ x`.
    Ytt,
    /// Ruby's ERB: `<%= x %>`.
    Erb,
    /// Variables of a shell: `${x}`.
    Shell,
    /// Variables of kustomize or a pipeline: `$(x)`.
    Variable,
    /// A word to replace: `<x>`.
    Placeholder,
    /// A Template object of OpenShift.
    OpenShift,
}

impl Template {
    /// What it is, in words.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Template::Helm => "Helm template",
            Template::Go => "Go template",
            Template::Jinja => "Jinja template",
            Template::Ytt => "ytt template",
            Template::Erb => "ERB template",
            Template::Shell => "file with shell variables",
            Template::Variable => "file with $(…) variables",
            Template::Placeholder => "file with placeholders",
            Template::OpenShift => "OpenShift template",
        }
    }

    /// How to render `file`, whose chart is `chart` if that is known.
    pub(crate) fn cure(self, file: &str, chart: Option<&Path>) -> String {
        let folder =
            Path::new(file).parent().filter(|_| file != "stdin").map(|folder| match folder.as_os_str() {
                name if name.is_empty() => "./".to_owned(),
                _ => word(&folder.display().to_string()),
            });
        let folder = folder.as_deref().unwrap_or("DIR");
        let file = if file == "stdin" { "FILE".to_owned() } else { word(file) };
        match self {
            Template::Helm => format!(
                "helm template {} --kube-version 1.24 --api-versions policy/v1beta1/PodSecurityPolicy | psp2falco convert -",
                chart.map_or_else(|| "CHART".to_owned(), |chart| word(&chart.display().to_string())),
            ),
            Template::Go => {
                format!("with the tool that it is for, such as gomplate -f {file} | psp2falco convert -")
            }
            Template::Jinja => format!(
                "with the tool that it is for, such as ansible localhost -m template -a \"src={file} dest=psp.yaml\", then \
                 psp2falco convert psp.yaml"
            ),
            Template::Ytt => format!("ytt -f {folder} | psp2falco convert -"),
            Template::Erb => format!("erb {file} | psp2falco convert -"),
            Template::Shell => format!("set the variables, then envsubst < {file} | psp2falco convert -"),
            Template::Variable => {
                format!("kustomize build {folder} | psp2falco convert -, or the pipeline that sets them")
            }
            Template::Placeholder => "replace them by their values".to_owned(),
            Template::OpenShift => {
                format!("oc process --local -f {file} -o yaml | psp2falco convert -")
            }
        }
    }

    /// What is said of a file that was named and is a template.
    pub(crate) fn hint(self, file: &str, chart: Option<&Path>) -> Message {
        messages::template(self.name(), self.cure(file, chart))
    }

    /// The text's template, and where it shows. `error` is the line that is no YAML.
    pub(crate) fn of_broken(text: &str, error: Mark) -> Option<(Self, Mark)> {
        let marked = lines(text).find_map(|(number, line)| {
            let (before, template) = directive(line)?;
            let template = if template == Template::Go { curly(text, line) } else { template };
            Some((template, mark(number, before)))
        });
        marked.or_else(|| {
            let (number, line) = lines(text).find(|(number, _)| *number == error.line)?;
            let (before, template) = variable(line)?;
            Some((template, mark(number, before)))
        })
    }

    /// The template that a policy's values are, though they are YAML. What the API server took as it was, such as a
    /// path with braces in it, does not begin as a template.
    pub(crate) fn of_policy(policy: &Node<'_>) -> Option<(Self, Mark)> {
        policy.get("spec").and_then(of_value)
    }

    /// The template that a value is.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        if text.contains("{{") {
            return Some(curly(text, text));
        }
        directive(text).or_else(|| variable(text)).map(|(_, template)| template).or_else(|| {
            let inner = text.strip_prefix('<')?.strip_suffix('>')?;
            inner.starts_with(|c: char| c.is_ascii_alphabetic()).then_some(Template::Placeholder)
        })
    }
}

/// A document in which ytt has something to do: its lines, and its first directive.
pub(super) struct YttDocument {
    first: u32,
    last: u32,
    directive: Mark,
}

/// The documents of a text in which ytt has something to do. To YAML its directives are comments.
pub(super) fn ytt_documents(text: &str) -> Vec<YttDocument> {
    let mut documents = Vec::new();
    if !text.contains("#@") {
        return documents;
    }
    let (mut first, mut directive, mut end) = (1, None, 0);
    let mut close = |first: u32, last: u32, directive: Option<Mark>| {
        documents.extend(directive.map(|directive| YttDocument { first, last, directive }));
    };
    for (number, line) in lines(text) {
        if line.starts_with("---") {
            close(first, number - 1, directive.take());
            first = number;
        }
        directive = directive.or_else(|| ytt(line).map(|before| mark(number, before)));
        end = number;
    }
    close(first, end, directive);
    documents
}

/// The first directive of ytt in the document that holds `mark`.
pub(super) fn ytt_at(documents: &[YttDocument], mark: Mark) -> Option<Mark> {
    let after = documents.partition_point(|document| document.first <= mark.line);
    let document = documents.get(after.checked_sub(1)?)?;
    (mark.line <= document.last).then_some(document.directive)
}

fn of_value(node: &Node<'_>) -> Option<(Template, Mark)> {
    match &node.data {
        Data::Text(text)
            if ["{{", "{%", "<%", "${", "$(", "<"].iter().any(|start| text.starts_with(start)) =>
        {
            Template::of_text(text).map(|template| (template, node.mark))
        }
        Data::List(items) => items.iter().find_map(of_value),
        Data::Map(entries) => entries.iter().find_map(|entry| of_value(&entry.node)),
        _ => None,
    }
}

/// The lines of a text, counted from 1.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (u32, &str)> {
    text.lines().enumerate().map(|(index, line)| (u32::try_from(index + 1).unwrap_or(u32::MAX), line))
}

fn mark(line: u32, before: &str) -> Mark {
    Mark { line, column: u32::try_from(before.chars().count() + 1).unwrap_or(u32::MAX) }
}

/// What stands before the directive of a template on this line, and whose it is; `{{` counts as Go's.
fn directive(line: &str) -> Option<(&str, Template)> {
    if let Some(before) = ytt(line) {
        return Some((before, Template::Ytt));
    }
    let found = [("{{", "}}", Template::Go), ("{%", "%}", Template::Jinja), ("<%", "%>", Template::Erb)];
    let first = found.into_iter().filter_map(|(open, close, template)| {
        let (before, after) = line.split_once(open)?;
        // a directive may go on over several lines, but does not begin in the middle of one
        let whole = after.contains(close) || before.trim().is_empty();
        (whole && !before.trim_start().starts_with('#')).then_some((before, template))
    });
    first.min_by_key(|(before, _)| before.len())
}

/// What stands before a directive of ytt, which is a comment to YAML.
fn ytt(line: &str) -> Option<&str> {
    const ANNOTATIONS: [&str; 7] =
        ["overlay/", "data/", "schema/", "yaml/", "library/", "assert/", "template/"];
    let (before, after) = line.split_once("#@")?;
    let own = after.starts_with(' ') || ANNOTATIONS.iter().any(|annotation| after.starts_with(annotation));
    (own && (before.is_empty() || before.ends_with(char::is_whitespace))).then_some(before)
}

/// Whose `{{ }}` these are; the first stand in `line`.
fn curly(text: &str, line: &str) -> Template {
    const HELM: [&str; 7] =
        [".Values", ".Release", ".Chart", ".Capabilities", "include \"", "template \"", ".Template"];
    /// What Go's templates begin with, beside `.`, `$`, `-`, a string or a comment.
    const GO: [&str; 10] =
        ["if", "else", "end", "range", "with", "define", "template", "block", "printf", "include"];
    if HELM.iter().any(|word| text.contains(word)) {
        return Template::Helm;
    }
    if text.contains("{%") {
        return Template::Jinja;
    }
    let first = line.split_once("{{").map(|(_, after)| after.trim_start_matches('-').trim_start());
    let word: String =
        first.unwrap_or_default().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if word.is_empty() || GO.contains(&word.as_str()) { Template::Go } else { Template::Jinja }
}

/// What stands before a variable in `text`, and whose it is: `${NAME}` or `$(NAME)`.
fn variable(text: &str) -> Option<(&str, Template)> {
    let mut rest = text.match_indices('$');
    rest.find_map(|(at, _)| {
        let (before, after) = text.split_at_checked(at)?;
        let after = after.get(1..)?;
        let (template, close) = match after.chars().next()? {
            '{' => (Template::Shell, '}'),
            '(' => (Template::Variable, ')'),
            _ => return None,
        };
        let name = after.get(1..)?.split(close).next()?;
        let is_name = after.contains(close)
            && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && !name.contains(char::is_whitespace);
        is_name.then_some((before, template))
    })
}

/// The folder of the chart that a file on the disk belongs to; failing that, the folder above `templates`.
pub(crate) fn chart(file: &str) -> Option<PathBuf> {
    let path = Path::new(file);
    let above = || path.ancestors().skip(1);
    let charted = above().find(|folder| folder.join("Chart.yaml").is_file());
    let folder = charted.or_else(|| {
        above().find(|folder| folder.file_name().is_some_and(|name| name == "templates"))?.parent()
    })?;
    Some(if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() })
}

/// The most bytes of a kustomization that are read.
const LARGEST_KUSTOMIZATION: u64 = 1 << 20;

/// The folder of the kustomization, on the disk, that has `file` among its patches. A patch has the kind and the name of
/// what it changes, and only some of its fields.
pub(crate) fn kustomization(file: &Path) -> Option<&Path> {
    const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
    let text = |path: PathBuf| {
        let mut text = String::new();
        File::open(path).and_then(|file| file.take(LARGEST_KUSTOMIZATION).read_to_string(&mut text)).ok()?;
        Some(text)
    };
    let patches_it = |folder: &&Path| {
        let texts = NAMES.iter().filter_map(|name| text(folder.join(name)));
        texts.flat_map(|text| patches(&text)).any(|patch| folder.join(patch) == file)
    };
    file.ancestors().skip(1).find(patches_it)
}

/// The files that a kustomization has for patches.
fn patches(kustomization: &str) -> Vec<String> {
    let mut files = Vec::new();
    for node in yaml::Documents::new(kustomization).flatten() {
        for key in ["patches", "patchesStrategicMerge"] {
            let Some(Data::List(entries)) = node.get(key).map(|list| &list.data) else { continue };
            let path = |entry: &Node<'_>| entry.text().or_else(|| entry.text_at("path")).map(str::to_owned);
            files.extend(entries.iter().filter_map(path));
        }
    }
    files
}

/// `text` as one word of a shell.
pub(crate) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./@+:,=".contains(c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", printable(text).replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kustomization_names_its_patches() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(path("prod/patches")).unwrap();
        let file = path("prod/patches/psp.yaml");
        for (kustomization, is_patch) in [
            ("patches: [{path: patches/psp.yaml}]", true),
            ("patches:\n- target: {kind: PodSecurityPolicy}\n  path: ./patches/psp.yaml", true),
            ("patchesStrategicMerge:\n- patches/psp.yaml", true),
            ("resources: [patches/psp.yaml]\npatches: [{path: other.yaml}]", false),
            ("patches: [{path: psp.yaml}]", false),
            ("patches: patches/psp.yaml", false),
            ("patches: [", false),
        ] {
            std::fs::write(path("prod/kustomization.yaml"), kustomization).unwrap();
            let expected = is_patch.then(|| path("prod"));
            assert_eq!(super::kustomization(&file).map(Path::to_owned), expected, "{kustomization}");
        }
    }

    #[test]
    fn tells_whose_template_a_text_is() {
        for (text, expected) in [
            ("{{- if .Values.psp }}", Some(Template::Helm)),
            ("{{ include \"x.name\" . }}", Some(Template::Helm)),
            ("{{ .name }}", Some(Template::Go)),
            ("{{- range $name := .names }}", Some(Template::Go)),
            ("{{ name }}", Some(Template::Jinja)),
            ("{{ name | default('x') }}", Some(Template::Jinja)),
            ("{% if psp %}", Some(Template::Jinja)),
            ("x #@ data.values.name", Some(Template::Ytt)),
            ("#@data/values", Some(Template::Ytt)),
            ("<%= name %>", Some(Template::Erb)),
            ("a-${NAME}", Some(Template::Shell)),
            ("a-${NAME:-b}", Some(Template::Shell)),
            ("$(NAME)", Some(Template::Variable)),
            ("<your-name>", Some(Template::Placeholder)),
            ("#@author", None),
            ("x#@ y", None),
            ("/a$b", None),
            ("${}", None),
            ("a<b>", None),
        ] {
            assert_eq!(Template::of_text(text), expected, "{text}");
        }
    }

    #[test]
    fn a_word_of_a_shell_is_one() {
        assert_eq!(word("a/b-c.yaml"), "a/b-c.yaml");
        assert_eq!(word("it's here"), r"'it'\''s here'");
    }
}
