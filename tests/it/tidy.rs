//! The habits of the house, as far as a program can see them.

use std::fs;
use std::path::{Path, PathBuf};

use pointsman_tests::{repository, rust_files};

const FILE_LINES_MAX: usize = 600;

/// The layers of `broker/src` from the top down, with those that each may name.
const LAYERS: [(&str, &[&str]); 7] = [
    ("cli", &["app", "pipeline"]),
    ("app", &["api", "pipeline", "mqtt", "auth", "store"]),
    ("api", &["pipeline", "mqtt", "auth", "store"]),
    ("pipeline", &["mqtt", "auth", "store"]),
    ("mqtt", &["auth", "store"]),
    ("auth", &[]),
    ("store", &[]),
];

/// What every layer may name, and what names none of them.
const BASE: [&str; 5] = ["aside", "clock", "random", "report", "telemetry"];

/// Every Rust file with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let read = |path: PathBuf| {
        let text = fs::read_to_string(repository().join(&path)).expect("a source file is text");
        (path, text)
    };
    rust_files().into_iter().map(read).collect()
}

/// Fails with all that was found, a line each.
fn check(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

/// Lines of code, without what is a comment, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let strip = |line: &str| line.trim_start().starts_with("//");
    text.lines().enumerate().filter(move |(_, line)| !strip(line)).map(|(index, line)| (index + 1, line))
}

/// Where a word stands in code, outside the files that `allowed` names.
fn find(words: &[&str], allowed: impl Fn(&Path) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources().iter().filter(|(path, _)| !allowed(path)) {
        for (number, line) in code(text) {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
        }
    }
    found
}

fn is_this(path: &Path) -> bool {
    path.ends_with("it/tidy.rs")
}

#[test]
fn only_the_spine_names_rumqttd() {
    let found = find(&["rumqttd::", "use rumqttd"], |path| {
        path.starts_with("broker/src/mqtt/spine") || is_this(path)
    });
    check("rumqttd is for broker/src/mqtt/spine alone", &found);
}

#[test]
fn only_the_store_names_sled() {
    let found = find(&["sled::", "use sled"], |path| path.starts_with("broker/src/store") || is_this(path));
    check("sled is for broker/src/store alone", &found);
}

#[test]
fn imports_within_the_broker_go_down() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        let Ok(inside) = path.strip_prefix("broker/src") else { continue };
        let part = inside.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned());
        let layer = part.as_deref().unwrap_or_default().trim_end_matches(".rs");
        let may = match LAYERS.iter().find(|(name, _)| *name == layer) {
            Some((_, may)) => *may,
            None if BASE.contains(&layer) => &[],
            None if matches!(layer, "lib" | "main") => continue,
            None => {
                found.push(format!("{}: {layer} has no place among the layers", path.display()));
                continue;
            }
        };
        for (number, line) in code(&text) {
            for named in line.split("crate::").skip(1) {
                let module: String =
                    named.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                let is_layer = LAYERS.iter().any(|(name, _)| *name == module);
                if is_layer && module != layer && !may.contains(&module.as_str()) {
                    found.push(format!("{}:{number}: {layer} names {module}", path.display()));
                }
            }
        }
    }
    check("an arrow that docs/ARCHITECTURE.md does not have", &found);
}

#[test]
fn leaf_crates_import_none_of_ours() {
    let mut found = Vec::new();
    for leaf in ["rules", "config", "web", "client-sdk"] {
        let manifest = fs::read_to_string(repository().join(leaf).join("Cargo.toml")).expect("a manifest");
        let after = manifest.split_once("dependencies]").map_or("", |(_, after)| after);
        found.extend(
            after.lines().filter(|line| line.starts_with("pointsman")).map(|line| format!("{leaf}: {line}")),
        );
    }
    let broker = fs::read_to_string(repository().join("broker/Cargo.toml")).expect("a manifest");
    if broker.contains("pointsman-client") {
        found.push("broker: pointsman-client; they meet on the wire only".to_owned());
    }
    check("a crate that may import none of ours does", &found);
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            found.push(format!("{}: {lines} lines, and {FILE_LINES_MAX} is the most", path.display()));
        }
        if !text.starts_with("//! ") {
            found.push(format!("{}: it does not begin with a `//!` sentence", path.display()));
        }
    }
    check("files", &found);
}

#[test]
fn nothing_is_left_for_later() {
    // In two parts, so that nobody who searches for them finds this list.
    let words = [
        ["TO", "DO"],
        ["FIX", "ME"],
        ["XX", "X"],
        ["todo", "!("],
        ["unimplemented", "!("],
        ["dbg", "!("],
        ["#[ign", "ore"],
    ]
    .map(|parts| parts.concat());
    let mut found = Vec::new();
    for (path, text) in sources().iter().filter(|(path, _)| !is_this(path)) {
        let left = text.lines().enumerate().filter(|(_, line)| words.iter().any(|word| line.contains(word)));
        found.extend(left.map(|(index, line)| format!("{}:{}: {}", path.display(), index + 1, line.trim())));
    }
    check("left for later", &found);
    check("`allow` instead of `expect` with its reason", &find(&["#[allow(", "#![allow("], is_this));
}

#[test]
fn tests_wait_for_conditions() {
    let is_elsewhere = |path: &Path| {
        let is_test = path.starts_with("tests") || path.components().any(|part| part.as_os_str() == "tests");
        !is_test
    };
    // In two parts, so that this file may be looked at as well.
    let words = [["time::sl", "eep("], ["thread::sl", "eep("]].map(|parts| parts.concat());
    let words = words.each_ref().map(String::as_str);
    check("a test waits for a condition, not for a time", &find(&words, is_elsewhere));
}

#[test]
fn every_file_is_part_of_its_crate() {
    let mut found = Vec::new();
    let sources = sources();
    for (path, _) in &sources {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let is_root = matches!(stem.as_str(), "main" | "lib" | "build")
            || path.parent().is_some_and(|folder| {
                folder.ends_with("bin") || folder.ends_with("examples") || folder.ends_with("benches")
            });
        if is_root || is_integration_test(path) {
            continue;
        }
        let (name, folder) = if stem == "mod" {
            let folder = path.parent().unwrap_or(Path::new(""));
            (folder.file_name().unwrap_or_default().to_string_lossy().into_owned(), folder.parent())
        } else {
            (stem, path.parent())
        };
        let declared = format!("mod {name};");
        let folder = folder.unwrap_or(Path::new(""));
        let parents = [
            folder.join("mod.rs"),
            folder.join("lib.rs"),
            folder.join("main.rs"),
            folder.with_extension("rs"),
        ];
        let is_declared = |(parent, text): &(PathBuf, String)| {
            let same_folder = parents.contains(parent) || parent.parent() == Some(folder);
            same_folder && text.contains(&declared)
        };
        if !sources.iter().any(is_declared) {
            found.push(format!("{}: no file says `{declared}`", path.display()));
        }
    }
    check("forgotten files", &found);
}

/// Whether Cargo finds a file by itself: `<crate>/tests/<name>.rs`.
fn is_integration_test(path: &Path) -> bool {
    path.components().count() == 3 && path.parent().is_some_and(|folder| folder.ends_with("tests"))
}
