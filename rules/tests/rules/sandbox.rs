//! Scripts that try to take more than their share.

use std::time::Duration;

use pointsman_rules::{Engine, Limits, RunErrorKind};

use crate::support::{Tables, monotonic, patient, run, run_with};

/// Memory that this process holds, in bytes; `None` where the system does not tell.
fn resident_bytes() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<usize>().ok()? * 1_024)
}

#[test]
fn every_limit_is_reached_and_named() {
    for (body, limit) in [
        ("loop { }", "operations_max"),
        ("let x = 0; while true { x += 1; }", "operations_max"),
        ("[1, 2, 3].map(|x| { loop { } });", "operations_max"),
        ("try { loop { } } catch { } loop { }", "operations_max"),
        ("again(1); } fn again(x) { again(x + 1)", "call_depth_max"),
        ("let s = \"x\"; loop { s += s; }", "string_bytes_max"),
        ("let s = \"x\"; for i in 0..14 { s += s; } s.replace(\"x\", s);", "string_bytes_max"),
        ("let s = \"\"; s.pad(1000000, 'x');", "string_bytes_max"),
        ("let a = [1]; loop { a += a; }", "array_len_max"),
        ("let a = []; a.pad(1000000, 1);", "array_len_max"),
        ("let b = blob(1000000, 1);", "array_len_max"),
        ("let a = []; loop { a.push(1); }", "array_len_max"),
        (
            "let m = #{}; for i in 0..1000 { m[`k${i}`] = i; } let all = []; loop { all.push(m); }",
            "map_len_max",
        ),
        ("loop { publish(\"a\", 1); }", "effects_max"),
        ("loop { print(\"x\"); }", "effects_max"),
        ("loop { table(\"t\").delete(1); }", "effects_max"),
    ] {
        let error = run(body).unwrap_err();
        assert_eq!(error.kind, RunErrorKind::Limit(limit), "{body}: {error}");
    }
}

