//! Triggers besides messages one by one: what they say, and what their handlers get.

use std::sync::Arc;
use std::time::Duration;

use pointsman_rules::{
    Batch, BatchLimits, Change, EmptySnapshot, Event, EventId, On, OrderBy, Outcome, Rule, Snapshot, Start,
    Tick,
};

use crate::support::{NOW_MS, compile, logged, message, patient};

fn run(source: &str, event: &Event) -> (Rule, Outcome) {
    let engine = patient();
    let rule = compile(&engine, source).unwrap();
    let snapshot: Arc<dyn Snapshot> = Arc::new(EmptySnapshot);
    let outcome = engine.run(&rule, 0, event, &snapshot).unwrap();
    (rule, outcome)
}

#[test]
fn a_batch_has_its_messages_in_order() {
    let source = "on_batch(\"s/{who}\", #{ max_messages: 2, max_bytes: 100, max_delay: \"250ms\" }, \"all\");
        fn all(batch) { let text = \"\"; for msg in batch.messages { text += msg.params.who + msg.text(); } log(`${batch.len} ${text} ${batch.time}`); }";
    let messages = ["s/a", "s/b"].map(|topic| Event::message(message(topic, "1"))).to_vec();
    let event = Event::batch(Batch { messages, time_ms: NOW_MS, id: EventId::from_u128(1) });
    let (rule, outcome) = run(source, &event);
    assert_eq!(logged(&outcome), [format!("2 a1b1 {NOW_MS}")]);
    let On::Batch(_, limits) = rule.triggers[0].on else { panic!("{:?}", rule.triggers) };
    let expected = BatchLimits { messages_max: 2, bytes_max: 100, delay_max: Duration::from_millis(250) };
    assert_eq!((limits, &rule.triggers[0].handling.order_by), (expected, &OrderBy::All));
}

#[test]
fn a_change_has_both_images() {
    let source = "on_change(\"t\", \"changed\");
        fn changed(change) { log(`${change.kind} ${change.table} ${change.hash} ${change.sort} ${change.before} ${change.after?.n} ${change.expired}`); }";
    let change = |old: Option<&'static str>, new: Option<&'static str>| {
        Event::change(Change {
            table: "t".to_owned(),
            hash: "h".to_owned(),
            sort: "s".to_owned(),
            old: old.map(|it| it.as_bytes().into()),
            new: new.map(|it| it.as_bytes().into()),
            expired: new.is_none(),
            time_ms: NOW_MS,
            id: EventId::from_u128(1),
        })
    };
    for (event, expected) in [
        (change(None, Some("{\"n\":1}")), "INSERT t h s  1 false"),
        (change(Some("5"), Some("{\"n\":2}")), "MODIFY t h s 5 2 false"),
        (change(Some("5"), None), "REMOVE t h s 5  true"),
    ] {
        assert_eq!(logged(&run(source, &event).1), [expected]);
    }
}

#[test]
fn a_tick_has_the_time_that_was_meant() {
    let tick = Event::tick(Tick { scheduled_ms: NOW_MS, id: EventId::from_u128(1) });
    let source = |trigger: &str| format!("{trigger}; fn f(tick) {{ log(`${{tick.time}} ${{now()}}`); }}");
    for trigger in [
        "every(\"10s\", \"f\")",
        "every(\"10s\", #{ missed: \"all\" }, \"f\")",
        "cron(\"0 9 * * MON-FRI\", \"f\")",
        "cron(\"0 9 * * MON-FRI\", #{ zone: \"Europe/Berlin\", missed: \"skip\" }, \"f\")",
    ] {
        let (rule, outcome) = run(&source(trigger), &tick);
        assert_eq!(logged(&outcome), [format!("{NOW_MS} {NOW_MS}")]);
        assert!(matches!(rule.triggers[0].on, On::Time(_)));
    }
}

#[test]
fn options_say_how_events_are_handled() {
    let handling = |options: &str| {
        let source = format!("on_message(\"o/{{id}}\", {options}, \"f\"); fn f(m) {{}}");
        compile(&patient(), &source)
            .map(|rule| rule.triggers[0].handling.clone())
            .map_err(|error| error.message)
    };
    assert!(handling("#{}").unwrap().durable);
    assert!(!handling("#{ durable: false }").unwrap().durable);
    assert!(!handling("#{ qos: 0 }").unwrap().durable, "at QoS 0 nothing is promised");
    assert_eq!(handling("#{ order_by: \"params.id\" }").unwrap().order_by, OrderBy::Param("id".into()));
    let field = OrderBy::Field(["a", "b"].map(Box::from).into());
    assert_eq!(handling("#{ order_by: \"json.a.b\" }").unwrap().order_by, field);
    assert_eq!(handling("#{ order_by: \"none\" }").unwrap().order_by, OrderBy::Nothing);
    assert_eq!(handling("#{ start: \"oldest\" }").unwrap().start, Start::Oldest);
    assert_eq!(handling("#{ start: \"2023-11-14T22:13:20Z\" }").unwrap().start, Start::At(NOW_MS));
    for (options, says) in [
        ("#{ order_by: \"json.\" }", "is none of"),
        ("#{ order_by: \"params.x\" }", "names the level \"x\", which \"o/{id}\" has not"),
        ("#{ start: \"soon\" }", "start is \"now\""),
        ("#{ qos: 3 }", "qos is 0, 1 or 2, not 3"),
        ("#{ ordered: 1 }", "on_message has no setting \"ordered\""),
    ] {
        let error = handling(options).unwrap_err();
        assert!(error.contains(says), "{options}: {error}");
    }
}

#[test]
fn what_is_no_trigger_is_refused() {
    for (trigger, says) in [
        ("every(\"10\", \"f\")", "every needs a duration"),
        ("every(\"1ms\", \"f\")", "is not 100ms to 366 days"),
        ("every(\"1s\", #{ missed: \"some\" }, \"f\")", "missed is"),
        ("cron(\"* *\", \"f\")", "it has not five fields"),
        ("cron(\"* * * * *\", #{ zone: \"Nowhere\" }, \"f\")", "Nowhere"),
        ("on_batch(\"a\", #{ max_messages: 0 }, \"f\")", "on_batch needs 1 to 1000 as max_messages, not 0"),
        ("on_batch(\"a\", #{ max_delay: \"2m\" }, \"f\")", "at most 60s as max_delay"),
        ("on_change(\"a b\", \"f\")", "table name"),
        ("index(\"t\", \"a.b\")", "an index is named after a member"),
    ] {
        let error = compile(&patient(), &format!("{trigger}; fn f(e) {{}}")).unwrap_err().to_string();
        assert!(error.contains(says), "{trigger}: {error}");
    }
}
