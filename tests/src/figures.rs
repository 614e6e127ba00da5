//! What a harness reached. `scripts/test` prints all of it at its end, since a test that holds says nothing.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write;

/// Prints it, and adds it to the file that `TIDEWATER_FIGURES` names, if it does.
///
/// # Panics
/// When that can't be written.
pub fn print(harness: &str, figures: impl Display) {
    println!("{harness}: {figures}");
    let Some(path) = std::env::var_os("TIDEWATER_FIGURES") else { return };
    let file = OpenOptions::new().append(true).create(true).open(path);
    // In one call, since tests run side by side.
    let written = file.and_then(|mut file| file.write_all(format!("{harness}: {figures}\n").as_bytes()));
    written.expect("the file of figures can be written");
}
