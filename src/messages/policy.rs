//! What is wrong with a policy, as the API server would have said it, and what an administrator will not have meant.

messages! {
    refused_name(name) "the API server would have refused {name}"; "the rules bear it as it is";
    missing_rule() "missing, and the API server requires it"; "add the rule, RunAsAny for no restriction";
    missing_rule_read() "missing, though the API server requires it"; "read as RunAsAny";
    no_port(value) "{value} does not fit the 32 bits of a port"; "use 0 to 65535";
    feature_gate_volume() "unknown volume type \"genericEphemeralVolume\""; "write ephemeral";
    escalation_contradicts() "true contradicts allowPrivilegeEscalation: false"; "make both the same";
    unusable(reason) "{reason}: admission could not use this policy and skipped it, so it admitted no pod";
    ports_allow_none(min, max, absent)
        "min {min} is greater than max {max}{absent}: the API server accepted this, and it allows no port";
    no_proc_mount(kind) "{kind} is not a proc mount type and allows nothing"; "use Default or Unmasked";
    misspelt_capability(name, meant) "{name} is no capability of a pod, which spells it {meant}";
    ranges_unused() "RunAsAny takes no ranges"; "remove them, or use MustRunAs or MayRunAs";
    ranges_missing(rule) "{rule} needs at least one range";
    negative_id(end, value) "{end} {value} is negative"; "ids start at 0";
    reversed_range(min, max, absent) "min {min} is greater than max {max}{absent}";
    drop_of_all_allowed() "must be empty when allowedCapabilities has \"*\""; "remove one of the two";
    dropped_and_added(name) "{name} is in requiredDropCapabilities too"; "remove it from one of the two";
    no_path_prefix() "pathPrefix is missing"; "name the path to allow";
    climbing_prefix(prefix) "pathPrefix {prefix} must not contain \"..\"";
    no_driver() "missing"; "name the driver to allow";
    too_long(most) "longer than {most} characters"; "shorten it";
    empty_sysctl() "empty"; "name a sysctl, or remove the entry";
    no_sysctl(pattern, most)
        "{pattern} is not a sysctl: lower-case parts joined by dots, at most {most} characters, with a \"*\" only at the end";
    all_sysctls() "\"*\" covers every sysctl"; "remove the others";
    overlapping_sysctls(other) "overlaps with {other}, which the other list has"; "remove one of the two";
    listed_twice(name) "{name} is listed twice"; "remove one";
    default_not_allowed(name) "lacks the default {name}"; "add it";
    all_names() "\"*\" covers every name"; "remove the others";
    large_annotations(size, most)
        "{size} bytes together are more than the {most} that an object may have"; "remove some";
    no_profile(profile, what, blank, known) "{profile} is not {what} profile{blank}"; "use {known}";
    absolute_profile(profile) "the path in {profile} must be relative";
    climbing_profile(profile) "the path in {profile} must not contain \"..\"";
    no_name() "missing"; "give a name";
    bad_name(name)
        "{name} is not a valid name"; "use lower-case letters, digits, \"-\" and \".\", a letter or digit first and last";
    bad_namespace(name, most)
        "{name} is not a namespace";
        "use at most {most} lower-case letters, digits and \"-\", a letter or digit first and last";
    bad_key(key) "{key} is not a valid key"; "use [domain/]name with letters, digits, \"-\", \"_\" and \".\"";
    bad_label(value, most)
        "{value} is not a valid label"; "use at most {most} letters, digits, \"-\", \"_\" and \".\"";
}
