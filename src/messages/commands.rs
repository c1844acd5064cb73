//! What is wrong with the options and files of a command.

messages! {
    no_path() "missing"; "name files or folders with policies, or - for standard input";
    url(url) "is no path"; "fetch it first: curl -fsSL {url} | psp2falco convert -";
    no_policy(found) "no PodSecurityPolicy here; found {found}";
    no_policy_in_pipe(found)
        "no PodSecurityPolicy here; found {found}";
        "from Kubernetes 1.25 on a cluster has none, so take them from Git, from a backup, or from Helm's records: \
         psp2falco scan --helm-releases";
    namespace_in_and_out() "--exclude-namespace leaves it out"; "remove one of the two";
    option_without_effect(format, formats)
        "has no effect with --format {format}"; "use --format {formats}, or leave it out";
    both_layers_in_one_file() "gives two files"; "name a folder with --output, or one layer";
    plugin_without_audit()
        "is for rules of the audit layer, and --layer runtime makes none"; "leave one of the two out";
    baseline_without_runtime()
        "belongs to the runtime layer"; "add --layer runtime, or name a folder with --output";
    bundle_without_place(bundle)
        "the rules need {bundle} beside them"; "name a folder or a file with --output";
    exceptions_without_audit()
        "silences rules for the audit log, and --layer runtime makes none"; "leave one of the two out";
    exceptions_without_pods()
        "no pods or workloads in the input, so nothing to silence"; "add `kubectl get pods -A -o yaml`";
    broken_exceptions(finding) "Falco would not load these exceptions, so nothing was written: {finding}";
    broken_rules()
        "Falco would not load these rules, so nothing was written"; "correct the template that they are from:";
    costly_rules(megabytes, seconds, without)
        "Falco needs about {megabytes} MB and {seconds} s to load these rules, and its Helm chart allows it 1024 Mi";
        "use --plugin{without} or fewer policies";
    config_unreadable(error) "{error}, or name another with --config"; "--init writes a first one";
    config_exists() "exists, and may hold your work"; "remove it, or name another file with --config";
    item_of_somebody_else(kind, name)
        "the {kind} {name} was not made by psp2falco"; "name another in functionConfig (outputs.name)";
    no_rules_in_folder() "holds no *.yaml and no *.yml file"; "name a folder of rules";
    pages_to_standard_output()
        "takes a folder, for a page of each command"; "to print a page, name its command";
    no_command(name, hint) "no command {name}"; "{hint}";

    compares_with_no_file()
        "compares with a file of rules, and the rules go to standard output"; "name the file with -o";
    several_reports_in_one_file() "takes one report"; "give one --report, or leave the file out";
    report_among_rules() "the rules go to standard output"; "send them elsewhere with -o";
    report_among_messages()
        "would stand among the messages"; "write the rules into a folder with -o, or name a file with --report-file";

    unfit_for_helm()
        "the template of the Falco chart cannot carry control characters, leading blanks, or U+2028";
        "remove them from the policies or templates, or use --format configmap";
    no_objects() "this format has no objects"; "use configmap or rulesfile";
    bundle_inline(bundle)
        "leaves no room for {bundle}, which the plugin reads"; "leave it out, or leave out --plugin";
    too_large_inline(size, most)
        "{size} bytes of rules are more than one object holds in etcd ({most})"; "convert the policies in several runs";
    too_large_for_config_map(size, most)
        "{size} bytes of rules are more than a ConfigMap holds ({most})";
        "convert the policies in several runs, or use --format rules and a volume";
}
