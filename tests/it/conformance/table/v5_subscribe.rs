//! Chapters 3.8 to 3.15 of MQTT 5: subscriptions, PINGREQ, DISCONNECT, AUTH.

use super::super::{connack, connect, data, ending, header, retain, session, subscribe, will};
use super::{Row, row, tested, why};

pub(super) const ROWS: &[Row] = &[
    row(
        "3.8.1-1",
        "The flags of SUBSCRIBE are 0010",
        tested!(header::reserved_flags_are_what_the_table_says),
    ),
    row(
        "3.8.3-1",
        "Topic filters are text",
        tested!(data::text_that_is_no_utf8_is_malformed, data::the_null_character_is_malformed),
    ),
    row(
        "3.8.3-2",
        "There is at least one filter with its options",
        tested!(subscribe::a_filter_has_at_least_one_character_and_its_options),
    ),
    row(
        "3.8.3-3",
        "With no-local a client is not sent its own messages",
        tested!(subscribe::no_local_keeps_ones_own_messages_away),
    ),
    row(
        "3.8.3-4",
        "No-local on a shared subscription is a protocol error",
        tested!(subscribe::no_local_is_not_for_shared_subscriptions),
    ),
    row(
        "3.8.3-5",
        "Reserved bits of the options are 0",
        tested!(subscribe::reserved_bits_of_the_options_are_0),
    ),
    row("3.8.4-1", "SUBACK answers SUBSCRIBE", tested!(subscribe::every_filter_has_its_code_in_order)),
    row("3.8.4-2", "with its packet id", tested!(header::an_answer_has_the_id_of_its_question)),
    row(
        "3.8.4-3",
        "The same filter again replaces the subscription",
        tested!(subscribe::subscribing_again_replaces_the_subscription),
    ),
    row(
        "3.8.4-4",
        "With retain handling 0 retained messages are sent again; nothing is lost by the replacement",
        tested!(
            retain::subscribing_again_sends_them_again,
            subscribe::replacing_a_subscription_loses_nothing
        ),
    ),
    row(
        "3.8.4-5",
        "Several filters are as several packets, with one answer",
        tested!(subscribe::many_filters_are_as_many_subscriptions),
    ),
    row(
        "3.8.4-6",
        "SUBACK has a reason for each filter",
        tested!(subscribe::every_filter_has_its_code_in_order),
    ),
    row(
        "3.8.4-7",
        "It is the level granted, or a failure",
        tested!(subscribe::every_filter_has_its_code_in_order),
    ),
    row(
        "3.8.4-8",
        "A message comes at the lower of both levels",
        tested!(subscribe::the_lower_of_both_levels_counts),
    ),
    row(
        "3.9.2-1",
        "SUBACK leaves a reason string out that would make it too large",
        tested!(subscribe::answers_fit_into_what_the_client_takes),
    ),
    row(
        "3.9.2-2",
        "SUBACK leaves user properties out that would make it too large",
        why("the server adds none to SUBACK"),
    ),
    row(
        "3.9.3-1",
        "The reasons have the order of the filters",
        tested!(subscribe::every_filter_has_its_code_in_order),
    ),
    row("3.9.3-2", "Each is one of the table", tested!(subscribe::every_filter_has_its_code_in_order)),
    row(
        "3.10.1-1",
        "The flags of UNSUBSCRIBE are 0010",
        tested!(header::reserved_flags_are_what_the_table_says),
    ),
    row("3.10.3-1", "Topic filters are text", tested!(data::text_that_is_no_utf8_is_malformed)),
    row(
        "3.10.3-2",
        "There is at least one filter",
        tested!(subscribe::a_filter_has_at_least_one_character_and_its_options),
    ),
    row(
        "3.10.4-1",
        "Filters are compared character by character, and the subscription is deleted",
        tested!(subscribe::a_filter_is_taken_away_character_by_character),
    ),
    row(
        "3.10.4-2",
        "Nothing new is added for delivery",
        tested!(
            subscribe::a_filter_is_taken_away_character_by_character,
            session::unsubscribing_holds_for_the_session
        ),
    ),
    row(
        "3.10.4-3",
        "What was begun at QoS 1 or 2 is finished",
        tested!(subscribe::what_was_begun_is_finished_after_unsubscribing),
    ),
    row("3.10.4-4", "UNSUBACK answers", tested!(subscribe::an_unsubscribe_of_nothing_known_is_answered)),
    row(
        "3.10.4-5",
        "with its packet id, even where nothing was deleted",
        tested!(
            header::an_answer_has_the_id_of_its_question,
            subscribe::an_unsubscribe_of_nothing_known_is_answered
        ),
    ),
    row(
        "3.10.4-6",
        "Several filters are as several packets, with one answer",
        tested!(subscribe::many_filters_are_as_many_subscriptions),
    ),
    row(
        "3.11.2-1",
        "UNSUBACK leaves a reason string out that would make it too large",
        tested!(subscribe::answers_fit_into_what_the_client_takes),
    ),
    row(
        "3.11.2-2",
        "UNSUBACK leaves user properties out that would make it too large",
        why("the server adds none to UNSUBACK"),
    ),
    row(
        "3.11.3-1",
        "The reasons have the order of the filters",
        tested!(subscribe::many_filters_are_as_many_subscriptions),
    ),
    row(
        "3.11.3-2",
        "Each is one of the table",
        tested!(subscribe::a_filter_is_taken_away_character_by_character),
    ),
    row("3.12.4-1", "PINGRESP answers PINGREQ", tested!(ending::a_ping_is_answered)),
    row(
        "3.14.0-1",
        "The server sends no DISCONNECT before CONNACK has let the client in",
        tested!(connect::the_first_packet_is_connect, connack::a_refusal_says_why_and_ends_the_connection),
    ),
    row(
        "3.14.1-1",
        "Reserved bits of DISCONNECT are 0, else 0x81",
        tested!(ending::disconnect_is_read_strictly, header::reserved_flags_are_what_the_table_says),
    ),
    row(
        "3.14.2-1",
        "The reason is one of the table",
        tested!(ending::disconnect_is_read_strictly, ending::a_server_says_why_it_ends_a_connection),
    ),
    row(
        "3.14.2-2",
        "The server sends no session expiry",
        tested!(ending::a_server_says_why_it_ends_a_connection),
    ),
    row(
        "3.14.2-3",
        "DISCONNECT leaves a reason string out that would make it too large",
        tested!(subscribe::answers_fit_into_what_the_client_takes),
    ),
    row(
        "3.14.2-4",
        "DISCONNECT leaves user properties out that would make it too large",
        why("the server adds none to DISCONNECT"),
    ),
    row(
        "3.14.4-1",
        "After DISCONNECT nothing more is sent",
        tested!(ending::a_server_says_why_it_ends_a_connection, ending::disconnect_ends_the_connection),
    ),
    row(
        "3.14.4-2",
        "After DISCONNECT the connection is closed",
        tested!(ending::a_server_says_why_it_ends_a_connection),
    ),
    row("3.14.4-3", "DISCONNECT 0x00 discards the will", tested!(will::a_goodbye_deletes_the_will)),
    row("3.15.1-1", "The flags of AUTH are 0", tested!(connack::auth_is_for_those_who_named_a_method)),
    row("3.15.2-1", "The reason is one of the table", tested!(connack::auth_is_for_those_who_named_a_method)),
    row(
        "3.15.2-2",
        "AUTH leaves a reason string out that would make it too large",
        why("no method is offered, so the server sends no AUTH"),
    ),
    row(
        "3.15.2-3",
        "AUTH leaves user properties out that would make it too large",
        why("no method is offered, so the server sends no AUTH"),
    ),
];
