//! One served database.

use std::os::unix::fs::MetadataExt;

use crate::program::{Desk, Running};
use crate::siege::{handles, memory_kib};

/// What the system counts blocks in.
const BLOCK_BYTES: u64 = 512;

/// What a device takes at some time.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) device: &'static str,
    /// How much was written by then, by all.
    pub(super) operations: u64,
    pub(super) memory_kib: u64,
    pub(super) handles: u64,
    /// How long the file is. The storage doubles it, and leaves what it does not use yet as a hole.
    pub(super) file_bytes: u64,
    /// What the file takes on the disk.
    pub(super) disk_bytes: u64,
    /// What an export would have, about.
    pub(super) live_bytes: u64,
}

pub(super) struct Device {
    name: &'static str,
    desk: Desk,
    address: String,
    running: Option<Running>,
}

impl Device {
    pub(super) fn start(name: &'static str, desk: Desk, address: &str) -> Self {
        let running = desk.serve_at(name, address);
        // Others find it there again.
        let address = running.p2p();
        Self { name, desk, address, running: Some(running) }
    }

    pub(super) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Ends it by a signal and starts it again.
    pub(super) fn restart(&mut self, signal: &str) {
        if let Some(running) = self.running.take() {
            running.signal(signal);
            let code = running.wait();
            assert!(signal == "KILL" || code == 0, "{} ended with {code}", self.name);
        }
        self.running = Some(self.desk.serve_at(self.name, &self.address));
    }

    pub(super) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            assert_eq!(running.stop(), 0, "{} ends in good order", self.name);
        }
    }

    pub(super) fn sample(&self, operations: u64, live_bytes: u64) -> Sample {
        let process = self.running.as_ref().expect("it runs").process();
        let file = self.desk.path(&format!("{}.db", self.name));
        let file = std::fs::metadata(file).expect("a file");
        Sample {
            device: self.name,
            operations,
            memory_kib: memory_kib(process, "VmRSS:"),
            handles: handles(process) as u64,
            file_bytes: file.len(),
            disk_bytes: file.blocks() * BLOCK_BYTES,
            live_bytes,
        }
    }
}
