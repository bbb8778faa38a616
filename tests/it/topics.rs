//! Topics of every kind of character, and those that are none.

use pointsman_tests::wire::{self, Connect, kind};
use pointsman_tests::{QoS, TestServer, Version};

const TOPICS: [&str; 8] = ["é/x", "日本/語", "🚂/🛤️", "ß", "/é", "Ω/$aws/x", "\u{FEFF}/bom", "a b/c\"d\\e"];

#[tokio::test]
async fn topics_of_every_script_arrive() {
    let server = TestServer::start().await;
    for version in Version::ALL {
        let mut publisher = server.client("publisher").version(version).connect().await;
        for topic in TOPICS {
            let mut exact = server.client("exact").version(version).connect().await;
            let mut wide = server.client("wide").version(version).connect().await;
            exact.subscribe(topic, QoS::AtLeastOnce).await;
            wide.subscribe("#", QoS::AtLeastOnce).await;
            publisher.publish(topic, topic).await;
            assert_eq!(exact.recv_on(topic).await.text(), topic);
            assert_eq!(wide.recv_on(topic).await.text(), topic);
        }
    }
}

#[tokio::test]
async fn a_will_on_such_a_topic_arrives() {
    let server = TestServer::start().await;
    let mut mourner = server.mqtt("mourner").await;
    mourner.subscribe("#", QoS::AtLeastOnce).await;
    for topic in TOPICS {
        drop(server.client("mortal").will(topic, "gone").connect().await);
        assert_eq!(mourner.recv_on(topic).await.text(), "gone");
    }
}

#[tokio::test]
async fn lifecycle_topics_are_for_those_who_ask_for_them() {
    let server = TestServer::start().await;
    let mut wide = server.mqtt("wide").await;
    wide.subscribe("#", QoS::AtLeastOnce).await;
    wide.subscribe("+/events/#", QoS::AtLeastOnce).await;
    let mut asking = server.mqtt("asking").await;
    asking.subscribe("$aws/events/#", QoS::AtLeastOnce).await;
    let passer = server.mqtt("passer-é").await;
    passer.disconnect().await;
    asking.recv_where(|message| message.topic == "$aws/events/presence/connected/passer-é").await;
    asking.recv_where(|message| message.topic == "$aws/events/presence/disconnected/passer-é").await;
    wide.expect_silence().await;
}

#[tokio::test]
async fn what_is_no_topic_ends_that_connection_only() {
    let server = TestServer::start().await;
    let mut bystander = server.mqtt5("bystander").await;
    bystander.subscribe("#", QoS::AtLeastOnce).await;
    for (what, topic, reasons) in [
        ("an overlong form", b"a/\xC0\xAF".as_slice(), [0x81, 0x90]),
        ("a surrogate", b"\xED\xA0\x80", [0x81, 0x90]),
        ("half a character", b"\xE2\x82", [0x81, 0x90]),
        ("a stray byte first", b"\xFF/x", [0x81, 0x90]),
        ("the null character", b"a\0b", [0x81, 0x90]),
        ("a plus", b"a/+/b", [0x90, 0x90]),
        ("a plus within a level", b"a+b", [0x90, 0x90]),
        ("a hash", b"#", [0x90, 0x90]),
    ] {
        for (level, properties) in [(wire::V311, None), (wire::V5, Some([].as_slice()))] {
            let mut raw = server.raw().await.join(&Connect::new(level, "wrong")).await;
            let publish = wire::Publish { flags: 0, topic, packet_id: 0, properties, payload: b"x" };
            raw.send(&publish.packet()).await;
            if level == wire::V5 {
                let reason = raw.expect(kind::DISCONNECT).await.reason();
                assert!(reasons.contains(&reason), "{what}: {reason:#04x}");
            }
            raw.expect_end().await;
        }
    }
    bystander.expect_silence().await;
}

#[tokio::test]
async fn good_messages_before_a_bad_one_in_the_same_write_arrive() {
    let server = TestServer::start().await;
    let mut subscriber = server.mqtt("subscriber").await;
    subscriber.subscribe("#", QoS::AtLeastOnce).await;
    let mut raw = server.raw().await.join(&Connect::new(wire::V311, "mixed")).await;
    let bytes =
        [wire::publish("a", "1"), wire::publish("a", "2"), wire::publish("+", "3"), wire::publish("a", "4")];
    raw.send(&bytes.concat()).await;
    raw.expect_end().await;
    assert_eq!(subscriber.recv_on("a").await.text(), "1");
    assert_eq!(subscriber.recv_on("a").await.text(), "2");
    subscriber.expect_silence().await;
}
