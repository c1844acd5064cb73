//! A rules file under way: the rules of policies, what they share, and what Falco must have to load them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use psp_admission::{Field, Policy};

use super::header::Requirements;
use super::item::{Item, Kind, Names, PolicyText, REFUSED, TemplateItem};
use super::options::{Layer, MAX_RULES, Options};
use super::source::{FieldData, Scope, Source};
use super::templates::Templates;
use crate::problem::Place;
use crate::restrictions::{Mapped, Restrictions, map};

/// The items that one field's template makes of one restriction.
#[derive(Debug)]
pub(super) struct FieldRules {
    pub(super) field: Field,
    /// Its place among all of them: two policies that restrict the field alike have the same number.
    pub(super) number: usize,
    pub(super) items: Vec<Rc<TemplateItem>>,
    /// What its Violation rule asks of the pod.
    pub(super) refused: Option<PolicyText>,
    /// What its Lost Default rule asks of the pod.
    pub(super) corrected: Option<PolicyText>,
}

/// The rules of a policy, or of several that stand together.
#[derive(Debug)]
pub(super) struct PolicyRules {
    pub(super) names: Rc<Names>,
    pub(super) fields: Vec<Rc<FieldRules>>,
    /// What the rules stand on: the macros of the policy's scope.
    scope: SharedItems,
    /// Those of the fields whose restriction no policy before had.
    new: Vec<Rc<FieldRules>>,
}

/// What a policy restricts in a field. Two are equal where the template of the layer gets equal data of them.
struct Restriction {
    layer: Layer,
    field: Field,
    mapped: Arc<Mapped>,
}

impl Restriction {
    fn key(&self) -> (Field, FieldData<'_>) {
        (self.field, FieldData::new(self.layer, &self.mapped))
    }
}

impl PartialEq for Restriction {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Restriction {}

impl Hash for Restriction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// Items of a template, shared by many policies.
type SharedItems = Rc<[Rc<TemplateItem>]>;

/// A rules file under way.
pub(super) struct RulesFile {
    layer: Layer,
    /// Do the rules ask the plugin psp?
    plugin: bool,
    /// Do the policies decide together, by the rules?
    together: bool,
    pub(super) templates: Rc<Templates>,
    restrictions: HashSet<Arc<Mapped>>,
    /// The rules of each restriction: those that look at the pod first, and those that ask for the policy's scope first.
    fields: HashMap<Restriction, [Option<Rc<FieldRules>>; 2]>,
    /// The same, by where each of `restrictions` is kept.
    known_fields: HashMap<(Field, *const Mapped, bool), Rc<FieldRules>>,
    scopes: HashMap<Scope, SharedItems>,
    /// The items so far, in the order of the file.
    pub(super) items: Vec<Item>,
    /// The rules in the sample that need not stand in it again.
    sampled: HashSet<PolicyText>,
    /// A part of the items that holds each distinct one: what loads here loads there.
    pub(super) sample: Vec<Item>,
    /// The length of the policies' items in the file.
    bytes: usize,
    /// The source of what no template makes.
    written: Rc<Source>,
}

impl RulesFile {
    pub(super) fn new(layer: Layer, options: &Options) -> Result<Self> {
        let plugin = options.plugin && layer == Layer::Audit;
        Ok(Self {
            layer,
            plugin,
            together: options.access.is_some() && layer == Layer::Audit && !plugin,
            templates: Rc::new(Templates::load(layer, options)?),
            restrictions: HashSet::new(),
            fields: HashMap::new(),
            known_fields: HashMap::new(),
            scopes: HashMap::new(),
            items: Vec::new(),
            sampled: HashSet::new(),
            sample: Vec::new(),
            bytes: 0,
            written: Rc::new(Source::Written),
        })
    }

    /// What a policy restricts.
    pub(super) fn restrictions(&mut self, policy: &Policy) -> Restrictions {
        let mut one = |field| {
            let mapped = map(field, policy);
            if let Some(known) = self.restrictions.get(&mapped) {
                return (field, Arc::clone(known));
            }
            let mapped = Arc::new(mapped);
            self.restrictions.insert(Arc::clone(&mapped));
            (field, mapped)
        };
        Field::ALL.into_iter().map(&mut one).collect()
    }

