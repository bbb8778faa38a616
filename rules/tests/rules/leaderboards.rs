//! Leaderboards, as scripts use them.

use std::sync::Arc;

use pointsman_rules::leaderboard::{BoardChange, Standing};
use pointsman_rules::{Effect, Event, EventId, Limits, Message, Outcome, RunErrorKind, Snapshot};

use crate::support::{NOW_MS, Tables, compile, logged, message, monotonic, patient, run};

const DAY_MS: i64 = 86_400_000;

/// A script with tables that its effects change, one event after the other.
struct World {
    source: String,
    tables: Tables,
    events: u64,
}

impl World {
    /// `board` is how the script gets its board, which handlers find as `b()`.
    fn new(board: &str) -> Self {
        let source = format!(
            "fn b() {{ {board} }}\nfn show(rows) {{ let s = \"\"; for r in rows {{ s += `${{r.rank}}:${{r.member}}=${{r.score}} `; }} s }}"
        );
        Self { source, tables: Tables::default(), events: 0 }
    }

    /// Handles one event with `body`, and does what it asks for.
    fn at(&mut self, time_ms: i64, body: &str) -> Outcome {
        self.events += 1;
        let source = format!(
            "on_message(\"#\", \"handle\");\nfn handle(msg) {{ let b = b(); {body} }}\n{}",
            self.source
        );
        let rule = compile(&patient(), &source).unwrap();
        let snapshot: Arc<dyn Snapshot> = Arc::new(self.tables.clone());
        let id = EventId::new(time_ms.unsigned_abs(), u128::from(self.events));
        let event = Event::message(Message { time_ms, id, ..message("a/b", "{}") });
        let outcome = patient().run(&rule, 0, &event, &snapshot).unwrap();
        let again = patient().run(&rule, 0, &event, &snapshot).unwrap();
        assert_eq!(outcome, again, "the same event and snapshot give the same effects");
        self.tables.apply(&outcome);
        outcome
    }

    /// The lines that `body` logs.
    fn says(&mut self, time_ms: i64, body: &str) -> Vec<String> {
        logged(&self.at(time_ms, body)).into_iter().map(str::to_owned).collect()
    }
}

