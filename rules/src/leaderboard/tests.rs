//! Standings beside a plain sorted list that does everything the slow way.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::event_id::EventId;

type Model = Vec<(String, Standing)>;

fn standing(score: i64, since: u128, nth: u16) -> Standing {
    Standing { score: score.into(), since: EventId::from_u128(since), nth }
}

/// What a few members with few different scores do, so that they often tie and meet again.
#[derive(Clone, Debug)]
enum Step {
    Remove(String),
    Submit(String, Score),
}

fn members() -> impl Strategy<Value = String> {
    (0..40).prop_map(|number| format!("m{number}"))
}

fn scores() -> impl Strategy<Value = Score> {
    prop_oneof![
        8 => (-5_i64..5).prop_map(Score::from),
        1 => (-4..4).prop_map(|quarters| Score::from_f64(f64::from(quarters) / 4.0).unwrap()),
        1 => (0_i64..4).prop_map(|more| Score::from((1 << 60) + more)),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => members().prop_map(Step::Remove),
        6 => (members(), scores()).prop_map(|(member, score)| Step::Submit(member, score)),
    ];
    prop::collection::vec(step, 0..200)
}

fn orders() -> impl Strategy<Value = Order> {
    prop::sample::select(vec![Order::Ascending, Order::Descending])
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![Kind::Best, Kind::Decrease, Kind::Latest, Kind::Sum])
}

/// The order, said in the plainest way.
fn sort(model: &mut Model, order: Order) {
    model.sort_by(|left, right| {
        let scores = left.1.score.partial_cmp(&right.1.score).unwrap();
        let scores = if order == Order::Ascending { scores } else { scores.reverse() };
        let key = |row: &(String, Standing)| (row.1.since, row.1.nth, row.0.clone());
        scores.then(key(left).cmp(&key(right)))
    });
}

/// Ids of which some share a second and some a millisecond.
fn id(step: usize) -> EventId {
    EventId::new(1_700_000_000_000 + (step as u64 / 3) * 400, step as u128)
}

fn submit(
    model: &mut Model,
    kind: Kind,
    order: Order,
    member: &str,
    score: Score,
    at: usize,
) -> Option<Standing> {
    let old = model.iter().find(|row| row.0 == member).map(|row| row.1);
    let new = kind.submit(order, old.as_ref(), score, id(at), 0).unwrap()?;
    model.retain(|row| row.0 != member);
    model.push((member.to_owned(), new));
    sort(model, order);
    Some(new)
}

fn listed<'listing>(ranked: impl Iterator<Item = Ranked<'listing>>) -> Vec<(usize, String, Standing)> {
    ranked.map(|ranked| (ranked.rank, ranked.member.to_owned(), ranked.standing)).collect()
}

fn expected(model: &Model, from: usize, len: usize) -> Vec<(usize, String, Standing)> {
    let rows = model.iter().enumerate().skip(from).take(len);
    rows.map(|(rank, (member, standing))| (rank, member.clone(), *standing)).collect()
}

fn expected_around(model: &Model, member: &str, each_side: usize) -> Vec<(usize, String, Standing)> {
    let Some(rank) = model.iter().position(|row| row.0 == member) else { return Vec::new() };
    let first = rank.saturating_sub(each_side);
    expected(model, first, rank - first + 1 + each_side)
}

/// Asks everything.
fn check(standings: &Standings, model: &Model) {
    assert_eq!(standings.len(), model.len());
    assert_eq!(listed(standings.iter_from(0)), expected(model, 0, usize::MAX));
    for number in 0..41 {
        let member = format!("m{number}");
        let rank = model.iter().position(|row| row.0 == member);
        assert_eq!(standings.rank(&member), rank);
        assert_eq!(standings.get(&member), rank.map(|rank| model[rank].1));
        assert_eq!(listed(standings.around(&member, 2)), expected_around(model, &member, 2));
        assert_eq!(listed(standings.page(number, 3)), expected(model, number + 1, 3));
    }
}

