//! Keys and units: what waits for what.

use pointsman_rules::{Engine, EventId, Limits, RuleName};

use super::*;
use crate::mqtt::{EnvelopeBuilder, Interest, Marks, Origin, QoS};
use crate::pipeline::monotonic;

fn rule(order_by: &str) -> Arc<ActiveRule> {
    let source =
        format!(r#"on_message("{{a}}/{{b}}", #{{ order_by: "{order_by}" }}, "hear"); fn hear(msg) {{ }}"#);
    let name = RuleName::parse("case").expect("a name");
    let rule = Engine::new(Limits::default(), monotonic).compile(&name, "case.rhai", &source);
    Arc::new(ActiveRule::new(Arc::new(rule.expect("a rule"))))
}

fn envelope(client_id: &str, publisher: u64, messages: &[(&str, &str)]) -> Envelope {
    let mut builder = EnvelopeBuilder::default();
    for (topic, payload) in messages {
        let marks = Marks { qos: QoS::AtLeastOnce, retain: false, interest: Interest::default() };
        builder.push(topic, payload.as_bytes(), b"", marks);
    }
    let first_id = EventId::from_u128(u128::from(publisher) << 32);
    builder.seal(&Origin { publisher, client_id, user: None, hops: 0, first_id })
}

/// The indices of the units that two envelopes of different publishers fall into, each with the number of its key.
fn units(order_by: &str, from: [(&str, u64); 2]) -> Vec<(usize, Vec<u32>)> {
    let rule = rule(order_by);
    let messages = [("x/1", r#"{"n":1}"#), ("y/1", r#"{"n":2}"#), ("x/2", r#"{"n":1}"#), ("x/1", "-")];
    let mut keys = Vec::new();
    let mut all = Vec::new();
    for (client_id, publisher) in from {
        let envelope = envelope(client_id, publisher, &messages);
        let mut units = Units::new(&envelope);
        (0..envelope.len()).for_each(|index| units.add(&rule, 0, index, true));
        for (key, unit) in units.finish(Some(7)) {
            let number = keys.iter().position(|its| *its == key).unwrap_or_else(|| {
                keys.push(key);
                keys.len() - 1
            });
            let Events::Messages(_, indices) = unit.events else { panic!("these are messages") };
            assert_eq!(unit.counted, Some(7));
            all.push((number, indices.into()));
        }
    }
    all
}

#[test]
fn order_by_says_which_messages_share_a_key() {
    let clients = [("ana", 1), ("bo", 2)];
    let all = vec![0, 1, 2, 3];
    let each = || [vec![0], vec![1], vec![2], vec![3]];
    assert_eq!(units("publisher", clients), [(0, all.clone()), (1, all.clone())]);
    assert_eq!(units("all", clients), [(0, all.clone()), (0, all)]);
    let by = |groups: &[&[u32]]| {
        let groups: Vec<_> = groups.iter().map(|group| group.to_vec()).enumerate().collect();
        [groups.clone(), groups].concat()
    };
    assert_eq!(units("topic", clients), by(&[&[0, 3], &[1], &[2]]));
    assert_eq!(units("params.a", clients), by(&[&[0, 2, 3], &[1]]));
    assert_eq!(units("json.n", clients), by(&[&[0, 2], &[1], &[3]]));
    assert_eq!(units("none", clients), [each(), each()].concat().into_iter().enumerate().collect::<Vec<_>>());
}

#[test]
fn what_the_server_publishes_is_in_order_by_topic() {
    let expected = [(0, vec![0, 3]), (1, vec![1]), (2, vec![2])];
    assert_eq!(units("publisher", [("", SERVER), ("", SERVER)]), [expected.clone(), expected].concat());
}
