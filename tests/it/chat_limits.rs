//! The chat at its limits: what is large, odd or meant ill is refused by name or works, and the rule goes on.

use pointsman_tests::{Client, Endpoints, QoS, TestServer};
use serde_json::{Value, json};

/// Runs over a limit that suspend the chat: one is enough here, so that none goes unnoticed.
const OVERRUNS_MAX: u32 = 1;

async fn server() -> TestServer {
    let server = TestServer::builder().config(|config| {
        config.rules.overruns_max = OVERRUNS_MAX;
        // A debug build on a busy machine takes longer than a rule may by default.
        config.rules.run_time_max_ms = 10_000;
    });
    server.start().await
}

/// A client that hears what is for it alone.
async fn chatter(server: &Endpoints, client_id: &str) -> Client {
    let mut client = server.mqtt(client_id).await;
    client.subscribe(&format!("chat/in/{client_id}"), QoS::AtLeastOnce).await;
    client
}

/// Says something and gives the next answer.
async fn ask(client: &mut Client, value: &Value) -> Value {
    client.publish_json("chat/out", value).await;
    client.recv().await.json()
}

/// Asserts that the chat works and was never over a limit.
async fn expect_well(server: &TestServer, client: &mut Client) {
    let status = server.status().await;
    assert_eq!(status["rules"][0]["suspended"], false, "{status}");
    let answer = ask(client, &json!({ "sendroom": "/somewhere-quiet" })).await;
    assert_eq!(answer["cmd"], "history", "{answer}");
}

/// The longest client id, text and name that the chat takes, of the longest characters.
#[tokio::test]
async fn the_largest_message_goes_through() {
    let server = server().await;
    let mut ana = chatter(&server, &"c".repeat(256)).await;
    ana.subscribe("chat/pub/#", QoS::AtLeastOnce).await;
    let (text, user) = ("🚂".repeat(2_000), "🚃".repeat(40));
    let said = json!({ "room": "/a", "text": text, "user": user });
    ana.publish_json("chat/out", &said).await;
    let heard = ana.recv_on("chat/pub/a").await.json();
    assert_eq!((&heard["message"]["text"], &heard["message"]["user"]), (&json!(text), &json!(user)));
    let history = ask(&mut ana, &json!({ "sendroom": "/a" })).await;
    assert_eq!(history["messages"][0]["text"], json!(text));
    expect_well(&server, &mut ana).await;
}

#[tokio::test]
async fn members_of_ones_own_up_to_the_size_of_an_input_are_kept_or_refused() {
    let server = server().await;
    let mut ana = chatter(&server, "ana").await;
    ana.subscribe("chat/pub/#", QoS::AtLeastOnce).await;
    let many: Value =
        (0..1_000).map(|number| (format!("k{number}"), json!(0))).collect::<serde_json::Map<_, _>>().into();
    let extras = [
        json!("x".repeat(7_900)),
        json!("x".repeat(8_150)),
        json!("x".repeat(8_191)),
        json!("x".repeat(8_800)),
        json!(vec!["x"; 1_990]),
        json!(vec![1; 1_999]),
        json!(vec![1; 4_000]),
        many.clone(),
        json!(vec![json!({}); 1_999]),
        json!(vec![json!([]); 1_999]),
        (0..100).fold(json!(1), |inner, _| json!([inner])),
    ];
    for (index, extra) in extras.into_iter().enumerate() {
        let said = json!({ "room": "/a", "message": { "user": "ana", "text": "hi", "extra": extra } });
        ana.publish_json("chat/out", &said).await;
        let heard = ana.recv().await;
        let answer = heard.json();
        if heard.topic == "chat/in/ana" {
            assert_eq!(answer["cmd"], "error", "extra {index}: {answer:.200}");
        } else {
            assert_eq!(answer["message"]["extra"], extra, "extra {index}");
        }
        expect_well(&server, &mut ana).await;
    }
}

