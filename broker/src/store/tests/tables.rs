//! Sled's directory in every state but the right one: the tables are built again and are what they were.

use std::fs;
use std::path::Path;

use super::super::OpenError;
use super::super::tables::Tables;
use super::fixture::{
    Fixture, START_MS, all, commit, delete, eventually, messages, put, put_until, settle_down, writes,
};

/// A store with a checkpoint, an export, and records behind both; returns it and what `h` holds.
fn filled() -> (Fixture, Vec<(String, bytes::Bytes)>) {
    let fixture = Fixture::new();
    let store = fixture.open();
    for index in 0..50 {
        commit(&store, writes(vec![put("h", &format!("{index:02}"), vec![index; 100])]));
    }
    commit(&store, writes(vec![put("h", "long", vec![7; 100_000]), delete("h", "03")]));
    commit(&store, writes(vec![put_until("h", "soon", "x", START_MS + 100)]));
    settle_down(&store);
    store.export().unwrap();
    commit(&store, writes(vec![put("h", "04", "new"), delete("h", "05"), put("h", "long", vec![8; 50_000])]));
    settle_down(&store);
    store.checkpoint().unwrap();
    commit(&store, writes(vec![put("h", "06", "newer")]));
    let expected = all(&store, "h");
    drop(store);
    (fixture, expected)
}

fn broken(fixture: &Fixture) -> Vec<String> {
    let entries = fs::read_dir(fixture.directory.path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names.filter(|name| name.starts_with("sled.broken")).collect();
    names.sort();
    names
}

fn check_damage(damage: impl Fn(&Path)) {
    let (fixture, expected) = filled();
    damage(&fixture.directory.path().join("sled"));
    let store = fixture.open();
    assert_eq!(all(&store, "h"), expected);
    assert!(broken(&fixture).len() <= 1);
    // And the rebuilt tables are as good as any.
    commit(&store, writes(vec![put("h", "99", "z")]));
    drop(store);
    assert_eq!(all(&fixture.open(), "h").len(), expected.len() + 1);
}

#[test]
fn missing_tables_are_rebuilt() {
    check_damage(|sled| fs::remove_dir_all(sled).unwrap());
}

#[test]
fn an_empty_file_is_noticed() {
    check_damage(|sled| fs::write(sled.join("db"), "").unwrap());
    check_damage(|sled| {
        for entry in fs::read_dir(sled).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                fs::write(entry.path(), "").unwrap();
            }
        }
    });
}

#[test]
fn a_short_file_is_noticed() {
    for percent in [1, 30, 60, 90] {
        check_damage(|sled| {
            let content = fs::read(sled.join("db")).unwrap();
            fs::write(sled.join("db"), &content[..content.len() * percent / 100]).unwrap();
        });
    }
}

#[test]
fn garbage_is_noticed() {
    check_damage(|sled| {
        let length = fs::metadata(sled.join("db")).unwrap().len();
        let garbage: Vec<u8> = (0..length).map(|at| (at * 31 % 251) as u8).collect();
        fs::write(sled.join("db"), garbage).unwrap();
    });
    check_damage(|sled| {
        fs::remove_dir_all(sled).unwrap();
        fs::write(sled, "not even a directory").unwrap();
    });
}

#[test]
fn a_garbled_checkpoint_means_that_the_tables_are_not_trusted() {
    let (fixture, expected) = filled();
    let path = fixture.directory.path().join("checkpoint");
    let mut content = fixture.disk.content(&path);
    content[15] ^= 1;
    fixture.disk.set_content(&path, content);
    assert_eq!(all(&fixture.open(), "h"), expected);
    assert_eq!(broken(&fixture).len(), 1);
}

#[test]
fn the_last_two_broken_directories_are_kept() {
    let (fixture, expected) = filled();
    for _ in 0..4 {
        fs::write(fixture.directory.path().join("sled").join("db"), "").unwrap();
        assert_eq!(all(&fixture.open(), "h"), expected);
    }
    assert_eq!(broken(&fixture), ["sled.broken-3", "sled.broken-4"]);
}

