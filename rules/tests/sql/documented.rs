//! What the public documentation of the language says that it gives.

use pointsman_rules::sql::Statement;
use serde_json::Value;

use crate::support::{evaluate, expected_value, message, value_of};

/// Calls `check` with each case of a table, what it gives, and the payload that stands before it.
fn for_each_case(table: &str, mut check: impl FnMut(&str, &str, &str)) {
    let mut payload = "{}";
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("--")) {
        if let Some(next) = line.strip_prefix("PAYLOAD ") {
            payload = next;
        } else {
            let (case, gives) = line.rsplit_once(" => ").unwrap_or_else(|| panic!("no `=>` in {line}"));
            check(case, gives, payload);
        }
    }
}

#[test]
fn expressions_give_what_the_documentation_says() {
    for_each_case(include_str!("../data/documented_expressions.txt"), |expression, gives, payload| {
        assert_eq!(value_of(expression, payload), expected_value(gives), "{expression}");
    });
}

#[test]
fn statements_give_what_the_documentation_says() {
    for_each_case(include_str!("../data/documented_statements.txt"), |sql, gives, payload| {
        if gives == "refused" {
            Statement::parse(sql).expect_err(sql);
            return;
        }
        let output = evaluate(sql, &message("a/b/c", payload.to_owned()));
        let output = output.unwrap_or_else(|error| panic!("{sql}: {error}"));
        match (gives, serde_json::from_str::<Value>(gives)) {
            ("does not fire", _) => assert_eq!(output, None, "{sql}"),
            ("nothing", _) => assert_eq!(output.as_deref(), Some(&b""[..]), "{sql}"),
            (_, Ok(json)) => {
                let output = output.and_then(|output| serde_json::from_slice(&output).ok());
                assert_eq!(output, Some(json), "{sql}");
            }
            (_, Err(_)) => assert_eq!(output.as_deref(), Some(gives.as_bytes()), "{sql}"),
        }
    });
}
