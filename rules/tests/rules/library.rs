//! Functions and constants that rules share.

use std::sync::Arc;

use pointsman_rules::{CompileError, EmptySnapshot, Event, Library, Rule, RuleName, RunErrorKind, Snapshot};

use crate::support::{logged, message, patient};

fn library(files: &[(&str, &str)]) -> Result<Library, CompileError> {
    let files: Vec<_> =
        files.iter().map(|(file, source)| ((*file).to_owned(), (*source).to_owned())).collect();
    patient().compile_library(&files)
}

fn rule(library: &Library, source: &str) -> Result<Rule, CompileError> {
    patient().compile_with(&RuleName::parse("r").unwrap(), "r.rhai", source, library)
}

const TEXT: &str = "const MARK = \"!\";\nfn loud(text) { text.to_upper() + MARK }\n\
                    fn fail(text) {\n    throw text;\n}";
const MORE: &str = "const WORDS = [\"a\", \"b\"];\nfn louder(text) { loud(text) + loud(WORDS[1]) }";

#[test]
fn a_rule_calls_what_the_library_has() {
    let library = library(&[("lib/text.rhai", TEXT), ("lib/more.rhai", MORE)]).unwrap();
    let source = "on_message(\"#\", \"f\"); fn f(msg) { log(louder(msg.text()) + MARK + WORDS[0]); }";
    let rule = rule(&library, source).unwrap();
    let nothing: Arc<dyn Snapshot> = Arc::new(EmptySnapshot);
    let outcome = patient().run(&rule, 0, &Event::message(message("a", "hi")), &nothing).unwrap();
    assert_eq!(logged(&outcome), ["HI!B!!a"]);
    assert_eq!(
        rule.libraries().map(|(file, _)| file).collect::<Vec<_>>(),
        ["lib/text.rhai", "lib/more.rhai"]
    );
}

#[test]
fn what_a_statement_calls_keeps_to_the_limits_of_one_run() {
    let library =
        library(&[("lib/count.rhai", "fn count(n) { let i = 0; while i < n { i += 1; } i }")]).unwrap();
    let source =
        "SELECT (SELECT VALUE aws_lambda('count', n) FROM items) AS counts FROM 'a' THEN REPUBLISH 'b'";
    let name = RuleName::parse("r").unwrap();
    let engine = patient();
    let rule = engine.compile_with(&name, "r.sql", source, &library).unwrap();
    let nothing: Arc<dyn Snapshot> = Arc::new(EmptySnapshot);
    let run = |items: usize| {
        let payload = format!("{{\"items\":[{}]}}", vec!["{\"n\":200}"; items].join(","));
        engine.run(&rule, 0, &Event::message(message("a", payload)), &nothing)
    };
    assert_eq!(run(10).unwrap().failure, None);
    let error = run(2_000).unwrap_err();
    assert_eq!(error.kind, RunErrorKind::Limit("operations_max"), "{error}");
}

#[test]
fn a_failure_in_the_library_names_its_file() {
    let library = library(&[("lib/text.rhai", TEXT)]).unwrap();
    let rule = rule(&library, "on_message(\"#\", \"f\"); fn f(msg) { fail(\"no\"); }").unwrap();
    let nothing: Arc<dyn Snapshot> = Arc::new(EmptySnapshot);
    let error = patient().run(&rule, 0, &Event::message(message("a", "hi")), &nothing).unwrap_err();
    assert_eq!((error.file.as_str(), error.line, error.message.as_str()), ("lib/text.rhai", 4, "no"));
    assert_eq!(error.source_line, "    throw text;");
}

#[test]
fn the_version_is_that_of_all_that_is_used() {
    let version = |text: &str, more: &str, source: &str| {
        let library = library(&[("lib/text.rhai", text), ("lib/more.rhai", more)]).unwrap();
        rule(&library, source).unwrap().version
    };
    let (uses, uses_not) = ("fn f(x) { loud(x) }", "fn f(x) { x }");
    let changed = TEXT.replace("to_upper", "to_lower");
    assert_ne!(version(TEXT, MORE, uses), version(&changed, MORE, uses));
    assert_eq!(version(TEXT, MORE, uses), version(TEXT, &format!("{MORE} "), uses));
    assert_eq!(version(TEXT, MORE, uses_not), version(&changed, MORE, uses_not));
    let through = "fn f(x) { louder(x) }";
    assert_ne!(version(TEXT, MORE, through), version(&changed, MORE, through));
}

#[test]
fn two_of_one_name_are_refused() {
    let twice =
        |left: &str, right: &str| library(&[("lib/a.rhai", left), ("lib/b.rhai", right)]).unwrap_err();
    let error = twice("fn x(a) {}", "fn y() {}\nfn x(b) {}").to_string();
    assert!(
        error.starts_with("lib/b.rhai:2:") && error.contains("`x` is also defined in lib/a.rhai"),
        "{error}"
    );
    let error = twice("const X = 1;", "const X = 2;").to_string();
    assert!(error.contains("lib/b.rhai") && error.contains("lib/a.rhai"), "{error}");
    let library = library(&[("lib/text.rhai", TEXT)]).unwrap();
    for source in ["fn loud(x) { x }", "const MARK = 5;"] {
        let error = rule(&library, source).unwrap_err().to_string();
        assert!(error.contains("r.rhai") && error.contains("lib/text.rhai"), "{error}");
    }
    assert!(
        rule(&library, "fn loud(x, y) { x }").is_ok(),
        "another number of parameters is another function"
    );
}

#[test]
fn a_library_is_checked_like_a_rule() {
    for (source, part) in [
        ("fn f(x) { lout(x) }", "no function `lout`"),
        ("fn f(x) { y }", "there is no variable `y`"),
        ("on_connect(\"f\"); fn f(x) { }", "a library listens to nothing"),
        ("fn f(x) {", "lib/a.rhai:1:"),
        ("fn f(x) { on_connect(\"f\"); }", "only at the top level"),
    ] {
        let error = library(&[("lib/a.rhai", source), ("lib/text.rhai", TEXT)]).unwrap_err().to_string();
        assert!(error.contains(part), "{source}: {error}");
    }
}