proptest! {
    #[test]
    fn standings_are_a_sorted_list(steps in steps(), kind in kinds(), order in orders()) {
        let (mut standings, mut model) = (Standings::new(order, 3), Model::new());
        for (at, step) in steps.iter().enumerate() {
            match step {
                Step::Remove(member) => {
                    let was_there = model.iter().any(|row| row.0 == *member);
                    prop_assert_eq!(standings.remove(member, at as u64), was_there);
                    model.retain(|row| row.0 != *member);
                }
                Step::Submit(member, score) => {
                    if let Some(new) = submit(&mut model, kind, order, member, *score, at) {
                        prop_assert!(standings.set(member, &new, at as u64));
                    }
                }
            }
        }
        check(&standings, &model);
        let rows = model.iter().rev().map(|(member, standing)| (member, *standing, 1));
        check(&Standings::from_rows(order, 4, rows), &model);
    }

    /// Commits may be told in any order, and twice.
    #[test]
    fn the_order_of_telling_does_not_matter(steps in steps(), order in orders(), seed: u64) {
        let mut told: Vec<(u64, &str, Option<Standing>)> = Vec::new();
        let mut last = BTreeMap::new();
        for (at, step) in steps.iter().enumerate() {
            let (member, new) = match step {
                Step::Remove(member) => (member, None),
                Step::Submit(member, score) => (member, Some(Standing { score: *score, since: id(at), nth: 0 })),
            };
            told.push((at as u64, member, new));
            last.insert(member.clone(), new);
        }
        let twice = told.clone();
        told.extend(twice);
        // A shuffle that needs no randomness but the seed's.
        told.sort_by_key(|(at, ..)| (at + 1).wrapping_mul(seed | 1).rotate_left(17));
        let mut standings = Standings::new(order, 5);
        for (version, member, new) in told {
            match new {
                Some(new) => standings.set(member, &new, version),
                None => standings.remove(member, version),
            };
        }
        let mut model: Model = last.into_iter().filter_map(|(member, new)| Some((member, new?))).collect();
        sort(&mut model, order);
        check(&standings, &model);
    }

    /// A view is the standings after the changes that it lays over them.
    #[test]
    fn a_view_is_what_will_be(steps in steps(), own in steps(), kind in kinds(), order in orders()) {
        let (mut standings, mut model) = (Standings::new(order, 6), Model::new());
        for (at, step) in steps.iter().enumerate() {
            if let Step::Submit(member, score) = step
                && let Some(new) = submit(&mut model, kind, order, member, *score, at)
            {
                standings.set(member, &new, at as u64);
            }
        }
        let mut changes: Vec<(String, Option<Standing>)> = Vec::new();
        for (at, step) in own.iter().take(12).enumerate() {
            match step {
                Step::Remove(member) => {
                    model.retain(|row| row.0 != *member);
                    changes.push((member.clone(), None));
                }
                Step::Submit(member, score) => {
                    let new = submit(&mut model, kind, order, member, *score, steps.len() + at);
                    changes.extend(new.map(|new| (member.clone(), Some(new))));
                }
            }
        }
        let view = || View::new(Some(&standings), order, changes.iter().map(|(member, new)| (member.as_str(), new.as_ref())));
        prop_assert_eq!(view().len(), model.len());
        for from in 0..model.len() + 2 {
            prop_assert_eq!(listed(view().iter_from(from)), expected(&model, from, usize::MAX));
        }
        for number in 0..41 {
            let member = format!("m{number}");
            prop_assert_eq!(view().rank(&member), model.iter().position(|row| row.0 == member));
            prop_assert_eq!(listed(view().around(&member, 3)), expected_around(&model, &member, 3));
            let others = model.iter().filter(|row| {
                row.0 != member && order.compare((&row.1, &row.0), (&standing(0, 0, 0), &member)).is_lt()
            });
            prop_assert_eq!(view().position(&standing(0, 0, 0), &member), others.count());
        }
    }
}

#[test]
fn memory_follows_what_is_in_it() {
    let mut standings = Standings::new(Order::Descending, 8);
    let name = |number: i64| format!("m{number}");
    for number in 0..20_000 {
        standings.set(&name(number), &standing(number % 7, number.unsigned_abs().into(), 0), 1);
    }
    for number in (0..20_000).filter(|number| number % 10 != 0) {
        assert!(standings.remove(&name(number), 2));
    }
    let mut model: Model = (0..20_000)
        .step_by(10)
        .map(|number: i64| (name(number), standing(number % 7, number.unsigned_abs().into(), 0)))
        .collect();
    sort(&mut model, Order::Descending);
    assert_eq!(listed(standings.iter_from(0)), expected(&model, 0, usize::MAX));
    assert!(standings.slots() <= 8_000, "{} records are held for 2,000 members", standings.slots());
}

