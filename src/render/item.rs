//! Rules as data: the macros, lists and rules that templates make.
//!
//! Forty policies restrict mostly the same. A template is rendered once for all that restrict the same, under names that
//! no policy has, and what it rendered is parsed once: a [`TemplateItem`]. Under the names of a policy it is an [`Item`]
//! of that policy's rules.

use std::rc::Rc;

use falco_rules::file::yaml::{Node, documents};
use falco_rules::syntax::{Arg, Check, Expr, Operand, Rhs, Transformer, parse};
use memchr::memmem;
use psp_admission::Field;

use super::source::Source;

/// What a policy is called in its rules, or several policies whose rules are the same ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Names {
    /// The policies.
    policies: Vec<String>,
    /// Their names, with `+` between them.
    pub(super) policy: String,
    /// What the names of their macros begin with.
    pub(super) id: String,
    /// The macro that a Violation rule asks whether another policy admits the pod; empty where policies do not decide
    /// together.
    pub(super) admitted: String,
}

impl Names {
    pub(super) fn new(policies: &[&str], id: String) -> Self {
        let (policy, policies) = (policies.join("+"), policies.iter().map(|&name| name.to_owned()).collect());
        Self { policies, policy, id, admitted: String::new() }
    }

    /// The same names, for rules that ask the macro `admitted` whether another policy admits the pod.
    pub(super) fn asking(&self, admitted: &str) -> Self {
        Self { admitted: admitted.to_owned(), ..self.clone() }
    }

    /// Names that begin with `prefix`, under which a template is rendered before it is known for which policies.
    pub(super) fn placeholders(prefix: &str) -> Self {
        let [policy, id, admitted] = Name::ALL.map(|name| format!("{prefix}{}", name.placeholder()));
        Self { policies: Vec::new(), policy, id, admitted }
    }

    fn get(&self, name: Name) -> &str {
        match name {
            Name::Policy => &self.policy,
            Name::Id => &self.id,
            Name::Admitted => &self.admitted,
        }
    }
}

/// Which of the [`Names`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Name {
    Policy,
    Id,
    Admitted,
}

impl Name {
    const ALL: [Self; 3] = [Self::Policy, Self::Id, Self::Admitted];

    fn placeholder(self) -> &'static str {
        match self {
            Name::Policy => "name",
            Name::Id => "id",
            Name::Admitted => "admitted",
        }
    }
}

/// A text that is the same for all policies but for their names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct PolicyText {
    text: String,
    /// Where the names go, in bytes from the start of the text.
    names: Vec<(usize, Name)>,
}

impl PolicyText {
    /// The text without the placeholders that begin with `prefix`.
    fn new(rendered: &str, prefix: Option<&str>) -> Self {
        let mut text = Self::default();
        let mut rest = rendered;
        while let Some((before, after)) = prefix.and_then(|prefix| split_once(rest, prefix)) {
            let known = |name: Name| Some((name, after.strip_prefix(name.placeholder())?));
            let Some((name, after)) = Name::ALL.into_iter().find_map(known) else { break };
            text.text.push_str(before);
            text.names.push((text.text.len(), name));
            rest = after;
        }
        text.text.push_str(rest);
        text
    }

    /// Is it the same for all policies?
    pub(super) fn is_shared(&self) -> bool {
        self.names.is_empty()
    }

    /// Writes it with the names of one policy.
    pub(super) fn write(&self, names: &Names, out: &mut String) {
        let mut from = 0;
        for (at, name) in &self.names {
            out.push_str(self.text.get(from..*at).unwrap_or_default());
            out.push_str(names.get(*name));
            from = *at;
        }
        out.push_str(self.text.get(from..).unwrap_or_default());
    }

    /// The text with the names of one policy.
    pub(super) fn with(&self, names: &Names) -> String {
        let mut out = String::with_capacity(self.len(names));
        self.write(names, &mut out);
        out
    }

    /// Its length with the names of one policy, in bytes.
    fn len(&self, names: &Names) -> usize {
        self.text.len() + self.names.iter().map(|(_, name)| names.get(*name).len()).sum::<usize>()
    }

