//! Chapters 3.3 to 3.7 of MQTT 5: PUBLISH and its acknowledgements.

use super::super::{connect, data, flows, header, publish, retain, session, subscribe, topics};
use super::{Row, client, row, tested, why};

pub(super) const ROWS: &[Row] = &[
    row(
        "3.3.1-1",
        "DUP is set when a PUBLISH is sent again",
        tested!(session::what_is_unacknowledged_is_sent_again_in_order),
    ),
    row("3.3.1-2", "DUP is 0 at QoS 0", tested!(publish::dup_is_for_redelivery_alone)),
    row(
        "3.3.1-3",
        "DUP of what goes out does not depend on DUP of what came in",
        tested!(publish::dup_is_for_redelivery_alone),
    ),
    row("3.3.1-4", "QoS 3 is malformed", tested!(publish::qos_3_is_malformed)),
    row(
        "3.3.1-5",
        "A message to be retained replaces the one there was",
        tested!(retain::the_last_retained_message_is_sent_to_a_new_subscriber),
    ),
    row(
        "3.3.1-6",
        "An empty one removes what was retained",
        tested!(retain::an_empty_payload_removes_what_is_retained),
    ),
    row(
        "3.3.1-7",
        "An empty one is not retained",
        tested!(retain::an_empty_payload_removes_what_is_retained),
    ),
    row(
        "3.3.1-8",
        "A message that is not to be retained changes nothing of what is",
        tested!(retain::a_message_without_the_flag_changes_nothing),
    ),
    row(
        "3.3.1-9",
        "Retain handling 0 sends what is retained",
        tested!(
            retain::retain_handling_says_when_they_are_sent,
            retain::a_wildcard_brings_all_that_match_once
        ),
    ),
    row(
        "3.3.1-10",
        "Retain handling 1 sends it for a new subscription only",
        tested!(retain::retain_handling_says_when_they_are_sent),
    ),
    row(
        "3.3.1-11",
        "Retain handling 2 sends nothing",
        tested!(retain::retain_handling_says_when_they_are_sent),
    ),
    row(
        "3.3.1-12",
        "Without retain as published the flag is 0",
        tested!(retain::an_established_subscription_gets_it_without_the_flag),
    ),
    row(
        "3.3.1-13",
        "With retain as published the flag is the publisher's",
        tested!(retain::retain_as_published_keeps_the_flag),
    ),
    row(
        "3.3.2-1",
        "The topic name comes first and is text",
        tested!(header::packets_that_are_cut_off_are_malformed, data::text_that_is_no_utf8_is_malformed),
    ),
    row("3.3.2-2", "A topic name has no wildcards", tested!(publish::a_topic_name_has_no_wildcards)),
    row(
        "3.3.2-3",
        "What a subscriber is sent matches its filter",
        tested!(topics::filters_match_what_they_say),
    ),
    row(
        "3.3.2-4",
        "The payload format indicator is passed on",
        tested!(publish::properties_reach_the_subscriber_unaltered, publish::a_payload_format_is_0_or_1),
    ),
    row(
        "3.3.2-5",
        "A message whose delivery has not begun is deleted when it expires",
        tested!(publish::a_message_that_has_expired_is_not_delivered, retain::a_retained_message_expires),
    ),
    row(
        "3.3.2-6",
        "The expiry that is passed on is less the time of waiting",
        tested!(publish::a_message_that_has_expired_is_not_delivered, retain::a_retained_message_expires),
    ),
    row(
        "3.3.2-7",
        "Topic aliases end with their connection",
        tested!(publish::an_alias_lives_as_long_as_its_connection),
    ),
    row(
        "3.3.2-8",
        "A topic alias is not 0",
        tested!(
            publish::an_alias_of_0_or_above_the_maximum_is_refused,
            publish::aliases_to_a_client_keep_to_its_maximum
        ),
    ),
    row(
        "3.3.2-9",
        "A client's alias is not above the server's maximum",
        tested!(publish::an_alias_of_0_or_above_the_maximum_is_refused),
    ),
    row("3.3.2-10", "A client takes every alias up to its maximum", client()),
    row(
        "3.3.2-11",
        "A server's alias is not above the client's maximum",
        tested!(publish::aliases_to_a_client_keep_to_its_maximum),
    ),
    row(
        "3.3.2-12",
        "A server takes every alias up to its maximum",
        tested!(publish::every_alias_up_to_the_maximum_is_taken),
    ),
    row("3.3.2-13", "The response topic is text", tested!(data::text_that_is_no_utf8_is_malformed)),
    row(
        "3.3.2-14",
        "The response topic has no wildcards",
        tested!(publish::a_response_topic_has_no_wildcards, connect::a_will_that_is_no_message_is_refused),
    ),
    row(
        "3.3.2-15",
        "The response topic is passed on",
        tested!(publish::properties_reach_the_subscriber_unaltered),
    ),
    row(
        "3.3.2-16",
        "The correlation data is passed on",
        tested!(publish::properties_reach_the_subscriber_unaltered),
    ),
    row(
        "3.3.2-17",
        "All user properties are passed on",
        tested!(publish::properties_reach_the_subscriber_unaltered),
    ),
    row("3.3.2-18", "They keep their order", tested!(publish::properties_reach_the_subscriber_unaltered)),
    row("3.3.2-19", "The content type is text", tested!(data::text_that_is_no_utf8_is_malformed)),
    row(
        "3.3.2-20",
        "The content type is passed on",
        tested!(publish::properties_reach_the_subscriber_unaltered),
    ),
    row(
        "3.3.4-1",
        "Each level has its answer",
        tested!(publish::each_level_has_its_answer, publish::what_is_not_allowed_is_refused_and_goes_nowhere),
    ),
    row(
        "3.3.4-2",
        "Overlapping subscriptions: the highest level of them counts",
        tested!(subscribe::overlapping_subscriptions_bring_a_message_at_the_highest_level),
    ),
    row(
        "3.3.4-3",
        "The identifiers of overlapping subscriptions are sent",
        tested!(subscribe::a_message_names_every_subscription_that_it_matches),
    ),
    row(
        "3.3.4-4",
        "One copy names all of them",
        tested!(subscribe::a_message_names_every_subscription_that_it_matches),
    )
    .choosing("one copy is sent"),
    row(
        "3.3.4-5",
        "Several copies name one each",
        why(
            "one copy is sent; a shared subscription beside it has a copy of its own, see `shared::a_shared_subscription_has_its_identifier`",
        ),
    ),
    row(
        "3.3.4-6",
        "A client's PUBLISH has no subscription identifier",
        tested!(publish::a_client_sends_no_subscription_identifiers),
    ),
    row(
        "3.3.4-7",
        "A client keeps to the server's receive maximum",
        tested!(flows::who_exceeds_the_receive_maximum_of_the_server_is_told),
    )
    .choosing("DISCONNECT 0x93"),
    row("3.3.4-8", "A client does not hold other packets back for it", client()),
    row(
        "3.3.4-9",
        "A server keeps to the client's receive maximum",
        tested!(flows::the_receive_maximum_of_the_client_is_kept),
    ),
    row(
        "3.3.4-10",
        "A server does not hold other packets back for it",
        tested!(flows::the_receive_maximum_of_the_client_is_kept),
    ),
    row(
        "3.4.2-1",
        "PUBACK has one of its reasons",
        tested!(publish::each_level_has_its_answer, flows::acknowledgements_use_the_reasons_they_have),
    ),
    row(
        "3.4.2-2",
        "PUBACK leaves a reason string out that would make it too large",
        tested!(subscribe::answers_fit_into_what_the_client_takes),
    ),
    row(
        "3.4.2-3",
        "PUBACK leaves user properties out that would make it too large",
        why("the server adds none to PUBACK"),
    ),
    row(
        "3.5.2-1",
        "PUBREC has one of its reasons",
        tested!(publish::each_level_has_its_answer, flows::acknowledgements_use_the_reasons_they_have),
    ),
    row(
        "3.5.2-2",
        "PUBREC leaves a reason string out that would make it too large",
        tested!(subscribe::answers_fit_into_what_the_client_takes),
    ),
    row(
        "3.5.2-3",
        "PUBREC leaves user properties out that would make it too large",
        why("the server adds none to PUBREC"),
    ),
    row(
        "3.6.1-1",
        "The flags of PUBREL are 0010",
        tested!(
            header::reserved_flags_are_what_the_table_says,
            flows::a_subscriber_at_qos_2_is_sent_pubrel_for_each_pubrec
        ),
    ),
    row(
        "3.6.2-1",
        "PUBREL has one of its reasons",
        tested!(
            flows::acknowledgements_of_nothing_break_nothing,
            flows::acknowledgements_use_the_reasons_they_have
        ),
    ),
    row(
        "3.6.2-2",
        "PUBREL leaves a reason string out that would make it too large",
        why("the server adds none to PUBREL"),
    ),
    row(
        "3.6.2-3",
        "PUBREL leaves user properties out that would make it too large",
        why("the server adds none to PUBREL"),
    ),
    row(
        "3.7.2-1",
        "PUBCOMP has one of its reasons",
        tested!(
            flows::acknowledgements_of_nothing_break_nothing,
            flows::acknowledgements_use_the_reasons_they_have
        ),
    ),
    row(
        "3.7.2-2",
        "PUBCOMP leaves a reason string out that would make it too large",
        why("the server adds none to PUBCOMP"),
    ),
    row(
        "3.7.2-3",
        "PUBCOMP leaves user properties out that would make it too large",
        why("the server adds none to PUBCOMP"),
    ),
];
