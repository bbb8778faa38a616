//! What stops a store from opening, and what it says then.

use std::fs;
use std::sync::Arc;

use super::super::{OpenError, OptionsError, RealDisk, Store, StoreOptions};
use super::fixture::{Fixture, all, commit, messages, put, records, writes};

#[test]
fn a_second_store_in_the_same_directory_is_refused_until_the_first_closes() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let refused = fixture.try_open(fixture.options()).unwrap_err();
    assert!(matches!(&refused, OpenError::Locked { path } if path == fixture.directory.path()));
    store.close().unwrap();
    fixture.open();
}

#[test]
fn a_file_in_the_place_of_the_directory_is_named() {
    let fixture = Fixture::new();
    let path = fixture.directory.path().join("file");
    fs::write(&path, "").unwrap();
    let open = |path| fixture.try_open(StoreOptions { directory: path, ..fixture.options() });
    assert!(
        matches!(open(path.clone()).unwrap_err(), OpenError::NotADirectory { path: found } if found == path)
    );
    assert!(matches!(open(path.join("below")).unwrap_err(), OpenError::Directory { .. }));
}

#[cfg(target_os = "linux")]
#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let fixture = Fixture::new();
    // Here not even the superuser, as whom tests may run, can make anything.
    let options = StoreOptions { directory: "/proc/store".into(), ..fixture.options() };
    let refused = fixture.try_open(options).unwrap_err();
    assert!(refused.to_string().contains("/proc/store cannot be used"), "{refused}");
}

#[test]
fn options_that_cannot_work_are_refused() {
    let fixture = Fixture::new();
    let base = || fixture.options();
    let wrong = [
        StoreOptions { record_bytes_max: 65 << 20, pending_bytes_max: 65 << 20, ..base() },
        StoreOptions { key_bytes_max: 1 << 20, ..base() },
        StoreOptions { pending_bytes_max: 1 << 20, ..base() },
        StoreOptions { segment_bytes: 0, ..base() },
        StoreOptions { sweep_interval: std::time::Duration::ZERO, ..base() },
    ];
    let said: Vec<_> = wrong.map(|options| fixture.try_open(options).unwrap_err()).into();
    assert!(said.iter().all(|error| matches!(error, OpenError::Options(_))), "{said:?}");
    assert!(matches!(&said[2], OpenError::Options(OptionsError::PendingBelowRecord { .. })));
}

#[test]
fn real_files_keep_what_was_written() {
    let fixture = Fixture::new();
    let options = || StoreOptions { segment_bytes: 200, ..fixture.options() };
    let open = || Store::open(options(), fixture.clock(), Arc::new(RealDisk)).unwrap();
    let store = open();
    for index in 0..20 {
        commit(&store, writes(vec![put("h", &format!("{index:02}"), "x")]));
    }
    store.checkpoint().unwrap();
    store.export().unwrap();
    commit(&store, messages("last"));
    let before = records(store.replay(0).unwrap());
    assert!(store.stats().segments > 3);
    drop(store);
    fs::remove_dir_all(fixture.directory.path().join("sled")).unwrap();
    let store = open();
    assert_eq!(records(store.replay(0).unwrap()), before);
    assert_eq!(all(&store, "h").len(), 20);
}
