//! The machine as a database needs it: its clock, its randomness, and where it keeps state outside of files.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use tidewater_engine::host::Host;

/// The clock and the randomness of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemHost;

impl Host for SystemHost {
    fn now_ms(&self) -> i64 {
        let since = |after: std::time::Duration| i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => since(after),
            Err(before) => -since(before.duration()),
        }
    }

    /// # Panics
    /// When the system gives no randomness: nothing can be sealed or signed without it.
    fn fill_random(&self, out: &mut [u8]) {
        getrandom::fill(out).expect("the system gives randomness");
    }
}

/// The folder for what must not travel with a copied database file: `$XDG_STATE_HOME/tidewater`, else
/// `~/.local/state/tidewater`. `None` where the system says neither.
#[must_use]
pub fn state_folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("tidewater"))
}
