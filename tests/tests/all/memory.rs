//! Memory does not grow with what is imported and synced: the peak stays under what the storage's page cache (64 MiB), a few
//! batches and the program itself take. What threads let go, others use again.

use std::io::Write;
use std::process::{ChildStdin, Stdio};

use tidewater_tests::program::Desk;
use tidewater_tests::random::Random;

/// How much is imported, in bytes. Whatever is kept of it beyond the cache shows.
const INPUT_BYTES: usize = 40 << 20;
/// What one record takes, in bytes.
const RECORD_BYTES: usize = 12_000;
/// The most that the importing command, the device it imports into, and the one that gets it all may take. They take about
/// 16, 108 and 105, of which the input's own size would show; 250 MB take 16, 111 and 113.
const MOST_MIB: [u64; 3] = [40, 125, 125];

/// The same of the device that verifies its database.
const MOST_MIB_VERIFYING: u64 = 160;
/// The room that glibc reserves for each heap but the first, in bytes; it starts at a multiple of it.
const HEAP_BYTES: u64 = 64 << 20;

/// How many heaps a process has besides the first: what is reserved of each follows what is in use of it.
fn further_heaps(process: u32) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).expect("it runs");
    let parts: Vec<(u64, u64, &str)> = maps
        .lines()
        .map(|line| {
            let (range, rest) = line.split_once(' ').expect("a range");
            let (start, end) = range.split_once('-').expect("two ends");
            let number = |text| u64::from_str_radix(text, 16).expect("an address");
            (number(start), number(end), &rest[..4])
        })
        .collect();
    let is_heap = |(used, rest): &(&(u64, u64, &str), &(u64, u64, &str))| {
        let is_whole = used.0 % HEAP_BYTES == 0 && used.1 == rest.0 && rest.1 == used.0 + HEAP_BYTES;
        is_whole && used.2 == "rw-p" && rest.2 == "---p"
    };
    parts.iter().zip(parts.iter().skip(1)).filter(is_heap).count()
}

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
    // Within the served process: what it rebuilds takes no room in memory either.
    assert_eq!(desk.run("a", &["verify"]).code, 0);
    let verifying = peak_mib(sender.process());
    println!("verifying: {verifying} MiB");
    assert_eq!((sender.stop(), receiver.stop()), (0, 0));
    assert!(verifying < MOST_MIB_VERIFYING, "{verifying} MiB");
    assert!(peaks.iter().zip(MOST_MIB).all(|(peak, most)| *peak < most), "{peaks:?} of {MOST_MIB:?} MiB");
}

#[test]
fn heaps_of_single_threads_kept_more_than_the_whole_cache_so_four_cores_share_one() {
    let desk = Desk::with_database();
    let served = desk.serve("a");
    let said: Vec<String> = (0..8).map(|number| format!("{{\"id\":\"{number}\"}}\n")).collect();
    assert_eq!(desk.run_with("a", &["import", "-c", "r"], said.concat().as_bytes()).code, 0);
    // Each has threads of its own in the served process.
    let watching: Vec<_> = (0..12).map(|_| desk.start("a", &["watch", "r", "id=\"1\""])).collect();
    let cores = std::thread::available_parallelism().expect("it is known").get();
    assert!(further_heaps(served.process()) < cores.div_ceil(4), "of {cores} cores");
    watching.into_iter().for_each(|watch| assert_eq!(watch.stop(), 0));
    assert_eq!(served.stop(), 0);
}