    /// The rules of a policy: those of its scope, and of each field that it restricts.
    ///
    /// # Errors
    /// A template that makes no such rules, with its place.
    pub(super) fn policy_rules(
        &mut self,
        names: Names,
        scope: Scope,
        restrictions: &Restrictions,
        place: &Place,
    ) -> Result<PolicyRules> {
        let scope_first = scope.first;
        let scope = self.scope(scope)?;
        let (mut fields, mut new) = (Vec::new(), Vec::new());
        for (field, mapped) in restrictions {
            if FieldData::new(self.layer, mapped).restricts_nothing() {
                continue;
            }
            let before = self.fields.len();
            let known = (*field, Arc::as_ptr(mapped), scope_first);
            let rules = match self.known_fields.get(&known) {
                Some(rules) => Rc::clone(rules),
                None => self
                    .field_rules(*field, mapped, scope_first)
                    .with_context(|| format!("{place}: {field}"))?,
            };
            self.known_fields.entry(known).or_insert_with(|| Rc::clone(&rules));
            new.extend((self.fields.len() > before).then(|| Rc::clone(&rules)));
            fields.push(rules);
        }
        Ok(PolicyRules { names: Rc::new(names), fields, scope, new })
    }

    /// What a policy's rules stand on, narrowed to a scope.
    fn scope(&mut self, scope: Scope) -> Result<SharedItems> {
        if let Some(items) = self.scopes.get(&scope) {
            return Ok(Rc::clone(items));
        }
        let items: SharedItems = self.templates.items(Source::Scope(scope.clone()))?.into();
        self.scopes.insert(scope, Rc::clone(&items));
        Ok(items)
    }

    /// The rules of a field.
    fn field_rules(
        &mut self,
        field: Field,
        mapped: &Arc<Mapped>,
        scope_first: bool,
    ) -> Result<Rc<FieldRules>> {
        let restriction = Restriction { layer: self.layer, field, mapped: Arc::clone(mapped) };
        let known = self.fields.get(&restriction);
        if let Some(rules) = known.and_then(|rules| rules.get(usize::from(scope_first))?.as_ref()) {
            return Ok(Rc::clone(rules));
        }
        let number = known.and_then(|rules| rules.iter().flatten().next()).map(|rules| rules.number);
        let source = Source::Restriction { field, mapped: Arc::clone(mapped), scope_first };
        let mut items = self.templates.items(source)?;
        if self.plugin {
            // what the macros would ask of the event, the plugin knows
            items.retain(|item| item.kind == Kind::Rule);
        }
        let asked = |kind: &str| {
            let rule = items.iter().find(|item| item.is_rule_named(&format!("{kind} ({field})")))?;
            Some((rule, rule.asks.clone()))
        };
        let violation = asked("Violation");
        if self.layer == Layer::Audit && !self.plugin && mapped.refuses.is_some() {
            let template = self.templates.file(field.name());
            match &violation {
                None => bail!(
                    "{template}: makes no rule `PSP {{{{policy}}}} Violation ({field})`; keep that name"
                ),
                Some((rule, None)) => bail!(
                    "{}: the condition of a Violation rule needs `{{{{id}}}} and …`, in any order",
                    self.templates.place_of_line(rule, 0).unwrap_or_else(|| template.to_owned())
                ),
                Some(_) => {}
            }
        }
        let refused = violation.and_then(|(_, asks)| asks);
        let corrected = asked("Lost Default").and_then(|(_, asks)| asks);
        let number = number.unwrap_or(self.fields.len());
        let rules = Rc::new(FieldRules { field, number, refused, corrected, items });
        let known = self.fields.entry(restriction).or_default();
        if let Some(place) = known.get_mut(usize::from(scope_first)) {
            *place = Some(Rc::clone(&rules));
        }
        Ok(rules)
    }

    /// Adds items that serve all policies.
    pub(super) fn add_shared(&mut self, items: &[Rc<TemplateItem>]) {
        let nobody = Rc::new(Names::default());
        for made in items {
            let item = Item::new(made, &nobody);
            self.sample.push(item.clone());
            self.items.push(item);
        }
    }

    /// Adds the rules of a policy. `admitted` has the macros that its Violation rules ask whether another policy admits
    /// the pod, by the numbers of the fields' rules.
    ///
    /// # Errors
    /// Rules that have grown beyond all use.
    pub(super) fn add(
        &mut self,
        rules: &PolicyRules,
        admitted: &BTreeMap<usize, String>,
        place: &Place,
    ) -> Result<()> {
        let scope = rules.scope.iter().map(|made| Item::new(made, &rules.names));
        let mut items: Vec<Item> = scope.collect();
        let scope = items.len();
        let mut sample = Vec::new();
        for field in &rules.fields {
            let names = match admitted.get(&field.number) {
                Some(admitted) => Rc::new(rules.names.asking(admitted)),
                None => Rc::clone(&rules.names),
            };
            let new = rules.new.iter().any(|new| Rc::ptr_eq(new, field));
            for made in &field.items {
                let item = Item::new(made, &names);
                // a rule that stands on no macro of its policy but the scope is the same for all policies
                if new && (!made.stands_alone() || self.sampled.insert(made.text.clone())) {
                    sample.push(item.clone());
                }
                items.push(item);
            }
        }
        let refused = |fields: &[Rc<FieldRules>]| {
            let conditions = fields.iter().filter_map(|field| field.refused.as_ref());
            Item::new(&Rc::new(TemplateItem::any_of(REFUSED, conditions, &self.written)), &rules.names)
        };
        let asks_refused =
            |items: &[Item]| !self.together && items.iter().any(|item| item.made().names_own(REFUSED));
        if !sample.is_empty() {
            self.sample.extend(items.iter().take(scope).cloned());
            let refused = asks_refused(&sample).then(|| refused(&rules.new));
            self.sample.extend(sample.into_iter().chain(refused));
        }
        let refused = asks_refused(&items).then(|| refused(&rules.fields));
        items.extend(refused);
        self.bytes += items.iter().map(Item::len).sum::<usize>();
        self.items.append(&mut items);
        if self.bytes > MAX_RULES {
            bail!(
                "{place}: the rules grow beyond {} MiB here; convert fewer policies in a run",
                MAX_RULES >> 20
            );
        }
        Ok(())
    }

