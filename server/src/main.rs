//! The `tide` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    tidewater_server::cli::run()
}
