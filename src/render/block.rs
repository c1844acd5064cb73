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

/// A rendered text, cut at the policy's names.
#[derive(Debug, Default)]
pub(super) struct Block {
    parts: Vec<Part>,
    /// The shared macros and lists that it names.
    pub(super) shared: BTreeSet<String>,
    /// Its place among all blocks.
    pub(super) number: usize,
    /// How many rules it holds.
    pub(super) rules: usize,
    /// What stands after `ID and` in the condition of its Violation rule.
    pub(super) refused: Option<String>,
    /// The same of its Lost Default rule.
    pub(super) corrected: Option<String>,
    /// Does it name the macro of what the policy refuses?
    pub(super) needs_refused: bool,
}

#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    Policy,
    Id,
}

impl Block {
    /// Takes a rendered text apart.
    pub(super) fn new(rendered: &str) -> Self {
        let mut block = Self {
            shared: shared_names(rendered),
            refused: condition(rendered, " Violation ("),
            corrected: condition(rendered, " Lost Default ("),
            needs_refused: rendered.contains("\u{e001}__refused"),
            ..Self::default()
        };
        let text = tidy(rendered);
        block.rules = text.lines().filter(|l| l.starts_with("- rule:")).count();
        block.text(&text);
        block
    }

    fn text(&mut self, text: &str) {
        for part in text.split_inclusive(['\u{e000}', '\u{e001}']) {
            let stand_in = match part.chars().next_back() {
                Some('\u{e000}') => Some(Part::Policy),
                Some('\u{e001}') => Some(Part::Id),
                _ => None,
            };
            let literal = part.trim_end_matches(['\u{e000}', '\u{e001}']);
            self.parts.extend((!literal.is_empty()).then(|| Part::Text(literal.to_owned())));
            self.parts.extend(stand_in);
        }
    }

    /// Writes the block for one policy.
    pub(super) fn write(&self, policy: &str, id: &str, out: &mut String) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Policy => out.push_str(policy),
                Part::Id => out.push_str(id),
            }
        }
    }
}

/// What the rule of a kind asks of the pod: what stands after `ID and` in its condition, without what it asks of the
/// policy's other verdicts and of other policies.
fn condition(rendered: &str, kind: &str) -> Option<String> {
    let mut lines = rendered.lines().skip_while(|l| !(l.starts_with("- rule:") && l.contains(kind)));
    let condition = lines.find_map(|l| l.strip_prefix("  condition: "))?;
    let condition = condition.strip_prefix(ID)?.strip_prefix(" and ")?;
    let verdicts = [" and not \u{e002}", " and \u{e001}__corrects", " and not \u{e001}__refused"];
    let asked = verdicts.iter().find_map(|v| Some(condition.rsplit_once(v)?.0));
    Some(asked.unwrap_or(condition).to_owned())
}

/// The names of shared macros and lists in the conditions of a text; what only reads like one is a policy's value.
pub(super) fn shared_names(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.lines()
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
        let block = Block::new("- rule: PSP \u{e000} Violation (x)\n  condition: \u{e001} and psps_x\n");
        let mut text = String::new();
        block.write("a-b", "psp_a_b", &mut text);
        block.write("c", "psp_c", &mut text);
        assert_eq!(
            text,
            "\n- rule: PSP a-b Violation (x)\n  condition: psp_a_b and psps_x\n\
             \n- rule: PSP c Violation (x)\n  condition: psp_c and psps_x\n"
        );
        assert_eq!((block.rules, block.refused.as_deref()), (1, Some("psps_x")));
        assert!(block.shared.contains("psps_x"));
    }
}
