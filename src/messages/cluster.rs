//! Why a cluster cannot be read, and what a scan has to do without.

messages! {
    no_kubeconfig() "no kubeconfig here"; "name one with --kubeconfig, or set KUBECONFIG";
    unreadable_kubeconfig(error) "cannot be read: {error}";
    not_a_kubeconfig(error) "not a kubeconfig: {error}"; "name another with --kubeconfig";
    no_current_context(known) "no current context"; "choose one with --context (it has: {known})";
    no_context(name, known) "no context {name}"; "it has: {known}";
    no_cluster(name)
        "the context names the cluster {name}, which is not there"; "choose another with --context";
    no_server() "the cluster of the context has no server"; "add one, or choose another with --context";
    unexplained(error) "{error}";
    in_cluster(error)
        "{error}"; "the pod needs a service account with its token mounted (automountServiceAccountToken)";
    no_network(error) "the network cannot be used: {error}";
    no_client(error) "the client could not be set up: {error}";
    credentials_too_late(seconds)
        "no credentials after {seconds} s: the command that the kubeconfig names for them has not ended";
        "run it by hand, or allow more with --timeout";

    proxy_protocol(proxy) "the proxy {proxy} speaks an unknown protocol"; "use http, https or socks5";
    exec_missing(error)
        "the command that the kubeconfig names for credentials (users[].user.exec) does not start ({error})";
        "install it, or correct its name";
    exec_failed(status, said)
        "the command that the kubeconfig names for credentials (users[].user.exec) failed with {status}{said}";
        "log in again";
    exec_without_credential()
        "the command that the kubeconfig names for credentials (users[].user.exec) did not print an ExecCredential";
        "run it by hand to see what it says";
    exec_without_token()
        "the command that the kubeconfig names for credentials (users[].user.exec) printed no status with a token";
        "run it by hand to see what it says";
    token_file(file, error) "the token file {file} cannot be read ({error})"; "correct users[].user.tokenFile";
    auth_provider(error)
        "the kubeconfig's auth-provider does not work here ({error})"; "use exec credentials or a token";
    credentials(error) "the credentials of the kubeconfig do not work ({error})"; "correct them";
    certificate(error) "TLS: {error}"; "check certificate-authority and server in the kubeconfig";
    connection_refused()
        "nothing listens there (connection refused)"; "check the address, and that the cluster runs";
    no_host(error) "the host cannot be found ({error})"; "check the address in the kubeconfig";
    tls(error) "TLS: {error}"; "is this an https port?";
    no_connection(error) "no connection ({error})"; "check the address, the network and the proxy";

    no_answer(seconds) "no answer within {seconds} s";
    large_answer(mib) "the answer is larger than {mib} MiB"; "is this the API server?";
    answer_cut_off(error) "the answer was cut off ({error})";
    connection_broke(error) "the connection broke ({error})";
    redirect(code, target)
        "answers with a redirect ({code}) to {target}"; "name the API server itself in the kubeconfig";
    answers(status) "answers {status}";
    expired_twice() "the list expired twice while it was read (410)"; "try again later";
    page_repeated() "the server repeats a page of the list without end"; "is there a proxy in between?";
    web_page() "answers with a web page, not with JSON"; "is this the API server, or a proxy's login?";
    no_list(error)
        "the answer is not what an API server sends: {error}"; "is there a proxy in between?";
    other_list(kind, wanted) "answers with {kind}, not with a {wanted}List"; "is this the API server?";
    unauthorized()
        "the server does not accept these credentials (401)"; "log in again, or choose another user with --context";
    forbidden(said) "forbidden{said}";
    not_served() "not served (404)";
    expired() "the list expired (410)";
    busy(said) "the server keeps failing ({said})"; "try again later";
    broken(what) "{what}, again and again"; "check the network and what lies in between";
    too_late(seconds, objects)
        "not read within {seconds} s ({objects} objects before it)"; "allow more with --timeout";

    no_policies() "it serves policies but has none"; "is this the right cluster?";
    no_policies_anywhere()
        "it serves policies but has none, and Helm's release records have none either"; "is this the right cluster?";
    no_policies_in_helm() "Helm's release records hold no policies"; "is this the right cluster?";
    policies_forbidden(said)
        "forbidden{said}; without policies there is nothing to convert";
        "bind the ClusterRole of docs/how-to/scan.md to this user, or choose another one with --context";
    no_version()
        "not served (404), and the server does not say its version";
        "check that this is the address of a Kubernetes API server";
    served_no_more(version)
        "Kubernetes {version} does not serve them (removed in 1.25)";
        "they can still come from:\n  - Helm's release records in this cluster: psp2falco scan --helm-releases\n  \
         - the manifests in Git: psp2falco convert DIR\n  \
         - a Velero backup from before the upgrade: psp2falco convert BACKUP.tar.gz\n  \
         - an etcd snapshot from before the upgrade: restore it under a kube-apiserver of 1.24 or older, and scan that";
    only_from_helm(said) "forbidden{said}"; "taken from Helm's release records only";
    releases_forbidden(said)
        "forbidden{said}"; "Helm keeps its release records there: grant list on secrets, or configmaps, in all namespaces";
    releases_lost(said) "forbidden{said}"; "lost: releases that Helm records there";
    no_release(error) "not a release record ({error})"; "passed over";
    policies_gone(newer)
        "its policies are gone from {newer}, which is deployed"; "they are taken as of this revision";
    from_helm(policies) "from Helm's release records: {policies}";
    from_helm_only(policies) "from Helm's release records, which the server does not have: {policies}";
    rbac_left_out(reasons)
        "{reasons}; RBAC counts only as a whole, so it is left out: the rules hold EVERY POLICY AGAINST EVERY POD, \
         whoever may use it";
        "bind the ClusterRole of docs/how-to/scan.md, or narrow the policies with --namespace";
    resource_lost(reason, lost) "{reason}"; "lost: {lost}";
}
