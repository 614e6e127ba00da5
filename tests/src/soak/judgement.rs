//! What may be wrong with a soak.

use super::device::Sample;

/// Files take at most so many times on the disk what is live.
const FILE_TIMES: u64 = 3;
/// What is live before files are looked at, in bytes: a small file is mostly room to grow.
const LIVE_BYTES_MIN: u64 = 16 << 20;
/// A device is warm once its file is three times the storage's cache, which is 64 MiB: until then the cache fills.
const WARM_FILE_BYTES: u64 = 192 << 20;
/// Looks at a warm device before its memory is judged.
const LOOKS_MIN: usize = 4;
/// What a heap of the program holds at most, in MiB: the storage's cache. Four cores share one.
const HEAP_MIB: u64 = 64;
/// What the program, its connections and the sums of pages take at most, in MiB.
const PROGRAM_MIB: u64 = 80;
/// How much more memory a device may take for every 1,000 operations once it is warm, in KiB: a twentieth of what they write.
const SLOPE_KIB: f64 = 56.0;

/// Everything that is wrong.
pub(super) fn judge(samples: &[Sample]) -> Vec<String> {
    let mut wrong = Vec::new();
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let most_mib = PROGRAM_MIB + HEAP_MIB * cores.div_ceil(4);
    for device in ["a", "b", "c"] {
        let own: Vec<&Sample> = samples.iter().filter(|sample| sample.device == device).collect();
        for sample in own.iter().filter(|sample| sample.live_bytes >= LIVE_BYTES_MIN) {
            if sample.disk_bytes > FILE_TIMES * sample.live_bytes {
                let Sample { disk_bytes, live_bytes, operations, .. } = sample;
                wrong.push(format!("{device}: {disk_bytes} bytes for {live_bytes} live ones at {operations}"));
            }
        }
        let (first, then) = (own.get(1), own.last());
        if let (Some(first), Some(then)) = (first, then)
            && then.handles > first.handles
        {
            wrong.push(format!("{device}: {} handles grew to {}", first.handles, then.handles));
        }
        let most = own.iter().map(|sample| sample.memory_kib >> 10).max().unwrap_or(0);
        println!("{device}: {most} MiB of {most_mib} at most");
        if most > most_mib {
            wrong.push(format!("{device} took {most} MiB, {most_mib} are tolerated"));
        }
        let warm: Vec<&&Sample> = own.iter().filter(|sample| sample.disk_bytes >= WARM_FILE_BYTES).collect();
        // The others are restarted all the time.
        if device != "a" {
            continue;
        }
        if warm.len() < LOOKS_MIN {
            println!("too little was written to judge memory: the storage's cache is not full");
            continue;
        }
        let slope = slope(&warm);
        println!("{device}: {slope:.1} KiB more for every 1,000 operations once warm");
        if slope > SLOPE_KIB {
            wrong.push(format!("a takes {slope:.1} KiB more for every 1,000 operations, {SLOPE_KIB} are tolerated"));
        }
    }
    wrong
}

/// KiB per 1,000 operations, by least squares.
fn slope(samples: &[&&Sample]) -> f64 {
    let points: Vec<(f64, f64)> =
        samples.iter().map(|sample| (sample.operations as f64 / 1_000.0, sample.memory_kib as f64)).collect();
    let count = points.len().max(1) as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / count, y + point.1 / count));
    let (over, under) = points.iter().fold((0.0, 0.0), |(over, under), point| {
        (over + (point.0 - x) * (point.1 - y), under + (point.0 - x) * (point.0 - x))
    });
    if under > 0.0 { over / under } else { 0.0 }
}
