//! SET: one value for the statement, its actions and its error action.

use pointsman_rules::sql::{SqlRule, Statement};
use pointsman_rules::{Effect, EmptySnapshot, RuleName};

use crate::support::{Echo, evaluate, message};

fn topics(text: &str, payload: &str) -> Vec<String> {
    let rule = SqlRule::compile(&RuleName::parse("r").expect("a name"), "r.sql", text);
    let rule = rule.unwrap_or_else(|error| panic!("{error}"));
    let message = message("a/b/c", payload.to_owned());
    let outcome = rule.run(&message, &EmptySnapshot, &Echo).expect("no table is read");
    let topic = |effect: Effect| match effect {
        Effect::Publish { topic, .. } => topic,
        other => panic!("{other:?}"),
    };
    outcome.effects.into_iter().map(topic).collect()
}

#[test]
fn templates_and_the_error_action_see_the_same_values() {
    let actions = "THEN REPUBLISH 'ids/${@id}', REPUBLISH 'again/${@id}', REPUBLISH 'x/${nope}'
                   ON ERROR REPUBLISH 'errors/${@id}/${@n * 2}'";
    let text = format!("SET @id = newuuid(), @n = n + 1 SELECT @id AS id FROM '#' WHERE @n > 1 {actions}");
    let topics = topics(&text, "{\"n\":1}");
    let [first, again, error] = topics.as_slice() else { panic!("{topics:?}") };
    let id = first.strip_prefix("ids/").expect("the topic begins so");
    assert_eq!((id.len(), again), (36, &format!("again/{id}")));
    assert_eq!(error, &format!("errors/{id}/4"));
}

#[test]
fn what_nobody_needs_is_not_worked_out() {
    let sql = "SET @a = 1, @b = aws_lambda('none', 1) SELECT @a AS a FROM '#' WHERE on = true";
    for (payload, output) in [("{\"on\":true}", Some("{\"a\":1}")), ("{}", None)] {
        assert_eq!(evaluate(sql, &message("a", payload)).unwrap().as_deref(), output.map(str::as_bytes));
    }
    let sql = "SET @b = aws_lambda('none', 1), @a = 1 SELECT @a AS a FROM '#'";
    let error = evaluate(sql, &message("a", "{}")).unwrap_err().to_string();
    assert_eq!(error, "function \"none\" failed: there is no such function");
}

#[test]
fn errors_say_what_was_expected_and_where() {
    let check = |sql: &str, message: &str| {
        assert_eq!(Statement::parse(sql).expect_err(sql).to_string(), message, "{sql}");
    };
    check("SET a = 1", "line 1, column 5: a variable, such as `@name`, was expected, and here is `a`");
    check("SET @a 1", "line 1, column 8: `=` was expected, and here is `1`");
    check("SET @ = 1", "line 1, column 5: a name was expected behind `@`");
    check("SET @a = 1, @a = 2", "line 1, column 13: the variable `@a` is set before");
    check("SET @a = 1", "line 1, column 11: SELECT was expected, and here is the end");
    check(
        "SET @a = @b, @b = 1",
        "line 1, column 10: there is no variable `@b`: SET makes them, before SELECT",
    );
    check(
        &format!("SET @{} = 1 SELECT *", "x".repeat(65)),
        "line 1, column 5: the name of a variable has at most 64 characters",
    );
    let many: Vec<String> = (0..11).map(|index| format!("@v{index} = {index}")).collect();
    check(
        &format!("SET {} SELECT *", many.join(", ")),
        "line 1, column 95: a statement has at most 10 variables",
    );
    let most = format!("SET {}, @{} = 1 SELECT *", many[..9].join(", "), "x".repeat(64));
    assert!(Statement::parse(&most).is_ok());
}

#[test]
fn the_deepest_variables_fit_a_small_stack() {
    let run = || {
        let deep = |name: &str| format!("{}{name}{}", "[".repeat(46), "]".repeat(46));
        let others: Vec<String> =
            (1..10).map(|index| format!("@v{index} = {}", deep(&format!("@v{}", index - 1)))).collect();
        let (first, others, last) = (deep("1"), others.join(", "), deep("@v9"));
        let sql = format!("SET @v0 = {first}, {others} SELECT {last} AS x FROM '#' WHERE @v9 = @v9");
        let output = evaluate(&sql, &message("a", "{}")).unwrap().expect("it fires");
        assert_eq!(std::str::from_utf8(&output).expect("JSON is UTF-8").matches('[').count(), 11 * 46);
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(run).unwrap().join().unwrap();
}
