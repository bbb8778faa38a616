//! Tables: what is written, and what is read back in the same run.

use bytes::Bytes;
use pointsman_rules::{Effect, RunErrorKind};

use crate::support::{NOW_MS, Tables, logged, patient, run, run_with};

fn stored() -> Tables {
    let mut tables = Tables::default();
    for (sort, value) in [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")] {
        tables.put("t", "h", sort, value);
    }
    tables
}

fn logs(body: &str) -> Vec<String> {
    let outcome = run_with(&patient(), body, &stored()).unwrap();
    logged(&outcome).into_iter().map(str::to_owned).collect()
}

#[test]
fn writes_become_effects() {
    let outcome = run("let t = table(\"t\"); t.put(\"h\", \"s\", #{ n: 1 }, #{ ttl: \"7d\" });
        t.put(\"h\", \"text\"); t.put(5, 6, ()); t.delete(\"h\", \"s\"); t.delete(\"h\");")
    .unwrap();
    let put = |hash: &str, sort: &str, value: &'static str, expires_at_ms| Effect::Put {
        table: "t".to_owned(),
        hash: hash.to_owned(),
        sort: sort.to_owned(),
        value: Bytes::from_static(value.as_bytes()),
        expires_at_ms,
    };
    let delete = |sort: &str| Effect::Delete { table: "t".into(), hash: "h".into(), sort: sort.into() };
    assert_eq!(
        outcome.effects,
        [
            put("h", "s", "{\"n\":1}", Some(NOW_MS + 7 * 86_400_000)),
            put("h", "", "\"text\"", None),
            put("5", "6", "null", None),
            delete("s"),
            delete(""),
        ]
    );
}

#[test]
fn reads_see_the_snapshot_and_own_writes() {
    let body = "let t = table(\"t\");
        log(`${t.get(\"h\", \"a\")} ${t.get(\"h\", \"z\") == ()} ${t.get(\"none\") == ()}`);
        t.put(\"h\", \"a\", 10); t.delete(\"h\", \"b\"); t.put(\"h\", \"aa\", 15);
        log(`${t.get(\"h\", \"a\")} ${t.get(\"h\", \"b\") == ()} ${t.get(\"h\", \"aa\")}`);
        t.put(\"h\", \"b\", 20);
        log(`${t.get(\"h\", \"b\")}`);";
    assert_eq!(logs(body), ["1 true true", "10 true 15", "20"]);
}

#[test]
fn queries_see_own_writes_in_order() {
    let show =
        "fn show(rows) { let s = \"\"; for row in rows { s += `${row.sort}=${row.value} `; } log(s); }";
    let body = format!(
        "let t = table(\"t\");
        show(t.query(\"h\")); show(t.query(\"h\", #{{ limit: 2, newest: true }}));
        show(t.query(\"h\", #{{ after: \"a\", before: \"d\" }}));
        t.delete(\"h\", \"a\"); t.put(\"h\", \"bb\", 25); t.put(\"h\", \"d\", 40); t.put(\"h\", \"x\", 50);
        show(t.query(\"h\", #{{ limit: 2 }})); show(t.query(\"h\", #{{ newest: true, limit: 3 }}));
        show(t.query(\"h\", #{{ after: \"b\", limit: 2 }})); show(t.query(\"other\"));
        }}\n{show}\nfn unused() {{"
    );
    assert_eq!(
        logs(&body),
        ["a=1 b=2 c=3 d=4 ", "d=4 c=3 ", "b=2 c=3 ", "b=2 bb=25 ", "x=50 d=40 c=3 ", "bb=25 c=3 ", ""]
    );
}

#[test]
fn stored_values_can_be_passed_on_unread() {
    let long = format!("\"{}\"", "x".repeat(10_000));
    let mut tables = Tables::default();
    for sort in ["a", "b", "c"] {
        tables.put("t", "h", sort, &long);
    }
    let body =
        "let all = []; for row in table(\"t\").query(\"h\") { all.push(row.raw); } publish(\"p\", all);";
    let outcome = run_with(&patient(), body, &tables).unwrap();
    let Effect::Publish { payload, .. } = &outcome.effects[0] else { panic!("{outcome:?}") };
    assert_eq!(payload, format!("[{long},{long},{long}]").as_bytes());
    let error = run("table(\"t\").put(\"h\", msg.raw);").unwrap_err();
    assert!(error.message.contains("not known to be JSON"), "{error}");
}

#[test]
fn errors_say_what_is_wrong() {
    for (call, expected) in [
        ("table(\"a b\")", "table name \"a b\" is not 1 to 64 characters"),
        ("table(\"t\").put(\"\", 1)", "put got an empty hash"),
        ("table(\"t\").get(#{})", "get needs a string or a whole number as hash, not map"),
        ("table(\"t\").put(\"h\", \"s\", 1, #{ ttl: 5 })", "put needs a duration such as"),
        (
            "table(\"t\").query(\"h\", #{ limit: 0 })",
            "query needs 1 to query_rows_max = 1000 as limit, not 0",
        ),
        ("table(\"t\").get(\"a\\x00\")", "the null character"),
    ] {
        let error = run(&format!("{call};")).unwrap_err();
        assert!(error.message.contains(expected), "{call} gave {error}");
        assert_eq!((error.kind, error.line), (RunErrorKind::Thrown, 3), "{call}");
    }
}

#[test]
fn a_broken_table_ends_the_run_even_if_the_script_goes_on() {
    for body in [
        "table(\"broken\").get(\"h\");",
        "try { table(\"broken\").get(\"h\"); } catch { } publish(\"a\", 1);",
        "try { helper(); } catch { } publish(\"a\", 1); } fn helper() { table(\"broken\").get(\"h\");",
    ] {
        let error = run(body).unwrap_err();
        assert_eq!(error.kind, RunErrorKind::Snapshot, "{error}");
        assert!(error.message.contains("the disk is gone"), "{error}");
    }
}
