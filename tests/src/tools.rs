//! Programs of the machine that cases use, and the files of the repository that the tidy cases read.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::eventually::within;

/// A program that is not ours.
#[derive(Debug, Clone, Copy)]
pub struct Tool(pub &'static str);

impl Tool {
    /// Runs it and gives its standard output; it must end well.
    pub async fn run(self, arguments: &[&str]) -> String {
        let mut command = Command::new(self.0);
        command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        let output = match within(&format!("{} {arguments:?}", self.0), command.output()).await {
            Ok(output) => output,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                panic!(
                    "{} is not installed here: install the package mosquitto-clients and try again",
                    self.0
                )
            }
            Err(error) => panic!("{} cannot be run: {error}", self.0),
        };
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} {arguments:?} ended with {}: {errors}", self.0, output.status);
        String::from_utf8(output.stdout).expect("output of text")
    }
}

/// The folder that the repository is in.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Every Rust file of the repository's own, as a path from its top.
pub fn rust_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for part in ["broker", "client-sdk", "config", "rules", "tests", "web"] {
        collect(&repository().join(part), &mut files);
    }
    files.sort();
    files
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry of a folder").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !matches!(&*name, "node_modules" | "target" | "dist" | "build") {
                collect(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path.strip_prefix(repository()).expect("it is in the repository").to_owned());
        }
    }
}
