//! Who may use a policy, as a condition over one audit event: its requester (impersonated or not), the pod's service
//! account, and the namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use falco_rules::MAX_LITERAL;
use psp_admission::access::{self, ACCOUNTS, AUTHENTICATED, Grants, Subjects};

use super::item::{NEVER, TemplateItem};
use super::quote::{quote, word, yaml_item};
use super::source::Source;
use crate::pattern;
use crate::problem::is_plain;

/// Longest set of names that stands in a condition; a longer one becomes a list.
const IN_PLACE: usize = 100;
/// From so many namespaces on whose own service accounts may make pods there, one comparison serves them all
/// (`concat`, which needs a newer Falco).
const MANY: usize = 6;

/// The pod's namespace.
const NAMESPACE: &str = "jevt.value[/objectRef/namespace]";
/// The macro of who may use every policy.
pub(super) const EVERY: &str = "psps_any_usable";

type Names = BTreeSet<Arc<str>>;

/// Who may use a policy.
pub(super) struct Usable {
    /// The macro, below the lists that it needs.
    pub(super) items: Vec<Rc<TemplateItem>>,
    /// Whether everybody may.
    pub(super) by_all: bool,
    /// Names that no condition can hold.
    pub(super) left_out: Names,
}

/// What of some grants concerns whom.
#[derive(Debug, Default)]
struct Parts {
    by_all: bool,
    /// Namespaces where every pod may.
    open: Names,
    /// Service accounts whose pods may, by their namespaces.
    pods: BTreeMap<Arc<str>, Names>,
    /// Requesters who may everywhere.
    everywhere: Subjects,
    /// Service accounts, by their own names, whose pods may and who may themselves in their own namespace.
    at_home: Names,
    /// Requesters who may in some namespaces more; service accounts of the same namespace by their own names.
    within: BTreeMap<Arc<str>, (Subjects, Names)>,
}

/// Does everybody hold these grants?
pub(super) fn by_all(grants: &Grants) -> bool {
    everybody(&grants.everywhere)
}

fn everybody(subjects: &Subjects) -> bool {
    [ACCOUNTS, AUTHENTICATED].iter().any(|group| subjects.groups.contains(*group))
}

impl Parts {
    fn new(grants: &Grants, left_out: &mut Names) -> Self {
        let mut parts = Self { by_all: by_all(grants), ..Self::default() };
        let mut kept = |names: &Names| -> Names {
            let (kept, lost): (Names, Names) = names.iter().cloned().partition(|n| expressible(n));
            left_out.extend(lost);
            kept
        };
        parts.everywhere =
            Subjects { users: kept(&grants.everywhere.users), groups: kept(&grants.everywhere.groups) };
        parts.at_home = kept(&grants.at_home);
        for (namespace, name) in parts.everywhere.users.iter().filter_map(|u| access::account(u)) {
            parts.pods.entry(namespace.into()).or_default().insert(name.into());
        }
        parts
            .open
            .extend(parts.everywhere.groups.iter().filter_map(|g| access::accounts_of(g)).map(Arc::from));
        for (namespace, subjects) in &grants.within {
            let own = |group: &str| access::accounts_of(group) == Some(namespace);
            if everybody(subjects) || subjects.groups.iter().any(|g| own(g)) {
                parts.open.insert(Arc::clone(namespace));
                continue;
            }
            let mut others = Subjects { users: Names::new(), groups: kept(&subjects.groups) };
            let mut accounts = Names::new();
            for user in kept(&subjects.users) {
                match access::account(&user) {
                    Some((of, name)) if of == &**namespace => {
                        accounts.insert(name.into());
                        parts.pods.entry(Arc::clone(namespace)).or_default().insert(name.into());
                    }
                    _ => {
                        others.users.insert(user);
                    }
                }
            }
            parts.within.insert(Arc::clone(namespace), (others, accounts));
        }
        for names in parts.pods.values_mut() {
            names.retain(|name| !parts.at_home.contains(name));
        }
        parts.pods.retain(|namespace, names| !parts.open.contains(namespace) && !names.is_empty());
        parts.within.retain(|namespace, (subjects, accounts)| {
            subjects.users.retain(|u| !parts.everywhere.users.contains(u));
            subjects.groups.retain(|g| !parts.everywhere.groups.contains(g));
            let known = |name: &str| parts.everywhere.users.contains(&*access::account_user(namespace, name));
            accounts.retain(|a| !known(a) && !parts.at_home.contains(a));
            !(subjects.users.is_empty() && subjects.groups.is_empty() && accounts.is_empty())
        });
        if parts.within.values().filter(|(_, accounts)| !accounts.is_empty()).count() < MANY {
            for (namespace, (subjects, accounts)) in &mut parts.within {
                let names = std::mem::take(accounts).into_iter();
                subjects.users.extend(names.map(|a| Arc::from(access::account_user(namespace, &a))));
            }
        }
        parts
    }
}

