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
/// How much more memory a device may take for every 1,000 operations once it is warm, in KiB: a twentieth of what they write.
const SLOPE_KIB: f64 = 56.0;

/// Everything that is wrong.
pub(super) fn judge(samples: &[Sample]) -> Vec<String> {
    let mut wrong = Vec::new();
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
        // The others are restarted all the time.
        let warm: Vec<&&Sample> = own.iter().filter(|sample| sample.disk_bytes >= WARM_FILE_BYTES).collect();
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