#[test]
fn boards_follow_commits() {
    let id = StandingsId::parse("laps/desc/2026-W47").unwrap();
    let boards = Boards::new(BoardLimits::default(), 9);
    let score = |generation, member: &str, standing| BoardChange::Score {
        id: id.clone(),
        generation,
        member: member.to_owned(),
        standing,
        expires_at_ms: Some(50),
    };
    let open = |generation| BoardChange::Open { id: id.clone(), generation, expires_at_ms: Some(50) };
    let names = |generation| {
        let standings = boards.get(&id, generation)?;
        let standings = standings.read().unwrap();
        Some(standings.iter_from(0).map(|ranked| ranked.member.to_owned()).collect::<Vec<_>>())
    };
    // The first score may be told before what begins the standings.
    assert_eq!(boards.apply(&score(0, "ann", Some(standing(5, 1, 0))), 2), None);
    assert_eq!(boards.apply(&open(0), 1), None);
    assert_eq!(boards.apply(&score(0, "bob", Some(standing(6, 2, 0))), 3), None);
    assert_eq!(names(0), Some(vec!["bob".to_owned(), "ann".to_owned()]));
    assert_eq!(boards.list(), [(id.clone(), 2)]);

    assert_eq!(boards.apply(&open(1), 5).as_deref(), Some("laps/desc/2026-W47/0"));
    assert_eq!(
        boards.apply(&score(0, "cyd", Some(standing(7, 3, 0))), 4),
        None,
        "of a generation that is over"
    );
    assert_eq!((names(0), names(1), boards.generation(&id)), (None, Some(Vec::new()), Some(1)));
    assert_eq!(boards.apply(&score(1, "dan", Some(standing(1, 4, 0))), 6), None);
    assert_eq!(boards.apply(&score(1, "dan", None), 7), None);
    assert_eq!(names(1), Some(Vec::new()));

    assert_eq!((boards.expire(49), boards.expire(50), boards.expire(50)), (0, 1, 0));
    assert_eq!(boards.generation(&id), None);
    let rows = vec![("ann", standing(5, 1, 0), 2), ("bob", standing(6, 2, 0), 3)];
    boards.load(Loaded { id: id.clone(), generation: 4, expires_at_ms: None, rows });
    assert_eq!(names(4), Some(vec!["bob".to_owned(), "ann".to_owned()]));
}

#[test]
fn boards_have_limits() {
    let boards = Boards::new(BoardLimits { boards_max: 2, members_total_max: 3 }, 9);
    let id = |number: usize| StandingsId::parse(&format!("b{number}/desc/all")).unwrap();
    let open = |number| BoardChange::Open { id: id(number), generation: 0, expires_at_ms: None };
    let score = |number, member: &str| BoardChange::Score {
        id: id(number),
        generation: 0,
        member: member.to_owned(),
        standing: Some(standing(1, 1, 0)),
        expires_at_ms: None,
    };
    for change in [open(0), open(1), score(0, "ann"), score(0, "bob"), score(1, "ann")] {
        assert_eq!(boards.check(&change), Ok(()));
        boards.apply(&change, 1);
    }
    assert_eq!(boards.check(&open(1)), Ok(()));
    assert_eq!(boards.check(&open(2)), Err(BoardsFull::Boards { id: id(2), max: 2 }));
    assert_eq!(boards.check(&score(0, "bob")), Ok(()));
    assert_eq!(boards.expire(0), 0, "and the members are counted anew");
    let full = boards.check(&score(1, "bob")).unwrap_err();
    assert_eq!(full, BoardsFull::Members { id: id(1), max: 3 });
    assert!(full.to_string().contains("members_total_max = 3"), "{full}");
    boards.apply(&BoardChange::Open { id: id(0), generation: 1, expires_at_ms: None }, 2);
    assert_eq!(boards.check(&score(1, "bob")), Ok(()), "a reset makes room");
}