    fn push(&mut self, other: &Self) {
        let start = self.text.len();
        self.names.extend(other.names.iter().map(|(at, name)| (start + at, *name)));
        self.text.push_str(&other.text);
    }
}

fn split_once<'t>(text: &'t str, word: &str) -> Option<(&'t str, &'t str)> {
    let at = memmem::find(text.as_bytes(), word.as_bytes())?;
    Some((text.get(..at)?, text.get(at + word.len()..)?))
}

/// What an item of a rules file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A list.
    List,
    /// A macro.
    Macro,
    /// A rule.
    Rule,
}

impl Kind {
    /// The key of its name.
    fn key(self) -> &'static str {
        match self {
            Kind::List => "list",
            Kind::Macro => "macro",
            Kind::Rule => "rule",
        }
    }
}

/// A macro, list or rule, for all policies that restrict the same.
#[derive(Debug)]
pub(super) struct TemplateItem {
    pub(super) kind: Kind,
    pub(super) name: PolicyText,
    /// The macros and lists that it names.
    references: Vec<PolicyText>,
    /// Does it call `concat`, which needs a newer engine?
    pub(super) calls_concat: bool,
    condition: Option<PolicyText>,
    /// What its condition asks of the pod; none where it does not ask for the policy (`{{id}}`), or for that alone.
    pub(super) asks: Option<PolicyText>,
    /// The item as YAML, with the comment above it.
    pub(super) text: PolicyText,
    /// Where the item starts in what its template rendered, in bytes.
    pub(super) start: usize,
    /// What it was rendered from.
    pub(super) source: Rc<Source>,
}

/// What is wrong in a rendered text, and the byte that it starts at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ItemError {
    pub(super) offset: usize,
    pub(super) message: String,
}

/// What is wrong with something else than an item.
const NO_ITEM: &str = "no item of a rules file; begin each with `- rule:`, `- macro:` or `- list:`";

impl ItemError {
    fn new(offset: usize, message: impl Into<String>) -> Self {
        Self { offset, message: message.into() }
    }
}

impl TemplateItem {
    /// Parses what a template rendered under placeholders that begin with `prefix`.
    ///
    /// # Errors
    /// A text that is no YAML, an item that is neither list nor macro nor rule, and a condition that is none.
    pub(super) fn parse(
        rendered: &str,
        prefix: Option<&str>,
        source: &Rc<Source>,
    ) -> Result<Vec<Rc<Self>>, ItemError> {
        let documents = documents(rendered)
            .map_err(|error| ItemError::new(error.place.offset, format!("no YAML: {}", error.message)))?;
        let mut nodes = Vec::new();
        for document in documents.iter().filter(|document| !document.is_null()) {
            let items = document.sequence().ok_or_else(|| ItemError::new(document.place.offset, NO_ITEM))?;
            nodes.extend(items);
        }
        let starts: Vec<usize> = nodes.iter().map(|node| start(rendered, node.place.offset)).collect();
        let ends = starts.iter().skip(1).copied().chain([rendered.len()]);
        let items = nodes.iter().zip(starts.iter().zip(ends)).map(|(node, (start, end))| {
            let text = tidy(rendered.get(*start..end).unwrap_or_default());
            Self::new(rendered, node, (*start, &text), prefix, source).map(Rc::new)
        });
        items.collect()
    }