#[tokio::test]
async fn a_history_is_cut_to_what_one_answer_holds_and_begins_with_the_newest() {
    const MESSAGES: usize = 30;
    let server = server().await;
    let mut ana = chatter(&server, "ana").await;
    let filler = "ж".repeat(1_990);
    for number in 0..MESSAGES {
        ana.publish_json("chat/out", &json!({ "room": "/long", "text": format!("{number:03} {filler}") }))
            .await;
    }
    let history = ask(&mut ana, &json!({ "sendroom": "/long" })).await;
    let messages = history["messages"].as_array().expect("a history has messages");
    assert!((10..MESSAGES).contains(&messages.len()), "{} of {MESSAGES}", messages.len());
    for (message, number) in messages.iter().rev().zip((0..MESSAGES).rev()) {
        let text = message["text"].as_str().unwrap_or_default();
        assert!(text.starts_with(&format!("{number:03} ")), "{text:.20} stands where {number} should");
    }
    expect_well(&server, &mut ana).await;
}

#[tokio::test]
async fn a_client_may_be_in_forty_rooms() {
    let server = server().await;
    let mut ana = chatter(&server, "ana").await;
    for number in 0..40 {
        let answer =
            ask(&mut ana, &json!({ "connected": true, "path": format!("/room-{number}"), "user": "ana" }))
                .await;
        assert_eq!(answer["cmd"], "welcome", "{answer}");
    }
    let refused = ask(&mut ana, &json!({ "connected": true, "path": "/one-more", "user": "ana" })).await;
    assert_eq!(refused["code"], "too_many_rooms", "{refused}");
    let again = ask(&mut ana, &json!({ "connected": true, "path": "/room-7", "user": "ana" })).await;
    assert_eq!(again["cmd"], "welcome", "it is in there already: {again}");
    ana.publish_json("chat/out", &json!({ "leave": "/room-7" })).await;
    let answer = ask(&mut ana, &json!({ "connected": true, "path": "/one-more", "user": "ana" })).await;
    assert_eq!(answer["cmd"], "welcome", "{answer}");
    // All of them are left at once.
    ana.disconnect().await;
    let mut bob = chatter(&server, "bob").await;
    pointsman_tests::eventually("nobody else is in a room", async || {
        let welcome = ask(&mut bob, &json!({ "connected": true, "path": "/room-39", "user": "bob" })).await;
        if welcome["members"].as_array().is_some_and(|members| members.len() == 1) {
            Ok(())
        } else {
            Err(welcome)
        }
    })
    .await;
    expect_well(&server, &mut bob).await;
}

#[tokio::test]
async fn nobody_is_in_a_room_after_a_restart_until_they_come_again() {
    let mut server = server().await;
    let mut ana = chatter(&server, "ana").await;
    assert_eq!(
        ask(&mut ana, &json!({ "connected": true, "path": "/lobby", "user": "ana" })).await["cmd"],
        "welcome"
    );
    server.restart().await;
    let mut bob = chatter(&server, "bob").await;
    bob.subscribe("chat/pub/lobby", QoS::AtLeastOnce).await;
    bob.publish_json("chat/out", &json!({ "here": "/lobby", "user": "bob" })).await;
    assert_eq!(bob.recv_on("chat/pub/lobby").await.json()["event"], "joined", "whoever is here has come");
    let welcome = ask(&mut bob, &json!({ "connected": true, "path": "/lobby", "user": "bob" })).await;
    let members = welcome["members"].as_array().expect("a welcome has members");
    assert_eq!(members.len(), 1, "ana's connection ended with the server: {welcome}");
    assert_eq!(members[0]["clientId"], "bob");
}

#[tokio::test]
async fn a_name_that_is_somebody_elses_is_refused_however_it_is_shown() {
    let server = server().await;
    let mut boss = server.client("boss").login("admin", server.admin_password()).connect().await;
    boss.subscribe("chat/pub/#", QoS::AtLeastOnce).await;
    boss.publish_json("chat/out", &json!({ "room": "/lobby", "text": "hello", "user": "ana" })).await;
    assert_eq!(
        boss.recv_on("chat/pub/lobby").await.json()["message"]["user"],
        "admin",
        "who logs in is that one"
    );
    let mut eve = chatter(&server, "eve").await;
    for user in ["admin", "Admin", " ADMIN\t"] {
        let refused =
            ask(&mut eve, &json!({ "room": "/lobby", "text": "send me your passwords", "user": user })).await;
        assert_eq!(refused["code"], "name_taken", "{user:?}: {refused}");
    }
}

