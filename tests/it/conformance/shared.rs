//! Shared subscriptions: each message to one of a group.

use std::collections::BTreeSet;

use pointsman_tests::Raw;
use pointsman_tests::wire::{self, id, kind};

use super::case::{BOTH, Case, ONLY_V5, PROTOCOL_ERROR, each};

fn shared(case: &Case, group: &str, name: &str) -> String {
    format!("$share/{group}/{}", case.topic(name))
}

/// Members of a group, subscribed at QoS 2.
async fn members(case: &Case, count: usize, filter: &str) -> Vec<Raw> {
    let mut members = Vec::new();
    for number in 0..count {
        members.push(case.subscriber(&format!("member{number}"), filter, 2).await);
    }
    members
}

/// What a member is sent before a marker that comes to each.
async fn take_all(members: &mut [Raw], end: &str) -> Vec<Vec<String>> {
    let mut taken = Vec::new();
    for member in members {
        let mut mine = Vec::new();
        loop {
            let message = member.receive().await;
            if message.topic == end {
                break;
            }
            mine.push(message.text().to_owned());
        }
        taken.push(mine);
    }
    taken
}

#[tokio::test]
pub(super) async fn each_message_goes_to_one_of_the_group() {
    // What the standard has for MQTT 5 is offered to 3.1.1 as well.
    each(BOTH, async |case| {
        let end = case.topic("end");
        let mut members = members(&case, 3, &shared(&case, "group", "work/+")).await;
        for member in &mut members {
            member.subscribe(&[(&end, 0)]).await;
        }
        let mut outsider = case.subscriber("outsider", &case.topic("work/+"), 0).await;
        let mut publisher = case.join("publisher").await;
        for number in 0..30 {
            publisher.deliver(number % 3, &case.topic("work/x"), &number.to_string(), &[]).await;
        }
        publisher.publish(&end, "").await;
        let taken = take_all(&mut members, &end).await;
        let all: BTreeSet<_> = taken.iter().flatten().collect();
        assert_eq!((taken.iter().map(Vec::len).sum::<usize>(), all.len()), (30, 30), "{taken:?}");
        for number in 0..30 {
            assert_eq!(outsider.published().await.text(), number.to_string());
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn groups_and_filters_are_apart() {
    each(ONLY_V5, async |case| {
        let mut client = case.join("client").await;
        let filters = [
            shared(&case, "one", "a"),
            shared(&case, "two", "a"),
            shared(&case, "one", "+"),
            case.topic("a"),
        ];
        for filter in &filters {
            assert_eq!(client.subscribe(&[(filter, 1)]).await, [1]);
        }
        case.join("publisher").await.deliver(1, &case.topic("a"), "x", &[]).await;
        for _ in &filters {
            assert_eq!(client.receive().await.text(), "x");
        }
        case.quiet(&mut client).await;
        assert_eq!(client.unsubscribe(&[&filters[0], &filters[3]]).await, [0, 0]);
        assert_eq!(client.unsubscribe(&[&filters[0]]).await, [0x11]);
        case.join("publisher").await.deliver(1, &case.topic("a"), "y", &[]).await;
        for _ in 0..2 {
            assert_eq!(client.receive().await.text(), "y");
        }
        case.quiet(&mut client).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_share_has_a_name_and_a_filter() {
    each(ONLY_V5, async |case| {
        for filter in ["$share//a", "$share/g/", "$share/g", "$share/", "$share/g+/a", "$share/#/a"] {
            // What is no share at all ends the connection; the standard has no better answer than for other errors.
            case.refuses(filter, &case.subscribe(7, &[(filter, 1)], &[]), &[PROTOCOL_ERROR, 0x8F]).await;
        }
        let mut client = case.join("client").await;
        assert_eq!(client.subscribe(&[("$share/g/a/#/b", 1)]).await, [0x8F]);
        assert_eq!(
            client.subscribe(&[("$share/g/+/a", 1), ("$share/ä/#", 0), ("$share/g//", 1)]).await,
            [1, 0, 1]
        );
    })
    .await;
}

#[tokio::test]
pub(super) async fn each_member_has_the_level_it_was_granted() {
    each(ONLY_V5, async |case| {
        let mut low = case.subscriber("low", &shared(&case, "low", "a"), 0).await;
        let mut high = case.subscriber("high", &shared(&case, "high", "a"), 2).await;
        let mut publisher = case.join("publisher").await;
        for qos in 0..=2 {
            publisher.deliver(qos, &case.topic("a"), "x", &[]).await;
            assert_eq!(low.receive().await.qos, 0);
            assert_eq!(high.receive().await.qos, qos);
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn what_a_member_has_begun_at_qos_2_stays_its_own() {
    each(ONLY_V5, async |case| {
        let filter = shared(&case, "group", "a");
        let mut first = case.join_with(&case.persistent("first")).await;
        first.subscribe(&[(&filter, 2)]).await;
        case.join("publisher").await.deliver(2, &case.topic("a"), "x", &[]).await;
        let begun = first.published().await;
        let mut second = case.subscriber("second", &filter, 2).await;
        drop(first);
        case.quiet(&mut second).await;
        let mut first = case.join_with(&case.persistent("first")).await;
        let again = first.published().await;
        assert_eq!((again.packet_id, again.dup, again.text()), (begun.packet_id, true, "x"));
        drop(first);
        // Its session ends: nobody else gets it.
        case.join("first").await.leave().await;
        case.quiet(&mut second).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn what_a_member_refuses_goes_to_nobody_else() {
    each(ONLY_V5, async |case| {
        let end = case.topic("end");
        let mut members = members(&case, 2, &shared(&case, "group", "a")).await;
        for member in &mut members {
            member.subscribe(&[(&end, 0)]).await;
        }
        for (qos, first) in [(1, 0x40), (2, 0x50)] {
            let mut publisher = case.join("publisher").await;
            publisher.deliver(qos, &case.topic("a"), "x", &[]).await;
            publisher.publish(&end, "").await;
            let mut count = 0;
            for member in &mut members {
                let message = member.published().await;
                if message.topic != end {
                    count += 1;
                    member.send(&wire::ack_with(first, message.packet_id, 0x80)).await;
                    assert_eq!(member.published().await.topic, end);
                }
            }
            assert_eq!(count, 1);
            for member in &mut members {
                case.quiet(member).await;
            }
        }
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_member_that_leaves_leaves_its_work_to_the_others() {
    each(ONLY_V5, async |case| {
        let filter = shared(&case, "group", "a");
        let mut first = case.subscriber("first", &filter, 1).await;
        let mut publisher = case.join("publisher").await;
        publisher.deliver(1, &case.topic("a"), "x", &[]).await;
        assert_eq!(first.published().await.text(), "x");
        let mut second = case.subscriber("second", &filter, 1).await;
        // Its session ends before it has acknowledged: a QoS 1 message goes to another, which is our choice.
        drop(first);
        assert_eq!(second.receive().await.text(), "x");
        publisher.deliver(1, &case.topic("a"), "y", &[]).await;
        assert_eq!(second.receive().await.text(), "y");
    })
    .await;
}

#[tokio::test]
pub(super) async fn retained_messages_are_not_for_shared_subscriptions() {
    each(ONLY_V5, async |case| {
        let topic = case.topic("retained");
        case.spread(3, &topic, "x", &[]).await;
        let mut member = case.subscriber("member", &shared(&case, "group", "retained"), 1).await;
        case.quiet(&mut member).await;
    })
    .await;
}

#[tokio::test]
pub(super) async fn a_shared_subscription_has_its_identifier() {
    each(ONLY_V5, async |case| {
        let mut member = case.join("member").await;
        let property = wire::property_varint(id::SUBSCRIPTION_ID, 9);
        member.subscribe_with(&[(&shared(&case, "group", "a"), 1)], &property).await;
        case.join("publisher").await.deliver(1, &case.topic("a"), "x", &[]).await;
        let packet = member.expect(kind::PUBLISH).await.publish(case.level);
        assert_eq!(wire::property_number(&packet.properties, id::SUBSCRIPTION_ID), Some(9));
    })
    .await;
}
