//! What is wrong with the form of a document: its YAML, its keys and the types of its values.

messages! {
    too_deep() "nested too deep"; "no manifest needs more than 255 levels";
    tab() "not valid YAML: a tab indents this line"; "use spaces";
    asterisk() "not valid YAML: an unquoted * begins an alias"; "put it in quotes: '*'";
    not_json(error) "not valid JSON or YAML: {error}";
    not_yaml(error) "not valid YAML: {error}";
    key_is_collection() "a key must be a string, not a list or a mapping"; "write it as text";
    key_is_no_string() "a key must be a string"; "write it as text";
    alias_of_itself() "an alias must not refer to a value that contains it"; "write the value out";
    merge_of_no_mapping() "`<<` must have a mapping or a list of mappings to merge";
    too_many_values(most) "more than {most} values in one document"; "split it into several files";
    too_many_copies(most) "anchors and aliases repeat more than {most} values"; "write the values out where they are used";
    wrong_type(wanted, found) "expected {wanted}, found {found}";
    no_list(found) "expected a list, found {found}"; "write it as a list";
    no_string(found) "expected a string, found {found}"; "put it in quotes";
    quoted(wanted, found) "expected {wanted}, found {found}"; "remove the quotes";
    empty() "must not be empty"; "give a value, or leave the key out";
    second_key(line) "stands in line {line} too"; "remove one of the two";
    second_key_counts(line) "stands in line {line} too"; "this one counts, as it did for kubectl";
    unknown_value(what, value, hint, known) "unknown {what} {value}"; "{hint}use one of {known}";
    misspelt_field(name, meant) "unknown field {name}"; "did you mean {meant}?";
    misplaced_field(name, home) "unknown field {name}"; "{home}";
    unknown_field(name, known) "unknown field {name}"; "known here: {known}";
    unknown_field_of_many(name) "unknown field {name}"; "correct or remove it";
}
