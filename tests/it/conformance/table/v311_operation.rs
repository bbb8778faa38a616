//! Chapters 4, 6 and 7 of MQTT 3.1.1: how it all works together, WebSocket, conformance.

use super::super::{data, ending, flows, header, publish, session, topics, websocket};
use super::{Row, client, row, tested, why};

pub(super) const ROWS: &[Row] = &[
    row(
        "4.1.0-1",
        "The session's state is kept as long as the session lasts",
        tested!(
            session::a_session_is_resumed_with_what_has_come_meanwhile,
            session::what_is_unacknowledged_is_sent_again_in_order
        ),
    ),
    row(
        "4.1.0-2",
        "A session lasts at least as long as its connection",
        tested!(session::the_state_is_kept_while_the_connection_is),
    ),
    row(
        "4.3.1-1",
        "At QoS 0 the sender sends PUBLISH with DUP 0",
        tested!(publish::dup_is_for_redelivery_alone),
    ),
    row(
        "4.3.2-1",
        "At QoS 1 the sender gives a free id, DUP 0, and holds the message until PUBACK",
        tested!(
            header::the_server_uses_packet_ids_that_are_free_and_not_0,
            publish::dup_is_for_redelivery_alone,
            session::what_is_unacknowledged_is_sent_again_in_order
        ),
    ),
    row(
        "4.3.2-2",
        "The receiver answers with PUBACK; the same id is then a new message",
        tested!(publish::each_level_has_its_answer, flows::after_puback_the_same_id_is_a_new_message),
    ),
    row(
        "4.3.3-1",
        "At QoS 2 the sender gives a free id, DUP 0, holds the message until PUBREC, PUBREL until PUBCOMP, and does not publish again after PUBREL",
        tested!(
            header::the_server_uses_packet_ids_that_are_free_and_not_0,
            flows::a_subscriber_at_qos_2_is_sent_pubrel_for_each_pubrec,
            session::what_is_unacknowledged_is_sent_again_in_order
        ),
    ),
    row(
        "4.3.3-2",
        "The receiver answers with PUBREC, again until PUBREL without delivering again, PUBREL with PUBCOMP; the same id is then a new message",
        tested!(
            flows::until_pubrel_the_same_id_is_the_same_message,
            flows::a_repeated_pubrel_is_answered,
            session::a_qos_2_message_of_the_client_survives_its_connection
        ),
    ),
    row(
        "4.4.0-1",
        "With Clean Session 0 what is unacknowledged is sent again with the same ids",
        tested!(
            session::what_is_unacknowledged_is_sent_again_in_order,
            session::pubrel_may_come_on_the_next_connection
        ),
    ),
    row(
        "4.5.0-1",
        "A message is added to the session of every client whose subscription matches",
        tested!(session::a_session_is_resumed_with_what_has_come_meanwhile),
    ),
    row("4.5.0-2", "A client acknowledges what it gets", client()),
    row(
        "4.6.0-1",
        "What is sent again keeps its order",
        tested!(session::what_is_unacknowledged_is_sent_again_in_order),
    ),
    row("4.6.0-2", "PUBACK has the order of PUBLISH", tested!(flows::flows_of_several_messages_cross)),
    row("4.6.0-3", "PUBREC has the order of PUBLISH", tested!(flows::flows_of_several_messages_cross)),
    row("4.6.0-4", "PUBREL has the order of PUBREC", tested!(flows::flows_of_several_messages_cross)),
    row("4.6.0-5", "Every topic is ordered by default", tested!(flows::messages_keep_their_order)),
    row(
        "4.6.0-6",
        "A subscriber gets what one client published on a topic at a level in that order",
        tested!(flows::messages_keep_their_order),
    ),
    row(
        "4.7.1-1",
        "Wildcards are for filters, not for topic names",
        tested!(publish::a_topic_name_has_no_wildcards),
    ),
    row(
        "4.7.1-2",
        "# stands alone or behind a separator, and last",
        tested!(topics::wildcards_are_where_they_may_be),
    ),
    row(
        "4.7.1-3",
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
        "4.8.0-1",
        "A protocol violation closes the connection",
        tested!(
            header::packets_that_are_cut_off_are_malformed,
            header::packets_that_a_client_may_not_send_end_the_connection,
            ending::what_came_before_a_mistake_was_right
        ),
    ),
    row(
        "4.8.0-2",
        "A transient error while a packet is handled closes the connection",
        why(
            "what the log cannot keep is not acknowledged and the connection closed; `promises` and the crash harness prove that",
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
    row(
        "7.0.0-1",
        "A server that connects to other servers conforms as a client too",
        why("it connects to none"),
    ),
    row(
        "7.0.0-2",
        "No extension is needed to interoperate",
        tested!(websocket::every_transport_carries_both_versions),
    ),
    row(
        "7.1.1-1",
        "A server has a transport of ordered, lossless bytes both ways",
        tested!(websocket::every_transport_carries_both_versions),
    ),
    row("7.1.2-1", "A client has such a transport", client()),
];
