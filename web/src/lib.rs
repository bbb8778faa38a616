//! The pages, embedded: the bytes, types and tags that an HTTP server needs to serve them.
//!
//! The build script makes the pages with npm and a table of them with `include_bytes!`. That takes no dependency
//! at all and gives compressed variants and tags at build time, which is why it is not `rust-embed`. Where Node is
//! missing, [`built`] is false and every page is one that says how to get the others.

use std::fmt;

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The content security policy that the pages are made for: everything from this server, nothing inline.
pub const CONTENT_SECURITY_POLICY: &str =
    "default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'self'";

const START_PAGE: &str = "/index.html";
const CHAT_PAGE: &str = "/chat.html";

static MISSING_PAGE: Asset = Asset {
    bytes: include_bytes!("missing.html"),
    brotli: None,
    gzip: None,
    content_type: "text/html; charset=utf-8",
    etag: concat!("W/\"missing-", env!("CARGO_PKG_VERSION"), "\""),
    immutable: false,
};

/// One file and what an HTTP answer says about it.
#[derive(Clone, Copy)]
pub struct Asset {
    /// The file as it is.
    pub bytes: &'static [u8],
    /// The file for clients that accept `br`, where that is smaller enough to matter.
    pub brotli: Option<&'static [u8]>,
    /// The file for clients that accept `gzip`, likewise.
    pub gzip: Option<&'static [u8]>,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The value of `ETag`, quotes included. It is a weak one, because the compressed variants have it too.
    pub etag: &'static str,
    /// Whether the path holds a hash of the bytes, so that a client may keep them for ever.
    pub immutable: bool,
}

impl fmt::Debug for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asset")
            .field("content_type", &self.content_type)
            .field("len", &self.bytes.len())
            .field("etag", &self.etag)
            .field("immutable", &self.immutable)
            .finish_non_exhaustive()
    }
}

/// The file for the path of a request, without its query: `/` is the start page, `/chat` and everything below it
/// the chat, because rooms are part of the address.
pub fn get(path: &str) -> Option<Asset> {
    let file = match path {
        "/" => START_PAGE,
        "/chat" => CHAT_PAGE,
        _ if path.starts_with("/chat/") => CHAT_PAGE,
        _ => path,
    };
    if !BUILT {
        return matches!(file, START_PAGE | CHAT_PAGE).then_some(MISSING_PAGE);
    }
    let index = ASSETS.binary_search_by_key(&file, |(path, _)| path).ok()?;
    Some(ASSETS[index].1)
}

/// Whether the pages are there, and not only the one that says how to get them.
pub fn built() -> bool {
    BUILT
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTML: &str = "text/html; charset=utf-8";

    #[test]
    fn start_page_and_chat_are_always_there() {
        for path in ["/", "/index.html", "/chat", "/chat/", "/chat/lobby", "/chat/a/b/c", "/chat.html"] {
            let asset = get(path).unwrap_or_else(|| panic!("nothing at {path}"));
            assert_eq!(asset.content_type, HTML, "{path}");
            assert!(!asset.immutable, "{path}");
            assert!(asset.bytes.starts_with(b"<!doctype html>"), "{path}");
        }
    }

    #[test]
    fn other_paths_have_nothing() {
        for path in ["", "chat", "/chats", "/nothing", "/assets/", "/../Cargo.toml", "/assets/../index.html"]
        {
            assert!(get(path).is_none(), "{path}");
        }
    }

    #[test]
    fn without_node_the_page_says_what_to_do() {
        let page = std::str::from_utf8(MISSING_PAGE.bytes).unwrap();
        assert!(page.contains("Node 20") && page.contains("cargo build"));
        assert_eq!(get("/").unwrap().etag == MISSING_PAGE.etag, !built());
    }

    #[test]
    fn assets_are_sorted_tagged_and_known_by_type() {
        assert!(ASSETS.is_sorted_by_key(|(path, _)| path));
        for (path, asset) in ASSETS {
            assert!(asset.etag.starts_with("W/\"") && asset.etag.ends_with('"'), "{path}");
            assert_eq!(asset.immutable, path.starts_with("/assets/"), "{path}");
            assert_ne!(asset.content_type, "application/octet-stream", "{path}");
            for variant in [asset.brotli, asset.gzip].into_iter().flatten() {
                assert!(variant.len() < asset.bytes.len(), "{path}");
            }
        }
    }

    #[test]
    fn pages_hold_nothing_that_the_policy_forbids() {
        for path in ["/", "/chat"] {
            let asset = get(path).unwrap();
            let page = std::str::from_utf8(asset.bytes).unwrap();
            assert!(
                !page.contains("<style") && !page.contains("style=") && !page.contains("<script>"),
                "{path}"
            );
            assert!(!page.contains("http://") && !page.contains("https://"), "{path}");
        }
    }

    #[test]
    fn what_the_pages_name_is_there() {
        for path in ["/", "/chat"] {
            let page = String::from_utf8_lossy(get(path).unwrap().bytes).into_owned();
            let named = page.split(['"', '\'']).filter(|part| part.starts_with("/assets/"));
            assert!(
                named.map(|asset| assert!(get(asset).is_some(), "{asset}")).count() >= usize::from(built())
            );
        }
    }
}