#[test]
fn a_damaged_export_is_an_error_only_when_it_is_needed() {
    let (fixture, expected) = filled();
    let paths = fixture.disk.paths();
    let path = paths.iter().find(|path| path.extension().is_some_and(|it| it == "export")).unwrap();
    let content = fixture.disk.content(path);
    for at in [0, 30, content.len() / 2, content.len() - 1] {
        let mut changed = content.clone();
        changed[at] ^= 1;
        fixture.disk.set_content(path, changed);
        assert_eq!(all(&fixture.open(), "h"), expected);
        let moved = fixture.moved(&fixture.disk.after_kill());
        let refused = moved.try_open(moved.options()).unwrap_err();
        assert!(matches!(&refused, OpenError::Corrupt { path, .. } if path.extension().unwrap() == "export"));
    }
    fixture.disk.set_content(path, content[..content.len() - 1].to_vec());
    let moved = fixture.moved(&fixture.disk.after_kill());
    assert!(matches!(moved.try_open(moved.options()), Err(OpenError::Corrupt { .. })));
}

#[test]
fn a_lost_log_is_an_error_and_not_a_fresh_start() {
    let (fixture, _) = filled();
    for path in fixture.disk.paths().iter().filter(|path| path.extension().is_some_and(|it| it == "log")) {
        super::super::Disk::remove(&fixture.disk, path).unwrap();
    }
    let refused = fixture.try_open(fixture.options()).unwrap_err().to_string();
    assert!(refused.contains("the log ends at record 0, and the tables had records up to"), "{refused}");
}

#[test]
fn long_values_leave_no_parts_and_no_files_behind() {
    let fixture = Fixture::new();
    let store = fixture.open();
    for round in 1..=20_u8 {
        commit(&store, writes(vec![put("h", "a", vec![round; 20_000 * usize::from(round)])]));
        settle_down(&store);
    }
    let row = store.get("t", "h", "a").unwrap().unwrap();
    assert_eq!((row.value.len(), row.value[399_999]), (400_000, 20));
    commit(&store, writes(vec![put("h", "a", "short")]));
    settle_down(&store);
    store.checkpoint().unwrap();
    drop(store);
    let sled = fixture.directory.path().join("sled");
    let blobs = fs::read_dir(sled.join("blobs")).map_or(0, Iterator::count);
    assert_eq!(blobs, 0);
    let tables = Tables::open(&sled, 1 << 20).unwrap();
    // The row and the place.
    assert_eq!(tables.pairs(&[]).count(), 2);
}

#[test]
fn an_export_under_load_is_right_with_the_log_behind_it() {
    let fixture = Fixture::new();
    let store = fixture.open();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for index in 0..3000_u32 {
                let sort = format!("{:03}", index * 7 % 500);
                let write =
                    if index % 5 == 0 { delete("h", &sort) } else { put("h", &sort, index.to_string()) };
                let _durable_later = store.append(writes(vec![write])).unwrap();
            }
        });
        for _ in 0..5 {
            store.export().unwrap();
        }
    });
    commit(&store, messages("end"));
    store.export().unwrap();
    let expected = all(&store, "h");
    let disk = fixture.disk.after_kill();
    assert_eq!(all(&fixture.moved(&disk).open(), "h"), expected);
}

#[test]
fn a_file_that_is_still_locked_is_waited_for_and_not_taken_for_broken() {
    let (fixture, expected) = filled();
    let held = fs::File::open(fixture.directory.path().join("sled").join("db")).unwrap();
    eventually("sled is gone", || held.try_lock().is_ok());
    let syncs = fixture.disk.syncs();
    std::thread::scope(|scope| {
        let opening = scope.spawn(|| fixture.open());
        // The log comes before the tables.
        eventually("the log is recovered", || fixture.disk.syncs() > syncs);
        held.unlock().unwrap();
        assert_eq!(all(&opening.join().unwrap(), "h"), expected);
    });
    assert_eq!(broken(&fixture), [""; 0]);
}
