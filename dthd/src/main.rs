//! The daemon's executable.

use std::process::ExitCode;

fn main() -> ExitCode {
    dthd::cli::run(std::env::args_os()).into()
}