    fn new(
        rendered: &str,
        node: &Rc<Node>,
        (start, text): (usize, &str),
        prefix: Option<&str>,
        source: &Rc<Source>,
    ) -> Result<Self, ItemError> {
        let kinds = [Kind::Rule, Kind::Macro, Kind::List];
        let named = kinds.into_iter().find_map(|kind| Some((kind, node.get(kind.key())?.scalar()?)));
        let Some((kind, name)) = named else { return Err(ItemError::new(node.place.offset, NO_ITEM)) };
        let mut words = Words::default();
        let (mut condition, mut asks) = (None, None);
        if let Some((node, text)) = node.get("condition").and_then(|node| Some((node, node.scalar()?))) {
            let tree = parse(text).map_err(|error| {
                // what is missing at the end is said of the last byte
                let offset = error.offset.min(text.trim_end().len().saturating_sub(1));
                let offset = node.place_within(rendered, offset).offset;
                ItemError::new(offset, format!("no condition: {}", error.message))
            })?;
            words.condition(&tree);
            condition = Some(PolicyText::new(text, prefix));
            asks = prefix.and_then(|prefix| asked_of_pod(tree, &Names::placeholders(prefix)));
        }
        let items = node.get("items").and_then(|node| node.sequence()).unwrap_or_default();
        words.names.extend(items.iter().filter_map(|item| item.scalar()).map(str::to_owned));
        words.names.sort();
        words.names.dedup();
        Ok(Self {
            kind,
            name: PolicyText::new(name, prefix),
            references: words.names.iter().map(|name| PolicyText::new(name, prefix)).collect(),
            calls_concat: words.calls_concat,
            condition,
            asks: asks.map(|condition| PolicyText::new(&condition.to_string(), prefix)),
            text: PolicyText::new(text, prefix),
            start,
            source: Rc::clone(source),
        })
    }

    /// The macro of a policy by which one of the conditions holds; without any, none ever holds.
    pub(super) fn any_of<'c>(
        suffix: &str,
        conditions: impl Iterator<Item = &'c PolicyText>,
        source: &Rc<Source>,
    ) -> Self {
        let name = PolicyText { text: suffix.to_owned(), names: vec![(0, Name::Id)] };
        let mut text = PolicyText { text: "- macro: ".to_owned(), names: Vec::new() };
        text.push(&name);
        text.text.push_str("\n  condition: ");
        let start = text.text.len();
        for condition in conditions {
            if text.text.len() > start {
                text.text.push_str(" or ");
            }
            text.push(condition);
        }
        if text.text.len() == start {
            text.text.push_str(NEVER);
        }
        Self {
            kind: Kind::Macro,
            name,
            references: Vec::new(),
            calls_concat: false,
            condition: None,
            asks: None,
            text,
            start: 0,
            source: Rc::clone(source),
        }
    }

    /// Does it name the macro of a policy with this suffix?
    pub(super) fn names_own(&self, suffix: &str) -> bool {
        self.references.iter().any(|name| name.names == [(0, Name::Id)] && name.text == suffix)
    }

    /// Is it a rule that names no macro of its policy but those that every policy has?
    pub(super) fn stands_alone(&self) -> bool {
        let everybodys = |name: &PolicyText| name.names.is_empty() || ["", REFUSED].contains(&&*name.text);
        self.kind == Kind::Rule && self.references.iter().all(everybodys)
    }

    /// Is it the rule of a policy that is named so, after `PSP` and the policy?
    pub(super) fn is_rule_named(&self, rest: &str) -> bool {
        let name = self.name.text.strip_prefix("PSP ").and_then(|name| name.strip_prefix(' '));
        self.kind == Kind::Rule && name == Some(rest) && self.name.names == [(4, Name::Policy)]
    }
}

/// The macro of what a policy refuses, after its id.
pub(super) const REFUSED: &str = "__refused";
/// What the name of a macro begins with that holds of every pod of which the rest of a condition holds: it is asked first
/// since it costs less.
const SAVES_TIME: &str = "psps_maybe_";
/// A condition that no event meets.
pub(super) const NEVER: &str = "jevt.rawtime=0";

/// Where an item starts with the comments above it, if its first key stands at `offset`.
fn start(rendered: &str, offset: usize) -> usize {
    let before = rendered.get(..offset).and_then(|text| text.rsplit_once('-'));
    let mut start = before.map_or(0, |(text, _)| text.rfind('\n').map_or(0, |end| end + 1));
    let mut above = start;
    while let Some(text) = rendered.get(..above).filter(|text| !text.is_empty()) {
        above = text.trim_end_matches('\n').rfind('\n').map_or(0, |end| end + 1);
        let line = text.get(above..).unwrap_or_default();
        if line.starts_with('#') {
            start = above;
        } else if !line.trim().is_empty() {
            break;
        }
    }
    start
}

