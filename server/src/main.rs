//! The `tide` command.

mod heap;

use std::process::ExitCode;

fn main() -> ExitCode {
    heap::share();
    tidewater_server::cli::run()
}
