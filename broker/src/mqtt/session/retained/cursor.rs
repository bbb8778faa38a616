//! Reading the retained messages that a filter matches, a bounded number of topics at a time.

use std::ops::Bound;
use std::sync::Arc;

use pointsman_rules::topic::TopicFilter;

use super::super::super::envelope::Envelope;
use super::Retained;

/// Topics looked at in one step: at most some hundred microseconds under a lock that readers share.
pub(crate) const STEP_TOPICS: usize = 256;

/// A place among the retained messages that one filter matches, in the order of their topics.
///
/// What is retained while the cursor is under way may be met or not. A subscriber misses nothing by it: its subscription
/// is there first, so that it gets such a message as it comes.
#[derive(Debug)]
pub(crate) struct RetainedCursor {
    filter: TopicFilter,
    /// Bytes of the filter up to its first wildcard; all topics it matches begin with them, but the next one.
    prefix_len: usize,
    /// A topic to look at before the others: the only one without a wildcard, the parent with `#`.
    alone_len: Option<usize>,
    /// The last topic looked at.
    after: Option<Arc<str>>,
    done: bool,
}

impl RetainedCursor {
    /// Before the first.
    pub(crate) fn new(filter: TopicFilter) -> RetainedCursor {
        let text = filter.as_str();
        let Some(wildcard) = text.find(['+', '#']) else {
            let len = text.len();
            return RetainedCursor {
                filter,
                prefix_len: len,
                alone_len: Some(len),
                after: None,
                done: false,
            };
        };
        // `a/b/#` means `a/b` too, which does not begin with `a/b/`. [MQTT-4.7.1-2]
        let alone_len = (text[wildcard..].starts_with('#') && wildcard > 0).then(|| wildcard - 1);
        RetainedCursor { filter, prefix_len: wildcard, alone_len, after: None, done: false }
    }

    /// What it looks for.
    pub(crate) fn filter(&self) -> &TopicFilter {
        &self.filter
    }

    /// Behind `topic`, where a reader had come before.
    pub(crate) fn behind(filter: TopicFilter, topic: &str) -> RetainedCursor {
        let mut cursor = RetainedCursor::new(filter);
        let parent = cursor.alone_len.map(|len| &cursor.filter.as_str()[..len]);
        if parent.is_some_and(|parent| parent <= topic) {
            cursor.alone_len = None;
        }
        cursor.after = Some(topic.into());
        cursor
    }
}

impl Retained {
    /// Goes on from where the cursor is: looks at no more than `topics_max` topics, adds those that match to `out`, and
    /// says whether there may be more.
    ///
    /// Whether the reader may receive a message is its own to check, and so is what it has room for.
    pub(crate) fn step(
        &self,
        cursor: &mut RetainedCursor,
        now_ms: u64,
        topics_max: usize,
        out: &mut Vec<Envelope>,
    ) -> bool {
        if cursor.done {
            return false;
        }
        let text = cursor.filter.as_str();
        let topics_max = topics_max.max(1);
        let kept = self.read();
        let mut looked_at = 0;
        if let Some(len) = cursor.alone_len.take() {
            looked_at += 1;
            let found = kept.topics.get(&text[..len]).filter(|entry| entry.is_live(now_ms));
            out.extend(found.map(|entry| entry.envelope.clone()));
            if len == text.len() {
                cursor.done = true;
                return false;
            }
        }
        let prefix = &text[..cursor.prefix_len];
        let from = match cursor.after.as_deref() {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut last = None;
        for (topic, entry) in kept.topics.range::<str, _>((from, Bound::Unbounded)) {
            if !topic.starts_with(prefix) {
                break;
            }
            if looked_at == topics_max {
                cursor.after = last.map(Arc::clone).or(cursor.after.take());
                return true;
            }
            looked_at += 1;
            last = Some(topic);
            if entry.is_live(now_ms) && cursor.filter.matches(topic) {
                out.push(entry.envelope.clone());
            }
        }
        cursor.done = true;
        false
    }
}