/// Can a condition hold this name? Falco takes no literal above 255 bytes and none that ends in a backslash (which
/// takes the closing quote with it), a rules file no control characters, and the name of one of our lists would be
/// taken for that list.
fn expressible(name: &str) -> bool {
    let listed = name.contains("psp") && name.contains([' ', '(', ')', ',', '=']);
    name.len() <= MAX_LITERAL
        && !name.ends_with('\\')
        && !name.is_empty()
        && name.chars().all(is_plain)
        && !listed
}

/// The macro `name`: the event's pod may be admitted by these grants, or `or_macro` holds. `object` is the pod's place
/// in the event.
///
/// # Errors
/// A condition that Falco would not read.
pub(super) fn usable(name: &str, grants: &Grants, or_macro: Option<&str>, object: &str) -> Result<Usable> {
    let mut left_out = Names::new();
    let parts = Parts::new(grants, &mut left_out);
    let mut writer = Writer { name, lists: Vec::new() };
    let mut clauses = Clauses::default();
    if parts.by_all {
        clauses.add(None, "jevt.value[/verb] exists");
    } else {
        or_macro.into_iter().for_each(|or_macro| clauses.add(None, or_macro));
        writer.pods(&parts, object, &mut clauses);
        for requester in [Requester::Direct, Requester::Impersonated] {
            writer.requesters(&parts, &requester, &mut clauses, &mut left_out);
        }
    }
    if clauses.0.is_empty() {
        clauses.add(None, NEVER);
    }
    let mut text = String::new();
    if name == EVERY {
        text.push_str("# who may use every policy\n");
    }
    for (index, items) in writer.lists.iter().enumerate() {
        let _ = writeln!(text, "- list: {}\n  items: [{items}]", writer.list(index));
    }
    let _ = write!(text, "- macro: {name}\n  condition: >\n    ({})", clauses.text());
    let items = TemplateItem::parse(&text, None, &Rc::new(Source::Written))
        .map_err(|error| anyhow!("{name}: {}", error.message))?;
    Ok(Usable { items, by_all: parts.by_all, left_out })
}

/// Conditions of which one must hold, below those that name the namespaces in which they count.
#[derive(Default)]
struct Clauses(Vec<(Option<String>, Vec<String>)>);

impl Clauses {
    fn add(&mut self, namespaces: Option<String>, condition: impl Into<String>) {
        let condition = condition.into();
        match self.0.iter_mut().find(|(known, _)| namespaces.is_some() && *known == namespaces) {
            Some((_, conditions)) => conditions.push(condition),
            None => self.0.push((namespaces, vec![condition])),
        }
    }

    fn text(&self) -> String {
        let clause = |(namespaces, conditions): &(Option<String>, Vec<String>)| {
            let any = conditions.join("\n        or ");
            match namespaces {
                None => any,
                Some(namespaces) if conditions.len() == 1 => format!("{namespaces} and {any}"),
                Some(namespaces) => format!("{namespaces}\n        and ({any})"),
            }
        };
        self.0.iter().map(clause).collect::<Vec<_>>().join("\n      or ")
    }
}

enum Requester {
    Direct,
    Impersonated,
}

/// Writes conditions, and lists for what is long in them.
struct Writer<'a> {
    name: &'a str,
    /// The items of each list.
    lists: Vec<String>,
}

