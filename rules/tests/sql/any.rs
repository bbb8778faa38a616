//! Whatever text and bytes there are: nothing panics, and what is selected is JSON.

use pointsman_rules::sql::{SqlRule, Statement};
use pointsman_rules::{EmptySnapshot, RuleName};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{Echo, evaluate, message};

/// Words and signs of the language, and some that are not.
fn word() -> impl Strategy<Value = String> {
    let words = "SELECT FROM WHERE AS VALUE AND OR NOT IN EXISTS CASE WHEN THEN ELSE END TRUE NULL * , ( ) [ ] { } : . \
                 + - / % = <> < <= >= 'a' 'a/#' '${a}' \"b\" 1 2.5 1E9 a b c upper( get( cast( Int regexp_matches( '(a+)+' \
                 topic() SET @a @b REPUBLISH TABLE KEY QOS ON ERROR EVENT SOURCE TYPE ; ' \" ${ -- \n é";
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    prop::sample::select(words)
}

/// A JSON text.
fn json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(|number| format!("{number:e}")),
        any::<String>().prop_map(|text| serde_json::to_string(&text).expect("a text has a JSON form")),
    ];
    scalar.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(|elements| format!("[{}]", elements.join(" , "))),
            vec(("[abc]", inner), 0..6).prop_map(|members| {
                let members: Vec<_> =
                    members.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// An expression over the members a, b and c.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(vec!["a", "b", "c.a", "1", "-2.5", "'x'", "'12'", "true", "null", "nope", "*"])
            .prop_map(str::to_owned),
        any::<i64>().prop_map(|number| number.to_string()),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let operators = vec!["+", "-", "*", "/", "%", "=", "<>", "<", ">=", "AND", "OR", "IN"];
        let one = vec![
            "abs", "acos", "bitnot", "ceil", "chr", "exp", "floor", "isNull", "length", "ln", "lower", "md5",
            "round", "sign", "sqrt", "tanh", "trim", "numbytes",
        ];
        let two = vec![
            "get",
            "concat",
            "indexof",
            "lpad",
            "substring",
            "power",
            "mod",
            "trunc",
            "bitxor",
            "startswith",
            "regexp_matches",
            "regexp_substr",
            "parse_time",
            "time_to_epoch",
            "nanvl",
            "atan2",
            "decode",
        ];
        let bare = |text: &String| if text == "*" { "a".to_owned() } else { text.clone() };
        prop_oneof![
            (inner.clone(), prop::sample::select(operators), inner.clone()).prop_map(
                move |(left, operator, right)| format!("({} {operator} {})", bare(&left), bare(&right))
            ),
            (prop::sample::select(one), inner.clone())
                .prop_map(|(name, argument)| format!("{name}({argument})")),
            (prop::sample::select(two), inner.clone(), inner.clone())
                .prop_map(|(name, left, right)| format!("{name}({left}, {right})")),
            inner.clone().prop_map(move |value| format!("cast({} AS Int)", bare(&value))),
            inner.prop_map(move |value| format!("(SELECT VALUE ({}) FROM a)", bare(&value))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text: String) {
        let _ = Statement::parse(&text);
        let _ = Statement::parse(&format!("SELECT {text}"));
    }

    #[test]
    fn no_words_panic(words in vec(word(), 0..24), payload in json()) {
        let text = words.join(" ");
        for text in [text.clone(), format!("SELECT * THEN {text}"), format!("SELECT {text} AS x FROM 'a' THEN REPUBLISH 'b'")] {
            let _ = Statement::parse(&text);
            if let Ok(rule) = SqlRule::compile(&RuleName::parse("r").unwrap(), "r.sql", &text) {
                let _ = rule.run(&message("a", payload.clone()), &EmptySnapshot, &Echo);
            }
        }
    }

    #[test]
    fn no_payload_panics(bytes: Vec<u8>) {
        let _ = evaluate("SELECT *, a.b AS c FROM 'a'", &message("a", bytes.clone()));
        let output = evaluate("SELECT * FROM 'a'", &message("a", bytes.clone())).unwrap().unwrap();
        prop_assert_eq!(output, bytes);
    }

    #[test]
    fn the_reader_agrees_with_another(payload in json(), broken_at in any::<prop::sample::Index>(), byte: u8) {
        let member = |bytes: &[u8]| -> serde_json::Value {
            let found = evaluate("SELECT a FROM 'a'", &message("a", bytes.to_vec())).unwrap().unwrap();
            serde_json::from_slice(&found).unwrap()
        };
        let mut text = format!("{{\"a\": {payload} }}").into_bytes();
        let theirs: serde_json::Value = serde_json::from_slice(&text).unwrap();
        prop_assert_eq!(member(&text), theirs);
        let at = broken_at.index(text.len());
        text[at] = byte;
        match serde_json::from_slice::<serde_json::Value>(&text) {
            Ok(theirs) => {
                let found = member(&text);
                prop_assert_eq!(found.get("a"), theirs.get("a"));
            }
            // What that reader holds too large is none of our business.
            Err(error) if error.to_string().contains("out of range") => {}
            Err(error) => {
                let found = evaluate("SELECT a FROM 'a'", &message("a", text.clone())).unwrap().unwrap();
                prop_assert_eq!(found, "{}", "{} in {:?}", error, String::from_utf8_lossy(&text));
            }
        }
    }

    #[test]
    fn no_expression_panics_and_its_value_is_json(expression in expression(), payload in json()) {
        let expression = if expression == "*" { "a" } else { &expression };
        let sql = format!("SELECT {expression} AS x");
        // Some arguments are refused when they are read.
        if Statement::parse(&sql).is_ok()
            && let Ok(Some(output)) = evaluate(&sql, &message("a", payload))
        {
            let read = serde_json::from_slice::<serde_json::Value>(&output);
            // Numbers may be larger than that reader can hold.
            let is_json = read.as_ref().map_or_else(|error| error.to_string().contains("out of range"), |_| true);
            prop_assert!(is_json, "{} {:?}", expression, output);
        }
    }
}
