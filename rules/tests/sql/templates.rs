//! Substitution templates: what is filled in, and what has no value.

use pointsman_rules::sql::SqlRule;
use pointsman_rules::{Effect, RuleName};

use crate::support::{message, republish};

const PAYLOAD: &str =
    r#"{"n":7,"d":10.0,"b":true,"z":null,"o":{"a":"x"},"l":[1,"y"],"brace":"}","empty":"","my-key":"k"}"#;

#[test]
fn expressions_are_filled_in_as_text() {
    for (template, topic) in [
        ("out/${topic(2)}", "out/b"),
        ("${topic()}/republish", "a/b/c/republish"),
        ("${n}", "7"),
        ("${ n }/x", "7/x"),
        ("x/${d}", "x/10"),
        ("x/${b}", "x/true"),
        ("x/${o.a}", "x/x"),
        ("x/${o}", r#"x/{"a":"x"}"#),
        ("x/${l}", r#"x/[1,"y"]"#),
        ("x/${empty}", "x/"),
        ("x${empty}y", "xy"),
        ("x/${brace}", "x/}"),
        ("x/${n}${n}", "x/77"),
        ("x/${n + 1}/y", "x/8/y"),
        (r#"x/${concat("}", n)}"#, "x/}7"),
        (r#"x/${get(*, "my-key")}"#, "x/k"),
        (r#"x/${{"a": {"b": n}}.a.b}"#, "x/7"),
        (r#"${CASE n WHEN 7 THEN "seven" END}"#, "seven"),
        (r#"${parse_time("yyyy", timestamp(), "UTC")}/${upper(o.a)}"#, "2023/X"),
        ("x/$n", "x/$n"),
        ("x/$", "x/$"),
        ("x/{n}", "x/{n}"),
        ("x/$${n}", "x/$7"),
        ("$$aws/things/${clientid()}/shadow/update", "$aws/things/c1/shadow/update"),
    ] {
        let outcome = republish(template, &message("a/b/c", PAYLOAD));
        let is_there =
            matches!(outcome.effects.as_slice(), [Effect::Publish { topic: other, .. }] if other == topic);
        assert!(is_there, "{template}: {outcome:?}");
    }
}

#[test]
fn what_has_no_value_or_makes_no_topic_is_a_failure() {
    for template in ["x/${z}", "x/${nope}", "x/${o.b}", "x/${l.a}", "x/${n - true}", "${empty}", "${nope}"] {
        let outcome = republish(template, &message("a/b/c", PAYLOAD));
        assert!(outcome.effects.is_empty() && outcome.failures.len() == 1, "{template}: {outcome:?}");
    }
}

#[test]
fn what_is_no_template_is_refused() {
    for template in ["x/${n", "x/${}", "x/${n m}", "x/${foo(n)}", "x/${n;}", "x/${SELECT}"] {
        let text = format!("SELECT * THEN REPUBLISH '{template}'");
        SqlRule::compile(&RuleName::parse("r").expect("a name"), "r.sql", &text).expect_err(template);
    }
}
