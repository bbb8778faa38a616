//! Events as JSON, there and back.

use serde_json::json;

use super::*;

const DEFAULTS: fn() -> EventDefaults = || EventDefaults { time_ms: 5, id: EventId::new(5, 7) };

fn read(value: &Value) -> Result<Event, String> {
    Event::from_json(value, DEFAULTS()).map_err(|error| error.to_string())
}

#[test]
fn an_event_survives_as_json() {
    let payloads = [&b"{\"a\":1}"[..], b"", b"text", b"\xff\x00"];
    for payload in payloads {
        let message = Message {
            topic: "a/b".into(),
            client_id: "c".into(),
            user: Some("ana".into()),
            payload: Bytes::from_static(payload),
            qos: 2,
            retain: true,
            time_ms: 9,
            id: EventId::new(9, 1),
        };
        let again = read(&Event::message(message.clone()).to_json()).unwrap();
        assert_eq!(again.as_message(), Some(&message));
    }
    let id = EventId::new(9, 1).to_string();
    for value in [
        json!({ "kind": "tick", "time": 9, "id": id }),
        json!({ "kind": "bus", "bus": "b", "topic": "x/b", "event": { "source": "s" }, "time": 9, "id": id }),
        json!({ "kind": "change", "table": "t", "hash": "h", "sort": "", "before": { "a": 1 }, "after": 5,
                "expired": false, "time": 9, "id": id }),
        json!({ "kind": "batch", "time": 9, "id": id, "messages": [
            { "kind": "message", "topic": "a", "payload": "x", "client_id": "c", "user": null, "qos": 1,
              "retain": false, "time": 8, "id": id },
        ] }),
    ] {
        assert_eq!(read(&value).unwrap().to_json(), value);
    }
    let value = json!({
        "kind": "disconnect", "client_id": "c", "user": null, "session_id": "s", "ip": "::1", "reason": "X",
        "version_number": 3, "client_initiated": true, "filters": ["a/#"], "time": 9,
        "id": EventId::new(9, 1).to_string(),
    });
    assert_eq!(read(&value).unwrap().to_json(), value);
}

#[test]
fn what_a_replay_gives_says_so_and_survives_as_json() {
    let event = read(&json!({ "kind": "message", "topic": "a", "payload": "x" })).unwrap().replayed("r-1");
    assert_eq!(event.to_json()["replay"], "r-1");
    assert_eq!(read(&event.to_json()).unwrap().to_json(), event.to_json());
    for (whole, told) in [
        (json!({}), json!({ "replay-name": "r \"1\"" })),
        (json!({ "source": "s" }), json!({ "replay-name": "r \"1\"", "source": "s" })),
    ] {
        let event = read(&json!({ "kind": "bus", "bus": "b", "event": whole })).unwrap();
        assert_eq!(event.replayed("r \"1\"").to_json()["event"], told);
    }
}

#[test]
fn what_is_left_out_has_a_default() {
    let event = read(&json!({ "kind": "message", "topic": "a", "payload": { "b": [1] } })).unwrap();
    let message = event.as_message().unwrap();
    assert_eq!((message.payload.as_ref(), message.qos, message.time_ms), (&b"{\"b\":[1]}"[..], 0, 5));
    assert_eq!(event.id(), EventId::new(5, 7));
}

#[test]
fn what_is_wrong_is_named() {
    for (value, part) in [
        (json!(5), "a JSON object"),
        (json!({}), "`kind` is missing"),
        (json!({ "kind": "massage" }), "there is no kind \"massage\""),
        (json!({ "kind": "message" }), "missing field `topic`"),
        (json!({ "kind": "message", "topic": "a", "color": 1 }), "unknown field `color`"),
        (json!({ "kind": "message", "topic": "a/+" }), "wildcard"),
        (json!({ "kind": "message", "topic": "a", "qos": 3 }), "qos is 3"),
        (json!({ "kind": "message", "topic": "a", "payload": "", "payload_base64": "" }), "not both"),
        (json!({ "kind": "message", "topic": "a", "payload_base64": "!" }), "no base64"),
        (json!({ "kind": "connect", "client_id": "c", "id": "x" }), "id \"x\""),
        (json!({ "kind": "bus", "detail": {} }), "Source is a required argument"),
        (json!({ "kind": "batch", "messages": [{ "kind": "tick" }] }), "messages[0] is no message"),
        (json!({ "kind": "batch", "messages": [{ "kind": "message" }] }), "messages[0]: an event of kind"),
    ] {
        let error = read(&value).unwrap_err();
        assert!(error.contains(part), "{value}: {error}");
    }
}
