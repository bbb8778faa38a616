//! Whole statements: what they copy, what they refuse, and where they end.

use std::fmt::Write as _;

use pointsman_rules::sql::{SqlRunError, Statement};

use crate::support::{evaluate, message};

fn select(sql: &str, payload: &str) -> Option<String> {
    let output =
        evaluate(sql, &message("a/b", payload.to_owned())).unwrap_or_else(|error| panic!("{sql}: {error}"));
    output.map(|output| String::from_utf8(output.to_vec()).expect("the output is text"))
}

#[test]
fn what_is_only_copied_stays_as_it_is_written() {
    let check = |sql: &str, payload: &str, output: &str| {
        assert_eq!(select(sql, payload).as_deref(), Some(output), "{sql}");
    };
    check("SELECT * FROM 'a'", " {\"a\": 1.0 } ", " {\"a\": 1.0 } ");
    check("SELECT * FROM 'a'", "[1,2]", "[1,2]");
    check("SELECT * FROM 'a'", "no JSON {", "no JSON {");
    check("SELECT VALUE * FROM 'a'", "{}", "{}");
    check("SELECT a FROM 'a'", "{\"a\":\"\\u0041\\n\",\"b\":2}", "{\"a\":\"\\u0041\\n\"}");
    check("SELECT a AS x.y, b AS x.z", "{\"a\":1,\"b\":2}", "{\"x\":{\"y\":1,\"z\":2}}");
    check("SELECT a.b, a.c.d", "{\"a\":{\"b\":1,\"c\":{\"d\":[2]}}}", "{\"b\":1,\"d\":[2]}");
    check("SELECT *, 1 AS c", "{\"a\":1, \"b\":2 }", "{\"a\":1, \"b\":2 ,\"c\":1}");
    check("SELECT *, 1 AS c", "{ }", "{\"c\":1}");
    check("SELECT *, nope AS a", "{\"a\":1}", "{\"a\":1}");
    check("SELECT *, 5 AS b", "{\"a\":1,\"b\":2,\"c\":3}", "{\"a\":1,\"c\":3,\"b\":5}");
    check("SELECT 5 AS \u{61}, *", "{\"\\u0061\":1}", "{\"a\":5}");
    check("SELECT 1 AS a, 2 AS a", "{}", "{\"a\":2}");
    check("SELECT a AS 'my-key'", "{\"a\":1}", "{\"my-key\":1}");
    check("SELECT a", "{\"a\":1,\"a\":2}", "{\"a\":2}");
    check("SELECT VALUE a", "{\"a\":\"x\"}", "\"x\"");
    check("SELECT value, value * 2 AS twice", "{\"value\":4}", "{\"value\":4,\"twice\":8}");
    check("SELECT value", "{\"value\":4}", "{\"value\":4}");
    check("SELECT topic(), timestamp()", "{}", "{\"topic\":\"a/b\",\"timestamp\":1700000000123}");
    check("select a from 'a/b' where a = 1 -- as it was", "{\"a\":1}", "{\"a\":1}");
    check("SELECT encode(*, 'base64') AS b, upper('x') AS c", "\u{1}", "{\"b\":\"AQ==\",\"c\":\"X\"}");
}

#[test]
fn many_members_are_found() {
    let mut payload = String::from("{");
    for index in 0..40 {
        let _ = write!(payload, "\"m{index}\":{index},");
    }
    payload.push_str("\"last\":true}");
    assert_eq!(
        select("SELECT m0, m11, m12, m39, last", &payload).unwrap(),
        "{\"m0\":0,\"m11\":11,\"m12\":12,\"m39\":39,\"last\":true}"
    );
}

#[test]
fn only_true_lets_through() {
    for (condition, passes) in [
        ("true", true),
        ("'true'", true),
        ("'yes'", false),
        ("1", false),
        ("nope", false),
        ("null", false),
        ("true AND nope", false),
        ("NOT isUndefined(a) AND a > 0 AND a < 5", true),
    ] {
        let sql = format!("SELECT * FROM 'a' WHERE {condition}");
        assert_eq!(select(&sql, "{\"a\":1}").is_some(), passes, "{condition}");
    }
    assert_eq!(select("SELECT * FROM 'a' WHERE a = 1", "{\"a\":1"), None, "broken JSON has no members");
}

