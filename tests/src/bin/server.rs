//! The server as a program of its own, for the cases that kill it.

use std::process::ExitCode;

fn main() -> ExitCode {
    pointsman::cli::main()
}
