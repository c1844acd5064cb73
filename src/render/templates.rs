//! The templates: compiled in, and replaced one by one from a folder.

use std::collections::HashMap;
use std::io::{Error, Read as _, Write};
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context as _, Result, anyhow, bail};
use handlebars::{Handlebars, no_escape};
use serde_json::{Map, Value, json};

use super::item::{ItemError, Names, TemplateItem};
use super::options::{AuditObject, Layer, MAX_FIELD, MAX_VALUE, Options};
use super::source::Source;
use super::{helpers, recursion};

/// The most bytes of a template that replaces a built-in one.
pub const MAX_TEMPLATE: u64 = 256 * 1024;
/// The most blocks and parentheses of such a template: they may nest, and each level takes of the stack.
pub const MAX_BLOCKS: usize = 500;

/// Names and texts of templates.
type Embedded = &'static [(&'static str, &'static str)];

/// The templates of the fields, in each layer. One that is missing does not compile.
macro_rules! of_fields {
    (
        spec { $($(#[$doc:meta])+ $module:ident $variant:ident $name:literal : $shape:ident),+ $(,)? }
        annotations { $($(#[$more_doc:meta])+ $more_module:ident $more:ident $more_name:literal),+ $(,)? }
    ) => {
        const AUDIT_FIELDS: Embedded = embedded!("audit" $($name)+ $($more_name)+);
        const RUNTIME_FIELDS: Embedded = embedded!("runtime" $($name)+ $($more_name)+);
    };
}

macro_rules! embedded {
    ($folder:literal $($name:literal)+) => {
        &[$(($name, include_str!(concat!("../../templates/", $folder, "/", $name, ".yaml.hbs")))),+]
    };
}

psp_admission::with_fields!(of_fields);

const AUDIT: Embedded =
    embedded!("audit" "shared" "policy" "violation" "lost_default" "output" "incomplete" "set");
/// Audit rules for the plugin psp are made of the fields' templates for the audit layer, and of these.
const PLUGIN: Embedded = embedded!("plugin" "shared" "policy" "violation" "lost_default" "output" "guards");
const RUNTIME: Embedded = embedded!("runtime" "shared" "policy" "violation" "output" "baseline");

/// The folders of templates, and what is in them.
const FOLDERS: [(&str, &[Embedded]); 3] =
    [("audit", &[AUDIT_FIELDS, AUDIT]), ("plugin", &[PLUGIN]), ("runtime", &[RUNTIME_FIELDS, RUNTIME])];

/// The registered templates of a layer.
#[derive(Debug)]
pub(super) struct Templates {
    layer: Layer,
    registry: Handlebars<'static>,
    /// Where each template stands, for messages, and its text.
    files: HashMap<&'static str, (String, String)>,
    /// The data that every template gets.
    base: Map<String, Value>,
    /// A word that stands in no template.
    unknown_word: String,
}

impl Templates {
    /// Registers a layer's built-in templates, each replaced by `DIR/FOLDER/NAME.yaml.hbs` where that exists.
    ///
    /// # Errors
    /// A template that cannot be read or is none, with its place.
    pub(super) fn load(layer: Layer, options: &Options) -> Result<Self> {
        let folder = options.templates.as_deref();
        let mut registry = Handlebars::new();
        let mut files = HashMap::new();
        registry.set_strict_mode(true);
        registry.register_escape_fn(no_escape);
        helpers::register(&mut registry);
        let parts: &[(&str, Embedded)] = match layer {
            Layer::Audit if options.plugin => &[("audit", AUDIT_FIELDS), ("plugin", PLUGIN)],
            Layer::Audit => &[("audit", AUDIT_FIELDS), ("audit", AUDIT)],
            Layer::Runtime => &[("runtime", RUNTIME_FIELDS), ("runtime", RUNTIME)],
        };
        let all = parts.iter().flat_map(|(folder, all)| all.iter().map(move |template| (folder, template)));
        for (of, (name, built_in)) in all {
            let file = format!("{of}/{name}.yaml.hbs");
            let path = folder.map(|folder| folder.join(&file)).filter(|path| path.exists());
            let text = match &path {
                Some(path) => read_override(path)?,
                None => (*built_in).to_owned(),
            };
            let place = path.map_or_else(|| format!("templates/{file}"), |path| path.display().to_string());
            registry.register_template_string(name, text.trim_end()).map_err(|e| {
                let (line, column) = e.pos().unwrap_or((1, 1));
                anyhow!("{place}:{line}:{column}: {}", e.reason())
            })?;
            files.insert(*name, (place, text));
        }
        let known = |word: &String| files.values().any(|(_, text): &(String, String)| text.contains(word));
        let unknown_word = (0..).map(|n| format!("POLICY{n}")).find(|word| !known(word)).unwrap_or_default();
        let templates = Self { layer, registry, files, base: base_data(options), unknown_word };
        if let Some(folder) = folder {
            refuse_unknown(folder)?;
            if let Some((name, problem)) = recursion::endless(templates.registry.get_templates().iter()) {
                bail!("{}: {problem}", templates.file(&name));
            }
        }
        Ok(templates)
    }

    /// The items that a template makes of this.
    ///
    /// # Errors
    /// A template that does not render, or not to items of a rules file, with its place; values beyond all use.
    pub(super) fn items(&self, source: Source) -> Result<Vec<Rc<TemplateItem>>> {
        let (data, prefix) = self.data(&source)?;
        let rendered = self.render(source.template(), data)?;
        let source = Rc::new(source);
        TemplateItem::parse(&rendered, prefix.as_deref(), &source).map_err(|ItemError { offset, message }| {
            // what is missing at the end is said of the last byte
            let place = self.place(&source, offset.min(rendered.len().saturating_sub(1)));
            anyhow!("{place}: {message}")
        })
    }

    /// All data of a template. A template that serves single policies gets placeholders in place of their names; what
    /// these begin with comes second, and stands nowhere else in what the template makes.
    fn data(&self, source: &Source) -> Result<(Value, Option<String>)> {
        let own = source.data(self.layer);
        let mut data = self.base.clone();
        let mut prefix = None;
        if let Source::Restriction { .. } | Source::Scope(_) = source {
            let text = serde_json::to_string(&own)?;
            if matches!(source, Source::Restriction { .. }) {
                bounded(&own, &text)?;
            }
            let prefixes = (0..).map(|n| format!("{}_{n}_", self.unknown_word));
            let free = prefixes.into_iter().find(|prefix| !text.contains(prefix)).unwrap_or_default();
            let names = Names::placeholders(&free);
            data.insert("policy".to_owned(), names.policy.into());
            data.insert("id".to_owned(), names.id.into());
            data.insert("admitted".to_owned(), names.admitted.into());
            prefix = Some(free);
        }
        data.extend(own);
        Ok((Value::Object(data), prefix))
    }

    fn render(&self, template: &str, data: Value) -> Result<String> {
        self.registry.render_with_context(template, &data.into()).map_err(|e| {
            let place = self.file(e.template_name.as_deref().unwrap_or(template));
            anyhow!("{place}:{}:{}: {}", e.line_no.unwrap_or(1), e.column_no.unwrap_or(1), e.reason())
        })
    }

    /// Where a template stands.
    pub(super) fn file<'t>(&'t self, template: &'t str) -> &'t str {
        self.files.get(template).map_or(template, |(place, _)| place)
    }

    /// The template and the line that wrote the byte at `offset` of what a source was rendered to. It is rendered once
    /// more, and interrupted there.
    pub(super) fn place(&self, source: &Source, offset: usize) -> String {
        let file = self.file(source.template());
        let Ok((data, _)) = self.data(source) else { return file.to_owned() };
        let mut interruption = Interruption { left: offset, segment: String::new() };
        let rendered =
            self.registry.render_with_context_to_write(source.template(), &data.into(), &mut interruption);
        let Some((line, error)) = rendered.err().and_then(|error| Some((error.line_no?, error))) else {
            return file.to_owned();
        };
        let template = error.template_name.as_deref().unwrap_or(source.template());
        let text = self.files.get(template).map_or("", |(_, text)| text);
        let line = interruption.line(text, line, error.column_no.unwrap_or(1));
        match self.file(template) {
            own if own == file => format!("{file}:{line}"),
            partial => format!("{partial}:{line}: in {file}"),
        }
    }

    /// The template and the line that made a line of an item, counted from 0.
    pub(super) fn place_of_line(&self, item: &TemplateItem, line: usize) -> Option<String> {
        let (data, _) = self.data(&item.source).ok()?;
        let rendered = self.render(item.source.template(), data).ok()?;
        let (mut offset, mut above) = (item.start, line);
        for text in rendered.get(offset..)?.split_inclusive('\n') {
            match text.trim_start() {
                "" => {}
                words if above == 0 => {
                    return Some(self.place(&item.source, offset + text.len() - words.len()));
                }
                _ => above -= 1,
            }
            offset += text.len();
        }
        None
    }
}

/// A writer that refuses the byte after so many, with the text that the byte is in.
struct Interruption {
    left: usize,
    segment: String,
}

impl Write for Interruption {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if bytes.len() <= self.left {
            self.left -= bytes.len();
            return Ok(bytes.len());
        }
        self.segment = String::from_utf8_lossy(bytes).into_owned();
        Err(Error::other("interrupted"))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Interruption {
    /// The line of the template that wrote the byte, if its part that wrote it starts at `line` and `column`. A part that
    /// stands in the output as in the template may have many lines.
    fn line(&self, template: &str, line: usize, column: usize) -> usize {
        let above: usize = template.split_inclusive('\n').take(line - 1).map(str::len).sum();
        let start = above + column - 1;
        // the blanks before it are told as part of it or not
        let is_near = |at: &usize| {
            let between = template.get(start.min(*at)..start.max(*at)).unwrap_or("?");
            between.chars().all(char::is_whitespace)
        };
        let part = template.match_indices(&self.segment).map(|(at, _)| at).find(is_near);
        let before = part.and_then(|at| template.get(..at + self.left));
        before.map_or(line, |text| text.matches('\n').count() + 1)
    }
}

/// The data that every template gets.
fn base_data(options: &Options) -> Map<String, Value> {
    let data = json!({
        "object": options.object.root(),
        "stored": options.object == AuditObject::Response,
        "set": options.access.is_some(),
        "evidence": false,
        "more": false,
        "where": false,
        "process": false,
        "nothing": Value::Array(Vec::new()),
        "slots": (0..options.max_volumes).collect::<Vec<_>>(),
        "max_volumes": options.max_volumes,
        "counts": (1..=options.max_containers).collect::<Vec<_>>(),
        "max_containers": options.max_containers,
        "one_more": options.max_containers + 1,
    });
    if let Value::Object(data) = data { data } else { Map::new() }
}

/// Refuses what makes no rule that Falco could use; `text` is all of it as JSON.
fn bounded(data: &Map<String, Value>, text: &str) -> Result<()> {
    let listed = data.values().flat_map(|v| v.as_array().into_iter().flatten());
    let longest = listed.filter_map(Value::as_str).map(str::len).max();
    if let Some(length) = longest.filter(|length| *length > MAX_VALUE) {
        bail!("a value of {length} bytes is longer than any path or name of Linux ({MAX_VALUE}); remove it");
    }
    if text.len() > 2 * MAX_FIELD {
        bail!("values of more than {} KiB make no rule that Falco can use; remove some", MAX_FIELD >> 10);
    }
    Ok(())
}

/// A folder without a layer's folder, and a file in one that replaces nothing, are mistakes in a name.
fn refuse_unknown(folder: &Path) -> Result<()> {
    let mut found = false;
    for (layer, embedded) in FOLDERS {
        let Ok(entries) = std::fs::read_dir(folder.join(layer)) else { continue };
        found = true;
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let mut names = embedded.iter().flat_map(|part| part.iter().map(|(name, _)| *name));
            let known = name.strip_suffix(".yaml.hbs").is_some_and(|n| names.any(|e| e == n));
            if name.ends_with(".hbs") && !known {
                bail!(
                    "{}: replaces no template; name it after a field, as in templates/{layer}",
                    entry.path().display(),
                );
            }
        }
    }
    if !found {
        bail!(
            "{}: not a folder with audit/, plugin/ or runtime/ in it; name the one where template overrides lie",
            folder.display()
        );
    }
    Ok(())
}

/// Reads a template override, naming it in the error.
fn read_override(path: &Path) -> Result<String> {
    let place = || path.display().to_string();
    if !std::fs::metadata(path).with_context(place)?.is_file() {
        bail!("{}: not a file; a template is one", place());
    }
    let mut text = String::new();
    let file = std::fs::File::open(path).with_context(place)?;
    file.take(MAX_TEMPLATE + 1).read_to_string(&mut text).with_context(place)?;
    if text.len() as u64 > MAX_TEMPLATE {
        bail!("{}: longer than {} KiB; no template needs that", place(), MAX_TEMPLATE >> 10);
    }
    if text.matches("{{#").count() + text.matches("{{^").count() + text.matches('(').count() > MAX_BLOCKS {
        bail!("{}: more than {MAX_BLOCKS} blocks and parentheses; no template needs that", place());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn templates(files: &[(&str, &str)]) -> (tempfile::TempDir, Templates) {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("audit")).unwrap();
        for (name, text) in files {
            std::fs::write(temp.path().join(format!("audit/{name}.yaml.hbs")), text).unwrap();
        }
        let options = Options { templates: Some(temp.path().to_owned()), ..Options::default() };
        let templates = Templates::load(Layer::Audit, &options).unwrap();
        (temp, templates)
    }

    #[test]
    fn what_is_wrong_in_what_a_template_makes_is_said_of_its_line() {
        let partial = "- macro: m\n  condition:\n    {{when}}\n";
        let own = "{{#if stored}}\n\n- list: l\n  items: []\n\n{{#each counts}}\n- macro: {{this}}\n{{/each}}\n\n  \n{{/if}}\n{{> set when=\"x and\"}}\n";
        let (temp, templates) = templates(&[("set", partial), ("shared", own)]);
        let path = |name: &str| temp.path().join(format!("audit/{name}.yaml.hbs")).display().to_string();
        let source = Source::Shared("shared", Map::new());
        let rendered = templates.render("shared", templates.data(&source).unwrap().0).unwrap();
        let place = |word: &str| templates.place(&source, rendered.find(word).unwrap());
        assert_eq!(place("list"), format!("{}:3", path("shared")));
        assert_eq!(place("items"), format!("{}:4", path("shared")));
        assert_eq!(place("macro: 2"), format!("{}:7", path("shared")));
        assert_eq!(place("condition"), format!("{}:2: in {}", path("set"), path("shared")));
        assert_eq!(place("x and"), format!("{}:3: in {}", path("set"), path("shared")));
        let error = templates.items(source).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{}:3: in {}: no condition: ", path("set"), path("shared"))),
            "{error}"
        );
    }
}
