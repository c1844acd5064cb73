//! What is wrong with the files, folders and archives that are read, and with the objects in them.

messages! {
    no_pattern(pattern, error) "{pattern} is no pattern of paths: {error}"; "correct it";
    idle_pattern(pattern) "{pattern} leaves nothing out"; "patterns are relative to the folder that is read";
    not_found() "no such file or folder"; "check the path";
    no_permission() "no permission to read this"; "change its mode or the user";
    is_folder() "is a folder"; "name a file";
    unreadable(error) "cannot be read: {error}";
    not_utf16() "not valid UTF-16"; "save it as UTF-8";
    not_text(byte) "neither text in UTF-8 nor an archive (byte {byte})"; "give a manifest";

    too_large(mib) "larger than {mib} MiB"; "split it";
    unpacks_to_more(gib) "unpacks to more than {gib} GiB"; "split it";
    too_many_members(most) "more than {most} files"; "split it";
    long_member_name(kib) "a file name longer than {kib} KiB";

    odd_character(name, code, plain) "{name} (U+{code}) stands here"; "replace it by {plain}";
    kubectl_without_policies()
        "this is kubectl's error: from Kubernetes 1.25 on a cluster has no PodSecurityPolicies";
        "take them from Git, from a backup, or from Helm's records: psp2falco scan --helm-releases";
    kubectl_without_objects() "this is what kubectl says when it has no objects"; "run it alone and see what it lacks";
    kubectl_table() "this is kubectl's table, which leaves out most"; "add -o yaml to the kubectl command";
    packed_in_pipe(name, key)
        "holds a PodSecurityPolicy as text, which is not read";
        "convert it: kubectl get configmap {name} -o jsonpath='{{.data.{key}}}' | psp2falco convert -";
    packed(name, key, file)
        "holds a PodSecurityPolicy as text, which is not read";
        "convert it: yq 'select(.metadata.name == {name}) | .data[{key}]' {file} | psp2falco convert -";
    template(what, command) "this is an unrendered {what}"; "render it: {command}";
    template_found(what, command) "1 {what} holds policies and was not read"; "render it: {command}";
    templates_found(files, what, command) "{files} {what}s hold policies and were not read"; "render them: {command}";

    too_many_problems() "too many problems to go on"; "solve these first";
    too_many_warnings() "more warnings than can be shown"; "heed these first, then run it again";
    defined_alike(name, places) "the policy {name} is defined alike in {places}"; "read once";
    defined_twice(name, place) "the policy {name} is already defined at {place}"; "remove one of the two";
    defined_otherwise(name, place, fields)
        "the policy {name} is defined at {place} too, with other {fields}"; "remove one of the two";
    several_environments(name, place, fields, path, inner)
        "the policy {name} is defined at {place} too, with other {fields}";
        "convert one environment at a time (psp2falco convert {path}), or leave one out (--exclude {inner})";
    patched(name, place, fields, folder, inner)
        "the policy {name} is defined at {place} too, with other {fields}";
        "render the kustomization: kustomize build {folder} | psp2falco convert -, or leave it out (--exclude {inner})";
    misspelt_kind(kind) "unknown kind {kind}"; "did you mean PodSecurityPolicy?";
    no_version(known) "missing"; "use {known}";
    no_version_read() "missing"; "read as policy/v1beta1";
    unsupported_version(version, known) "unsupported version {version} of PodSecurityPolicy"; "use {known}";
    unsupported_version_read(version) "unsupported version {version} of PodSecurityPolicy"; "read as policy/v1beta1";
    too_large_policy(most) "a policy of more than {most} values never fitted into the API server"; "shorten it";
    too_many_policies(most) "more than {most} policies"; "convert them in several runs";
    too_many_objects(most)
        "pods, workloads, service accounts, namespaces and RBAC objects of more than {most} values";
        "leave out the pods, or read in several runs";
    api_server_refusal(reason, message)
        "this is the API server's refusal ({reason}: {message}), not its objects"; "fetch them again";
    openshift()
        "no PodSecurityPolicy but SecurityContextConstraints, which OpenShift goes on enforcing";
        "there is nothing to convert";
    finding(kind, policy, reason) "{kind} in the policy {policy}: {reason}";
    warning(message) "warning: {message}";

    no_role(kind, role) "the {kind} {role} does not exist here"; "it grants nothing";
    role_not_read(kind, role) "the {kind} {role} is not in the input, so what it grants is not known"; "add its file";
    several_roles(kind, role, count)
        "the {kind} {role} is defined {count} times, each otherwise, and only what all of them grant counts";
        "convert one environment at a time";
    no_account(account) "the service account {account} does not exist here";
    account_without_namespace(account)
        "the service account {account} has no namespace, so the API server refuses this binding";
        "add subjects[].namespace";
    role_without_parts()
        "an aggregated role without its rules, and without a role that it selects, grants nothing";
        "read it from the cluster";
    of_object(kind, name, message) "{kind} {name}: {message}";
}
