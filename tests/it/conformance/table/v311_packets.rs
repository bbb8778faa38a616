//! Chapters 1 to 3 of MQTT 3.1.1: data, headers, packets.

use super::super::{
    connack, connect, data, ending, flows, header, publish, retain, session, subscribe, topics, will,
};
use super::{Row, client, row, tested, why};

pub(super) const ROWS: &[Row] = &[
    row(
        "1.5.3-1",
        "Text is well-formed UTF-8 and holds no surrogates; else the connection is closed",
        tested!(data::text_that_is_no_utf8_is_malformed),
    ),
    row(
        "1.5.3-2",
        "Text holds no U+0000; else the connection is closed",
        tested!(data::the_null_character_is_malformed),
    ),
    row(
        "1.5.3-3",
        "EF BB BF is U+FEFF wherever it stands, and is kept",
        tested!(data::a_byte_order_mark_is_a_character_like_others),
    ),
    row(
        "2.2.2-1",
        "Reserved flags have the values of the table",
        tested!(header::reserved_flags_are_what_the_table_says),
    ),
    row(
        "2.2.2-2",
        "Flags that are wrong close the connection",
        tested!(header::reserved_flags_are_what_the_table_says),
    ),
    row(
        "2.3.1-1",
        "SUBSCRIBE, UNSUBSCRIBE and PUBLISH above QoS 0 have a packet id that is not 0",
        tested!(header::packet_id_0_is_refused),
    ),
    row("2.3.1-2", "A client gives each new one an id that is free", client()),
    row(
        "2.3.1-3",
        "A client sends again with the same id, which is free after the acknowledgement",
        client(),
    ),
    row(
        "2.3.1-4",
        "A server does the same for what it publishes",
        tested!(
            header::the_server_uses_packet_ids_that_are_free_and_not_0,
            session::what_is_unacknowledged_is_sent_again_in_order
        ),
    ),
    row("2.3.1-5", "A PUBLISH of QoS 0 has no packet id", tested!(header::qos_0_has_no_packet_id)),
    row(
        "2.3.1-6",
        "PUBACK, PUBREC and PUBREL carry the id of their PUBLISH",
        tested!(
            header::an_answer_has_the_id_of_its_question,
            flows::a_subscriber_at_qos_2_is_sent_pubrel_for_each_pubrec
        ),
    ),
    row(
        "2.3.1-7",
        "SUBACK and UNSUBACK carry the id of their question",
        tested!(header::an_answer_has_the_id_of_its_question),
    ),
    row("3.1.0-1", "The first packet of a client is CONNECT", tested!(connect::the_first_packet_is_connect)),
    row(
        "3.1.0-2",
        "A second CONNECT ends the connection",
        tested!(connect::a_second_connect_is_a_protocol_error),
    ),
    row(
        "3.1.2-1",
        "A CONNECT with another protocol name is not handled by this standard",
        tested!(connect::another_protocol_name_ends_the_connection),
    ),
    row(
        "3.1.2-2",
        "A level that is not served is told 0x01, and the connection is closed",
        tested!(connect::an_unknown_version_is_told_apart),
    ),
    row("3.1.2-3", "The reserved connect flag is checked", tested!(connect::the_reserved_flag_is_0)),
    row(
        "3.1.2-4",
        "Clean Session 0 resumes the session, or makes one, and it is kept after the connection",
        tested!(
            session::a_session_is_resumed_with_what_has_come_meanwhile,
            session::without_a_session_a_new_one_begins
        ),
    ),
    row(
        "3.1.2-5",
        "QoS 1 and 2 messages that match are kept for a session without a connection",
        tested!(session::a_session_is_resumed_with_what_has_come_meanwhile),
    ),
    row(
        "3.1.2-6",
        "Clean Session 1 discards what there was, and lasts as long as the connection",
        tested!(
            session::a_clean_start_discards_the_session,
            session::a_session_that_ends_with_its_connection_leaves_nothing
        ),
    ),
    row(
        "3.1.2-7",
        "Retained messages are no part of a session and outlive it",
        tested!(retain::retained_messages_outlive_the_session_that_sent_them),
    ),
    row(
        "3.1.2-8",
        "A will is kept with the connection and published when it closes, unless DISCONNECT came",
        tested!(will::an_abnormal_end_publishes_the_will_once),
    ),
    row(
        "3.1.2-9",
        "With the will flag, topic and message of the will are there",
        tested!(connect::a_will_is_there_if_its_flag_says_so),
    ),
    row(
        "3.1.2-10",
        "The will is gone once it was published or DISCONNECT came",
        tested!(will::a_goodbye_deletes_the_will, will::an_abnormal_end_publishes_the_will_once),
    ),
    row(
        "3.1.2-11",
        "Without the will flag there are no QoS, no retain, no topic and no message of a will",
        tested!(connect::will_qos_and_retain_need_a_will, connect::a_will_is_there_if_its_flag_says_so),
    ),
    row(
        "3.1.2-12",
        "Without the will flag no will is published",
        tested!(will::without_a_will_none_is_published),
    ),
    row(
        "3.1.2-13",
        "Without the will flag the will's QoS is 0",
        tested!(connect::will_qos_and_retain_need_a_will),
    ),
    row("3.1.2-14", "The will's QoS is 0, 1 or 2", tested!(connect::a_will_has_qos_0_to_2)),
    row(
        "3.1.2-15",
        "Without the will flag the will is not retained",
        tested!(connect::will_qos_and_retain_need_a_will),
    ),
    row(
        "3.1.2-16",
        "A will that is not to be retained is published so",
        tested!(will::a_will_is_retained_if_it_says_so),
    ),
    row(
        "3.1.2-17",
        "A will that is to be retained is published so",
        tested!(will::a_will_is_retained_if_it_says_so),
    ),
    row(
        "3.1.2-18",
        "Without its flag there is no user name",
        tested!(connect::user_name_and_password_are_there_if_their_flags_say_so),
    ),
    row(
        "3.1.2-19",
        "With its flag there is a user name",
        tested!(connect::user_name_and_password_are_there_if_their_flags_say_so),
    ),
    row(
        "3.1.2-20",
        "Without its flag there is no password",
        tested!(connect::user_name_and_password_are_there_if_their_flags_say_so),
    ),
    row(
        "3.1.2-21",
        "With its flag there is a password",
        tested!(connect::user_name_and_password_are_there_if_their_flags_say_so),
    ),
    row(
        "3.1.2-22",
        "Without a user name there is no password",
        tested!(connect::a_password_needs_a_user_name_before_version_5),
    ),
    row("3.1.2-23", "A client that has nothing to send sends PINGREQ within its keep-alive", client()),
    row(
        "3.1.2-24",
        "After one and a half keep-alives of silence the server closes the connection as if the network had failed",
        tested!(ending::who_is_silent_for_one_and_a_half_keep_alives_is_gone),
    ),
    row(
        "3.1.3-1",
        "The fields of the payload have their order",
        tested!(connect::the_fields_come_in_their_order, header::packets_that_are_cut_off_are_malformed),
    ),
    row(
        "3.1.3-2",
        "The client id identifies the state that is kept",
        tested!(session::without_a_session_a_new_one_begins),
    ),
    row(
        "3.1.3-3",
        "The client id is there and comes first",
        tested!(connect::the_fields_come_in_their_order, header::packets_that_are_cut_off_are_malformed),
    ),
    row("3.1.3-4", "The client id is text", tested!(data::text_that_is_no_utf8_is_malformed)),
    row(
        "3.1.3-5",
        "Client ids of 1 to 23 letters and digits are taken",
        tested!(connect::every_client_id_of_the_standard_is_taken),
    )
    .choosing("and up to `client_id_bytes_max` bytes of any characters"),
    row(
        "3.1.3-6",
        "A client id of no bytes may be allowed; the server then makes one",
        tested!(connect::who_brings_no_client_id_is_given_one),
    )
    .choosing("it is allowed"),
    row(
        "3.1.3-7",
        "A client without an id sets Clean Session",
        tested!(connect::before_version_5_a_session_needs_a_client_id),
    ),
    row(
        "3.1.3-8",
        "A client without an id that does not is refused with 0x02",
        tested!(connect::before_version_5_a_session_needs_a_client_id),
    ),
    row(
        "3.1.3-9",
        "A client id that is refused has 0x02, and the connection is closed",
        tested!(connect::a_client_id_that_is_refused_has_its_code),
    ),
    row("3.1.3-10", "The will's topic is text", tested!(data::text_that_is_no_utf8_is_malformed)),
    row("3.1.3-11", "The user name is text", tested!(data::text_that_is_no_utf8_is_malformed)),
    row(
        "3.1.4-1",
        "A CONNECT that is not well formed closes the connection without CONNACK",
        tested!(
            header::packets_that_are_cut_off_are_malformed,
            header::bytes_behind_the_end_of_a_packet_are_malformed,
            connect::a_will_that_is_no_message_is_refused
        ),
    ),
    row(
        "3.1.4-2",
        "An older connection of the client id is closed",
        tested!(
            connect::a_newer_connection_of_a_client_id_ends_the_older,
            session::a_takeover_carries_the_session_over
        ),
    ),
    row("3.1.4-3", "Clean Session is carried out", tested!(session::a_clean_start_discards_the_session)),
    row("3.1.4-4", "CONNACK 0x00 answers", tested!(connack::a_connection_that_is_let_in_is_told_so)),
    row(
        "3.1.4-5",
        "Nothing behind a refused CONNECT is handled",
        tested!(connect::nothing_that_follows_a_refused_connect_is_handled),
    ),
    row(
        "3.2.0-1",
        "The first packet of the server is CONNACK",
        tested!(connack::connack_is_the_first_packet_and_comes_once),
    ),
    row(
        "3.2.2-1",
        "With Clean Session 1 no session is present",
        tested!(session::before_version_5_session_present_follows_clean_session),
    ),
    row(
        "3.2.2-2",
        "With Clean Session 0 the session that is kept is said to be present",
        tested!(session::before_version_5_session_present_follows_clean_session),
    ),
    row(
        "3.2.2-3",
        "Without a session none is said to be present",
        tested!(session::before_version_5_session_present_follows_clean_session),
    ),
    row(
        "3.2.2-4",
        "A refusal says that no session is present",
        tested!(connack::a_refusal_says_why_and_ends_the_connection),
    ),
    row(
        "3.2.2-5",
        "A refusal closes the connection",
        tested!(connack::a_refusal_says_why_and_ends_the_connection),
    ),
    row(
        "3.2.2-6",
        "Where no return code applies the connection is closed without CONNACK",
        tested!(connect::a_will_that_is_no_message_is_refused),
    ),
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
    row("3.3.1-4", "QoS 3 closes the connection", tested!(publish::qos_3_is_malformed)),
    row(
        "3.3.1-5",
        "A message to be retained is kept with its QoS",
        tested!(retain::the_last_retained_message_is_sent_to_a_new_subscriber),
    ),
    row(
        "3.3.1-6",
        "A new subscription is sent the last retained message of each topic that matches",
        tested!(
            retain::the_last_retained_message_is_sent_to_a_new_subscriber,
            retain::a_wildcard_brings_all_that_match_once
        ),
    ),
    row(
        "3.3.1-7",
        "A QoS 0 message to be retained discards the one there was",
        tested!(retain::the_last_retained_message_is_sent_to_a_new_subscriber),
    )
    .choosing("the new one is kept"),
    row(
        "3.3.1-8",
        "What a new subscription brings has the flag",
        tested!(retain::the_last_retained_message_is_sent_to_a_new_subscriber),
    ),
    row(
        "3.3.1-9",
        "What an established subscription brings has it not",
        tested!(retain::an_established_subscription_gets_it_without_the_flag),
    ),
    row(
        "3.3.1-10",
        "An empty one is delivered, and removes what was retained",
        tested!(retain::an_empty_payload_removes_what_is_retained),
    ),
    row(
        "3.3.1-11",
        "An empty one is not retained",
        tested!(retain::an_empty_payload_removes_what_is_retained),
    ),
    row(
        "3.3.1-12",
        "A message that is not to be retained changes nothing of what is",
        tested!(retain::a_message_without_the_flag_changes_nothing),
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
    row("3.3.4-1", "Each level has its answer", tested!(publish::each_level_has_its_answer)),
    row(
        "3.3.5-1",
        "Overlapping subscriptions: the highest level of them counts",
        tested!(subscribe::overlapping_subscriptions_bring_a_message_at_the_highest_level),
    )
    .choosing("one copy is sent"),
    row(
        "3.3.5-2",
        "A publish that is not allowed is acknowledged all the same, or the connection is closed",
        tested!(publish::what_is_not_allowed_is_refused_and_goes_nowhere),
    )
    .choosing("it is closed: nothing is dropped in silence"),
    row(
        "3.6.1-1",
        "The flags of PUBREL are 0010",
        tested!(
            header::reserved_flags_are_what_the_table_says,
            flows::a_subscriber_at_qos_2_is_sent_pubrel_for_each_pubrec
        ),
    ),
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
        "A server that does not take wildcards refuses them",
        why("wildcards are taken, see `topics::wildcards_are_where_they_may_be`"),
    ),
    row(
        "3.8.3-3",
        "There is at least one filter",
        tested!(subscribe::a_filter_has_at_least_one_character_and_its_options),
    ),
    row(
        "3.8.3-4",
        "Reserved bits are 0 and QoS is 0 to 2, else the connection is closed",
        tested!(subscribe::reserved_bits_of_the_options_are_0),
    )
    .choosing("the standard writes the id as MQTT-3-8.3-4"),
    row("3.8.4-1", "SUBACK answers SUBSCRIBE", tested!(subscribe::every_filter_has_its_code_in_order)),
    row("3.8.4-2", "with its packet id", tested!(header::an_answer_has_the_id_of_its_question)),
    row(
        "3.8.4-3",
        "The same filter again replaces the subscription, retained messages are sent again, and nothing is interrupted",
        tested!(
            subscribe::subscribing_again_replaces_the_subscription,
            retain::subscribing_again_sends_them_again,
            subscribe::replacing_a_subscription_loses_nothing
        ),
    ),
    row(
        "3.8.4-4",
        "Several filters are as several packets, with one answer",
        tested!(subscribe::many_filters_are_as_many_subscriptions),
    ),
    row(
        "3.8.4-5",
        "Each filter has a code: the level granted, or a failure",
        tested!(subscribe::every_filter_has_its_code_in_order),
    ),
    row(
        "3.8.4-6",
        "A message comes at the lower of both levels",
        tested!(subscribe::the_lower_of_both_levels_counts),
    ),
    row(
        "3.9.3-1",
        "The codes have the order of the filters",
        tested!(subscribe::every_filter_has_its_code_in_order),
    ),
    row(
        "3.9.3-2",
        "They are 0x00, 0x01, 0x02 or 0x80",
        tested!(subscribe::suback_has_only_the_codes_of_its_version),
    ),
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
        "Filters are compared byte by byte",
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
    row(
        "3.10.4-4",
        "UNSUBACK answers with the packet id",
        tested!(header::an_answer_has_the_id_of_its_question),
    ),
    row(
        "3.10.4-5",
        "even where nothing was deleted",
        tested!(subscribe::an_unsubscribe_of_nothing_known_is_answered),
    ),
    row(
        "3.10.4-6",
        "Several filters are as several packets, with one answer",
        tested!(subscribe::many_filters_are_as_many_subscriptions),
    ),
    row("3.12.4-1", "PINGRESP answers PINGREQ", tested!(ending::a_ping_is_answered)),
    row(
        "3.14.1-1",
        "Reserved bits of DISCONNECT are 0, else the connection is closed",
        tested!(header::reserved_flags_are_what_the_table_says),
    ),
    row("3.14.4-1", "After DISCONNECT the client closes the connection", client()),
    row(
        "3.14.4-2",
        "After DISCONNECT the client sends nothing more",
        tested!(ending::disconnect_ends_the_connection),
    )
    .choosing("nothing behind it is handled"),
    row("3.14.4-3", "DISCONNECT discards the will", tested!(will::a_goodbye_deletes_the_will)),
];
