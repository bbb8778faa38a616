//! What leaves the server: webhooks, notifications, and clients that are sent away.

use std::time::Duration;

use pointsman_rules::{Effect, Webhook};

use crate::support::run;

fn only(body: &str) -> Effect {
    let mut effects = run(body).unwrap().effects;
    assert_eq!(effects.len(), 1, "{effects:?}");
    effects.remove(0)
}

fn webhook(body: &str) -> Webhook {
    match only(body) {
        Effect::Webhook(webhook) => *webhook,
        other => panic!("{other:?}"),
    }
}

fn refusal(body: &str) -> String {
    run(body).unwrap_err().message
}

#[test]
fn a_webhook_says_what_is_sent() {
    let plain = webhook("webhook(\"https://example.org/hook?a=1\", #{ n: 1 });");
    assert_eq!((plain.method, plain.url.as_str()), ("POST", "https://example.org/hook?a=1"));
    assert_eq!(plain.body, "{\"n\":1}");
    assert_eq!(plain.headers, [("content-type".to_owned(), "application/json".to_owned())]);
    assert_eq!((plain.timeout, plain.retries, plain.secret), (None, None, None));
    let full = webhook(
        "webhook(\"http://h:81/\", \"text\", #{ method: \"PUT\", retries: 3, timeout: \"2s\", secret: \"shop\",
             headers: #{ \"X-Shop\": \"7\", \"Content-Type\": \"text/csv\", Accept: \"a b\" } });",
    );
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        full.headers,
        [header("accept", "a b"), header("content-type", "text/csv"), header("x-shop", "7")]
    );
    assert_eq!((full.method, &full.body[..], full.retries), ("PUT", &b"text"[..], Some(3)));
    assert_eq!((full.timeout, full.secret.as_deref()), (Some(Duration::from_secs(2)), Some("shop")));
    assert_eq!(webhook("webhook(\"https://h/\", \"x\");").headers[0].1, "text/plain; charset=utf-8");
    assert_eq!(webhook("webhook(\"https://h/\", blob(2));").headers[0].1, "application/octet-stream");
    assert_eq!(webhook("webhook(\"https://h/\", msg.json);").body, "{}");
}

#[test]
fn a_webhook_that_cannot_be_sent_says_why() {
    let long = format!("webhook(\"https://h/{}\", 1);", "x".repeat(2_048));
    for (body, expected) in [
        ("webhook(\"ftp://h/\", 1);", "begins with https:// or http://"),
        ("webhook(\"https://h/ü\", 1);", "%XX"),
        ("webhook(\"https://h/a b\", 1);", "%XX"),
        ("webhook(\"https://h/#x\", 1);", "#"),
        (long.as_str(), "2048 bytes"),
        ("webhook(\"https://h/\", 1, #{ verb: 1 });", "no setting \"verb\""),
        ("webhook(\"https://h/\", 1, #{ method: \"GET\" });", "it has POST, PUT, PATCH, DELETE"),
        ("webhook(\"https://h/\", 1, #{ retries: -1 });", "0 to 1000"),
        ("webhook(\"https://h/\", 1, #{ timeout: \"0s\" });", "1ms to 120s"),
        ("webhook(\"https://h/\", 1, #{ timeout: 5 });", "a duration such as"),
        ("webhook(\"https://h/\", 1, #{ headers: #{ Host: \"x\" } });", "leave it out"),
        ("webhook(\"https://h/\", 1, #{ headers: #{ \"a b\": \"x\" } });", "name of a header"),
        ("webhook(\"https://h/\", 1, #{ headers: #{ a: \"x\\r\\ny: z\" } });", "visible ASCII"),
        ("webhook(\"https://h/\", 1, #{ headers: #{ a: \"x\", A: \"y\" } });", "twice"),
        ("webhook(\"https://h/\", 1, #{ headers: #{ a: 1 } });", "needs text as header"),
        ("webhook(\"https://h/\", 1.0 / 0.0);", "cannot send this body"),
    ] {
        let message = refusal(body);
        assert!(message.contains(expected), "{body}: {message}");
    }
}

#[test]
fn a_notification_has_a_topic_a_subject_and_a_message() {
    let notify = |topic: &str, subject: Option<&str>, message: &str| Effect::Notify {
        topic: topic.to_owned(),
        subject: subject.map(str::to_owned),
        message: message.to_owned(),
    };
    assert_eq!(only("notify(\"alarms\", \"hot\");"), notify("alarms", None, "hot"));
    assert_eq!(only("notify(\"a/b\", \"Hot!\", #{ t: 90 });"), notify("a/b", Some("Hot!"), "{\"t\":90}"));
    for (body, expected) in [
        ("notify(\"a+b\", \"x\");", "cannot use \"a+b\" as topic"),
        ("notify(\"a\", \"two\\nlines\", \"x\");", "subject of one line"),
        ("notify(\"a\", blob(1));", "not a blob"),
    ] {
        let message = refusal(body);
        assert!(message.contains(expected), "{body}: {message}");
    }
}

#[test]
fn a_client_is_sent_away_with_a_reason() {
    let away = |reason: Option<&str>| Effect::Disconnect {
        client_id: "c".to_owned(),
        reason: reason.map(str::to_owned),
    };
    assert_eq!(only("disconnect(\"c\");"), away(None));
    assert_eq!(only("disconnect(\"c\", #{ reason: \"too loud\" });"), away(Some("too loud")));
    for (body, expected) in [
        ("disconnect(\"\");", "empty client id"),
        ("disconnect(\"c\", #{ reason: \"a\\nb\" });", "one line"),
        ("disconnect(\"c\", #{ why: \"a\" });", "no setting \"why\""),
    ] {
        let message = refusal(body);
        assert!(message.contains(expected), "{body}: {message}");
    }
}

#[test]
fn what_leaves_counts_as_effects_of_the_run() {
    let message = refusal("for i in 0..200 { notify(\"a\", \"x\"); }");
    assert!(message.contains("effects_max = 100"), "{message}");
}