#[test]
fn scores_become_rows_and_ranks() {
    let mut world = World::new("leaderboard(\"game\")");
    let says = world.says(
        NOW_MS,
        "log(b.submit(\"ann\", 10)); log(b.submit(\"bob\", 20)); log(b.submit(\"ann\", 5));
         log(b.submit(\"ann\", 20.5)); log(show(b.top(10))); log(`${b.len()} ${b.rank(\"bob\")} ${b.score(\"ann\")}`);",
    );
    assert_eq!(
        says,
        [
            "#{\"improved\": true, \"previous\": (), \"rank\": 1, \"score\": 10}",
            "#{\"improved\": true, \"previous\": (), \"rank\": 1, \"score\": 20}",
            "#{\"improved\": false, \"previous\": 10, \"rank\": 2, \"score\": 10}",
            "#{\"improved\": true, \"previous\": 10, \"rank\": 1, \"score\": 20.5}",
            "1:ann=20.5 2:bob=20 ",
            "2 2 20.5",
        ]
    );
    let says = world.says(
        NOW_MS + 1,
        "log(b.submit(\"cyd\", 20)); log(show(b.top(10))); log(show(b.top(1, 1))); log(show(b.around(\"bob\", 1)));
         log(show(b.around(\"nobody\", 1))); log(b.rank(\"nobody\") == ()); log(b.score(\"nobody\") == ());
         log(b.remove(\"ann\")); log(b.remove(\"ann\")); log(show(b.top(10))); log(b.top(1)[0].at); log(b.name);",
    );
    assert_eq!(
        says,
        [
            // Who had 20 first stands before.
            "#{\"improved\": true, \"previous\": (), \"rank\": 3, \"score\": 20}",
            "1:ann=20.5 2:bob=20 3:cyd=20 ",
            "2:bob=20 ",
            "1:ann=20.5 2:bob=20 3:cyd=20 ",
            "",
            "true",
            "true",
            "true",
            "false",
            "1:bob=20 2:cyd=20 ",
            &NOW_MS.to_string(),
            "game",
        ]
    );
    assert_eq!(world.says(NOW_MS + 2, "log(show(b.top(10)));"), ["1:bob=20 2:cyd=20 "]);
}

#[test]
fn effects_say_what_changes() {
    let mut world = World::new("leaderboard(\"game\", #{ kind: \"sum\", order: \"asc\" })");
    let outcome = world.at(NOW_MS, "b.submit(7, 2); b.submit(\"ann\", 2);");
    let [Effect::Board(open), Effect::Board(first), Effect::Board(second)] = &outcome.effects[..] else {
        panic!("{outcome:?}")
    };
    assert!(matches!(open, BoardChange::Open { generation: 0, expires_at_ms: None, .. }), "{open:?}");
    assert_eq!(first.row().hash, "game/asc/all/0");
    for (change, member, nth) in [(first, "7", 0), (second, "ann", 1)] {
        let BoardChange::Score { member: named, standing: Some(standing), .. } = change else {
            panic!("{change:?}")
        };
        let since = EventId::new(NOW_MS.unsigned_abs(), 1);
        assert_eq!((&**named, *standing), (member, Standing { score: 2.into(), since, nth }));
    }
    // What changes nothing writes nothing.
    assert_eq!(world.at(NOW_MS, "b.submit(\"ann\", 0); b.remove(\"nobody\");").effects, []);
    let outcome = world.at(NOW_MS, "b.remove(\"ann\");");
    assert!(
        matches!(&outcome.effects[..], [Effect::Board(BoardChange::Score { standing: None, .. })]),
        "{outcome:?}"
    );
}

#[test]
fn boards_may_be_constants() {
    let source = "const LAPS = leaderboard(\"laps\", #{ order: \"asc\" });
        on_message(\"laps/{driver}\", \"lap\");
        fn lap(msg) { log(LAPS.submit(msg.params.driver, msg.json.ms).rank); helper(); }
        fn helper() { log(LAPS.top(3)[0].member); }";
    let rule = compile(&patient(), source).unwrap();
    let snapshot: Arc<dyn Snapshot> = Arc::new(Tables::default());
    let event = Event::message(message("laps/ann", "{\"ms\":81234}"));
    let outcome = patient().run(&rule, 0, &event, &snapshot).unwrap();
    assert_eq!(logged(&outcome), ["1", "ann"]);
}

#[test]
fn kinds_and_orders_do_their_own() {
    for (options, expected) in [
        ("kind: \"best\"", "1:bob=9 2:ann=5 "),
        ("kind: \"best\", order: \"asc\"", "1:ann=3 2:bob=9 "),
        ("kind: \"latest\"", "1:bob=9 2:ann=3 "),
        ("kind: \"sum\"", "1:bob=9 2:ann=8 "),
        ("kind: \"decr\"", "1:ann=-8 2:bob=-9 "),
    ] {
        let mut world = World::new(&format!("leaderboard(\"game\", #{{ {options} }})"));
        world.at(NOW_MS, "b.submit(\"ann\", 5); b.submit(\"bob\", 9);");
        let says = world.says(NOW_MS + 1, "b.submit(\"ann\", 3); log(show(b.top(9)));");
        assert_eq!(says, [expected], "{options}");
    }
}

#[test]
fn periods_begin_anew_and_closed_ones_are_kept() {
    let board = "leaderboard(\"game\", #{ reset: \"daily\", zone: \"Europe/Berlin\", keep: 2 })";
    let mut world = World::new(board);
    // NOW_MS is 23:13 in Berlin on 14 November 2023.
    let says = world.says(NOW_MS, "b.submit(\"ann\", 1); log(b.period); log(b.closed().len());");
    assert_eq!(says, ["2023-11-14", "0"]);
    let says =
        world.says(NOW_MS + 3_600_000, "log(b.submit(\"bob\", 2).rank); log(b.period); log(b.closed());");
    assert_eq!(says, ["1", "2023-11-15", "[\"2023-11-14\"]"]);
    let says = world.says(
        NOW_MS + 2 * DAY_MS,
        "b.submit(\"cyd\", 3); log(b.closed()); for id in b.closed() { let p = b.period(id); log(`${show(p.top(9))}${p.rank(\"bob\")} ${p.len()}`); }
         log(show(b.period(b.period).top(9)));",
    );
    assert_eq!(says, ["[\"2023-11-15\", \"2023-11-14\"]", "1:bob=2 1 1", "1:ann=1  1", "1:cyd=3 "]);
    // An event of before, handled again, counts for its own day.
    assert_eq!(world.says(NOW_MS, "b.submit(\"dan\", 7); log(show(b.top(9)));"), ["1:dan=7 2:ann=1 "]);
    // The first day is kept until the third after it begins.
    let third = 1_700_175_600_000;
    world.tables.expire(third - 1);
    let rows = world.tables.rows("_scores");
    world.tables.expire(third);
    assert_eq!((rows, world.tables.rows("_scores")), (4, 2));
    assert_eq!(world.says(third, "log(b.closed());"), ["[\"2023-11-16\", \"2023-11-15\"]"]);
}

#[test]
fn a_reset_empties_the_standings() {
    let mut world = World::new("leaderboard(\"game\")");
    assert_eq!(world.at(NOW_MS, "b.reset();").effects, [], "there is nothing to empty");
    let says = world.says(
        NOW_MS,
        "b.submit(\"ann\", 1); b.reset(); log(`${b.len()} ${b.rank(\"ann\") == ()}`); b.submit(\"bob\", 2); log(show(b.top(9)));",
    );
    assert_eq!(says, ["0 true", "1:bob=2 "]);
    assert_eq!(
        world.says(NOW_MS + 1, "log(show(b.top(9))); b.reset(); log(b.score(\"bob\") == ());"),
        ["1:bob=2 ", "true"]
    );
    assert_eq!(
        world.says(NOW_MS + 2, "log(b.len()); b.submit(\"bob\", 1); log(show(b.top(9)));"),
        ["0", "1:bob=1 "]
    );
}

/// The score API of the vectors: put a score, then change it; delete; and what is malformed is refused, not swallowed.
#[test]
fn the_score_api_of_the_vectors() {
    let mut world = World::new("leaderboard(\"Player\", #{ kind: \"latest\" })");
    assert_eq!(world.says(NOW_MS, "log(b.submit(7, 10).score);"), ["10"]); // score-01
    assert_eq!(world.says(NOW_MS, "log(b.submit(7, 12).previous);"), ["10"]); // score-02
    assert_eq!(world.at(NOW_MS, "b.submit(7, 12);").effects, []); // score-03
    let says = world.says(NOW_MS, "let r = b.submit(7, 25); log(`${r.previous} ${r.score}`);"); // score-04
    assert_eq!(says, ["12 25"]);
    assert_eq!(world.says(NOW_MS, "log(b.submit(8, 10).previous == ());"), ["true"]); // score-05
    assert_eq!(
        world.says(NOW_MS, "log(b.score(7)); log(b.remove(7)); log(b.remove(7));"),
        ["25", "true", "false"]
    ); // score-06, score-07
    let error = run("leaderboard(\"Player\").submit(msg.params.none, 1);").unwrap_err(); // score-08
    assert!(error.message.contains("submit needs a string or a whole number as member, not ()"), "{error}");
}

#[test]
fn errors_say_what_is_wrong() {
    let long = "x".repeat(257);
    for (call, expected) in [
        ("leaderboard(\"a b\")", "leaderboard name \"a b\" is not 1 to 128 characters"),
        (
            "leaderboard(\"a\", #{ kin: \"best\" })",
            "leaderboard has no setting \"kin\": it has keep, kind, order, reset, zone",
        ),
        ("leaderboard(\"a\", #{ kind: \"max\" })", "no kind \"max\": it has best, latest, sum, decr"),
        ("leaderboard(\"a\", #{ order: \"up\" })", "no order \"up\""),
        ("leaderboard(\"a\", #{ reset: \"hourly\" })", "no reset \"hourly\": it has daily, weekly"),
        ("leaderboard(\"a\", #{ reset: \"10ms\" })", "a period takes 1 second to 366 days"),
        ("leaderboard(\"a\", #{ reset: \"10m\", zone: \"UTC\" })", "a zone goes with daily"),
        ("leaderboard(\"a\", #{ reset: \"daily\", zone: \"Moon\" })", "no time zone \"Moon\""),
        ("leaderboard(\"a\", #{ reset: \"daily\", keep: 101 })", "0 to 100 closed periods as keep"),
        ("leaderboard(\"a\", #{ keep: 1 })", "zone and keep go with a reset"),
        ("leaderboard(\"a\").submit(\"m\", \"5\")", "submit needs a number as score, not string"),
        ("leaderboard(\"a\").submit(\"m\", 1.0 / 0.0)", "submit cannot take inf: a score is a finite number"),
        ("leaderboard(\"a\").submit(\"\", 1)", "submit got an empty member"),
        (
            &format!("leaderboard(\"a\").rank(\"{long}\")"),
            "rank got a member of 257 bytes: at most board_member_bytes_max = 256",
        ),
        ("leaderboard(\"a\").top(0)", "top needs 1 to query_rows_max = 1000 as the number of members, not 0"),
        ("leaderboard(\"a\").top(1, -1)", "top needs 0 or more as offset, not -1"),
        ("leaderboard(\"a\").around(\"m\", 1001)", "around needs 0 to query_rows_max = 1000"),
        (
            "leaderboard(\"a\").period(\"2026\")",
            "leaderboard a keeps no period \"2026\": it keeps 0 closed ones before all",
        ),
        (
            "let b = leaderboard(\"a\", #{ reset: \"daily\" }); b.period(\"2023-11-13\").submit(\"m\", 1)",
            "submit cannot change period 2023-11-13 of leaderboard a: it is closed",
        ),
        (
            "let b = leaderboard(\"a\", #{ kind: \"sum\" }); b.submit(\"m\", 9223372036854775807); b.submit(\"m\", 1)",
            "the sum of the scores leaves the range",
        ),
    ] {
        let error = run(&format!("{call};")).unwrap_err();
        assert!(error.message.contains(expected), "{call} gave {error}");
        assert_eq!((error.kind, error.line), (RunErrorKind::Thrown, 3), "{call}");
    }
    let source = "leaderboard(\"a\").submit(\"m\", 1);";
    let error = compile(&patient(), source).unwrap_err();
    assert!(error.message.contains("submit works only in a handler"), "{error}");
}

#[test]
fn a_full_board_refuses_who_is_new() {
    let limits = Limits { board_members_max: 2, ..*patient().limits() };
    let engine = pointsman_rules::Engine::new(limits, monotonic);
    let source = "on_message(\"#\", \"handle\"); fn handle(msg) { let b = leaderboard(\"a\"); b.submit(\"ann\", 1); b.submit(\"bob\", 2);
        b.submit(\"ann\", 3); b.remove(\"bob\"); b.submit(\"cyd\", 4); log(b.len()); b.submit(\"dan\", 5); }";
    let rule = compile(&engine, source).unwrap();
    let snapshot: Arc<dyn Snapshot> = Arc::new(Tables::default());
    let error = engine.run(&rule, 0, &Event::message(message("a", "")), &snapshot).unwrap_err();
    assert!(
        error
            .message
            .contains("leaderboard a/desc/all has board_members_max = 2 members: \"dan\" cannot be added"),
        "{error}"
    );
}
