//! Topics, topic filters, and the trie that finds the filters a topic matches.

mod filter;
pub(crate) mod hash;
mod label;
mod levels;
mod name;
mod steps;
mod trie;

pub use filter::{FilterError, TopicFilter, filter_matches};
pub use levels::{LevelFilter, LevelFilterError, Params};
pub use name::{TOPIC_BYTES_MAX, TopicError, validate_topic};
pub use trie::TopicTrie;

/// The level of a filter that matches any one level.
pub(crate) const ONE_LEVEL: &str = "+";
/// The last level of a filter that matches its parent and everything below it.
pub(crate) const ALL_LEVELS: &str = "#";

/// Hashes a text that strangers choose, for a table whose `seed` they cannot guess.
pub(crate) fn hash_text(seed: u64, text: &str) -> u32 {
    hash::step(seed, 0, text.as_bytes())
}

/// Shortens text from outside so that an error message stays readable.
pub(crate) fn excerpt(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    let mut chars = text.char_indices();
    match chars.nth(CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
