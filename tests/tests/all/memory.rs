//! Memory does not grow with what is imported and synced: the peak stays under what the storage's page cache (64 MiB), a few
//! batches and the program itself take.

use std::io::Write;
use std::process::{ChildStdin, Stdio};

use tidewater_tests::program::Desk;
use tidewater_tests::random::Random;

/// How much is imported, in bytes. Whatever is kept of it beyond the cache shows.
const INPUT_BYTES: usize = 40 << 20;
/// What one record takes, in bytes.
const RECORD_BYTES: usize = 12_000;
/// The most that the importing command, the device it imports into, and the one that gets it all may take. They take about
/// 20, 120 and 115, of which the input's own size would show; 250 MB take 19, 137 and 163.
const MOST_MIB: [u64; 3] = [40, 150, 150];

/// The most memory that a process had in use so far, in MiB.
fn peak_mib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("the system says it");
    line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok()).expect("a number") >> 10
}

/// Writes records that don't compress well. The input stays open.
fn feed(mut input: ChildStdin) -> ChildStdin {
    let mut random = Random::new(1);
    let mut written = 0;
    for number in 0.. {
        let noise: String = (0..RECORD_BYTES / 16).map(|_| format!("{:016x}", random.number())).collect();
        let line = format!("{{\"id\":\"{number:08}\",\"noise\":\"{noise}\"}}\n");
        input.write_all(line.as_bytes()).expect("the import reads");
        written += line.len();
        if written >= INPUT_BYTES {
            break;
        }
    }
    input
}

#[test]
fn an_import_and_its_sync_take_no_more_memory_for_more_records() {
    let desk = Desk::with_database();
    let sender = desk.serve("a");
    desk.link("a", "b");
    let receiver = desk.serve("b");
    let mut import = desk.command("a", &["import", "-c", "r"]).stdin(Stdio::piped()).spawn().expect("tide runs");
    let input = feed(import.stdin.take().expect("piped"));
    let client = peak_mib(import.id());
    drop(input);
    assert!(import.wait().expect("it ends").success());
    desk.await_each_other("a", "b", "end");
    let peaks = [client, peak_mib(sender.process()), peak_mib(receiver.process())];
    println!("client, sender and receiver: {peaks:?} MiB");
    assert_eq!((sender.stop(), receiver.stop()), (0, 0));
    assert!(peaks.iter().zip(MOST_MIB).all(|(peak, most)| *peak < most), "{peaks:?} of {MOST_MIB:?} MiB");
}
