//! Random writes, reopenings and losses against a plain map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::{Query, Store, Write};
use super::fixture::{Fixture, START_MS, commit, settle_down, writes};

type Model = BTreeMap<(String, String), (Vec<u8>, Option<u64>)>;

#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<Write>),
    Query { hash: String, query: Query },
    Pass(u64),
    Settle,
    Sweep,
    Checkpoint,
    Export,
    Reopen,
    LoseTables,
}

fn hash() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "a", "a\0", "b"]).prop_map(str::to_owned)
}

fn sort() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "\0", "a", "a\0", "aa", "b", "é", "日"]).prop_map(str::to_owned)
}

fn write() -> impl Strategy<Value = Write> {
    let value = prop_oneof![8 => 0..20_usize, 1 => 4_000..20_000_usize];
    let expiry = prop::option::of(START_MS..START_MS + 60);
    (hash(), sort(), prop::option::weighted(0.75, (value, any::<u8>(), expiry))).prop_map(
        |(hash, sort, put)| {
            let table = "t".to_owned();
            match put {
                Some((length, byte, expires_at_ms)) => {
                    Write::Put { table, hash, sort, value: vec![byte; length].into(), expires_at_ms }
                }
                None => Write::Delete { table, hash, sort },
            }
        },
    )
}

fn query() -> impl Strategy<Value = Query> {
    let end = || prop::option::of(sort());
    (end(), end(), 0..6_usize, any::<bool>()).prop_map(|(after, before, limit, newest_first)| Query {
        after,
        before,
        limit,
        newest_first,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => prop::collection::vec(write(), 1..5).prop_map(Step::Commit),
        12 => (hash(), query()).prop_map(|(hash, query)| Step::Query { hash, query }),
        2 => (1..15_u64).prop_map(Step::Pass),
        2 => Just(Step::Settle),
        1 => Just(Step::Sweep),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Export),
        1 => Just(Step::Reopen),
        1 => Just(Step::LoseTables),
    ]
}

fn change(model: &mut Model, write: &Write) {
    match write.clone() {
        Write::Put { hash, sort, value, expires_at_ms, .. } => {
            drop(model.insert((hash, sort), (value.to_vec(), expires_at_ms)));
        }
        Write::Delete { hash, sort, .. } => drop(model.remove(&(hash, sort))),
    }
}

fn expected(model: &Model, hash: &str, query: &Query, now_ms: u64) -> Vec<(String, Vec<u8>)> {
    let live = model.iter().filter(|((of, sort), (_, expires))| {
        of == hash
            && query.after.as_ref().is_none_or(|after| sort > after)
            && query.before.as_ref().is_none_or(|before| sort < before)
            && expires.is_none_or(|at| at > now_ms)
    });
    let mut rows: Vec<_> = live.map(|((_, sort), (value, _))| (sort.clone(), value.clone())).collect();
    if query.newest_first {
        rows.reverse();
    }
    rows.truncate(query.limit);
    rows
}

fn found(store: &Store, hash: &str, query: &Query) -> Vec<(String, Vec<u8>)> {
    let rows = store.query("t", hash, query).unwrap();
    rows.into_iter().map(|row| (row.sort, row.value.to_vec())).collect()
}

fn run(steps: Vec<Step>) {
    let fixture = Fixture::new();
    let mut store = Some(fixture.open());
    let mut model = Model::new();
    let everything = Query { limit: 100, ..Query::default() };
    for step in steps {
        let open = store.as_ref().unwrap();
        let now_ms = (fixture.clock())();
        match step {
            Step::Commit(list) => {
                for write in &list {
                    change(&mut model, write);
                }
                commit(open, writes(list));
            }
            Step::Query { hash, query } => {
                assert_eq!(found(open, &hash, &query), expected(&model, &hash, &query, now_ms));
            }
            Step::Pass(ms) => fixture.pass(ms),
            Step::Settle => settle_down(open),
            Step::Sweep => drop(open.sweep().unwrap()),
            Step::Checkpoint => open.checkpoint().unwrap(),
            Step::Export => open.export().unwrap(),
            Step::Reopen | Step::LoseTables => {
                drop(store.take());
                if matches!(step, Step::LoseTables) {
                    std::fs::remove_dir_all(fixture.directory.path().join("sled")).unwrap();
                }
                store = Some(fixture.open());
            }
        }
        for hash in ["", "a", "a\0", "b"] {
            let now_ms = (fixture.clock())();
            let open = store.as_ref().unwrap();
            assert_eq!(found(open, hash, &everything), expected(&model, hash, &everything, now_ms));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_a_map(steps in prop::collection::vec(step(), 1..40)) {
        run(steps);
    }
}
