//! The report as one page that needs nothing else: no network, no inline handler, and no script to be read.
//!
//! Its policy of content lets in its own style and script by their digests and nothing else, so that markup that came
//! in from a manifest could not run even if it got through the escaping.

use std::fmt::Write as _;

use psp_admission::Field;
use sha2::{Digest as _, Sha256};

use super::escape::{html, short};
use super::model::{FieldReport, Layer, Lost, PolicyReport, Report, Totals};
use super::pss::{Demand, Level, Standing};

const STYLE: &str = include_str!("../../templates/report/report.css");
const SCRIPT: &str = include_str!("../../templates/report/report.js");
/// Longest value shown, in characters; the JSON report has it whole.
const WIDEST: usize = 600;

/// The report as a page.
pub(super) fn render(report: &Report) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"generator\" content=\"{}\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{}'; script-src '{}'; \
         base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>PodSecurityPolicies carried over to Falco</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        html(&report.generator),
        digest(STYLE),
        digest(SCRIPT),
    );
    head(&mut page, report);
    page.push_str("<main>\n");
    summary(&mut page, &report.totals);
    page.push_str(
        "<div class=\"note\"><p><b>The policies prevented; Falco tells.</b> PodSecurityPolicy admission refused pods, \
         and filled in what others left unset. The rules alert on each such pod; they neither refuse nor fill in. A Pod \
         Security Standard, set by a label on a namespace, refuses again what its level covers.</p></div>\n",
    );
    changes(&mut page, report);
    whose(&mut page, report);
    warnings(&mut page, report);
    matrix(&mut page, report);
    page.push_str("<h2>Policies</h2>\n<p class=\"js-only\"><button type=\"button\" id=\"open-all\">Open or close all</button></p>\n");
    for (index, policy) in report.policies.iter().enumerate() {
        details(&mut page, index, policy);
    }
    page.push_str("</main>\n");
    foot(&mut page, report);
    let _ = write!(page, "<script>{SCRIPT}</script>\n</body>\n</html>\n");
    page
}