#[test]
fn the_deepest_run_fits_a_stack_of_one_mebibyte() {
    let deepest = || {
        let (open, close) = ("[".repeat(19), "]".repeat(19));
        let body = format!("again(1); }} fn again(x) {{ {open}again(x){close}");
        let error = run(&body).unwrap_err();
        assert_eq!(error.kind, RunErrorKind::Limit("call_depth_max"), "{error}");
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(deepest).unwrap().join().unwrap();
}

#[test]
fn limits_in_bytes_are_reached_and_named() {
    let reach = |limits: Limits, body: &str| {
        let mut tables = Tables::default();
        tables.put("t", "h", "s", &format!("\"{}\"", "x".repeat(5_000)));
        run_with(&Engine::new(limits, monotonic), body, &tables).unwrap_err()
    };
    let slow = Limits { run_time_max: Duration::from_secs(20), ..Limits::default() };
    let error = reach(
        Limits { effect_bytes_max: 100, ..slow },
        "publish(\"a\", \"x\"); publish(\"a\", `${[1,2,3]}`); loop { publish(\"a\", \"0123456789\"); }",
    );
    assert_eq!(error.kind, RunErrorKind::Limit("effect_bytes_max"), "{error}");
    let error = reach(Limits { read_bytes_max: 12_000, ..slow }, "loop { table(\"t\").get(\"h\", \"s\"); }");
    assert_eq!(error.kind, RunErrorKind::Limit("read_bytes_max"), "{error}");
    let error = reach(Limits { key_bytes_max: 3, ..slow }, "table(\"t\").get(\"hash\");");
    assert!(error.message.contains("key_bytes_max = 3"), "{error}");
    let error = reach(Limits { payload_bytes_max: 1, ..slow }, "msg.json");
    assert!(error.message.contains("payload_bytes_max = 1"), "{error}");
    let error = reach(Limits { variables_max: 3, ..slow }, "let a = 1; let b = 1; let c = 1; let d = 1;");
    assert_eq!(error.kind, RunErrorKind::Limit("variables_max"), "{error}");
}

#[test]
fn a_slow_run_meets_its_deadline() {
    let limits =
        Limits { operations_max: u64::MAX, run_time_max: Duration::from_millis(20), ..Limits::default() };
    let before = monotonic();
    let error = run_with(&Engine::new(limits, monotonic), "loop { }", &Tables::default()).unwrap_err();
    assert_eq!(error.kind, RunErrorKind::Deadline, "{error}");
    assert!(error.message.contains("run_time_max = 20ms"), "{error}");
    assert!(monotonic().saturating_sub(before) < Duration::from_secs(5));
}

#[test]
fn what_would_leave_the_sandbox_is_refused() {
    for (body, expected) in [
        ("sleep(10);", "cannot sleep"),
        ("Fn(\"sleep\").call(10);", "cannot sleep"),
        ("\"abc\".replace(\"\", \"x\");", "cannot look for an empty string"),
    ] {
        let error = run(body).unwrap_err();
        assert!(error.message.contains(expected), "{body}: {error}");
    }
}

#[test]
fn memory_stays_bounded_whatever_a_script_does() {
    let engine = patient();
    let big = "let s = \"x\"; for i in 0..13 { s += s; }";
    let attacks = [
        // Assigning by index is the one way to grow a map that the library does not measure.
        format!("{big} let m = #{{}}; let i = 0; loop {{ m[`${{i}}`] = s + i; i += 1; }}"),
        format!("{big} let m = #{{}}; let i = 0; loop {{ m.a = m; i += 1; }}"),
        format!("{big} let a = []; loop {{ a.push(s.split(\"\")); }}"),
        format!("{big} loop {{ let t = s.replace(\"x\", \"yy\"); }}"),
        format!(
            "{big} fill(s); }} fn fill(s) {{ let a = s + \"a\"; let b = s + \"b\"; let c = s + \"c\"; fill(a);"
        ),
        format!("{big} loop {{ publish(\"a\", s + \"a\"); }}"),
        format!("{big} let a = [s]; loop {{ a = [a, a]; }}"),
        "let m = #{}; loop { m = #{ a: m, b: m }; }".to_owned(),
        "let a = [3, 1, 2]; loop { a.sort(|x, y| { throw \"no\" }); }".to_owned(),
        "let m = #{}; let i = 0; loop { m[`${i}`] = m; i += 1; }".to_owned(),
        "let a = [0, 0]; loop { a[0] = a; a[1] = a; }".to_owned(),
        "let m = #{ a: #{} }; let i = 0; loop { m.a[`${i}`] = m; i += 1; }".to_owned(),
    ];
    let before = resident_bytes();
    for body in &attacks {
        let error = run_with(&engine, body, &Tables::default()).unwrap_err();
        assert!(matches!(error.kind, RunErrorKind::Limit(_) | RunErrorKind::Thrown), "{body}: {error}");
    }
    if let (Some(before), Some(after)) = (before, resident_bytes()) {
        let grown = after.saturating_sub(before) >> 20;
        assert!(grown < 128, "the peak grew by {grown} MiB");
    }
}

#[test]
fn a_run_holds_no_more_memory_than_it_may() {
    const KEEP: &str = "let a = []; for i in 0..500 { a.push(i); } keep(a, 0); } \
        fn keep(a, depth) { let b = [a[0]] + a; let c = [b, b.map(|x| x + 1)]; keep(b, depth + 1);";
    let allowed = |run_memory_bytes_max| {
        let limits = Limits {
            run_memory_bytes_max,
            operations_max: 100_000,
            run_time_max: Duration::from_secs(20),
            ..Limits::default()
        };
        run_with(&Engine::new(limits, monotonic), KEEP, &Tables::default()).unwrap_err()
    };
    let error = allowed(200_000);
    assert_eq!(error.kind, RunErrorKind::Limit("run_memory_bytes_max"), "{error}");
    assert!(error.message.contains("the limit run_memory_bytes_max = 200000 is reached"), "{error}");
    // With more it comes to another limit, and one run leaves nothing that counts against the next.
    for _ in 0..3 {
        assert_eq!(allowed(32 << 20).kind, RunErrorKind::Limit("call_depth_max"));
    }
    // Nor can a script go on by catching it.
    let caught = "let m = []; m.pad(2000, 0); \
        try { let a = m + []; let b = m + []; let c = m + []; let d = m + []; } catch { publish(\"a\", 1); }";
    let limits = Limits { run_memory_bytes_max: 100_000, ..Limits::default() };
    let error = run_with(&Engine::new(limits, monotonic), caught, &Tables::default()).unwrap_err();
    assert_eq!(error.kind, RunErrorKind::Limit("run_memory_bytes_max"), "{error}");
}

#[test]
fn equal_events_have_equal_effects() {
    let engine = patient();
    let body = "let m = #{}; for k in [\"z\", \"a\", \"m\"] { m[k] = msg.time; }
        publish(\"a\", m); for k in m.keys() { log(k); } table(\"t\").put(msg.id, m);";
    let outcomes: Vec<_> = (0..20).map(|_| run_with(&engine, body, &Tables::default()).unwrap()).collect();
    assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]));
}