/// The text without empty lines and blanks at the ends of lines.
fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        if !tidy.is_empty() {
            tidy.push('\n');
        }
        tidy.push_str(line);
    }
    tidy
}

/// What a rule's condition asks of the pod: its parts without those that ask for the policy's scope, for its other
/// verdicts and for other policies, and without what only saves time. None where it does not ask for the policy's scope, or for nothing else.
fn asked_of_pod(condition: Expr, names: &Names) -> Option<Expr> {
    let Expr::And(parts) = condition else { return None };
    let verdict = |name: &str| {
        name.strip_prefix(&*names.id).filter(|suffix| ["__corrects", "__refused"].contains(suffix)).is_some()
    };
    let (mut scoped, mut asked) = (false, Vec::new());
    for part in parts {
        match &part {
            Expr::Macro(name, _) if *name == names.id => scoped = true,
            Expr::Macro(name, _) if verdict(name) || name.starts_with(SAVES_TIME) => {}
            Expr::Not(inner) if matches!(&**inner, Expr::Macro(name, _) if *name == names.admitted || verdict(name)) =>
                {}
            _ => asked.push(part),
        }
    }
    let asked = if asked.len() > 1 { Some(Expr::And(asked)) } else { asked.pop() };
    asked.filter(|_| scoped)
}

/// What a condition names.
#[derive(Default)]
struct Words {
    /// Macros, and words that may be lists.
    names: Vec<String>,
    calls_concat: bool,
}

impl Words {
    fn condition(&mut self, condition: &Expr) {
        match condition {
            Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|part| self.condition(part)),
            Expr::Not(inner) => self.condition(inner),
            Expr::Macro(name, _) => self.names.push(name.clone()),
            Expr::Check(check) => self.check(check),
        }
    }

    fn check(&mut self, check: &Check) {
        self.operand(&check.left);
        let word = |text: &&String| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        match &check.right {
            Rhs::Operand(operand) => self.operand(operand),
            Rhs::List(values) => self.names.extend(values.iter().filter(word).cloned()),
            Rhs::Value(value) if check.op.takes_list() => self.names.push(value.clone()),
            Rhs::Value(_) | Rhs::None => {}
        }
    }

    fn operand(&mut self, operand: &Operand) {
        if let Operand::Call(call) = operand {
            self.calls_concat |= call.transformer == Transformer::Concat;
            for arg in &call.args {
                if let Arg::Operand(operand) = arg {
                    self.operand(operand);
                }
            }
        }
    }
}

/// An item of a rules file.
#[derive(Debug, Clone)]
pub struct Item {
    made: Rc<TemplateItem>,
    names: Rc<Names>,
}

impl Item {
    pub(super) fn new(made: &Rc<TemplateItem>, names: &Rc<Names>) -> Self {
        Self { made: Rc::clone(made), names: Rc::clone(names) }
    }

    /// Whether it is a rule, a macro or a list.
    pub fn kind(&self) -> Kind {
        self.made.kind
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.made.name.with(&self.names)
    }

    /// The policies that it belongs to; none where it serves all.
    pub fn policies(&self) -> &[String] {
        &self.names.policies
    }

    /// The field that it restricts, if it is of one.
    pub fn field(&self) -> Option<Field> {
        self.made.source.field()
    }

    /// Its condition as it stands in the file; none in a list.
    pub fn condition(&self) -> Option<String> {
        Some(self.made.condition.as_ref()?.with(&self.names))
    }

    /// What it was made from.
    pub(super) fn made(&self) -> &Rc<TemplateItem> {
        &self.made
    }

    /// The names of the macros and lists that it needs.
    pub(super) fn references(&self) -> impl Iterator<Item = String> {
        self.made.references.iter().map(|name| name.with(&self.names))
    }

    /// Is it a macro or list that belongs to no policy, and so of use only where another item names it?
    pub(super) fn is_shared(&self) -> bool {
        self.kind() != Kind::Rule && self.policies().is_empty()
    }

