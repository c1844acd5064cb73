//! Lists, page by page.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::fetch::{Api, Failure};
use super::resource::Resource;
use crate::messages::cluster as messages;
use crate::problem::quote;

/// Which objects to list, and how many a page.
#[derive(Clone, Copy)]
pub(super) struct Query<'a> {
    pub(super) resource: Resource,
    /// Selectors as they stand in the address, each with `&` before it.
    pub(super) selectors: &'a str,
    pub(super) limit: u32,
}

/// One page of a list.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    metadata: PageMeta,
    items: Option<Vec<Map<String, Value>>>,
}

#[derive(Default, Deserialize)]
struct PageMeta {
    #[serde(default, rename = "continue")]
    next: String,
}

/// Lists objects and keeps what `keep` makes of each; tells `progress` how many there are after each page.
pub(super) async fn list<T>(
    api: &Api,
    query: Query<'_>,
    keep: &mut dyn FnMut(Map<String, Value>) -> Option<T>,
    progress: &mut dyn FnMut(&Resource, usize),
) -> Result<Vec<T>, Failure> {
    // The token of a long list may expire on the way; what was read of it is then not one state.
    match pages(api, query, keep, progress).await {
        Err(Failure::Expired) => match pages(api, query, keep, progress).await {
            Err(Failure::Expired) => Err(Failure::Other(messages::expired_twice())),
            again => again,
        },
        first => first,
    }
}

async fn pages<T>(
    api: &Api,
    query: Query<'_>,
    keep: &mut dyn FnMut(Map<String, Value>) -> Option<T>,
    progress: &mut dyn FnMut(&Resource, usize),
) -> Result<Vec<T>, Failure> {
    let resource = query.resource;
    let first = format!("{}?limit={}{}", resource.path(), query.limit, query.selectors);
    let mut kept = Vec::new();
    let mut seen = 0;
    let mut token = String::new();
    progress(&resource, seen);
    loop {
        let path =
            if token.is_empty() { first.clone() } else { format!("{first}&continue={}", encoded(&token)) };
        let page = page(&api.get(&path).await?, &resource)?;
        let items = page.items.unwrap_or_default();
        seen += items.len();
        kept.extend(items.into_iter().filter_map(&mut *keep));
        progress(&resource, seen);
        if page.metadata.next.is_empty() {
            return Ok(kept);
        }
        if page.metadata.next == token {
            return Err(Failure::Other(messages::page_repeated()));
        }
        token = page.metadata.next;
    }
}

fn page(body: &[u8], resource: &Resource) -> Result<Page, Failure> {
    let page: Page = serde_json::from_slice(body).map_err(|error| {
        let start = String::from_utf8_lossy(body.get(..200).unwrap_or(body)).trim_start().to_owned();
        Failure::Other(if start.starts_with('<') { messages::web_page() } else { messages::no_list(error) })
    })?;
    if page.kind != format!("{}List", resource.kind) {
        let kind = if page.kind.is_empty() { "no kind".to_owned() } else { quote(&page.kind) };
        return Err(Failure::Other(messages::other_list(kind, resource.kind)));
    }
    Ok(page)
}

/// `token` as it may stand in an address.
fn encoded(token: &str) -> String {
    let mut text = String::with_capacity(token.len());
    for byte in token.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(byte.into());
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}
