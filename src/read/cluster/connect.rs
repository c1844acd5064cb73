//! Finds the cluster and the credentials: kubeconfig as kubectl reads it, else the service account of the pod that
//! this program runs in.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use http::{HeaderName, HeaderValue, Uri};
use kube::client::AuthError;
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

use crate::messages::cluster as messages;
use crate::problem::{Message, Problem, quote};

/// Which cluster, as whom.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// The kubeconfig; where kubectl looks for it if unset.
    pub kubeconfig: Option<PathBuf>,
    /// The context in it; its current one if unset.
    pub context: Option<String>,
}

/// How long the server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// The configuration, and the place that errors about it start with.
pub(super) async fn config(target: &Target) -> Result<Config> {
    let explicit = target.kubeconfig.is_some() || target.context.is_some();
    let mut config = if explicit || found_kubeconfig() || !in_cluster() {
        from_kubeconfig(target).await?
    } else {
        let mut config = Config::incluster().map_err(|error| explain_in_cluster(&error))?;
        if is_direct(&config.cluster_url) {
            config.proxy_url = None;
        }
        config
    };
    config.connect_timeout = Some(CONNECT);
    // retried here, with the server's own waiting times and one deadline
    config.default_retry = false;
    config.headers.push((
        HeaderName::from_static("user-agent"),
        HeaderValue::from_static(concat!("psp2falco/", env!("CARGO_PKG_VERSION"))),
    ));
    Ok(config)
}

/// The client of a configuration. Runs the command of exec credentials, so it may block.
pub(super) fn client(config: Config) -> Result<Client> {
    let server = server(&config.cluster_url);
    Client::try_from(config).map_err(|error| Problem::of_file(&server, explain(&error)).into())
}

/// A server's address as errors show it.
pub(super) fn server(url: &Uri) -> String {
    let text = url.to_string();
    text.trim_end_matches('/').to_owned()
}

async fn from_kubeconfig(target: &Target) -> Result<Config> {
    let place = match &target.kubeconfig {
        Some(path) => path.display().to_string(),
        None => default_place(),
    };
    let read = match &target.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let kubeconfig = read.map_err(|error| explain_kubeconfig(&place, &error))?;
    let known: Vec<&str> = kubeconfig.contexts.iter().map(|context| context.name.as_str()).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let current = kubeconfig.current_context.clone().unwrap_or_default();
    let wanted = target.context.clone().unwrap_or(current);
    if wanted.is_empty() {
        return Err(Problem::of_file(&place, messages::no_current_context(known)).into());
    }
    if !kubeconfig.contexts.iter().any(|context| context.name == wanted) {
        return Err(Problem::of_file(&place, messages::no_context(quote(&wanted), known)).into());
    }
    let own_proxy = kubeconfig
        .contexts
        .iter()
        .find(|context| context.name == wanted)
        .and_then(|context| context.context.as_ref())
        .and_then(|context| kubeconfig.clusters.iter().find(|cluster| cluster.name == context.cluster))
        .and_then(|cluster| cluster.cluster.as_ref())
        .and_then(|cluster| cluster.proxy_url.as_ref())
        .is_some_and(|url| !url.is_empty());
    let options = KubeConfigOptions { context: Some(wanted), cluster: None, user: None };
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(|error| explain_kubeconfig(&place, &error))?;
    if !own_proxy && is_direct(&config.cluster_url) {
        config.proxy_url = None;
    }
    Ok(config)
}

/// Is the server reached without the proxy of the environment? As Go's clients decide: plain HTTP, this machine, and
/// what `NO_PROXY` names.
fn is_direct(server: &Uri) -> bool {
    let host = server.host().unwrap_or_default().trim_matches(['[', ']']);
    let local = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let listed =
        ["NO_PROXY", "no_proxy"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default();
    server.scheme_str() != Some("https") || local || is_listed(host, &listed)
}

/// Does a list like `NO_PROXY` name the host, itself or by a domain that it belongs to?
fn is_listed(host: &str, list: &str) -> bool {
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        let domain = entry.trim_start_matches('*').trim_start_matches('.');
        entry == "*" || host == domain || (!domain.is_empty() && host.ends_with(&format!(".{domain}")))
    })
}

/// Is there a kubeconfig where kubectl looks for it?
fn found_kubeconfig() -> bool {
    std::env::var_os("KUBECONFIG").is_some_and(|value| !value.is_empty())
        || home_kubeconfig().is_some_and(|path| path.exists())
}