    /// Its length in the file, in bytes.
    pub(super) fn len(&self) -> usize {
        self.made.text.len(&self.names) + 2
    }

    /// Writes it below an empty line.
    pub(super) fn write(&self, out: &mut String) {
        out.push('\n');
        self.made.text.write(&self.names, out);
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rendered: &str) -> Result<Vec<Rc<TemplateItem>>, ItemError> {
        TemplateItem::parse(rendered, Some("P_"), &Rc::new(Source::Written))
    }

    #[test]
    fn items_are_written_under_the_names_of_each_policy() {
        let items = parse("\n# why\n\n- macro: P_id__x\n  condition: >\n\n    ka.verb=a\n\n- rule: PSP P_name Violation (x)\n  condition: >\n    P_id__x   and\n    P_id\n").unwrap();
        let write = |policies: &[&str], id: &str| {
            let names = Rc::new(Names::new(policies, id.to_owned()));
            let mut text = String::new();
            items.iter().for_each(|made| Item::new(made, &names).write(&mut text));
            text
        };
        assert_eq!(
            write(&["a-b", "c"], "psp_c"),
            "\n# why\n- macro: psp_c__x\n  condition: >\n    ka.verb=a\n\
             \n- rule: PSP a-b+c Violation (x)\n  condition: >\n    psp_c__x   and\n    psp_c\n"
        );
        let [_, rule] = items.as_slice() else { panic!("{}", items.len()) };
        let names = Names::new(&["a"], "psp_a".to_owned());
        assert_eq!(rule.asks.as_ref().unwrap().with(&names), "psp_a__x");
        assert!(rule.is_rule_named("Violation (x)") && !rule.stands_alone());
    }

    #[test]
    fn a_rule_may_ask_in_any_order_and_layout() {
        let names = Names { admitted: "other".to_owned(), ..Names::new(&["a"], "psp_a".to_owned()) };
        for (condition, expected) in [
            ("P_id and m and not P_admitted", Some("m")),
            ("(not P_admitted) and m and (P_id)", Some("m")),
            ("a.b=c and m and P_id and not P_id__refused", Some("a.b = c and m")),
            ("(m or n) and P_id__corrects and P_id", Some("m or n")),
            ("psps_maybe_m and m and P_id", Some("m")),
            ("m", None),
            ("P_id", None),
            ("m or P_id", None),
            ("not P_id and m", None),
        ] {
            let items =
                parse(&format!("- rule: PSP P_name Violation (x)\n  condition: {condition}\n")).unwrap();
            let asks = items[0].asks.as_ref().map(|text| text.with(&names));
            assert_eq!(asks.as_deref(), expected, "{condition}");
        }
    }

    #[test]
    fn a_value_that_reads_like_a_name_is_none() {
        let items = parse(
            "# psps_a\n- rule: R\n  desc: Path other than /psps_b.\n  condition: psps_c and x.y contains 'psps_d or psps_e' \
             and (psps_f or z.z in (psps_g, 'h i')) and concat(a.b, 'psps_j') = c\n  output: \"psps_h\"\n",
        )
        .unwrap();
        let references: Vec<String> = Item::new(&items[0], &Rc::new(Names::default())).references().collect();
        assert_eq!(references, ["psps_c", "psps_f", "psps_g"]);
        assert!(items[0].calls_concat);
    }

    #[test]
    fn what_is_no_item_is_said_with_its_place() {
        for (rendered, offset, message) in [
            ("- append: true\n", 2, "no item"),
            ("rule: R\n", 0, "no item"),
            ("- macro: m\n  condition: >\n    a.b = c\n    andd x\n", 45, "no condition: "),
        ] {
            let error = parse(rendered).unwrap_err();
            assert!(error.message.starts_with(message), "{error:?}");
            assert_eq!(error.offset, offset, "{error:?}");
        }
        assert!(parse("- rule: [\n").unwrap_err().message.starts_with("no YAML: "));
    }
}
