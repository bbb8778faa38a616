//! Parts of rows, conditions, and indexes.

use std::sync::Arc;

use pointsman_rules::{Event, Snapshot};

use crate::support::{Tables, compile, logged, message, patient, run_with};

fn logs(body: &str, tables: &Tables) -> Vec<String> {
    let outcome = run_with(&patient(), body, tables).unwrap();
    logged(&outcome).into_iter().map(str::to_owned).collect()
}

#[test]
fn members_are_set_taken_away_and_added_to() {
    let mut tables = Tables::default();
    tables.put("t", "h", "s", "{\"a\":1,\"b\":2}");
    let body = "let t = table(\"t\");
        log(t.update(\"h\", \"s\", #{ b: (), c: 3 }).to_json());
        log(t.add(\"h\", \"s\", \"a\", 41));
        log(`${t.add(\"h\", \"new\", \"n\", 1.5)}`);
        log(t.get(\"h\", \"s\").to_json());
        t.put(\"h\", \"text\", \"x\");
        for wrong in [\"text\", \"s\"] { try { t.add(\"h\", wrong, \"c\", \"one\") } catch (e) { log(e) } }
        try { t.add(\"h\", \"s\", \"a\", 9223372036854775807) } catch (e) { log(e) }";
    let expected = [
        "{\"a\":1,\"c\":3}",
        "42",
        "1.5",
        "{\"a\":42,\"c\":3}",
        "add needs a row that is a map: \"h\", \"text\" is string",
        "add needs numbers within range: member \"c\" is 3, and \"one\" is added",
        "add needs numbers within range: member \"a\" is 42, and 9223372036854775807 is added",
    ];
    assert_eq!(logs(body, &tables), expected);
}

#[test]
fn a_condition_that_does_not_hold_says_what_is() {
    let mut tables = Tables::default();
    tables.put("t", "h", "s", "{\"a\":1}");
    let body = "let t = table(\"t\");
        t.put(\"h\", \"new\", 1, #{ if_absent: true });
        t.update(\"h\", \"s\", #{ b: 1 }, #{ if_present: true, if_equals: #{ a: 1 } });
        try { t.put(\"h\", \"new\", 2, #{ if_absent: true }) } catch (e) { log(e) }
        try { t.update(\"h\", \"none\", #{ b: 1 }, #{ if_present: true }) } catch (e) { log(e) }
        try { t.delete(\"h\", \"s\", #{ if_equals: #{ a: 2 } }) } catch (e) { log(e) }
        t.delete(\"h\", \"s\", #{ if_equals: #{ a: 1 } });
        log(t.get(\"h\", \"s\") == ());";
    let expected = [
        "if_absent does not hold for row \"h\", \"new\" of table \"t\": it is there",
        "if_present does not hold for row \"h\", \"none\" of table \"t\": it is not there",
        "if_equals does not hold for row \"h\", \"s\" of table \"t\": its member \"a\" is 1",
        "true",
    ];
    assert_eq!(logs(body, &tables), expected);
}

#[test]
fn rows_are_found_by_an_index() {
    let engine = patient();
    let source = "index(\"orders\", \"status\");
        on_message(\"#\", \"handle\");
        fn handle(msg) {
            let orders = table(\"orders\");
            let change = msg.json;
            if change.status == () { orders.delete(change.id, \"\"); } else { orders.put(change.id, \"\", #{ status: change.status, n: 1 }); }
            let text = \"\";
            for row in orders.find(\"status\", \"open\", #{ limit: 2 }) { text += `${row.hash}:${row.value.status} `; }
            log(text);
        }";
    let rule = compile(&engine, source).unwrap();
    let mut tables = Tables::default();
    let mut step = |id: &str, status: &str| {
        let payload = format!("{{\"id\":\"{id}\",\"status\":{status}}}");
        let snapshot: Arc<dyn Snapshot> = Arc::new(tables.clone());
        let outcome = engine.run(&rule, 0, &Event::message(message("a", payload)), &snapshot).unwrap();
        tables.apply(&outcome);
        logged(&outcome)[0].to_owned()
    };
    assert_eq!(step("1", "\"open\""), "1:open ");
    assert_eq!(step("2", "\"open\""), "1:open 2:open ");
    assert_eq!(step("3", "\"open\""), "1:open 2:open ", "as many as were asked for");
    assert_eq!(step("1", "\"done\""), "2:open 3:open ");
    assert_eq!(step("2", "null"), "3:open ");
    assert_eq!(step("3", "5"), "", "a number is not its text");
    assert_eq!(tables.rows("orders.status"), 2, "one for each row that has the member");
    let error = run_with(&engine, "table(\"orders\").find(\"status\", 1)", &tables).unwrap_err().message;
    assert_eq!(
        error,
        "table \"orders\" has no index on \"status\": say `index(\"orders\", \"status\")` at the top level"
    );
}