#[test]
fn what_cannot_be_evaluated_says_why() {
    let fail = |sql: &str, payload: &str| evaluate(sql, &message("a", payload.to_owned())).unwrap_err();
    assert_eq!(
        fail("SELECT *, 1 AS a", "{\"a\":").to_string(),
        "`*` beside other items needs a JSON object as payload, and this is not JSON: a value was expected at byte 5"
    );
    assert!(matches!(fail("SELECT *, 1 AS a", "[1]"), SqlRunError::NoObject(_)));
    assert!(matches!(fail("SELECT get_dynamodb('broken','k','v') AS a", "{}"), SqlRunError::Snapshot { .. }));
    assert_eq!(
        fail("SELECT aws_lambda('none', *) AS a", "{}").to_string(),
        "function \"none\" failed: there is no such function"
    );
}

#[test]
fn every_limit_is_reached() {
    let text = format!("{{\"s\":\"{}\"}}", "x".repeat(200_000));
    let fail = |sql: &str, payload: &str| evaluate(sql, &message("a", payload.to_owned())).unwrap_err();
    let many = vec!["s"; 200].join(",");
    assert_eq!(
        fail(&format!("SELECT length(concat({many})) AS n"), &text),
        SqlRunError::Limit("WORK_BYTES_MAX")
    );
    assert_eq!(fail("SELECT length(replace(s, 'x', s)) AS n", &text), SqlRunError::Limit("WORK_BYTES_MAX"));
    assert_eq!(
        fail("SELECT length(regexp_replace(s, 'x', s)) AS n", &text),
        SqlRunError::Limit("WORK_BYTES_MAX")
    );
    assert_eq!(fail("SELECT s AS a, s AS b", &text), SqlRunError::Limit("OUTPUT_BYTES_MAX"));
    let array = format!("{{\"e\":[{}1]}}", "1,".repeat(2_000));
    assert_eq!(fail("SELECT (SELECT VALUE * FROM e) AS x", &array), SqlRunError::Limit("QUERY_ITEMS_MAX"));
    let patterns =
        (0..80).map(|n| format!("regexp_matches('a', 'a' + {n}) AS p{n}")).collect::<Vec<_>>().join(",");
    assert_eq!(fail(&format!("SELECT {patterns}"), "{}"), SqlRunError::Limit("WORK_BYTES_MAX"));
    let deep = ["[", "]"].map(|bracket| bracket.repeat(65)).concat();
    assert!(matches!(fail("SELECT *, 1 AS a", &deep), SqlRunError::NoObject(_)), "too deep is no JSON");
    assert_eq!(select("SELECT VALUE a", &format!("{{\"a\":{}}}", "9".repeat(400))).unwrap(), "1E400");
}

