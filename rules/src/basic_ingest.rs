//! Basic Ingest: topics that name a rule. A message published there is for that rule alone.

/// What these topics begin with: the name of the rule comes behind it, then the topic as the rule sees it.
pub const BASIC_INGEST_PREFIX: &str = "$aws/rules/";

/// A message for one rule alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BasicIngest<'a> {
    /// The name of the rule; nobody has said that there is one.
    pub rule: &'a str,
    /// The topic as the rule sees it; not empty.
    pub topic: &'a str,
}

impl<'a> BasicIngest<'a> {
    /// What a topic of the form `$aws/rules/<rule>/<topic>` says; `None` for all others.
    pub fn of(topic: &'a str) -> Option<Self> {
        let (rule, topic) = topic.strip_prefix(BASIC_INGEST_PREFIX)?.split_once('/')?;
        (!rule.is_empty() && !topic.is_empty()).then_some(Self { rule, topic })
    }
}

/// Whether a rule may listen to a filter: not to what is published to rules by name.
///
/// # Errors
/// Says what to do instead.
pub(crate) fn check_filter(filter: &str) -> Result<(), String> {
    if format!("{filter}/").starts_with(BASIC_INGEST_PREFIX) {
        return Err(format!(
            "filter {filter:?} would listen to Basic Ingest: leave out `$aws/rules/<rule>/`, as the rule of that name \
             sees only what comes behind it"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_names_its_rule() {
        let read = |topic| BasicIngest::of(topic).map(|it| (it.rule, it.topic));
        assert_eq!(read("$aws/rules/doors/home/1"), Some(("doors", "home/1")));
        assert_eq!(read("$aws/rules/doors//"), Some(("doors", "/")));
        for other in ["$aws/rules/doors", "$aws/rules/doors/", "$aws/rules//x", "$aws/events/x", "home/1", ""]
        {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn nobody_listens_to_what_is_for_one_rule() {
        for filter in ["$aws/rules", "$aws/rules/#", "$aws/rules/doors/home"] {
            assert!(check_filter(filter).unwrap_err().contains("leave out"), "{filter}");
        }
        for filter in ["$aws/rulesets/x", "$aws/events/#", "rules/#"] {
            assert_eq!(check_filter(filter), Ok(()));
        }
    }
}
