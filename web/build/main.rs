//! Builds the pages with npm and embeds them; without Node the crate builds all the same and says what is missing.

mod embed;
mod pages;

use std::path::PathBuf;
use std::{env, io};

use crate::pages::{BuildError, build_pages};

/// Set to `1`, it skips the pages: for machines without Node, and for quick checks of the Rust code.
const SKIP_VARIABLE: &str = "POINTSMAN_SKIP_WEB";

/// What the pages are made of. Nothing that the build writes is among them.
const SOURCES: [&str; 14] = [
    "../client-sdk/js/package.json",
    "../client-sdk/js/src",
    ".npmrc",
    "build",
    "chat.html",
    "index.html",
    "package-lock.json",
    "package.json",
    "public",
    "scripts",
    "svelte.config.js",
    "tsconfig.json",
    "ui",
    "vite.config.ts",
];

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-env-changed={SKIP_VARIABLE}");
    for source in SOURCES {
        println!("cargo:rerun-if-changed={source}");
    }
    let source = directory("CARGO_MANIFEST_DIR")?;
    let out = directory("OUT_DIR")?;
    let pages = out.join("pages");

    let skipped = env::var(SKIP_VARIABLE).is_ok_and(|value| value == "1");
    let built = if skipped { Err(BuildError::Skipped) } else { build_pages(&source, &pages) };
    if let Err(error) = &built {
        warn(error);
        if !skipped {
            // A file that is never there makes Cargo run this script again next time, when Node may be.
            println!("cargo:rerun-if-changed={}", out.join("pages-are-missing").display());
        }
    }
    embed::write(built.is_ok().then_some(pages.as_path()), &out.join("assets.rs"))
}

fn directory(variable: &str) -> io::Result<PathBuf> {
    env::var_os(variable)
        .map(PathBuf::from)
        .ok_or_else(|| io::Error::other(format!("{variable} is not set; run this script through cargo")))
}

fn warn(error: &BuildError) {
    println!("cargo:warning=the server is built without its pages: {error}");
    for line in error.details() {
        println!("cargo:warning=  {line}");
    }
}