fn home_kubeconfig() -> Option<PathBuf> {
    std::env::home_dir().map(|home| home.join(".kube/config"))
}

fn in_cluster() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
}

fn default_place() -> String {
    let named = std::env::var("KUBECONFIG").ok().filter(|value| !value.is_empty());
    let home = || home_kubeconfig().map(|path| path.display().to_string());
    named.or_else(home).unwrap_or_else(|| "kubeconfig".to_owned())
}

fn explain_kubeconfig(place: &str, error: &KubeconfigError) -> Problem {
    let message = match error {
        KubeconfigError::ReadConfig(cause, path) => {
            let message = match cause.kind() {
                std::io::ErrorKind::NotFound => messages::no_kubeconfig(),
                _ => messages::unreadable_kubeconfig(cause),
            };
            return Problem::of_file(&path.display().to_string(), message);
        }
        // the text around the error may be a token
        KubeconfigError::Parse(cause) => messages::not_a_kubeconfig(first_line(&cause.to_string())),
        KubeconfigError::LoadClusterOfContext(name) => messages::no_cluster(quote(name)),
        KubeconfigError::MissingClusterUrl => messages::no_server(),
        other => messages::unexplained(other),
    };
    Problem::of_file(place, message)
}

fn explain_in_cluster(error: &InClusterError) -> Problem {
    Problem::of_file("in-cluster", messages::in_cluster(error))
}

/// What went wrong before any answer came.
pub(super) fn explain(error: &kube::Error) -> Message {
    match error {
        kube::Error::Auth(error) => explain_auth(error),
        kube::Error::ProxyProtocolUnsupported { proxy_url } => messages::proxy_protocol(proxy_url),
        other => explain_transport(&chain(other)),
    }
}

fn explain_auth(error: &AuthError) -> Message {
    match error {
        AuthError::AuthExecStart(cause) => messages::exec_missing(cause),
        // its output is left out: it may hold a token
        AuthError::AuthExecRun { out, .. } => {
            let said = String::from_utf8_lossy(&out.stderr);
            let said =
                said.trim().lines().last().map(|line| format!(": {}", quote(line))).unwrap_or_default();
            messages::exec_failed(out.status, said)
        }
        AuthError::AuthExecParse(_) => messages::exec_without_credential(),
        AuthError::ExecPluginFailed => messages::exec_without_token(),
        AuthError::ReadTokenFile(cause, path) => messages::token_file(path.display(), cause),
        AuthError::AuthExec(message) => messages::auth_provider(first_line(message)),
        other => messages::credentials(first_line(&other.to_string())),
    }
}

/// The causes of an error, outermost first.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    let mut causes = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes
}

fn explain_transport(causes: &[String]) -> Message {
    let last = causes.last().map(|cause| first_line(cause)).unwrap_or_default();
    let says = |words: &[&str]| causes.iter().any(|cause| words.iter().any(|word| cause.contains(word)));
    if says(&["certificate", "UnknownIssuer"]) {
        messages::certificate(last)
    } else if says(&["Connection refused"]) {
        messages::connection_refused()
    } else if says(&["dns error", "failed to lookup", "Name or service not known"]) {
        messages::no_host(last)
    } else if says(&["InvalidContentType", "corrupt message", "HandshakeFailure", "handshake eof"]) {
        messages::tls(last)
    } else if says(&["deadline has elapsed", "timed out", "tcp connect"]) {
        messages::no_connection(last)
    } else {
        messages::unexplained(last)
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// Runs `work` on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|error| Problem::of_file("scan", messages::no_client(error)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_servers_are_reached_without_the_proxy() {
        for (host, list, listed) in [
            ("api.example.com", "example.com", true),
            ("api.example.com", ".example.com", true),
            ("api.example.com", "other, api.example.com", true),
            ("badexample.com", "example.com", false),
            ("api.example.com", "*", true),
            ("api.example.com", " , ", false),
        ] {
            assert_eq!(is_listed(host, list), listed, "{host} in {list:?}");
        }
        for url in
            ["http://api.example.com", "https://127.0.0.1:6443", "https://[::1]:6443", "https://localhost"]
        {
            assert!(is_direct(&url.parse().unwrap()), "{url}");
        }
    }
}