/// A source of a content security policy: SHA-256 in Base64.
fn digest(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::from("sha256-");
    for chunk in Sha256::digest(text.as_bytes()).chunks(3) {
        let byte = |i: usize| chunk.get(i).copied().map_or(0, u32::from);
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let letter = LETTERS.get((bits >> (18 - 6 * i) & 63) as usize).copied().unwrap_or(b'=');
            out.push(if i <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

fn head(page: &mut String, report: &Report) {
    let options = &report.options;
    let mut made = vec![match options.audit_object.as_str() {
        "request" => "judged by the request, since responses are not logged".to_owned(),
        _ => "judged by the pod as stored".to_owned(),
    }];
    if !options.namespaces.is_empty() {
        made.push(format!("in namespaces {}", short(&options.namespaces.join(", "), 200)));
    }
    if !options.exclude_namespaces.is_empty() {
        made.push(format!("never in {}", short(&options.exclude_namespaces.join(", "), 200)));
    }
    if options.own_templates {
        made.push("with templates of the user's own".to_owned());
    }
    let _ = writeln!(
        page,
        "<header><div><h1>PodSecurityPolicies carried over to Falco</h1>\n<p class=\"soft\">Coverage of {} and {}, \
         {}.</p></div>\n<button type=\"button\" id=\"theme\" class=\"js-only\">Light / dark</button></header>",
        counted(report.totals.policies, "policy", "policies"),
        counted(report.totals.rules, "rule", "rules"),
        html(&made.join(", "))
    );
}

/// Who may use which policy, and what follows where nobody knows.
fn whose(page: &mut String, report: &Report) {
    let lines = report.rbac.lines();
    if lines.is_empty() {
        return;
    }
    page.push_str("<h2>Whose policy</h2>\n<ul>\n");
    for line in lines {
        let _ = writeln!(page, "<li>{}</li>", html(&line));
    }
    page.push_str("</ul>\n");
}

fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

fn summary(page: &mut String, totals: &Totals) {
    page.push_str("<ul class=\"cards\">\n");
    let mut card = |n: usize, class: &str, what: &str| {
        let dot = if class.is_empty() { String::new() } else { format!("<i class=\"dot {class}\"></i>") };
        let _ = writeln!(page, "<li><b>{n}</b><span>{dot}{what}</span></li>");
    };
    card(totals.policies, "", if totals.policies == 1 { "policy" } else { "policies" });
    card(totals.rules, "", "Falco rules");
    card(totals.exact, "e", "fields exact");
    card(totals.approximate, "a", "fields approximate");
    card(totals.undetectable, "u", "fields undetectable");
    card(totals.unrestricted, "n", "fields unrestricted");
    if totals.unusable > 0 {
        card(totals.unusable, "", "unusable policies");
    }
    page.push_str("</ul>\n");
    let parts = [
        ("e", totals.exact),
        ("a", totals.approximate),
        ("u", totals.undetectable),
        ("n", totals.unrestricted),
    ];
    let all: usize = parts.iter().map(|(_, n)| n).sum();
    let _ = write!(
        page,
        "<svg class=\"bar\" viewBox=\"0 0 {} 1\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"fields by fidelity\">",
        all.max(1)
    );
    let mut start = 0;
    for (class, n) in parts {
        let _ = write!(page, "<rect class=\"{class}\" x=\"{start}\" width=\"{n}\" height=\"1\"/>");
        start += n;
    }
    page.push_str("</svg>\n");
}

fn changes(page: &mut String, report: &Report) {
    let Some(changes) = &report.changes else { return };
    let _ = writeln!(page, "<h2>Changes</h2>\n<p>{}.</p>", html(&changes.headline()));
    let lines = changes.lines();
    if lines.is_empty() {
        return;
    }
    page.push_str("<ul class=\"changes\" tabindex=\"0\">\n");
    for line in lines {
        let class = match line.chars().next() {
            Some('+') => "plus",
            Some('-') => "minus",
            Some('!') => "bang",
            _ => "tilde",
        };
        let _ = writeln!(page, "<li class=\"mono {class}\">{}</li>", html(&short(&line, WIDEST)));
    }
    page.push_str("</ul>\n");
}

fn warnings(page: &mut String, report: &Report) {
    if report.warnings.is_empty() {
        return;
    }
    page.push_str("<h2>Warnings</h2>\n<ul class=\"plain\">\n");
    for warning in &report.warnings {
        let _ = writeln!(page, "<li class=\"mono\">{}</li>", html(&short(&warning.to_string(), WIDEST)));
    }
    page.push_str("</ul>\n");
}

/// The class of a field's cell.
fn class(field: &FieldReport) -> &'static str {
    class_of(&field.layers.best().fidelity)
}

fn class_of(fidelity: &str) -> &'static str {
    match fidelity {
        "exact" => "e",
        "approximate" => "a",
        "undetectable" => "u",
        _ => "n",
    }
}

/// What a cell shows; the sign tells without colour what the colour tells.
fn sign(field: &FieldReport) -> String {
    let letters: String = field
        .lost
        .iter()
        .map(|lost| match lost {
            Lost::Prevented => 'V',
            Lost::Corrected => 'D',
        })
        .collect();
    match class(field) {
        "n" => "·".to_owned(),
        "a" => format!("≈{letters}"),
        "u" => format!("✕{letters}"),
        _ => letters,
    }
}

fn level_of(policy: &PolicyReport) -> &'static str {
    policy.pod_security.as_ref().map_or("unusable", |standing| standing.level.name())
}

fn badge(level: &str) -> String {
    format!("<span class=\"badge {level}\">{level}</span>")
}

