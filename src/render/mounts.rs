//! Conditions over a container's mounts, which Falco writes as `source:destination:mode:writable:propagation`, with
//! commas between them.

use falco_rules::MAX_LITERAL;

use super::quote::quote;
use crate::pattern;

/// Sources that are no host paths of a pod: the kubelet's volumes, the container runtimes' own files, and the folders
/// of common provisioners of local storage.
const MANAGED: &str = "/(var|run|opt)/([^:,]*/)?(kubelet/pods|docker/(containers|volumes)|containers/storage\
                       |io[.]containerd[.][^:,/]*|local-path-provisioner|k3s/storage)/";

/// The same, as they are spelt by default and without the first slash, where the short form has no room.
const MANAGED_LITERALS: [&str; 15] = [
    "opt/local-path-provisioner/",
    "run/containerd/io.containerd.",
    "run/containers/storage/",
    "run/k3s/containerd/io.containerd.",
    "var/lib/containerd/io.containerd.",
    "var/lib/containers/storage/",
    "var/lib/docker/containers/",
    "var/lib/docker/volumes/",
    "var/lib/k0s/kubelet/pods/",
    "var/lib/kubelet/pods/",
    "var/lib/rancher/k3s/agent/containerd/io.containerd.",
    "var/lib/rancher/k3s/storage/",
    "var/local-path-provisioner/",
    "var/run/containers/storage/",
    "var/snap/microk8s/common/var/lib/kubelet/pods/",
];

/// Some mount comes from a path of the node that begins with none of `allowed` (without their first slash), and is
/// writable, if that is asked for.
///
/// The short form says what the whole text must look like, mount by mount, and negates it.
pub(super) fn outside(allowed: &[String], writable: bool) -> String {
    let read_only = if writable { "|[^,]*:false:[^,]*,?" } else { "" };
    let short = |words: &str| format!("(([^/,]|{MANAGED}{words})[^,]*,?{read_only})*");
    let room = MAX_LITERAL.saturating_sub(short("|/").len());
    let words = match allowed {
        [] => Some(String::new()),
        _ => pattern::any_of(allowed, room).map(|words| format!("|/{words}")),
    };
    match words {
        Some(words) => {
            format!("container.mounts exists and not container.mounts regex {}", quote(&short(&words)))
        }
        None => long(allowed, writable),
    }
}

fn long(allowed: &[String], writable: bool) -> String {
    let literals: Vec<String> = allowed.iter().cloned().chain(MANAGED_LITERALS.map(str::to_owned)).collect();
    let (before, after) = ("(.*,)?/", if writable { "[^,]*:true:.*" } else { ".*" });
    let room = MAX_LITERAL.saturating_sub(before.len() + after.len());
    let checks: Vec<String> = pattern::strays(&literals, room)
        .into_iter()
        .map(|piece| format!("container.mounts regex {}", quote(&format!("{before}{piece}{after}"))))
        .collect();
    format!("({})", checks.join("\n      or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The literals of the conditions, held against a text as RE2 does; a condition is true if one of them says so.
    fn holds(condition: &str, mounts: &str) -> bool {
        condition.split(" or ").any(|check| {
            let (_, literal) = check.split_once(" regex '").unwrap();
            let (literal, _) = literal.split_once('\'').unwrap();
            let matches = regex::Regex::new(&format!("^(?:{literal})$")).unwrap().is_match(mounts);
            matches != check.contains("not container.mounts")
        })
    }

    const VOLUME: &str = "/var/lib/kubelet/pods/1-2/volumes/kubernetes.io~secret/s:/s::true:private";
    const PROC: &str = "proc:/proc::true:private";

    #[test]
    fn short_and_long_forms_say_the_same() {
        let few = vec!["srv/data/".to_owned(), "srv/data:".to_owned()];
        let many: Vec<String> = (0..60).map(|n| format!("srv/other{n}/")).chain(few.clone()).collect();
        assert!(
            outside(&few, false).contains("not container.mounts") && !outside(&many, false).contains(" not ")
        );
        for allowed in [&few, &many] {
            for writable in [false, true] {
                let condition = outside(allowed, writable);
                let holds = |mount: &str| {
                    let alone = holds(&condition, mount);
                    for beside in [format!("{VOLUME},{mount}"), format!("{mount},{PROC},{VOLUME}")] {
                        assert_eq!(holds(&condition, &beside), alone, "{beside}");
                    }
                    alone
                };
                for fine in [VOLUME, PROC, "/srv/data:/d::true:private", "/srv/data/x:/d::true:private"] {
                    assert!(!holds(fine), "{fine} {condition}");
                }
                for bad in ["/:/host::true:private", "/srv/data2:/d::true:private", "/etc:/e::true:private"] {
                    assert!(holds(bad), "{bad} {condition}");
                }
                assert_eq!(holds("/etc:/e::false:private"), !writable);
                assert!(!holds("/srv/data:/e::false:private"));
            }
        }
        assert!(!outside(&[], false).contains(" or "));
    }
}
