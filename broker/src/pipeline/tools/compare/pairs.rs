//! Which triggers of a draft and of the active version are called with the same batches and at the same times.

use std::time::Duration;

use pointsman_rules::{BatchLimits, On, Rule, Trigger, TriggerIndex};

/// A trigger of batches or times of the draft, of the active version, or the same of both.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) draft: Option<TriggerIndex>,
    pub(super) active: Option<TriggerIndex>,
    /// Why the other version has none; empty if it has.
    pub(super) why: String,
}

/// Brings together what is called alike, first that of one name.
pub(super) fn pairs(draft: &Rule, active: Option<&Rule>) -> Vec<Pair> {
    let none = [];
    let theirs = active.map_or(&none[..], |active| &active.triggers);
    let mut partners = vec![None; draft.triggers.len()];
    for is_partner in [is_same, is_called_alike] {
        for (own, trigger) in gathered(&draft.triggers) {
            let free = |at: &usize| !partners.contains(&Some(*at));
            if partners[own].is_none() {
                partners[own] = (0..theirs.len()).filter(free).find(|at| is_partner(trigger, &theirs[*at]));
            }
        }
    }
    let of_draft = gathered(&draft.triggers).map(|(own, trigger)| {
        let why =
            if partners[own].is_some() { String::new() } else { why(trigger, "active version", active) };
        Pair { draft: Some(own), active: partners[own], why }
    });
    let left = gathered(theirs).filter(|(at, _)| !partners.contains(&Some(*at)));
    let of_active = left.map(|(at, trigger)| Pair {
        draft: None,
        active: Some(at),
        why: why(trigger, "draft", Some(draft)),
    });
    of_draft.chain(of_active).collect()
}

/// The triggers that are not called with single events.
fn gathered(triggers: &[Trigger]) -> impl Iterator<Item = (TriggerIndex, &Trigger)> {
    triggers.iter().enumerate().filter(|(_, trigger)| matches!(trigger.on, On::Batch(..) | On::Time(_)))
}

fn is_same(one: &Trigger, other: &Trigger) -> bool {
    one.handler == other.handler && is_called_alike(one, other)
}

fn is_called_alike(one: &Trigger, other: &Trigger) -> bool {
    match (&one.on, &other.on) {
        (On::Batch(..), On::Batch(..)) => {
            one.on == other.on && one.handling.order_by == other.handling.order_by
        }
        // What becomes of missed times does not matter where none are missed.
        (On::Time(schedule), On::Time(its)) => schedule.to_string() == its.to_string(),
        _ => false,
    }
}

/// Why a version has no partner for a trigger.
fn why(trigger: &Trigger, whose: &str, version: Option<&Rule>) -> String {
    let Some(version) = version else { return "no version is active".to_owned() };
    let On::Batch(levels, _) = &trigger.on else {
        return format!("the {whose} is not called at these times");
    };
    let other = version.triggers.iter().find_map(|its| match &its.on {
        On::Batch(its_levels, limits) if its_levels == levels => Some((limits, its)),
        _ => None,
    });
    match other {
        None => format!("the {whose} takes no batches of these messages"),
        Some((limits, its)) if its.on == trigger.on => {
            format!("the {whose} forms other batches of them: order_by differs, within {}", shown(limits))
        }
        Some((limits, _)) => format!("the {whose} forms other batches of them: {}", shown(limits)),
    }
}

fn shown(limits: &BatchLimits) -> String {
    let BatchLimits { messages_max, bytes_max, delay_max } = limits;
    let delay: Duration = *delay_max;
    format!("max_messages {messages_max}, max_bytes {bytes_max}, max_delay {delay:?}")
}

#[cfg(test)]
mod tests {
    use pointsman_rules::{Engine, Limits, RuleName};

    use super::*;
    use crate::pipeline::monotonic;

    fn rule(source: &str) -> Rule {
        let source = format!("{source} fn f(it) {{ }} fn g(it) {{ }}");
        let name = RuleName::parse("case").expect("a name");
        Engine::new(Limits::default(), monotonic).compile(&name, "case.rhai", &source).expect("a rule")
    }

    fn found(draft: &str, active: &str) -> Vec<(Option<usize>, Option<usize>, String)> {
        let pairs = pairs(&rule(draft), Some(&rule(active)));
        pairs.into_iter().map(|Pair { draft, active, why }| (draft, active, why)).collect()
    }

    #[test]
    fn what_is_called_alike_is_a_pair_whatever_its_order_and_name() {
        let both = |draft, active| (Some(draft), Some(active), String::new());
        let times = r#"every("1s", "f"); every("1s", "g"); cron("* * * * *", #{ zone: "UTC" }, "f");"#;
        let turned = r#"cron("* * * * *", "f"); on_message("a", "f"); every("1s", "g"); every("1s", "f");"#;
        assert_eq!(found(times, turned), [both(0, 3), both(1, 2), both(2, 0)]);
        assert_eq!(found(r#"every("1s", #{ missed: "all" }, "f");"#, r#"every("1s", "g");"#), [both(0, 0)]);
        let batch = r#"on_batch("a/{x}", #{ max_messages: 2 }, "f");"#;
        assert_eq!(found(batch, &batch.replace("\"f\"", "\"g\"")), [both(0, 0)]);
    }

    #[test]
    fn what_has_no_partner_says_why() {
        let batch = |settings: &str| format!("on_batch(\"a\", #{{ {settings} }}, \"f\");");
        let why = |draft: &str, active: &str| {
            found(draft, active).into_iter().map(|(_, _, why)| why).collect::<Vec<_>>()
        };
        let (few, many) = (batch("max_messages: 2"), batch("max_messages: 3"));
        assert_eq!(
            why(&few, &many),
            [
                "the active version forms other batches of them: max_messages 3, max_bytes 1048576, max_delay 1s",
                "the draft forms other batches of them: max_messages 2, max_bytes 1048576, max_delay 1s",
            ]
        );
        let by_topic = batch("max_messages: 2, order_by: \"topic\"");
        assert!(why(&few, &by_topic)[0].contains("order_by differs"));
        assert_eq!(
            why(&few, "on_message(\"a\", \"f\");"),
            ["the active version takes no batches of these messages"]
        );
        assert_eq!(
            why("every(\"1s\", \"f\");", "every(\"2s\", \"f\");"),
            ["the active version is not called at these times", "the draft is not called at these times"]
        );
        assert_eq!(pairs(&rule(&few), None)[0].why, "no version is active");
    }
}
