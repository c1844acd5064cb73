//! What a template rendered for one field of one policy, ready to be written for every policy that says the same.
//!
//! Forty policies say mostly the same things. A field's template is rendered once for each thing said, with stand-ins
//! for the policy's own names, and checked once.

use std::collections::BTreeSet;

/// Stands for the policy's name while a template renders.
pub(super) const POLICY: &str = "\u{e000}";
/// Stands for the policy's macro name while a template renders.
pub(super) const ID: &str = "\u{e001}";

/// Stands on both sides of a block's number for the macro that tells whether another policy admits the pod.
pub(super) const ADMITTED: char = '\u{e002}';

/// A rendered text, cut into its macros, lists and rules.
#[derive(Debug, Default)]
pub(super) struct Block {
    items: Vec<Item>,
    /// The shared macros and lists that it names.
    pub(super) shared: BTreeSet<String>,
    /// Its place among all blocks.
    pub(super) number: usize,
    /// How many rules it holds.
    pub(super) rules: usize,
    /// What its Violation rule asks of the pod.
    pub(super) refused: Option<String>,
    /// The same of its Lost Default rule.
    pub(super) corrected: Option<String>,
}

/// A macro, list or rule as its template rendered it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Item {
    /// Its text without the policy's names.
    text: String,
    /// Where those go, in bytes from the start of the text.
    names: Vec<(usize, Name)>,
    is_rule: bool,
    /// Does it name a macro of its block?
    leans: bool,
    /// Does it name the macro of what the policy refuses?
    pub(super) needs_refused: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Name {
    Policy,
    Id,
}

impl Block {
    /// Takes a rendered text apart.
    pub(super) fn new(rendered: &str) -> Self {
        let text = tidy(rendered);
        let items = text.trim_matches('\n').split("\n\n").filter(|item| !item.is_empty());
        let items: Vec<Item> = items.map(Item::new).collect();
        Self {
            shared: shared_names(&text),
            number: 0,
            rules: items.iter().filter(|item| item.is_rule).count(),
            refused: condition(&text, " Violation ("),
            corrected: condition(&text, " Lost Default ("),
            items,
        }
    }

    /// Leaves out macros and lists.
    pub(super) fn keep_rules(&mut self) {
        self.items.retain(|item| item.is_rule);
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.iter()
    }
}

impl Item {
    fn new(rendered: &str) -> Self {
        let (mut text, mut names) = (String::with_capacity(rendered.len()), Vec::new());
        let (mut leans, mut needs_refused) = (false, false);
        for part in cut_at_names(rendered) {
            if part.starts_with("__") && names.last() == Some(&(text.len(), Name::Id)) {
                let refused = part.starts_with("__refused");
                needs_refused |= refused;
                leans |= !refused;
            }
            let (literal, name) = match (part.strip_suffix(POLICY), part.strip_suffix(ID)) {
                (Some(literal), _) => (literal, Some(Name::Policy)),
                (_, Some(literal)) => (literal, Some(Name::Id)),
                _ => (part, None),
            };
            text.push_str(literal);
            names.extend(name.map(|name| (text.len(), name)));
        }
        let is_rule = text.lines().find(|l| !l.starts_with('#')).is_some_and(|l| l.starts_with("- rule:"));
        Self { text, names, is_rule, leans, needs_refused }
    }

    /// Is it a rule that stands on the policy and on shared macros alone?
    pub(super) fn stands_alone(&self) -> bool {
        self.is_rule && !self.leans
    }

    /// Writes it for one policy.
    pub(super) fn write(&self, policy: &str, id: &str, out: &mut String) {
        let mut from = 0;
        out.push('\n');
        for (at, name) in &self.names {
            out.push_str(self.text.get(from..*at).unwrap_or_default());
            out.push_str(if *name == Name::Policy { policy } else { id });
            from = *at;
        }
        out.push_str(self.text.get(from..).unwrap_or_default());
        out.push('\n');
    }
}

/// The parts of a text, each but the last with a stand-in at its end.
fn cut_at_names(text: &str) -> impl Iterator<Item = &str> {
    let (bytes, mut from) = (text.as_bytes(), 0);
    // all stand-ins begin with the same byte
    let ends = memchr::memchr_iter(0xee, bytes).map(|at| at + POLICY.len()).chain([bytes.len()]);
    ends.filter_map(move |end| {
        let part = text.get(from..end)?;
        from = end;
        Some(part)
    })
}

