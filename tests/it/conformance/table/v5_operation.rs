//! Chapters 4 and 6 of MQTT 5: how it all works together, and WebSocket.

use super::super::{connack, data, ending, flows, header, publish, session, shared, topics, websocket, will};
use super::{Row, client, row, tested, why};

pub(super) const ROWS: &[Row] = &[
    row(
        "4.1.0-1",
        "The session's state is kept while the connection is open",
        tested!(session::the_state_is_kept_while_the_connection_is),
    ),
    row(
        "4.1.0-2",
        "It is discarded when the connection is closed and the expiry has passed",
        tested!(
            session::a_session_ends_when_it_has_expired,
            session::a_session_that_ends_with_its_connection_leaves_nothing,
            session::disconnect_may_change_the_expiry
        ),
    ),
    row(
        "4.2.0-1",
        "There is a transport of ordered, lossless bytes both ways",
        tested!(websocket::every_transport_carries_both_versions),
    ),
    row(
        "4.3.1-1",
        "At QoS 0 the sender sends PUBLISH with DUP 0",
        tested!(publish::dup_is_for_redelivery_alone),
    ),
    row(
        "4.3.2-1",
        "At QoS 1 the sender gives a free packet id",
        tested!(header::the_server_uses_packet_ids_that_are_free_and_not_0),
    ),
    row("4.3.2-2", "and sends PUBLISH with it and DUP 0", tested!(publish::dup_is_for_redelivery_alone)),
    row(
        "4.3.2-3",
        "and holds it unacknowledged until PUBACK",
        tested!(session::what_is_unacknowledged_is_sent_again_in_order),
    ),
    row(
        "4.3.2-4",
        "The receiver answers with PUBACK once it owns the message",
        tested!(publish::each_level_has_its_answer),
    ),
    row(
        "4.3.2-5",
        "After PUBACK the same id is a new message, whatever DUP says",
        tested!(flows::after_puback_the_same_id_is_a_new_message),
    ),
    row(
        "4.3.3-1",
        "At QoS 2 the sender gives a free packet id",
        tested!(header::the_server_uses_packet_ids_that_are_free_and_not_0),
    ),
    row(
        "4.3.3-2",
        "and sends PUBLISH with it and DUP 0",
        tested!(flows::a_subscriber_at_qos_2_is_sent_pubrel_for_each_pubrec),
    ),
    row(
        "4.3.3-3",
        "and holds it unacknowledged until PUBREC",
        tested!(session::what_is_unacknowledged_is_sent_again_in_order),
    ),
    row(
        "4.3.3-4",
        "PUBREC below 0x80 is answered with PUBREL of the same id",
        tested!(flows::a_subscriber_at_qos_2_is_sent_pubrel_for_each_pubrec),
    ),
    row(
        "4.3.3-5",
        "PUBREL is unacknowledged until PUBCOMP",
        tested!(session::what_is_unacknowledged_is_sent_again_in_order),
    ),
    row(
        "4.3.3-6",
        "After PUBREL the PUBLISH is not sent again",
        tested!(session::what_is_unacknowledged_is_sent_again_in_order),
    ),
    row(
        "4.3.3-7",
        "A PUBLISH that was sent does not expire any more",
        tested!(flows::what_was_sent_does_not_expire),
    ),
    row(
        "4.3.3-8",
        "The receiver answers with PUBREC once it owns the message",
        tested!(publish::each_level_has_its_answer),
    ),
    row(
        "4.3.3-9",
        "After PUBREC of 0x80 or more the same id is a new message",
        tested!(flows::a_refused_message_leaves_its_id_free),
    ),
    row(
        "4.3.3-10",
        "Until PUBREL the same id is answered with PUBREC and not delivered again",
        tested!(
            flows::until_pubrel_the_same_id_is_the_same_message,
            session::a_qos_2_message_of_the_client_survives_its_connection
        ),
    ),
    row(
        "4.3.3-11",
        "PUBREL is answered with PUBCOMP of the same id",
        tested!(flows::a_repeated_pubrel_is_answered, session::pubrel_may_come_on_the_next_connection),
    ),
    row(
        "4.3.3-12",
        "After PUBCOMP the same id is a new message",
        tested!(flows::until_pubrel_the_same_id_is_the_same_message),
    ),
    row(
        "4.3.3-13",
        "The acknowledgements go on though the message has expired",
        tested!(flows::what_was_sent_does_not_expire),
    ),
    row(
        "4.4.0-1",
        "A session that is resumed sends again what is unacknowledged, with the same ids, and nothing is sent again otherwise",
        tested!(
            session::what_is_unacknowledged_is_sent_again_in_order,
            session::nothing_is_sent_again_on_the_same_connection
        ),
    ),
    row(
        "4.4.0-2",
        "What PUBACK or PUBREC refuse with 0x80 or more is not sent again",
        tested!(flows::a_refusal_by_the_subscriber_ends_the_delivery),
    ),
    row(
        "4.5.0-1",
        "A message is added to the session of every client whose subscription matches",
        tested!(session::a_session_is_resumed_with_what_has_come_meanwhile),
    ),
    row("4.5.0-2", "A client acknowledges what it gets", client()),
    row("4.6.0-1", "A client sends again in the order of before", client()),
    row("4.6.0-2", "A client sends PUBACK in the order of PUBLISH", client()),
    row("4.6.0-3", "A client sends PUBREC in the order of PUBLISH", client()),
    row("4.6.0-4", "A client sends PUBREL in the order of PUBREC", client()),
    row(
        "4.6.0-5",
        "A subscriber gets what one client published on a topic at a level in that order",
        tested!(flows::messages_keep_their_order),
    ),
    row(
        "4.6.0-6",
        "Every topic is ordered for subscriptions that are not shared",
        tested!(flows::messages_keep_their_order, session::what_is_unacknowledged_is_sent_again_in_order),
    ),
    row(
        "4.7.0-1",
        "Wildcards are for filters, not for topic names",
        tested!(publish::a_topic_name_has_no_wildcards),
    ),
    row(
        "4.7.1-1",
        "# stands alone or behind a separator, and last",
        tested!(topics::wildcards_are_where_they_may_be),
    ),
    row(
        "4.7.1-2",
        "+ stands for a whole level",
        tested!(topics::wildcards_are_where_they_may_be, topics::filters_match_what_they_say),
    ),
    row(
        "4.7.2-1",
        "A filter that begins with a wildcard does not match topics that begin with $",
        tested!(topics::wildcards_do_not_reach_topics_of_the_server),
    ),
    row(
        "4.7.3-1",
        "Topic names and filters have at least one character",
        tested!(topics::topics_and_filters_are_not_empty),
    ),
    row("4.7.3-2", "They do not hold U+0000", tested!(data::the_null_character_is_malformed)),
    row("4.7.3-3", "They are text of at most 65,535 bytes", tested!(topics::topics_may_be_as_long_as_a_text)),
    row(
        "4.7.3-4",
        "Nothing is normalised when they are matched",
        tested!(topics::topics_are_compared_byte_for_byte),
    ),
    row(
        "4.8.2-1",
        "A shared filter begins with $share/ and a name of at least one character",
        tested!(shared::a_share_has_a_name_and_a_filter),
    ),
    row(
        "4.8.2-2",
        "The name has none of / + #, and a filter follows it",
        tested!(shared::a_share_has_a_name_and_a_filter),
    ),
    row(
        "4.8.2-3",
        "The level granted to the member counts",
        tested!(shared::each_member_has_the_level_it_was_granted),
    ),
    row(
        "4.8.2-4",
        "What was begun at QoS 2 is finished when the member comes back",
        tested!(shared::what_a_member_has_begun_at_qos_2_stays_its_own),
    ),
    row(
        "4.8.2-5",
        "If its session ends instead, nobody else gets it",
        tested!(shared::what_a_member_has_begun_at_qos_2_stays_its_own),
    ),
    row(
        "4.8.2-6",
        "What a member refuses goes to nobody else",
        tested!(shared::what_a_member_refuses_goes_to_nobody_else),
    ),
    row(
        "4.9.0-1",
        "The send quota is at first not above the receive maximum, and not 0",
        tested!(
            flows::the_receive_maximum_of_the_client_is_kept,
            session::the_receive_maximum_is_of_the_connection
        ),
    ),
    row(
        "4.9.0-2",
        "Each PUBLISH above QoS 0 takes one of it, and at 0 none is sent",
        tested!(flows::the_receive_maximum_of_the_client_is_kept),
    ),
    row(
        "4.9.0-3",
        "Everything else is handled meanwhile",
        tested!(flows::the_receive_maximum_of_the_client_is_kept),
    ),
    row(
        "4.12.0-1",
        "A method that is not supported may be told 0x8C, and the connection is closed",
        tested!(connack::an_authentication_method_that_is_not_offered_is_refused),
    )
    .choosing("0x8C"),
    row("4.12.0-2", "A server that needs more sends AUTH 0x18", why("optional: no method is offered yet")),
    row("4.12.0-3", "The client answers with AUTH 0x18", client()),
    row(
        "4.12.0-4",
        "The server can refuse at any point, and closes the connection",
        tested!(connack::an_authentication_method_that_is_not_offered_is_refused),
    ),
    row(
        "4.12.0-5",
        "Every AUTH and the CONNACK of success name the method of CONNECT",
        why("optional: no method is offered yet"),
    ),
    row(
        "4.12.0-6",
        "Without a method the server sends no AUTH, and names none in CONNACK",
        tested!(connack::auth_is_for_those_who_named_a_method),
    ),
    row(
        "4.12.0-7",
        "Without a method the client sends no AUTH",
        tested!(connack::auth_is_for_those_who_named_a_method),
    )
    .choosing("DISCONNECT 0x82"),
    row(
        "4.12.1-1",
        "A client authenticates again with the method of CONNECT",
        why("optional: no method is offered yet"),
    ),
    row("4.12.1-2", "If that fails the connection is closed", why("optional: no method is offered yet")),
    row(
        "4.13.1-1",
        "A malformed packet or a protocol error closes the connection",
        tested!(
            header::packets_that_are_cut_off_are_malformed,
            header::bytes_behind_the_end_of_a_packet_are_malformed,
            ending::what_came_before_a_mistake_was_right
        ),
    )
    .choosing("DISCONNECT says why; other connections go on"),
    row(
        "4.13.2-1",
        "A reason of 0x80 or more in CONNACK or DISCONNECT closes the connection",
        tested!(
            ending::a_server_says_why_it_ends_a_connection,
            will::a_goodbye_with_reason_4_publishes_the_will
        ),
    ),
    row(
        "6.0.0-1",
        "Packets come in binary frames; any other closes the connection",
        tested!(websocket::frames_that_are_not_binary_end_the_connection),
    ),
    row(
        "6.0.0-2",
        "Packets and frames need not be aligned",
        tested!(websocket::packets_and_frames_need_not_be_aligned),
    ),
    row("6.0.0-3", "A client offers the subprotocol mqtt", tested!(websocket::the_subprotocol_is_mqtt))
        .choosing("a handshake without it is refused"),
    row("6.0.0-4", "The server chooses the subprotocol mqtt", tested!(websocket::the_subprotocol_is_mqtt)),
];
