//! What of folders and archives is left out: `--exclude`.

use std::path::Path;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::messages;
use crate::problem::Problem;

/// Patterns of paths, as `.gitignore` has them: one without a `/` matches a name at any depth, one with a `/` a path
/// below the folder or the path that messages show; what lies below a match is left out with it.
#[derive(Debug, Default)]
pub(crate) struct Exclude {
    patterns: Vec<String>,
    set: GlobSet,
    /// Whether each pattern has matched.
    used: Vec<bool>,
}

impl Exclude {
    /// Takes in the patterns; those that are none come back as problems.
    pub(crate) fn new(patterns: &[String]) -> (Self, Vec<Problem>) {
        let mut builder = GlobSetBuilder::new();
        let mut problems = Vec::new();
        let mut problem = |pattern: &str, error: &globset::Error| {
            let message = messages::read::no_pattern(format_args!("{pattern:?}"), error.kind());
            problems.push(Problem::of_file("--exclude", message));
        };
        let mut taken = Vec::new();
        for pattern in patterns {
            match glob(pattern) {
                Ok(glob) => {
                    builder.add(glob);
                    taken.push(pattern.clone());
                }
                Err(error) => problem(pattern, &error),
            }
        }
        let set = builder.build().unwrap_or_else(|error| {
            problem(&taken.join(" "), &error);
            taken.clear();
            GlobSet::empty()
        });
        let used = vec![false; taken.len()];
        (Self { patterns: taken, set, used }, problems)
    }

    /// Is the file or folder at `inner` below a root left out? `shown` is its path as messages have it.
    pub(crate) fn leaves_out(&mut self, inner: &Path, shown: &str) -> bool {
        if self.patterns.is_empty() {
            return false;
        }
        let mut found = false;
        let shown = Path::new(shown.trim_start_matches("./"));
        for path in inner.ancestors().chain(shown.ancestors()).filter(|path| !path.as_os_str().is_empty()) {
            for index in self.set.matches(path) {
                found = true;
                if let Some(used) = self.used.get_mut(index) {
                    *used = true;
                }
            }
        }
        found
    }

    /// A warning for each pattern that has matched nothing.
    pub(crate) fn idle(&self) -> impl Iterator<Item = Problem> {
        self.patterns.iter().zip(&self.used).filter(|(_, used)| !**used).map(|(pattern, _)| {
            Problem::of_file("--exclude", messages::read::idle_pattern(format_args!("{pattern:?}")))
        })
    }
}

fn glob(pattern: &str) -> Result<Glob, globset::Error> {
    let path = pattern.trim_start_matches("./").trim_end_matches('/');
    let anywhere = !path.contains('/');
    let path = path.trim_start_matches('/');
    let path = if anywhere { format!("**/{path}") } else { path.to_owned() };
    GlobBuilder::new(&path).literal_separator(true).backslash_escape(true).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves_out(pattern: &str, path: &str) -> bool {
        let (mut exclude, problems) = Exclude::new(&[pattern.to_owned()]);
        assert_eq!(problems, []);
        let found = exclude.leaves_out(Path::new(path), &format!("./repo/{path}"));
        assert_eq!(exclude.idle().count(), usize::from(!found));
        found
    }

    #[test]
    fn patterns_match_as_in_a_gitignore() {
        for (pattern, path) in [
            ("dev", "dev"),
            ("dev", "overlays/dev/psp.yaml"),
            ("dev/", "overlays/dev/psp.yaml"),
            ("*.json", "a/b/c.json"),
            ("overlays/dev", "overlays/dev/psp.yaml"),
            ("/overlays", "overlays/dev/psp.yaml"),
            ("./overlays/dev", "overlays/dev/psp.yaml"),
            ("overlays/*/psp.yaml", "overlays/dev/psp.yaml"),
            ("overlays/**", "overlays/dev/psp.yaml"),
            ("**/dev", "overlays/dev/psp.yaml"),
            ("repo/overlays/dev/psp.yaml", "overlays/dev/psp.yaml"),
            ("{dev,test}", "overlays/test/psp.yaml"),
        ] {
            assert!(leaves_out(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("dev", "overlays/devel/psp.yaml"),
            ("overlays/dev", "base/overlays/dev/psp.yaml"),
            ("overlays/*.yaml", "overlays/dev/psp.yaml"),
            ("*.json", "a.yaml"),
        ] {
            assert!(!leaves_out(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn a_broken_pattern_is_a_problem() {
        let (exclude, problems) = Exclude::new(&["a[".to_owned(), "b".to_owned()]);
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        assert!(problem.to_string().starts_with("--exclude: \"a[\" is no pattern of paths: "), "{problem}");
        assert_eq!(exclude.patterns, ["b"]);
    }
}
