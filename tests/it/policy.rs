//! Who may do what: private topics, what only the server says, and the operator.

use pointsman_tests::wire::{self, Connect};
use pointsman_tests::{QoS, TestServer, Transport, Version};

#[tokio::test]
async fn a_private_topic_is_heard_by_its_client_alone() {
    let rule = r#"on_message("whisper/{to}", "whisper"); fn whisper(msg) { publish("chat/in/" + msg.params.to, msg.text(), #{ qos: 1 }); }"#;
    let server = TestServer::builder().without_bundled_rules().rule("whisper", rule).start().await;
    let mut ana = server.mqtt("ana").await;
    ana.subscribe("chat/in/ana", QoS::AtLeastOnce).await;
    let mut eve = server.mqtt("eve").await;
    assert!(!eve.try_subscribe("chat/in/ana", QoS::AtLeastOnce).await, "no filter names another's topic");
    for filter in ["#", "chat/#", "chat/+/+", "+/in/ana", "chat/in/+", "chat/in/#"] {
        // Whether or not the filter is granted, nothing of another's comes through it.
        eve.try_subscribe(filter, QoS::AtLeastOnce).await;
    }
    eve.subscribe("chat/in/eve", QoS::AtLeastOnce).await;
    let mut publisher = server.mqtt("publisher").await;
    publisher.publish("whisper/ana", "for ana").await;
    publisher.publish("whisper/eve", "for eve").await;
    assert_eq!(ana.recv_on("chat/in/ana").await.text(), "for ana");
    let heard = eve.recv_where(|message| message.topic.starts_with("chat/in/")).await;
    assert_eq!((heard.topic.as_str(), heard.text()), ("chat/in/eve", "for eve"));
}

#[tokio::test]
async fn a_client_id_that_is_a_wildcard_widens_nothing() {
    let server = TestServer::start().await;
    for client_id in ["+", "#", "*", "?", "a/b", "ana*", "${client_id}"] {
        let mut eve = server.mqtt(client_id).await;
        assert!(!eve.try_subscribe("chat/in/ana", QoS::AtMostOnce).await, "client id {client_id}");
        let own = format!("chat/in/{client_id}");
        if client_id != "${client_id}" {
            assert!(!eve.try_subscribe(&own, QoS::AtMostOnce).await, "client id {client_id}");
        }
    }
}