impl Writer<'_> {
    /// Pods that may whoever asks for them.
    fn pods(&mut self, parts: &Parts, object: &str, clauses: &mut Clauses) {
        if !parts.open.is_empty() {
            clauses.add(None, self.among(NAMESPACE, &parts.open));
        }
        let account = format!("jevt.value[{object}/spec/serviceAccountName]");
        if !parts.at_home.is_empty() {
            clauses.add(None, self.accounted(&account, &parts.at_home));
        }
        for (accounts, namespaces) in alike(parts.pods.iter().map(|(n, a)| (n, a.clone()))) {
            let namespaces = self.among(NAMESPACE, &namespaces);
            clauses.add(Some(namespaces), self.accounted(&account, &accounts));
        }
    }

    /// The field, of a pod, is one of the service accounts; an unset one is `default`.
    fn accounted(&mut self, field: &str, accounts: &Names) -> String {
        let accounted = self.among(field, accounts);
        if accounts.contains("default") {
            return format!("({accounted} or not {field} exists)");
        }
        accounted
    }

    /// Adds the requesters who may use the policy for any pod, whichever service account it has.
    fn requesters(
        &mut self,
        parts: &Parts,
        requester: &Requester,
        clauses: &mut Clauses,
        left_out: &mut Names,
    ) {
        let mut subjects = self.subjects(&parts.everywhere, requester, left_out);
        subjects.extend(parts.at_home.iter().map(|name| requester.is_at_home(name)));
        requester.is_any_of(&subjects).into_iter().for_each(|condition| clauses.add(None, condition));
        let keyed =
            parts.within.iter().map(|(n, (s, a))| (n, (s.users.clone(), s.groups.clone(), a.clone())));
        for ((users, groups, accounts), namespaces) in alike(keyed) {
            let namespaces = self.among(NAMESPACE, &namespaces);
            let mut subjects = self.subjects(&Subjects { users, groups }, requester, left_out);
            subjects.extend(accounts.iter().map(|name| requester.is_at_home(name)));
            let condition = requester.is_any_of(&subjects);
            condition.into_iter().for_each(|condition| clauses.add(Some(namespaces.clone()), condition));
        }
    }

    fn subjects(&mut self, subjects: &Subjects, requester: &Requester, left_out: &mut Names) -> Vec<String> {
        let mut tests = Vec::new();
        if !subjects.users.is_empty() {
            tests.push(self.among(requester.name(), &subjects.users));
        }
        match requester {
            _ if subjects.groups.is_empty() => {}
            Requester::Direct => {
                let groups = self.names(&subjects.groups);
                tests.push(format!("ka.user.groups intersects {groups}"));
            }
            Requester::Impersonated => {
                tests.extend(in_json_list(
                    "jevt.value[/impersonatedUser/groups]",
                    &subjects.groups,
                    left_out,
                ));
            }
        }
        tests
    }

    /// The field is one of the names.
    fn among(&mut self, field: &str, names: &Names) -> String {
        match names.first() {
            Some(name) if names.len() == 1 => format!("{field}={}", word(name)),
            _ => format!("{field} in {}", self.names(names)),
        }
    }

    /// Names in parentheses, as a list of its own where they are many.
    fn names(&mut self, names: &Names) -> String {
        let words: Vec<String> = names.iter().map(|n| word(n)).collect();
        let length: usize = words.iter().map(|w| w.len() + 2).sum();
        if length <= IN_PLACE {
            return format!("({})", words.join(", "));
        }
        let items = words.iter().map(|w| yaml_item(w)).collect::<Vec<_>>().join(", ");
        // the same names may come again for an impersonated user
        let known = self.lists.iter().position(|list| *list == items);
        let index = known.unwrap_or_else(|| {
            self.lists.push(items);
            self.lists.len() - 1
        });
        format!("({})", self.list(index))
    }

    /// The name of a list.
    fn list(&self, index: usize) -> String {
        format!("{}_{}", self.name, index + 1)
    }
}

impl Requester {
    fn name(&self) -> &'static str {
        match self {
            Self::Direct => "jevt.value[/user/username]",
            Self::Impersonated => "jevt.value[/impersonatedUser/username]",
        }
    }

    /// The requester is what one of the tests says; none without tests. Who impersonates another user is not asked.
    fn is_any_of(&self, tests: &[String]) -> Option<String> {
        let any = tests.join(" or ");
        match (self, tests.len()) {
            (_, 0) => None,
            (Self::Direct, 1) => Some(format!("not jevt.value[/impersonatedUser/username] exists and {any}")),
            (Self::Direct, _) => {
                Some(format!("not jevt.value[/impersonatedUser/username] exists and ({any})"))
            }
            (Self::Impersonated, _) => Some(any),
        }
    }

    /// The requester is the service account of this name in the pod's namespace.
    fn is_at_home(&self, account: &str) -> String {
        let name = quote(&format!(":{account}"));
        format!("{}=concat('system:serviceaccount:', {NAMESPACE}, {name})", self.name())
    }
}

/// Namespaces that have the same, by what they have.
fn alike<'n, T: Ord>(entries: impl Iterator<Item = (&'n Arc<str>, T)>) -> BTreeMap<T, Names> {
    let mut groups: BTreeMap<T, Names> = BTreeMap::new();
    for (namespace, entry) in entries {
        groups.entry(entry).or_default().insert(Arc::clone(namespace));
    }
    groups
}

/// The JSON text of a list of strings holds one of the names: between the brackets or commas and quotes that no string
/// can hide, since quotes within strings are escaped.
fn in_json_list(field: &str, names: &Names, left_out: &mut Names) -> Vec<String> {
    const BEFORE: &str = "([[]|.*,)\"";
    const AFTER: &str = "\"[],].*";
    let room = MAX_LITERAL - BEFORE.len() - AFTER.len() - 2;
    let mut groups: Vec<String> = Vec::new();
    for name in names {
        let text = pattern::literal(&pattern::json_text(name));
        if text.len() > room {
            left_out.insert(Arc::clone(name));
            continue;
        }
        match groups.last_mut() {
            Some(group) if group.len() + text.len() < room => {
                group.push('|');
                group.push_str(&text);
            }
            _ => groups.push(text),
        }
    }
    let check = |group: String| {
        let group = if group.contains('|') { format!("({group})") } else { group };
        format!("{field} regex {}", quote(&format!("{BEFORE}{group}{AFTER}")))
    };
    groups.into_iter().map(check).collect()
}
