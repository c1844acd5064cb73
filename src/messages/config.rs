//! What is wrong with a `psp2falco.yaml`, with a KRM function's configuration or with its input.

messages! {
    empty_file() "is empty"; "it needs version, sources and outputs";
    second_document() "a second document"; "leave one";
    no_effect(format, formats) "has no effect with the format {format}"; "use {formats}, or leave it out";
    missing(what) "missing"; "set it to {what}";
    unquoted_data() "the data of a ConfigMap are strings"; "put it in quotes";
    wrong_version(version, found) "must be {version}, not {found}";
    not_in_limits(found) "must be a number from 1 to 100, not {found}";
    format_of_no_object() "must be configmap or rulesfile, since a KRM function makes objects";
    report_of_a_log() "is for the log of a workflow, and no file"; "use another format";
    path_of_one_machine()
        "must be relative to the folder of this file, so that every machine makes the same";

    empty_list() "is empty"; "a KRM function reads a ResourceList";
    several_documents() "several documents"; "a KRM function reads one ResourceList";
    no_resource_list(kind) "a KRM function reads a ResourceList, not {kind}";
    unknown_list_version(version, known) "unknown version {version}"; "use {known}";
    wrong_config_kind(kind, known) "must be {known} or ConfigMap, not {kind}";

    no_object_name(name) "{name} is not a name of an object"; "use lower-case letters, digits, \"-\" and \".\"";
    no_namespace_name(name) "{name} is not a name of a namespace"; "use lower-case letters, digits and \"-\"";
}