/// The original pushed page code to its clients; here nothing but typed commands comes, whatever others send.
#[tokio::test]
async fn nothing_that_a_page_could_run_is_passed_to_another() {
    let server = server().await;
    let mut ana = chatter(&server, "ana").await;
    let mut eve = chatter(&server, "eve").await;
    let welcome =
        ask(&mut ana, &json!({ "connected": true, "path": "/lobby", "user": "ana", "run": "alert(1)" }))
            .await;
    assert_eq!(welcome.get("run"), None);
    for said in [
        json!({ "room": "/lobby", "run": "alert(1)" }),
        json!({ "message": { "user": "eve", "text": "no room" } }),
        json!({ "cmd": "welcome", "room": "/lobby", "to": "ana" }),
    ] {
        let refused = ask(&mut eve, &said).await;
        assert_eq!(refused["cmd"], "error", "{refused}");
        let received = refused["received"].as_str().unwrap_or_default();
        assert!(said.to_string().starts_with(received), "{received}");
    }
    ana.expect_silence().await;
}

#[tokio::test]
async fn two_messages_of_one_moment_are_both_kept() {
    let server = server().await;
    let mut tasks = Vec::new();
    for number in 0..10 {
        let mut client = server.mqtt(&format!("client-{number}")).await;
        tasks.push(tokio::spawn(async move {
            for text in ["first", "second"] {
                client
                    .publish_json(
                        "chat/out",
                        &json!({ "room": "/lobby", "text": format!("{text} {number}") }),
                    )
                    .await;
            }
        }));
    }
    for task in tasks {
        task.await.expect("a client talks");
    }
    let mut ana = chatter(&server, "ana").await;
    pointsman_tests::eventually("all twenty are in the history", async || {
        let history = ask(&mut ana, &json!({ "sendroom": "/lobby" })).await;
        if history["messages"].as_array().is_some_and(|messages| messages.len() == 20) {
            Ok(())
        } else {
            Err(history)
        }
    })
    .await;
}

/// A client that comes back is sent the history of its rooms in one run: however large that is, the rule keeps its limits.
#[tokio::test]
async fn a_client_of_rooms_full_of_large_messages_comes_back() {
    const ROOMS: usize = 10;
    let server = server().await;
    let mut tasks = Vec::new();
    for room in 0..ROOMS {
        let mut eve = server.mqtt(&format!("eve-{room}")).await;
        tasks.push(tokio::spawn(async move {
            // These numbers are longer when they are written out.
            let extra = vec!["1e15"; 1_700].join(",");
            let said = format!(r#"{{"room":"/r{room}","message":{{"text":"hi","extra":[{extra}]}}}}"#);
            for _ in 0..40 {
                eve.publish("chat/out", said.clone()).await;
            }
        }));
    }
    for task in tasks {
        task.await.expect("a client talks");
    }
    let mut ana = chatter(&server, "ana").await;
    for room in 0..ROOMS {
        let entered = json!({ "connected": true, "path": format!("/r{room}"), "user": "ana" });
        assert_eq!(ask(&mut ana, &entered).await["cmd"], "welcome");
        assert_eq!(ana.recv().await.json()["cmd"], "history");
    }
    ana.disconnect().await;
    let mut ana = chatter(&server, "ana").await;
    // What is read for it is bounded, so not every one of such rooms is told of at once.
    for _ in 0..2 {
        assert_eq!(ana.recv().await.json()["cmd"], "history");
    }
    let is_quiet = json!("/somewhere-quiet");
    ana.publish_json("chat/out", &json!({ "sendroom": is_quiet })).await;
    ana.recv_where(|message| message.json()["room"] == is_quiet).await;
    expect_well(&server, &mut ana).await;
}
