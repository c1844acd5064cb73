use super::*;

/// A rules file with one rule.
fn rule(condition: &str) -> String {
    file("R", condition, "NOTICE")
}

fn file(name: &str, condition: &str, priority: &str) -> String {
    format!(
        "- list: names\n  items: [a, b]\n- macro: made\n  condition: ka.verb=create or ka.verb=patch\n\
         - rule: {name}\n  desc: A rule.\n  condition: >\n    {condition}\n  output: \"seen\"\n  priority: {priority}\n  source: k8s_audit\n"
    )
}

fn of(old: &str, new: &str) -> Option<Matches> {
    let diff = compare(&rule(old), &rule(new), &[]);
    diff.rules.first().and_then(|r| r.matches)
}

#[test]
fn conditions_are_compared_by_their_parts() {
    const A: &str = "ka.user.name=x";
    const SPEC: &str = "jevt.value[/responseObject/spec]";
    for (narrow, wide) in [
        (format!("{A} and made"), A.to_owned()),
        (A.to_owned(), format!("{A} or made")),
        (format!("{A} and ka.verb=create"), format!("{A} and made")),
        ("ka.target.namespace in (a, b)".into(), "ka.target.namespace in (a, b, c)".into()),
        ("ka.target.namespace in (names)".into(), "ka.target.namespace in (names, c)".into()),
        ("not ka.target.namespace in (a, b, c)".into(), "not ka.target.namespace in (names)".into()),
        (format!("{A} and not (made or ka.verb=get)"), format!("{A} and not made")),
        ("ka.user.groups intersects (a)".into(), "ka.user.groups intersects (a, b)".into()),
        (format!("{SPEC} contains '\"hostPID\":true'"), format!("{SPEC} exists")),
        (
            format!("{SPEC} regex '.*\"hostPort\":([1-9]|[1-7][0-9])[,}}].*'"),
            format!("{SPEC} regex '.*\"hostPort\":[1-9].*'"),
        ),
        (
            format!("made and {SPEC} regex '[0-9]{{2}}'"),
            format!("made and ({SPEC} regex '[0-4].*' or {SPEC} regex '[5-9].*')"),
        ),
    ] {
        assert_eq!(of(&narrow, &wide), Some(Matches::More), "{narrow} / {wide}");
        assert_eq!(of(&wide, &narrow), Some(Matches::Fewer), "{wide} / {narrow}");
    }
    assert_eq!(of("made", "made"), None);
    assert_eq!(of("made", "ka.verb=create or ka.verb=patch"), None, "a macro stands for its condition");
    assert_eq!(of("made", "ka.verb in (patch, create)"), Some(Matches::Same));
    assert_eq!(of(A, "not ka.user.name=x"), Some(Matches::Other));
    assert_eq!(of("ka.user.name=x", "ka.user.name=y"), Some(Matches::Other));
    assert_eq!(of("ka.user.name!=x", "not ka.user.name=x"), Some(Matches::Other), "a field may be missing");
}

#[test]
fn a_rule_with_the_same_condition_was_renamed() {
    let (old, new) = (file("Old", "made", "NOTICE"), file("New", "made", "WARNING"));
    let tuning = "- rule: Old\n  priority: DEBUG\n  override: {priority: replace}\n- macro: gone\n  condition: or made\n  override: {condition: append}\n";
    let diff = compare(&old, &new, &[Tuning { name: "tuning.yaml", text: tuning }]);
    let lines = diff.lines();
    assert_eq!(
        lines,
        [
            "~ rule Old: is now New; more urgent (NOTICE → WARNING)",
            "! tuning.yaml:1:3: rule 'Old' changes what the new rules do not define: it is called 'New' now; rename it here too",
            "! tuning.yaml:4:3: macro 'gone' changes what the new rules do not define: neither file defines it; correct the name",
        ]
    );
    assert_eq!(diff.headline(), "1 rule renamed, 1 rule more urgent");
}

#[test]
fn lists_say_which_items() {
    let old = rule("ka.target.namespace in (names)");
    let diff = compare(&old, &old.replace("[a, b]", "[b, c, d]"), &[]);
    assert_eq!(diff.lines(), ["~ rule R: matches other events", "~ list names: +c +d -a"]);
    let diff = compare(&old, &old.replace("[a, b]", "[a, b, c]"), &[]);
    assert_eq!(diff.lines(), ["~ rule R: matches more", "~ list names: +c"]);
    assert!(compare(&old, &old, &[]).is_empty());
}

#[test]
fn what_only_reads_differently_is_no_change_of_the_rules() {
    let old = rule("made");
    let diff = compare(&old, &old.replace("- list: names", "# a comment\n- list: names"), &[]);
    assert_eq!(diff.headline(), "the text alone changes");
    assert!(diff.lines().is_empty() && !diff.is_empty());
}