fn matrix(page: &mut String, report: &Report) {
    page.push_str(
        "<h2>Coverage</h2>\n<ul class=\"legend\">\n\
         <li><span class=\"cell e\">V</span>a Violation alert, where the policy refused</li>\n\
         <li><span class=\"cell e\">D</span>a Lost Default alert, where it filled in</li>\n\
         <li><span class=\"cell a\">≈</span>alerts may differ</li>\n\
         <li><span class=\"cell u\">✕</span>no alert</li>\n\
         <li><span class=\"cell n\">·</span>the policy restricts nothing</li>\n</ul>\n",
    );
    filters(page);
    page.push_str(
        "<div class=\"matrix\" id=\"matrix\" tabindex=\"0\" role=\"region\" aria-label=\"Coverage, policies by fields\">\
         <table>\n<thead><tr><th class=\"name\" scope=\"col\">Policy</th><th class=\"level\" scope=\"col\">Closest level</th>",
    );
    for (column, field) in Field::ALL.into_iter().enumerate() {
        let used = report.policies.iter().filter_map(|p| p.fields.get(column)).any(|f| class(f) != "n");
        let unused = if used { "" } else { " class=\"unused\"" };
        let _ = write!(page, "<th scope=\"col\"{unused}><span>{field}</span></th>");
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for (index, policy) in report.policies.iter().enumerate() {
        let mut has: Vec<&str> = policy.fields.iter().map(class).collect();
        has.sort_unstable();
        has.dedup();
        let (name, level) = (html(&policy.name), level_of(policy));
        let _ = write!(
            page,
            "<tr data-name=\"{name}\" data-level=\"{level}\" data-has=\"{}\"><th class=\"name\" scope=\"row\" \
             title=\"{name}\"><a href=\"#policy-{index}\">{name}</a></th><td class=\"level\">{}</td>",
            has.concat(),
            badge(level)
        );
        for field in &policy.fields {
            let class = class(field);
            if class == "n" {
                page.push_str("<td class=\"n\">·</td>");
            } else {
                let said = html(&short(&format!("{}: {}", field.field, field.value), 100));
                let _ = write!(page, "<td class=\"{class}\" title=\"{said}\">{}</td>", sign(field));
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table></div>\n");
}

fn filters(page: &mut String) {
    page.push_str(
        "<div class=\"filters js-only\">\
         <input type=\"search\" id=\"by-name\" placeholder=\"Policy name\" aria-label=\"Policy name\">\
         <select id=\"by-level\" aria-label=\"Closest level\"><option value=\"\">any level</option>",
    );
    for level in Level::ALL.map(Level::name).into_iter().chain(["unusable"]) {
        let _ = write!(page, "<option value=\"{level}\">{level}</option>");
    }
    page.push_str(
        "</select><select id=\"by-field\" aria-label=\"Field\"><option value=\"\">any field</option>",
    );
    for (index, field) in Field::ALL.into_iter().enumerate() {
        let _ = write!(page, "<option value=\"{index}\">{field}</option>");
    }
    page.push_str(
        "</select><select id=\"by-fidelity\" aria-label=\"Fidelity\"><option value=\"\">any fidelity</option>\
         <option value=\"e\">exact</option><option value=\"a\">approximate</option>\
         <option value=\"u\">undetectable</option></select>\
         <label><input type=\"checkbox\" id=\"unused\"> hide fields that no policy restricts</label>\
         <span class=\"soft small\"><span id=\"shown\"></span> policies</span></div>\n",
    );
}

fn details(page: &mut String, index: usize, policy: &PolicyReport) {
    let count = |wanted: &str| policy.fields.iter().filter(|f| class(f) == wanted).count();
    let counts: Vec<String> = [("e", "exact"), ("a", "approximate"), ("u", "undetectable")]
        .into_iter()
        .filter(|(class, _)| count(class) > 0)
        .map(|(class, what)| format!("{} {what}", count(class)))
        .collect();
    let counts = if counts.is_empty() { "restricts nothing".to_owned() } else { counts.join(" · ") };
    let _ = writeln!(
        page,
        "<details class=\"policy\" id=\"policy-{index}\"><summary><b>{}</b>{}<span class=\"counts\">{counts}</span></summary>\n\
         <div class=\"inside\"><p class=\"small soft\"><code>{}</code> · <code>{}</code></p>",
        html(&policy.name),
        badge(level_of(policy)),
        html(&policy.place.to_string()),
        html(&policy.digest)
    );
    if let Some(reason) = &policy.unusable {
        let _ = writeln!(
            page,
            "<p><b>Unusable:</b> {}. Admission skipped it, so it admitted no pod.</p>",
            html(reason)
        );
    }
    let guess = if policy.scope.guess { ", a guess for want of RBAC" } else { "" };
    let _ = writeln!(
        page,
        "<p class=\"small\">Pods looked at: {}{guess}.</p>",
        html(&short(&policy.scope.words(), WIDEST))
    );
    if let Some(standing) = &policy.pod_security {
        pod_security(page, standing);
    }
    let restricting: Vec<&FieldReport> = policy.fields.iter().filter(|f| class(f) != "n").collect();
    if !restricting.is_empty() {
        page.push_str(
            "<h3>Fields</h3>\n<div class=\"wide\"><table class=\"fields\">\n<thead><tr><th scope=\"col\">Field</th>\
             <th scope=\"col\">Value</th><th scope=\"col\">Alerts</th><th scope=\"col\">Fidelity</th>\
             <th scope=\"col\">No longer</th></tr></thead>\n<tbody>\n",
        );
        restricting.into_iter().for_each(|f| field(page, f));
        page.push_str("</tbody>\n</table></div>\n");
    }
    page.push_str("</div></details>\n");
}

fn pod_security(page: &mut String, standing: &Standing) {
    let list = |page: &mut String, title: &str, items: Vec<String>| {
        if !items.is_empty() {
            let _ = writeln!(
                page,
                "<h3>{title}</h3><ul class=\"plain small\"><li>{}</li></ul>",
                items.join("</li><li>")
            );
        }
    };
    let demands = |all: &[Demand]| all.iter().map(|d| html(&d.demand)).collect::<Vec<String>>();
    let level = standing.level.name();
    page.push_str("<div class=\"pair\"><div>\n");
    if standing.level == Level::Privileged {
        page.push_str("<h3>Prevention</h3><p class=\"small\">No level above privileged is close: alerts stay all there is.</p>\n");
    } else {
        let _ = writeln!(
            page,
            "<h3>Prevention</h3><p class=\"small\">The closest Pod Security Standard is {}. The namespace label \
             <code>{}</code> brings refusal back.</p>",
            badge(level),
            html(&standing.label)
        );
    }
    list(page, "Pods must then set themselves", demands(&standing.pods_must_set));
    list(page, "It also demands", demands(&standing.refuses_more));
    page.push_str("</div><div>\n");
    if standing.level != Level::Privileged {
        let missed = standing.not_covered.iter();
        list(
            page,
            "It does not cover",
            missed.map(|n| format!("<code>{}</code>: {}", html(&n.field), html(&n.why))).collect(),
        );
    }
    if let Some(next) = &standing.next {
        list(page, &format!("Short of {}", next.level.name()), demands(&next.missing));
    }
    page.push_str("</div></div>\n");
}

fn field(page: &mut String, field: &FieldReport) {
    let named = || field.layers.named();
    let rules: String = named()
        .flat_map(|(_, layer)| &layer.rules)
        .map(|rule| format!("<code>{}</code>", html(rule)))
        .collect();
    let detected: Vec<String> = named().map(|(name, layer)| detected(field, name, layer)).collect();
    let lost: Vec<&str> = field.lost.iter().map(|l| l.name()).collect();
    let _ = writeln!(
        page,
        "<tr><td class=\"f\"><code>{}</code></td><td><code class=\"value\">{}</code></td><td class=\"rules\">{rules}</td>\
         <td>{}</td><td>{}</td></tr>",
        html(&field.field),
        html(&short(&field.value, WIDEST)),
        detected.join("<br>"),
        lost.join(", ")
    );
}

/// How faithfully one layer detects a field; which layer, where there are two.
fn detected(field: &FieldReport, name: &str, layer: &Layer) -> String {
    let name = if field.layers.runtime.is_some() { format!("{name} ") } else { String::new() };
    let reason = layer.reason.as_ref();
    let reason = reason.map(|r| format!("<br><span class=\"soft\">{}</span>", html(r))).unwrap_or_default();
    let class = class_of(&layer.fidelity);
    format!("{name}<span class=\"cell {class}\">{}</span>{reason}", html(&layer.fidelity))
}

fn foot(page: &mut String, report: &Report) {
    let other: Vec<String> =
        report.passed_over.iter().map(|(kind, n)| format!("{n} {}", html(&short(kind, 80)))).collect();
    let other = if other.is_empty() { String::new() } else { format!(" Passed over: {}.", other.join(", ")) };
    let _ = writeln!(
        page,
        "<footer><p>This page was {}.{other} It holds no script from elsewhere and loads nothing.</p></footer>",
        html(&report.generator)
    );
}

#[cfg(test)]
mod tests {
    use super::digest;

    #[test]
    fn digests_are_base64() {
        assert_eq!(digest(""), "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }
}
