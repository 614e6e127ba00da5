//! Documents of one device as they come and change, told by `tide watch`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

/// How long something that must come about may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A `tide watch` that runs.
pub(super) struct Watching {
    process: Child,
    documents: Receiver<Json>,
}

impl Watching {
    pub(super) fn start(mut command: Command) -> Result<Self, String> {
        let mut process = command.stdout(Stdio::piped()).spawn().map_err(|error| format!("tide watch: {error}"))?;
        let out = process.stdout.take().ok_or("tide watch has no output")?;
        let (told, documents) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(out).lines().map_while(Result::ok);
            let changes = lines.filter_map(|line| serde_json::from_str::<Json>(&line).ok());
            let new = changes.filter_map(|mut change| match change.get("added").is_some() {
                true => Some(change["added"].take()),
                false => change.get_mut("changed").map(Json::take),
            });
            // The story may be over already.
            let _ = new.map(|document| told.send(document)).take_while(Result::is_ok).count();
        });
        Ok(Self { process, documents })
    }

    /// Takes documents, those that are there first, until there was one for each of `wanted`. Gives how long that took,
    /// or `None` when patience ends.
    pub(super) fn until(&self, wanted: &[&dyn Fn(&Json) -> bool]) -> Option<Duration> {
        let started = Instant::now();
        let mut missing = wanted.to_vec();
        while !missing.is_empty() {
            let document = self.documents.recv_timeout(PATIENCE.checked_sub(started.elapsed())?).ok()?;
            missing.retain(|wanted| !wanted(&document));
        }
        Some(started.elapsed())
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // It only reads, and nothing waits for it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
