//! Topics that begin with `$`: they are the server's own, but for those by which a client speaks to one rule alone.

use pointsman_rules::{BASIC_INGEST_PREFIX, BasicIngest};

/// Levels of a topic of Basic Ingest that do not count as its own: `$aws`, `rules` and the name of the rule.
const INGEST_LEVELS: usize = 3;

/// Whether anybody but the server may publish to a topic, if their policy allows it.
pub(crate) fn is_open(topic: &str) -> bool {
    !topic.starts_with('$') || BasicIngest::of(topic).is_some()
}

/// Whether messages of a topic are for a rule alone: nobody is sent them, and none is retained.
pub(crate) fn is_for_rule(topic: &str) -> bool {
    topic.starts_with(BASIC_INGEST_PREFIX)
}

/// Whether clients may ask for a filter, if their policy allows it: not for what is for a rule alone.
pub(crate) fn is_open_filter(filter: &str) -> bool {
    !format!("{filter}/").starts_with(BASIC_INGEST_PREFIX)
}

/// How many levels of a topic count towards `topic_levels_max`.
pub(crate) fn levels(topic: &str) -> usize {
    let levels = topic.split('/').count();
    if is_for_rule(topic) { levels.saturating_sub(INGEST_LEVELS) } else { levels }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_servers_own_is_closed() {
        for open in ["a", "a/$SYS", "$aws/rules/doors/home"] {
            assert!(is_open(open), "{open}");
        }
        for closed in
            ["$SYS/x", "$aws/events/x", "$aws/rules/doors", "$aws/rules/doors/", "$aws/rules//x", "$"]
        {
            assert!(!is_open(closed), "{closed}");
        }
        assert!(is_open_filter("$aws/#") && is_open_filter("$aws/events/#") && is_open_filter("#"));
        for closed in ["$aws/rules", "$aws/rules/#", "$aws/rules/+/x"] {
            assert!(!is_open_filter(closed), "{closed}");
        }
        assert_eq!((levels("a/b"), levels("$aws/rules/doors/a/b")), (2, 2));
    }
}
