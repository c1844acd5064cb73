use super::*;

fn message(text: &str) -> (String, usize) {
    let error = parse(text).unwrap_err();
    (error.message, error.offset)
}

#[test]
fn binds_not_before_and_before_or() {
    let text = "not a and b or c and (d or not (e and f))";
    let expr = parse(text).unwrap();
    let Expr::Or(branches) = &expr else { panic!("{expr:?}") };
    assert!(matches!(&branches[0], Expr::And(parts) if matches!(parts[0], Expr::Not(_))));
    assert_eq!(expr.to_string(), text);
}

#[test]
fn reads_every_form_of_check() {
    for text in [
        "ka.verb exists",
        "jevt.value[/a/b] = create",
        "jevt.value[\"/a b\"] != \"it's\"",
        "ka.verb in (a, \"b c\")",
        "ka.verb in names",
        "ka.verb in ()",
        "len(ka.user.groups) >= 3",
        "join(\",\", ka.user.groups) contains \"a,b\"",
        "join(\",\", (\"a\", ka.verb)) = x",
        "getopt(proc.args, \"ab\")[a] = x",
        "ka.verb = val(ka.uri)",
        "tolower(basename(fd.name)) startswith anyof (a, b)",
        "ka.verb regex oneof names",
        "fd.name pmatch (/etc, /usr)",
    ] {
        let expr = parse(text).unwrap();
        assert_eq!(expr.to_string(), text);
    }
}

#[test]
fn tells_where_and_what_is_wrong() {
    for (text, expected, offset) in [
        ("", "filter input string is empty", 0),
        ("ka.verb=a AND b", "unexpected token after 'a', expecting 'or', 'and'", 10),
        ("ka.verb=a and", "expected blank or '(' after 'and'", 13),
        ("(ka.verb=a", "expected a ')' token", 10),
        ("!(a)", "expected a '(' token, a field check, or an identifier", 0),
        ("jevt.value[a[0]]=b", "expected a ']' token", 12),
        ("ka.verb=\"\\d\"", "unsupported string escape sequence: \\d", 12),
        ("ka.verb='\\\"'", "invalid \\\" escape in '-quoted string", 12),
    ] {
        assert_eq!(message(text), (expected.to_owned(), offset), "{text}");
    }
    assert!(message("ka.verb ~ x").0.starts_with("expected a valid check operator: one of 'exists', '<='"));
    assert!(message(&"(".repeat(100_000)).0.contains("nested deeper"));
}

#[test]
fn keeps_the_engines_corners() {
    // What is wrong with a list's first value makes the list empty.
    assert_eq!(parse("ka.verb in (\"\\d\")").unwrap(), parse("ka.verb in ()").unwrap());
    // A modifier without a list is a value.
    assert_eq!(parse("ka.verb = anyof and a").unwrap(), parse("ka.verb = \"anyof\" and a").unwrap());
    assert_eq!(parse("not not a").unwrap(), parse("a").unwrap());
    assert_eq!(parse("ka.verb == a").unwrap(), parse("ka.verb = a").unwrap());
    // A quote after an escaped backslash does not end a text.
    assert!(parse(r#"ka.verb = "a\\""#).is_err());
}

#[test]
fn quotes_so_that_the_value_comes_back() {
    for value in [
        "",
        "a",
        "a b",
        "it's",
        "say \"x\"",
        "back\\slash",
        "end\\",
        "\\",
        "tab\t\n\r\x08\x0c",
        "é😀",
        "anyof",
    ] {
        for quoted in [quote(value), quote_always(value)] {
            let Expr::Check(check) = parse(&format!("ka.verb = {quoted}")).unwrap() else {
                panic!("{quoted}")
            };
            assert_eq!(check.right, Rhs::Value(value.to_owned()), "{quoted}");
            let Expr::Check(check) = parse(&format!("ka.verb in ({quoted}, x)")).unwrap() else {
                panic!("{quoted}")
            };
            assert_eq!(check.right, Rhs::List(vec![value.to_owned(), "x".into()]), "{quoted}");
        }
    }
}

#[test]
fn nests_as_deep_as_allowed() {
    let nested = |n: usize| format!("{}a{}", "not (b or ".repeat(n), ")".repeat(n));
    assert_eq!(parse(&nested(MAX_DEPTH - 1)).unwrap().to_string(), nested(MAX_DEPTH - 1));
    assert!(parse(&nested(MAX_DEPTH)).is_err());
}
