//! What is wrong with audit logs, and with the rules that they are replayed through.

messages! {
    no_audit_log() "missing"; "name a log";
    standard_input_twice() "standard input can be read only once"; "put the rest into files";
    no_rules() "no rules"; "name policies, or rules files with --rules";
    no_bundle(bundle)
        "these rules ask the plugin psp"; "name the {bundle} that was written with them, with --bundle";
    broken_bundle(error) "{error}";
    no_rule_to_replay()
        "no rule for audit events that could be replayed"; "name policies, or other files with --rules";
    no_event() "no audit event here, so nothing was judged"; "name a log that the API server wrote";
    warnings_when_loaded(warnings) "{warnings} when Falco loads this"; "psp2falco lint shows them";
    not_replayed(reason) "not replayed: {reason}";
    sorted_keys(events)
        "{events} of Cloud Logging or Log Analytics, whose pods have lost the API server's order of keys: stock rules \
         cannot judge them";
        "add --plugin";
    disorder(first) "starts earlier than {first}, which was given before it"; "give the oldest first";
    oversized(events)
        "{events} above 256 KiB: judged here, but Falco's k8saudit plugin drops such events unless its maxEventSize is \
         raised";

    folder() "this is a folder"; "name the logs in it, the oldest first";
    compressed(how, tool, log)
        "compressed with {how}"; "pipe it in: {tool} -dc {log} | psp2falco replay --audit-log -";
    too_long(mib) "longer than {mib} MiB";
    compressed_breaks_off() "the compressed log breaks off here";
    rest_unreadable(error) "the rest cannot be read: {error}";
    json_breaks_off() "the JSON that starts here breaks off";
    array_breaks_off() "the array breaks off";
    no_json() "no JSON object or array";
    broken_json(error, column) "no valid JSON: {error} at column {column}";
    policy_in_log() "no audit event but a policy"; "put policies before --audit-log";
    no_audit_event() "JSON, but no audit event";
    dropped_by_falco(error) "{error}"; "Falco drops it too";
}