#[test]
fn errors_say_what_was_expected_and_where() {
    let check = |sql: &str, message: &str| {
        assert_eq!(Statement::parse(sql).expect_err(sql).to_string(), message, "{sql}");
    };
    check("SELECT FROM 'a'", "line 1, column 8: `*` or an expression was expected, and here is `FROM`");
    check("SELECT * FROM", "line 1, column 14: a topic filter in quotes was expected, and here is the end");
    check("SELEC * FROM 'a'", "line 1, column 1: SELECT was expected, and here is `SELEC`");
    check("SELECT *\nFROM 'a' WHERE", "line 2, column 15: an expression was expected, and here is the end");
    check(
        "SELECT * FROM 'a/#/b'",
        "line 1, column 16: filter \"a/#/b\" has levels after `#`: `#` must be the last level",
    );
    check("", "line 1, column 1: SELECT was expected, and here is the end");
    check(
        "SELECT a b FROM 'a'",
        "line 1, column 10: an operator, `,`, FROM, WHERE or the end was expected, and here is `b`",
    );
    check(
        "SELECT a + FROM 'a'",
        "line 1, column 12: an expression (a member of that name is had by get(*, '…')) was expected, and here is `FROM`",
    );
    check("SELECT 1 + 1 FROM 'a'", "line 1, column 8: this item has no name of its own: give it one with AS");
    check(
        "SELECT foo(a) AS b",
        "line 1, column 8: there is no function `foo`: docs/SQL.md lists all of them",
    );
    check("SELECT upper() AS b", "line 1, column 8: the function upper takes 1 arguments, not 0");
    check("SELECT get(a) AS b", "line 1, column 8: the function get takes 2 arguments, not 1");
    check("SELECT 'a FROM", "line 1, column 8: the text that begins with \"a FROM\" has no closing '");
    check("SELECT a ; b", "line 1, column 10: the character ';' has no meaning here");
    check(
        "SELECT cast(a AS Float) AS b",
        "line 1, column 18: there is no type \"Float\": there are Bool, Boolean, Decimal, Double, Int, Integer, Ntext, Nvarchar, String, Text, Varchar",
    );
    check(
        "SELECT CASE WHEN a THEN b END AS c",
        "line 1, column 13: the value that CASE compares was expected, and here is `WHEN`",
    );
    check(
        "SELECT 5x AS a",
        "line 1, column 8: \"5x\" is no number, and names begin with a letter: use get(*, '…') for other members",
    );
    check(
        "SELECT encode(a, 'hex') AS b",
        "line 1, column 8: the function encode knows 'base64' only, not \"hex\"",
    );
    check(
        "SELECT parse_time('yyyy-QQ', 1) AS b",
        "line 1, column 8: the letter `Q` has no meaning in the date pattern \"yyyy-QQ\": put text in quotes",
    );
    check(
        "SELECT parse_time('yyyy', 1, 'Mars/Base') AS b",
        "line 1, column 8: there is no time zone \"Mars/Base\"",
    );
    check(
        "SELECT get_thing_shadow('a') AS b",
        "line 1, column 8: the function get_thing_shadow is not offered: there are no shadows: keep the state in a table, and read it with get_dynamodb",
    );
    let regex = Statement::parse("SELECT regexp_matches(a, '(') AS b").unwrap_err().to_string();
    assert!(regex.contains("unclosed group"), "{regex}");
    let bomb =
        Statement::parse("SELECT regexp_matches(a, '((a{100}){100}){100}') AS b").unwrap_err().to_string();
    assert!(bomb.contains("size limit"), "{bomb}");
    let deep = format!("SELECT {}1{} AS a", "(".repeat(100), ")".repeat(100));
    check(&deep, "line 1, column 56: expressions lie more than 48 deep");
    let long = format!("SELECT '{}' AS a", "x".repeat(70_000));
    check(&long, "line 1, column 1: the statement has 70014 bytes: at most 65536 are allowed");
}

#[test]
fn a_long_chain_does_not_lie_deep() {
    let sum = vec!["1"; 10_000].join("+");
    assert_eq!(select(&format!("SELECT {sum} AS n"), "{}").unwrap(), "{\"n\":10000}");
    let path = vec!["a"; 10_000].join(".");
    assert_eq!(select(&format!("SELECT {path} AS n"), "{}").unwrap(), "{}");
}

#[test]
fn the_deepest_expression_fits_a_small_stack() {
    let deep = |open: &str, close: &str, count| {
        format!("SELECT {}a{} AS x", open.repeat(count), close.repeat(count))
    };
    let run = move || {
        let payload = ["{\"a\":", &"[".repeat(60), &"]".repeat(60), "}"].concat();
        for (open, close, count) in [
            ("(1 + ", ")", 46),
            ("upper(", ")", 46),
            ("NOT ", "", 46),
            ("[", "]", 46),
            ("(SELECT VALUE ", " FROM a)", 23), // each is an expression and a query
        ] {
            assert!(select(&deep(open, close, count), &payload).is_some());
        }
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(run).unwrap().join().unwrap();
}

#[test]
fn a_hostile_pattern_ends() {
    let text = format!("{{\"t\":\"{}\"}}", "01".repeat(100_000));
    let sql = "SELECT regexp_matches(t, '[01]*1[01]{500}$x') AS x";
    let outcome = evaluate(sql, &message("a", text.clone()));
    assert_eq!(
        outcome.unwrap_err(),
        SqlRunError::Limit("WORK_BYTES_MAX"),
        "too much text for such a pattern"
    );
    let small = format!("{{\"t\":\"{}\"}}", "01".repeat(20_000));
    assert_eq!(select(sql, &small).unwrap(), "{\"x\":false}");
    assert_eq!(select("SELECT regexp_matches(t, '1{3}') AS x", &text).unwrap(), "{\"x\":false}");
}
