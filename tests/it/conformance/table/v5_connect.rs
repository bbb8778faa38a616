//! Chapters 1 to 3.2 of MQTT 5: data, headers, CONNECT, CONNACK.

use super::super::{connack, connect, data, ending, flows, header, publish, session, subscribe, will};
use super::{Row, client, row, tested, why};

pub(super) const ROWS: &[Row] = &[
    row(
        "1.5.4-1",
        "Text is well-formed UTF-8 and holds no surrogates",
        tested!(data::text_that_is_no_utf8_is_malformed),
    ),
    row("1.5.4-2", "Text holds no U+0000", tested!(data::the_null_character_is_malformed)),
    row(
        "1.5.4-3",
        "EF BB BF is U+FEFF wherever it stands, and is kept",
        tested!(data::a_byte_order_mark_is_a_character_like_others),
    ),
    row(
        "1.5.5-1",
        "A variable byte integer has the fewest bytes that hold it",
        tested!(data::lengths_are_written_with_the_fewest_bytes, data::a_length_of_five_bytes_is_malformed),
    ),
    row(
        "1.5.7-1",
        "Both strings of a pair are such text",
        tested!(data::both_strings_of_a_user_property_are_text),
    ),
    row(
        "2.1.3-1",
        "Reserved flags have the values of the table",
        tested!(
            header::reserved_flags_are_what_the_table_says,
            header::packets_that_a_client_may_not_send_end_the_connection
        ),
    ),
    row("2.2.1-2", "A PUBLISH of QoS 0 has no packet id", tested!(header::qos_0_has_no_packet_id)),
    row(
        "2.2.1-3",
        "A client gives SUBSCRIBE, UNSUBSCRIBE and PUBLISH above QoS 0 an id that is free and not 0",
        tested!(header::packet_id_0_is_refused),
    )
    .choosing("an id of 0 ends the connection"),
    row(
        "2.2.1-4",
        "A server gives PUBLISH above QoS 0 an id that is free and not 0",
        tested!(header::the_server_uses_packet_ids_that_are_free_and_not_0),
    ),
    row(
        "2.2.1-5",
        "PUBACK, PUBREC, PUBREL and PUBCOMP carry the id of their PUBLISH",
        tested!(
            header::an_answer_has_the_id_of_its_question,
            flows::a_subscriber_at_qos_2_is_sent_pubrel_for_each_pubrec
        ),
    ),
    row(
        "2.2.1-6",
        "SUBACK and UNSUBACK carry the id of their question",
        tested!(header::an_answer_has_the_id_of_its_question),
    ),
    row(
        "2.2.2-1",
        "No properties are said by a length of 0",
        tested!(
            header::an_empty_list_of_properties_has_its_length,
            header::properties_that_do_not_belong_are_refused,
            header::a_property_that_may_be_there_once_is_refused_twice
        ),
    ),
    row("3.1.0-1", "The first packet of a client is CONNECT", tested!(connect::the_first_packet_is_connect)),
    row(
        "3.1.0-2",
        "A second CONNECT is a protocol error",
        tested!(connect::a_second_connect_is_a_protocol_error),
    ),
    row(
        "3.1.2-1",
        "The protocol name is MQTT; a server that takes no other may say 0x84, and closes",
        tested!(connect::another_protocol_name_ends_the_connection),
    ),
    row(
        "3.1.2-2",
        "A version that is not served may be told 0x84, and the connection is closed",
        tested!(connect::an_unknown_version_is_told_apart),
    )
    .choosing("3.1, 3.1.1 and 5 are served; others get CONNACK"),
    row("3.1.2-3", "The reserved connect flag is checked", tested!(connect::the_reserved_flag_is_0)),
    row(
        "3.1.2-4",
        "Clean Start 1 discards what session there was",
        tested!(session::a_clean_start_discards_the_session),
    ),
    row(
        "3.1.2-5",
        "Clean Start 0 resumes the session there is",
        tested!(session::a_session_is_resumed_with_what_has_come_meanwhile),
    ),
    row(
        "3.1.2-6",
        "Clean Start 0 makes a session where there is none",
        tested!(session::without_a_session_a_new_one_begins),
    ),
    row("3.1.2-7", "A will is kept with its session", tested!(will::an_abnormal_end_publishes_the_will_once)),
    row(
        "3.1.2-8",
        "The will is published when the connection has closed and its delay or the session is over, unless DISCONNECT 0x00 or a new connection came first",
        tested!(
            will::an_abnormal_end_publishes_the_will_once,
            will::a_goodbye_with_reason_4_publishes_the_will,
            will::a_will_waits_for_its_delay_or_the_end_of_its_session
        ),
    ),
    row(
        "3.1.2-9",
        "With the will flag, properties, topic and payload of the will are there",
        tested!(
            connect::a_will_is_there_if_its_flag_says_so,
            will::a_will_has_the_qos_and_properties_it_was_given
        ),
    ),
    row(
        "3.1.2-10",
        "The will is gone once it was published or DISCONNECT 0x00 came",
        tested!(will::a_goodbye_deletes_the_will, will::an_abnormal_end_publishes_the_will_once),
    ),
    row(
        "3.1.2-11",
        "Without the will flag the will's QoS is 0",
        tested!(connect::will_qos_and_retain_need_a_will),
    ),
    row("3.1.2-12", "The will's QoS is 0, 1 or 2", tested!(connect::a_will_has_qos_0_to_2)),
    row(
        "3.1.2-13",
        "Without the will flag the will is not retained",
        tested!(connect::will_qos_and_retain_need_a_will),
    ),
    row(
        "3.1.2-14",
        "A will that is not to be retained is published so",
        tested!(will::a_will_is_retained_if_it_says_so),
    ),
    row(
        "3.1.2-15",
        "A will that is to be retained is published so",
        tested!(will::a_will_is_retained_if_it_says_so),
    ),
    row(
        "3.1.2-16",
        "Without its flag there is no user name",
        tested!(connect::user_name_and_password_are_there_if_their_flags_say_so),
    ),
    row(
        "3.1.2-17",
        "With its flag there is a user name",
        tested!(connect::user_name_and_password_are_there_if_their_flags_say_so),
    ),
    row(
        "3.1.2-18",
        "Without its flag there is no password",
        tested!(connect::user_name_and_password_are_there_if_their_flags_say_so),
    ),
    row(
        "3.1.2-19",
        "With its flag there is a password",
        tested!(
            connect::user_name_and_password_are_there_if_their_flags_say_so,
            connect::a_password_needs_a_user_name_before_version_5
        ),
    ),
    row("3.1.2-20", "A client that has nothing to send sends PINGREQ within its keep-alive", client()),
    row("3.1.2-21", "A client keeps to the server's keep-alive where it is told one", client()),
    row(
        "3.1.2-22",
        "After one and a half keep-alives of silence the server closes the connection as if the network had failed",
        tested!(ending::who_is_silent_for_one_and_a_half_keep_alives_is_gone),
    ),
    row(
        "3.1.2-23",
        "The session is kept after the connection if its expiry is above 0",
        tested!(
            session::a_session_ends_when_it_has_expired,
            session::a_session_is_resumed_with_what_has_come_meanwhile
        ),
    ),
    row(
        "3.1.2-24",
        "No packet is larger than the client takes",
        tested!(publish::nothing_larger_than_the_client_takes_is_sent),
    ),
    row(
        "3.1.2-25",
        "A message too large for a client is discarded as if it had been delivered",
        tested!(publish::nothing_larger_than_the_client_takes_is_sent),
    ),
    row(
        "3.1.2-26",
        "No topic alias is above the client's maximum",
        tested!(publish::aliases_to_a_client_keep_to_its_maximum),
    ),
    row(
        "3.1.2-27",
        "Without a maximum, or with 0, no topic alias is sent",
        tested!(publish::aliases_to_a_client_keep_to_its_maximum),
    ),
    row(
        "3.1.2-28",
        "Response information goes only to those who ask for it",
        tested!(connack::response_information_is_for_those_who_ask),
    ),
    row(
        "3.1.2-29",
        "Who wants no problem information gets it on PUBLISH, CONNACK and DISCONNECT at most",
        tested!(subscribe::problem_information_is_left_out_where_it_is_not_wanted),
    ),
    row(
        "3.1.2-30",
        "A client that has named an authentication method sends AUTH or DISCONNECT only until CONNACK",
        client(),
    ),
    row(
        "3.1.3-1",
        "The fields of the payload have their order",
        tested!(connect::the_fields_come_in_their_order, header::packets_that_are_cut_off_are_malformed),
    ),
    row(
        "3.1.3-2",
        "The client id identifies the session",
        tested!(
            session::without_a_session_a_new_one_begins,
            session::a_session_is_resumed_with_what_has_come_meanwhile
        ),
    ),
    row(
        "3.1.3-3",
        "The client id is there and comes first",
        tested!(connect::the_fields_come_in_their_order, header::packets_that_are_cut_off_are_malformed),
    ),
    row(
        "3.1.3-4",
        "The client id is text",
        tested!(data::text_that_is_no_utf8_is_malformed, data::the_null_character_is_malformed),
    ),
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
        "The client is served under that id and told it",
        tested!(connect::who_brings_no_client_id_is_given_one),
    ),
    row(
        "3.1.3-8",
        "A client id may be refused with 0x85, and the connection is closed",
        tested!(connect::a_client_id_that_is_refused_has_its_code),
    ),
    row(
        "3.1.3-9",
        "Who comes back within the will's delay has no will published",
        tested!(will::who_comes_back_in_time_has_not_died),
    ),
    row(
        "3.1.3-10",
        "User properties of a will keep their order",
        tested!(will::a_will_has_the_qos_and_properties_it_was_given),
    ),
    row(
        "3.1.3-11",
        "The will's topic is text",
        tested!(data::text_that_is_no_utf8_is_malformed, connect::a_will_that_is_no_message_is_refused),
    ),
    row("3.1.3-12", "The user name is text", tested!(data::text_that_is_no_utf8_is_malformed)),
    row(
        "3.1.4-1",
        "A CONNECT that is not well formed closes the connection",
        tested!(
            header::packets_that_are_cut_off_are_malformed,
            connect::properties_of_connect_have_the_values_they_may_have,
            connect::a_will_that_is_no_message_is_refused
        ),
    )
    .choosing("with CONNACK 0x81 or 0x82"),
    row(
        "3.1.4-2",
        "A CONNECT that fails other checks closes the connection",
        tested!(connack::a_refusal_says_why_and_ends_the_connection),
    ),
    row(
        "3.1.4-3",
        "An older connection of the client id is told 0x8E and closed",
        tested!(
            connect::a_newer_connection_of_a_client_id_ends_the_older,
            session::a_takeover_carries_the_session_over
        ),
    ),
    row("3.1.4-4", "Clean Start is carried out", tested!(session::a_clean_start_discards_the_session)),
    row("3.1.4-5", "CONNACK 0x00 answers", tested!(connack::a_connection_that_is_let_in_is_told_so)),
    row(
        "3.1.4-6",
        "Nothing behind a refused CONNECT is handled",
        tested!(connect::nothing_that_follows_a_refused_connect_is_handled),
    ),
    row(
        "3.2.0-1",
        "CONNACK comes before every packet but AUTH",
        tested!(connack::connack_is_the_first_packet_and_comes_once),
    ),
    row(
        "3.2.0-2",
        "CONNACK comes once",
        tested!(
            connack::connack_is_the_first_packet_and_comes_once,
            connect::a_second_connect_is_a_protocol_error
        ),
    ),
    row(
        "3.2.2-1",
        "Bits 7 to 1 of the acknowledge flags are 0",
        tested!(connack::a_connection_that_is_let_in_is_told_so),
    )
    .choosing("the harness refuses any CONNACK that has others"),
    row(
        "3.2.2-2",
        "After a clean start no session is present",
        tested!(session::a_clean_start_discards_the_session),
    ),
    row(
        "3.2.2-3",
        "Session present says whether there was one",
        tested!(session::without_a_session_a_new_one_begins),
    ),
    row("3.2.2-4", "A client without a session closes the connection if one is said to be present", client()),
    row("3.2.2-5", "A client discards its session if none is said to be present", client()),
    row(
        "3.2.2-6",
        "A refusal says that no session is present",
        tested!(connack::a_refusal_says_why_and_ends_the_connection),
    ),
    row(
        "3.2.2-7",
        "A refusal closes the connection",
        tested!(connack::a_refusal_says_why_and_ends_the_connection),
    ),
    row(
        "3.2.2-8",
        "The reason is one of the table",
        tested!(
            connack::a_refusal_says_why_and_ends_the_connection,
            connect::an_unknown_version_is_told_apart
        ),
    ),
    row("3.2.2-9", "A server that does not take QoS 1 or 2 says so", tested!(connack::everything_is_offered))
        .choosing("every level is offered"),
    row(
        "3.2.2-10",
        "Such a server takes subscriptions of every level all the same",
        tested!(connack::everything_is_offered),
    )
    .choosing("every level is offered"),
    row("3.2.2-11", "A client does not exceed the server's maximum QoS", client()),
    row(
        "3.2.2-12",
        "A will beyond the server's maximum QoS is refused",
        tested!(connack::everything_is_offered),
    )
    .choosing("every level is offered"),
    row(
        "3.2.2-13",
        "A retained will is refused where nothing is retained",
        tested!(connack::everything_is_offered),
    )
    .choosing("retained messages are offered"),
    row("3.2.2-14", "A client sends nothing to be retained where nothing is", client()),
    row(
        "3.2.2-15",
        "A client sends nothing larger than the server takes",
        tested!(publish::a_packet_larger_than_the_server_takes_ends_the_connection),
    )
    .choosing("DISCONNECT 0x95"),
    row(
        "3.2.2-16",
        "A client without an id is told a new one that no session has",
        tested!(connect::who_brings_no_client_id_is_given_one),
    ),
    row(
        "3.2.2-17",
        "A client sends no topic alias above the server's maximum",
        tested!(publish::an_alias_of_0_or_above_the_maximum_is_refused),
    )
    .choosing("DISCONNECT 0x94"),
    row(
        "3.2.2-18",
        "A client sends no topic alias where the server takes none",
        why("the server takes `topic_alias_max` of them and says so"),
    ),
    row(
        "3.2.2-19",
        "CONNACK leaves a reason string out that would make it too large",
        tested!(connack::a_refusal_fits_into_what_the_client_takes),
    ),
    row(
        "3.2.2-20",
        "CONNACK leaves user properties out that would make it too large",
        why("the server adds none to CONNACK"),
    ),
    row("3.2.2-21", "A client keeps to the server's keep-alive", client()),
    row(
        "3.2.2-22",
        "Without one of its own the server keeps to the client's keep-alive",
        tested!(ending::who_is_silent_for_one_and_a_half_keep_alives_is_gone),
    ),
];
