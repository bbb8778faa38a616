//! What is refused before it runs, and how it is said.

use pointsman_rules::On;

use crate::support::{compile, patient};

fn refused(source: &str) -> String {
    compile(&patient(), source).unwrap_err().to_string()
}

#[test]
fn a_rule_says_what_it_listens_to() {
    let source = "on_message(\"scores/{game}\", \"score\");\non_connect(\"hello\");\n\
                  fn score(msg) { }\nfn hello(event) { }";
    let rule = compile(&patient(), source).unwrap();
    let lines: Vec<_> = rule.triggers.iter().map(|t| format!("{} {} {}", t.line, t.on, t.handler)).collect();
    assert_eq!(lines, ["1 on_message(\"scores/{game}\") score", "2 on_connect hello"]);
    assert!(matches!(&rule.triggers[0].on, On::Message(levels) if levels.filter().as_str() == "scores/+"));
    assert_eq!(rule.version.len(), 12);
    assert_ne!(rule.version, compile(&patient(), &format!("{source} ")).unwrap().version);
}

#[test]
fn errors_show_place_line_and_caret() {
    let text = refused("on_connect(\"f\");\nfn f(event) {\n    let x = 1 +;\n}");
    assert_eq!(text, "test.rhai:3:16: Unexpected ';'\n      let x = 1 +;\n                 ^");
}

#[test]
fn what_can_be_known_before_a_run_is_refused() {
    let table = [
        ("on_connect(\"ff\"); fn f(event) {}", "no function `ff` in this file: did you mean `f`?"),
        ("on_connect(\"f\"); fn f() {}", "the handler `f` has 0 parameters: it gets one, the event"),
        ("on_connect(\"f\"); on_connect(\"f\"); fn f(e) {}", "on_connect is said twice for \"f\""),
        ("fn f(e) { on_connect(\"f\"); }", "`on_connect` works only at the top level"),
        ("publish(\"a\", 1);", "publish works only in a handler"),
        ("table(\"a\").put(1, 2);", "put works only in a handler"),
        ("on_message(\"a/#/b\", \"f\"); fn f(m) {}", "`#` must be the last level"),
        (
            "fn query(m) {} fn f(e) { table(\"t\").query(\"h\") }",
            "`query` is built in and a function of this file",
        ),
        ("fn f(e) { publsh(\"a\", 1); }", "no function `publsh`: did you mean `publish`?"),
        ("fn f(e) { if false { nonsense_x(1); } }", "no function `nonsense_x`"),
        ("fn f(e) { publish(\"a\"); }", "`publish` takes 2 or 3 arguments here, not 1"),
        ("fn f(e) { \"a\".replacee(\"b\", \"c\"); }", "no function `replacee`: did you mean `replace`?"),
        ("fn f(e) { helper(1, 2); } fn helper(a) { a }", "`helper` takes 1 arguments here, not 2"),
        ("fn f(e) { evnt }", "there is no variable `evnt` here"),
        ("let x = 1; fn f(e) { x }", "defines with `const`"),
        ("const N = 1; fn f(N) { N }", "the parameter `N` of function `f` has the name of a constant"),
        ("fn f(e) { let g = |x| x; g.curry(1); }", "curry"),
        ("fn f(e) { e.g(); } fn g() { this.x = 1; }", "only a variable or a part of one can be assigned to"),
        ("import \"x\" as y;", "import"),
        ("fn f(e) { eval(\"1\") }", "eval"),
        ("let x = 0; loop { x += 1; }", "the limit operations_max = 20000 is reached"),
        ("fn f(e) { 1 } fn f(e) { 2 }", "already"),
        ("throw \"no\";", "no"),
    ];
    for (source, expected) in table {
        let text = refused(source);
        assert!(text.contains(expected), "{source}\n  gave: {text}\n  not: {expected}");
        assert!(text.starts_with("test.rhai:1:"), "{text}");
    }
}

#[test]
fn limits_of_a_source_are_reached() {
    assert!(refused(&format!("// {}", "x".repeat(300_000))).contains("script_bytes_max = 262144"));
    let deep = format!("fn f(e) {{ {}1{} }}", "(".repeat(200), ")".repeat(200));
    let text = refused(&deep);
    assert!(text.contains("complexity") || text.contains("deep") || text.contains("maximum"), "{text}");
}
