//! Templates that include themselves would fill the stack: they are refused before anything renders.

use std::collections::{BTreeMap, BTreeSet};

use handlebars::template::{DecoratorTemplate, HelperTemplate, Parameter, Template, TemplateElement};

/// Which templates each template includes, by name; what one defines inline counts as a template.
type Includes = BTreeMap<String, BTreeSet<String>>;

/// Why rendering one of the templates may never end: the template, and what is wrong with it.
pub(super) fn endless<'t>(
    templates: impl Iterator<Item = (&'t String, &'t Template)>,
) -> Option<(String, String)> {
    let mut includes = Includes::new();
    for (name, template) in templates {
        if let Err(problem) = collect(name, template, &mut includes) {
            return Some((name.clone(), problem));
        }
    }
    let found = includes.keys().find_map(|name| way_back(name, &includes))?;
    let problem = format!("includes itself ({}); break the circle", found.join(" includes "));
    found.first().map(|name| (name.clone(), problem))
}

fn collect(owner: &str, template: &Template, includes: &mut Includes) -> Result<(), String> {
    includes.entry(owner.to_owned()).or_default();
    for element in &template.elements {
        match element {
            TemplateElement::HelperBlock(block) => helper(owner, block, includes)?,
            TemplateElement::PartialExpression(partial) | TemplateElement::PartialBlock(partial) => {
                let name =
                    name(&partial.name).ok_or("a partial must be named plainly, as in {{> output}}")?;
                includes.entry(owner.to_owned()).or_default().insert(name);
                body(owner, partial, includes)?;
            }
            // {{#*inline "name"}}
            TemplateElement::DecoratorBlock(inline) => {
                let defined =
                    inline.params.first().and_then(name).ok_or("an inline partial needs a plain name")?;
                body(&defined, inline, includes)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn helper(owner: &str, block: &HelperTemplate, includes: &mut Includes) -> Result<(), String> {
    [&block.template, &block.inverse]
        .into_iter()
        .flatten()
        .try_for_each(|inner| collect(owner, inner, includes))
}

fn body(owner: &str, partial: &DecoratorTemplate, includes: &mut Includes) -> Result<(), String> {
    partial.template.as_ref().map_or(Ok(()), |inner| collect(owner, inner, includes))
}

/// A plain name; none where an expression gives it, or where it stands for another block.
fn name(parameter: &Parameter) -> Option<String> {
    let name = match parameter {
        Parameter::Literal(literal) => literal.as_str()?,
        plain => plain.as_name()?,
    };
    (!name.starts_with('@')).then(|| name.to_owned())
}

/// The shortest way from a template back to itself.
fn way_back(start: &str, includes: &Includes) -> Option<Vec<String>> {
    let mut ways = vec![vec![start.to_owned()]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in way.last().and_then(|last| includes.get(last)).into_iter().flatten() {
                let on: Vec<String> = way.iter().chain([next]).cloned().collect();
                if next == start {
                    return Some(on);
                }
                if seen.insert(next) {
                    longer.push(on);
                }
            }
        }
        ways = longer;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use handlebars::Handlebars;

    fn problem(templates: &[(&str, &str)]) -> Option<(String, String)> {
        let mut registry = Handlebars::new();
        for (name, text) in templates {
            registry.register_template_string(name, text).unwrap();
        }
        endless(registry.get_templates().iter())
    }

    #[test]
    fn finds_what_never_ends() {
        assert_eq!(problem(&[("a", "{{> b}}{{#if x}}{{> b}}{{/if}}"), ("b", "{{> c}}"), ("c", "x")]), None);
        for (templates, way) in [
            (vec![("a", "x {{> a}}")], "a includes a"),
            (vec![("a", "{{> b}}"), ("b", "{{#each x}}{{else}}{{> a}}{{/each}}")], "a includes b includes a"),
            (vec![("a", "{{#> b}}{{> a}}{{/b}}"), ("b", "")], "a includes a"),
            (vec![("a", "{{#*inline \"i\"}}{{> i}}{{/inline}}{{> i}}")], "i includes i"),
            (vec![("a", "{{> b}}"), ("b", "{{> b}}")], "b includes b"),
        ] {
            let (_, problem) = problem(&templates).unwrap();
            assert_eq!(problem, format!("includes itself ({way}); break the circle"));
        }
        for template in ["{{> (lookup this 'x')}}", "{{#> b}}{{/b}}{{> @partial-block}}"] {
            assert!(
                problem(&[("a", template), ("b", "")]).unwrap().1.contains("named plainly"),
                "{template}"
            );
        }
    }
}