    /// The macros and lists without a policy that a rule names, directly or through others.
    pub(super) fn needed(&self) -> HashSet<String> {
        let mut shared: HashMap<String, Vec<&Item>> = HashMap::new();
        for item in self.items.iter().filter(|item| item.is_shared()) {
            shared.entry(item.name()).or_default().push(item);
        }
        let mut open: Vec<&Item> = self.items.iter().filter(|item| !item.is_shared()).collect();
        let (mut needed, mut seen) = (HashSet::new(), HashSet::new());
        while let Some(item) = open.pop() {
            // macros of a policy's own among those that may go unused: only where policies decide together
            if !seen.insert(Rc::as_ptr(item.made())) && !self.together {
                continue;
            }
            for name in item.references() {
                if let Some(items) = shared.get(&name)
                    && needed.insert(name)
                {
                    open.extend(items);
                }
            }
        }
        needed
    }

    /// Ends the file: leaves out what nothing needs, of which Falco would warn, and writes the text. `requirements` is
    /// told whether an item calls `concat`.
    pub(super) fn finish(
        mut self,
        policies: Vec<(String, Restrictions)>,
        requirements: impl FnOnce(bool) -> Requirements,
        header: impl FnOnce(&[(String, Restrictions)], Requirements) -> String,
    ) -> Rendered {
        let needed = self.needed();
        let kept = |item: &Item| !item.is_shared() || needed.contains(&item.name());
        self.items.retain(kept);
        // where policies decide together, each rule hangs on all of them
        match self.together {
            true => self.sample.clone_from(&self.items),
            false => self.sample.retain(kept),
        }
        let requirements = requirements(self.items.iter().any(|item| item.made().calls_concat));
        let header = header(&policies, requirements);
        let text = text(&header, &self.items);
        Rendered {
            layer: self.layer,
            text,
            policies,
            left_out: Vec::new(),
            bundle: None,
            requirements,
            header,
            items: self.items,
            sample: self.sample,
            templates: self.templates,
        }
    }
}

/// A header and the items below it.
fn text(header: &str, items: &[Item]) -> String {
    let mut text = String::with_capacity(header.len() + items.iter().map(Item::len).sum::<usize>());
    text.push_str(header);
    items.iter().for_each(|item| item.write(&mut text));
    text
}

/// The bundle as the plugin psp reads it.
#[derive(Debug, Clone)]
pub struct BundleText {
    /// The file.
    pub text: String,
    /// The digest that it states.
    pub digest: String,
}

/// A rules file and what it is made of.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// Where its rules look.
    pub layer: Layer,
    /// The file.
    pub text: String,
    /// What each policy restricts, in the order of the file.
    pub policies: Vec<(String, Restrictions)>,
    /// Names of users and groups that no condition can hold: the rules take them to have no access.
    pub left_out: Vec<String>,
    /// What the plugin judges by, if the rules ask it.
    pub bundle: Option<BundleText>,
    /// What Falco must have to load the file.
    pub requirements: Requirements,
    header: String,
    items: Vec<Item>,
    sample: Vec<Item>,
    templates: Rc<Templates>,
}

impl Rendered {
    /// The rules, in the order of the file.
    pub fn rules(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.kind() == Kind::Rule)
    }

    /// A file that holds each distinct macro and rule once: what loads here loads there.
    pub fn sample(&self) -> String {
        text(&self.header, &self.sample)
    }

    /// Where the template stands that made a line of the sample, counted from 1: its file and line.
    pub fn template_of(&self, line: usize) -> Option<String> {
        let mut above = self.header.lines().count();
        for item in &self.sample {
            let mut text = String::new();
            item.write(&mut text);
            let end = above + text.lines().count();
            if line <= end {
                // the first line is empty
                return self.templates.place_of_line(item.made(), line.checked_sub(above + 2)?);
            }
            above = end;
        }
        None
    }
}
