//! Runs npm: installs what the lock file names when that is missing or old, then builds the pages.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::{fmt, io};

/// The oldest Node that the build tools run on.
const NODE_MIN: (u32, u32) = (20, 19);
/// How much of npm's complaint is passed on.
const DETAIL_LINES_MAX: usize = 12;
/// npm is a script of this name.
const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };

/// Why there are no pages.
#[derive(Debug)]
pub(crate) enum BuildError {
    /// npm ran and failed.
    Failed { step: &'static str, output: String },
    /// The file system refused something.
    Io { attempt: &'static str, source: io::Error },
    /// Node or npm is not installed.
    NodeMissing { program: &'static str },
    /// Node is too old.
    NodeOld { version: String },
    /// The environment said so.
    Skipped,
}

impl BuildError {
    /// The last lines that npm printed, without its stack traces.
    pub(crate) fn details(&self) -> Vec<&str> {
        let Self::Failed { output, .. } = self else { return Vec::new() };
        let says = |line: &&str| !line.trim().is_empty() && !line.contains("    at ");
        let lines: Vec<_> = output.lines().filter(says).collect();
        lines[lines.len().saturating_sub(DETAIL_LINES_MAX)..].to_vec()
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = NODE_MIN;
        match self {
            Self::Failed { step, .. } => {
                write!(
                    f,
                    "`{step}` in web/ failed; is the network reachable? run `cargo build` again when it is"
                )
            }
            Self::Io { attempt, source } => write!(f, "could not {attempt}: {source}"),
            Self::NodeMissing { program } => {
                write!(
                    f,
                    "`{program}` is not installed; install Node {major}.{minor} or newer and run `cargo build` again"
                )
            }
            Self::NodeOld { version } => write!(
                f,
                "Node {version} is too old; install Node {major}.{minor} or newer and run `cargo build` again"
            ),
            Self::Skipped => write!(f, "POINTSMAN_SKIP_WEB is 1"),
        }
    }
}

/// Builds the pages of `source` into `pages`.
pub(crate) fn build_pages(source: &Path, pages: &Path) -> Result<(), BuildError> {
    check_node()?;
    // Two builds with different target directories share node_modules.
    let lock = File::create(source.join(".pages.lock"))
        .and_then(|file| file.lock().map(|()| file))
        .map_err(|source| BuildError::Io { attempt: "lock web/.pages.lock", source })?;
    if !is_installed(source) {
        let install =
            ["ci", "--include=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"];
        npm(source, "npm ci", &install)?;
    }
    let out_dir = pages.to_string_lossy();
    npm(source, "npm run build", &["run", "build", "--", "--emptyOutDir", "--outDir", &out_dir])?;
    drop(lock);
    Ok(())
}

fn check_node() -> Result<(), BuildError> {
    let output = Command::new("node")
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(|_| BuildError::NodeMissing { program: "node" })?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if parse_version(&version).is_some_and(|version| version >= NODE_MIN) {
        return Ok(());
    }
    Err(BuildError::NodeOld { version })
}

/// Major and minor of `v20.19.1`.
fn parse_version(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.strip_prefix('v')?.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

/// npm writes its own copy of the lock file last, so one that is newer than ours means a finished installation.
fn is_installed(source: &Path) -> bool {
    let modified = |path: &str| fs::metadata(source.join(path)).and_then(|metadata| metadata.modified());
    match (modified("node_modules/.package-lock.json"), modified("package-lock.json")) {
        (Ok(installed), Ok(wanted)) => installed >= wanted,
        _ => false,
    }
}

/// What npm prints is captured: Cargo would read it as instructions.
fn npm(source: &Path, step: &'static str, arguments: &[&str]) -> Result<(), BuildError> {
    let output = Command::new(NPM)
        .args(arguments)
        .env("NO_COLOR", "1")
        .current_dir(source)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                return BuildError::NodeMissing { program: "npm" };
            }
            BuildError::Io { attempt: "run npm", source: error }
        })?;
    if output.status.success() {
        return Ok(());
    }
    let streams = [&output.stdout, &output.stderr].map(|stream| String::from_utf8_lossy(stream).into_owned());
    Err(BuildError::Failed { step, output: streams.join("\n") })
}