#[tokio::test]
async fn what_rules_and_the_server_say_among_themselves_is_not_for_guests() {
    let rule = r#"
        on_message("keep", "keep"); on_change("secrets", "changed");
        fn keep(msg) {
            table("secrets").put("s", msg.text());
            put_events(#{ source: "s", detail_type: "t", detail: #{ secret: msg.text() } });
            notify("kept", msg.text());
            publish("said", "kept", #{ qos: 1 });
        }
        fn changed(change) {}
    "#;
    let server = TestServer::builder().without_bundled_rules().rule("keep", rule).start().await;
    let mut guest = server.mqtt("guest").await;
    for filter in ["$bus/default", "$bus/#", "$changes/secrets", "$changes/+", "$notify/kept", "$SYS/#"] {
        assert!(!guest.try_subscribe(filter, QoS::AtLeastOnce).await, "{filter}");
    }
    assert!(guest.try_subscribe("$aws/events/#", QoS::AtMostOnce).await, "who comes and goes is for all");
    // A wildcard at the begin reaches nothing under `$`.
    guest.subscribe("#", QoS::AtLeastOnce).await;
    let mut client = server.mqtt("client").await;
    client.publish("keep", "the word").await;
    let heard = guest.recv_where(|it| it.topic != "keep" && !it.topic.starts_with("$aws/")).await;
    assert_eq!((heard.topic.as_str(), heard.text()), ("said", "kept"));
    let mut boss = server.client("boss").login("admin", server.admin_password()).connect().await;
    for filter in ["$bus/default", "$changes/secrets", "$notify/kept"] {
        assert!(boss.try_subscribe(filter, QoS::AtLeastOnce).await, "{filter}");
    }
}

#[tokio::test]
async fn nobody_writes_what_only_the_server_says() {
    let server = TestServer::start().await;
    let password = server.admin_password().to_owned();
    let mut listener = server.mqtt("victim").await;
    listener.subscribe("chat/in/victim", QoS::AtLeastOnce).await;
    listener.subscribe("chat/pub/#", QoS::AtLeastOnce).await;
    for topic in
        ["chat/in/victim", "chat/in/forger", "chat/pub/lobby", "$aws/events/presence/connected/x", "$SYS/x"]
    {
        for (level, transport) in [(wire::V311, Transport::Tcp), (wire::V5, Transport::Ws)] {
            let mut forger = server.raw_over(transport).await.join(&Connect::new(level, "forger")).await;
            forger.publish(topic, "forged").await;
            let end = forger.next().await;
            assert_eq!(end.map(|packet| packet.reason()), (level == wire::V5).then_some(0x87), "{topic}");
        }
    }
    let login = Connect::new(wire::V5, "boss").login("admin", password.as_bytes());
    let mut admin = server.raw().await.join(&login).await;
    admin.publish("$aws/events/presence/connected/x", "forged").await;
    assert_eq!(admin.next().await.map(|packet| packet.reason()), Some(0x87), "not even the operator");
    listener.expect_silence().await;
}

#[tokio::test]
async fn the_operator_hears_everything_with_the_printed_password() {
    let server = TestServer::start().await;
    for version in Version::ALL {
        let login = server.client("boss").version(version).login("admin", server.admin_password());
        let mut boss = login.connect().await;
        boss.subscribe("#", QoS::AtLeastOnce).await;
        boss.subscribe("chat/in/+", QoS::AtLeastOnce).await;
        let mut ana = server.mqtt("ana").await;
        ana.publish("chat/out", "no json").await;
        boss.recv_where(|message| message.topic == "chat/in/ana").await;
    }
}

#[tokio::test]
async fn a_wrong_login_is_refused_by_the_code_for_it() {
    let server = TestServer::start().await;
    let password = server.admin_password();
    for (user, password) in
        [("admin", "wrong"), ("admin", ""), ("nobody", password), ("", password), ("Admin", password)]
    {
        for (level, code) in [(wire::V311, 4), (wire::V5, 0x86)] {
            let mut raw = server.raw().await;
            let login = Connect::new(level, "intruder").login(user, password.as_bytes());
            let connack = raw.connect(&login).await;
            assert_eq!(connack.code, code, "{user:?} with {password:?}");
            raw.expect_end().await;
        }
    }
}

#[tokio::test]
async fn the_password_outlives_a_restart() {
    let mut server = TestServer::start().await;
    server.restart().await;
    server.client("boss").login("admin", server.admin_password()).connect().await.disconnect().await;
}

#[tokio::test]
async fn without_guests_a_login_is_needed() {
    let server = TestServer::builder().config(|config| config.auth.guests = false).start().await;
    for (level, code) in [(wire::V311, 5), (wire::V5, 0x87)] {
        let mut guest = server.raw().await;
        assert_eq!(guest.connect(&Connect::new(level, "guest")).await.code, code);
        guest.expect_end().await;
    }
    server.client("boss").login("admin", server.admin_password()).connect().await.disconnect().await;
}

#[tokio::test]
async fn a_policy_of_ones_own_decides() {
    let policy = r#"{ "Statement": [
        { "Effect": "Allow", "Action": "connect", "Resource": "device-*" },
        { "Effect": "Allow", "Action": "publish", "Resource": "scores/${client_id}" },
        { "Effect": "Allow", "Action": ["subscribe", "receive"], "Resource": "scores/*" },
        { "Effect": "Deny", "Action": "receive", "Resource": "scores/secret" } ] }"#;
    let rule = r#"on_message("scores/device-1", "copy"); fn copy(msg) { publish("scores/secret", "s"); publish("scores/open", "o"); }"#;
    let server =
        TestServer::builder().without_bundled_rules().guest_policy(policy).rule("copy", rule).start().await;
    assert!(server.client("stranger").try_connect().await.is_err());
    let mut device = server.mqtt5("device-1").await;
    assert!(!device.try_subscribe("other", QoS::AtMostOnce).await);
    device.subscribe("scores/#", QoS::AtMostOnce).await;
    device.publish("scores/device-1", "7").await;
    assert_eq!(device.recv_on("scores/device-1").await.text(), "7");
    assert_eq!(device.recv_on("scores/open").await.text(), "o", "receive is asked for each message");
    let mut raw = server.raw().await.join(&Connect::new(wire::V311, "device-2")).await;
    raw.publish("scores/device-1", "9").await;
    raw.expect_end().await;
}
