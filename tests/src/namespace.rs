//! Networks and mounts that only the processes of one test see.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The name of the one network interface.
const INTERFACE: &str = "tide0";

/// A process that does nothing but hold a network and a mount namespace: they are gone with it.
#[derive(Debug)]
pub struct Namespace {
    holder: Child,
}

impl Namespace {
    /// A network without neighbours, and the mounts there are.
    ///
    /// # Errors
    /// Why this machine does not give it: no right to, or no program that can.
    pub fn new() -> Result<Self, String> {
        let mut holder = Command::new("unshare")
            .args(["--net", "--mount", "sh", "-c", "ip link set lo up && echo up && exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("unshare: {error}"))?;
        let mut line = String::new();
        let said = BufReader::new(holder.stdout.take().expect("piped")).read_line(&mut line);
        if said.is_ok() && line == "up\n" {
            return Ok(Self { holder });
        }
        let output = holder.wait_with_output().map_err(|error| error.to_string())?;
        Err(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; "))
    }

    /// What runs a program inside, before the program's own path.
    pub(crate) fn entrance(&self) -> Vec<String> {
        let target = format!("--target={}", self.holder.id());
        ["nsenter", &target, "--net", "--mount"].map(str::to_owned).into()
    }

    /// Runs a command of the system inside.
    ///
    /// # Panics
    /// When it fails.
    pub fn run(&self, command: &str, arguments: &[&str]) {
        let entrance = self.entrance();
        let status = Command::new(&entrance[0]).args(&entrance[1..]).arg(command).args(arguments).status();
        assert!(status.expect("nsenter runs").success(), "{command} {arguments:?}");
    }

    /// Joins two networks by a cable. Each end has its own address, as `10.0.0.1/24`.
    ///
    /// # Panics
    /// When the system does not.
    pub fn connect(&self, address: &str, other: &Self, other_address: &str) {
        let (here, there) = (self.holder.id().to_string(), other.holder.id().to_string());
        let cable =
            ["link", "add", INTERFACE, "netns", &here, "type", "veth", "peer", "name", INTERFACE, "netns", &there];
        assert!(Command::new("ip").args(cable).status().expect("ip runs").success(), "{cable:?}");
        for (end, address) in [(self, address), (other, other_address)] {
            end.run("ip", &["address", "add", address, "dev", INTERFACE]);
            end.run("ip", &["link", "set", INTERFACE, "up"]);
        }
    }

    /// Pulls the cable out of this end, or plugs it in again.
    ///
    /// # Panics
    /// When the system does not.
    pub fn set_link(&self, up: bool) {
        self.run("ip", &["link", "set", INTERFACE, if up { "up" } else { "down" }]);
    }

    /// Puts an empty disk of that size at a folder, which is made.
    ///
    /// # Panics
    /// When the system does not.
    pub fn mount_disk(&self, folder: &Path, megabytes: u32) {
        std::fs::create_dir(folder).expect("a folder");
        let options = format!("size={megabytes}m");
        self.run("mount", &["-t", "tmpfs", "-o", &options, "tmpfs", folder.to_str().expect("UTF-8")]);
    }

    /// Gives a disk another size.
    ///
    /// # Panics
    /// When the system does not.
    pub fn resize_disk(&self, folder: &Path, megabytes: u32) {
        let options = format!("remount,size={megabytes}m");
        self.run("mount", &["-o", &options, folder.to_str().expect("UTF-8")]);
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The namespaces are gone with their last process.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