/// What the rule of a kind asks of the pod: what stands before `and ID` in its condition, or after `ID and`, without what
/// it asks of the policy's other verdicts and of other policies, and without what only saves time.
fn condition(rendered: &str, kind: &str) -> Option<String> {
    let mut lines = rendered.lines().skip_while(|l| !(l.starts_with("- rule:") && l.contains(kind)));
    let condition = lines.find_map(|l| l.strip_prefix("  condition: "))?;
    let verdicts = [" and not \u{e002}", " and \u{e001}__corrects", " and not \u{e001}__refused"];
    let asked = verdicts.iter().find_map(|v| Some(condition.rsplit_once(v)?.0)).unwrap_or(condition);
    let before = asked.strip_suffix(ID).and_then(|asked| asked.strip_suffix(" and "));
    let after = asked.strip_prefix(ID).and_then(|asked| asked.strip_prefix(" and "));
    let asked = before.or(after)?;
    let saves_time = |(first, _): &(&str, &str)| first.starts_with("psps_maybe_");
    Some(asked.split_once(" and ").filter(saves_time).map_or(asked, |(_, rest)| rest).to_owned())
}

/// The names of shared macros and lists in the conditions of a text; what only reads like one is a policy's value.
pub(super) fn shared_names(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.lines()
        .filter(|line| line.contains("psps_"))
        .filter(|line| !["#", "desc:", "output:"].iter().any(|other| line.trim_start().starts_with(other)))
        .flat_map(unquoted)
        .flat_map(|part| part.split(move |c| !word(c)))
        .filter(|w| w.starts_with("psps_"))
        .map(str::to_owned)
        .collect()
}

/// What stands outside of single quotes, in which the helpers write values. A line may be in single quotes as a whole.
fn unquoted(line: &str) -> Vec<&str> {
    if line.contains(": '") {
        return vec![line];
    }
    let mut parts = Vec::new();
    let mut rest = line;
    while let Some((before, quoted)) = rest.split_once('\'') {
        parts.push(before);
        let mut escaped = false;
        let end = quoted.find(|c| {
            let ends = c == '\'' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        rest = end.and_then(|end| quoted.get(end + 1..)).unwrap_or_default();
    }
    parts.push(rest);
    parts
}

/// An empty line before every item (and the comment above it), none within.
pub(super) fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    let mut commented = false;
    for line in text.lines().map(str::trim_end).filter(|l| !l.is_empty()) {
        let comment = line.starts_with('#');
        if (comment || line.starts_with("- ")) && !commented {
            tidy.push('\n');
        }
        commented = comment;
        tidy.push_str(line);
        tidy.push('\n');
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_reads_like_a_shared_name_is_none() {
        let text = "# psps_a\n- rule: R\n  desc: Path other than /psps_b, it's.\n  condition: psps_c and x regex \
                    'a \\\\psps_d\\' psps_e' and (psps_f or y contains 'psps_g')\n  output: \"psps_h\"\n";
        assert_eq!(shared_names(text), ["psps_c", "psps_f"].map(str::to_owned).into());
        assert_eq!(shared_names("  condition: 'psps_a and x = 1'"), ["psps_a".to_owned()].into());
    }

    #[test]
    fn stand_ins_are_written_as_the_policy_s_names() {
        let block = Block::new("- rule: PSP \u{e000} Violation (x)\n  condition: psps_x and \u{e001}\n");
        let mut text = String::new();
        block.items().for_each(|item| item.write("a-b", "psp_a_b", &mut text));
        block.items().for_each(|item| item.write("c", "psp_c", &mut text));
        assert_eq!(
            text,
            "\n- rule: PSP a-b Violation (x)\n  condition: psps_x and psp_a_b\n\
             \n- rule: PSP c Violation (x)\n  condition: psps_x and psp_c\n"
        );
        assert_eq!((block.rules, block.refused.as_deref()), (1, Some("psps_x")));
        assert!(block.shared.contains("psps_x"));
    }
}
