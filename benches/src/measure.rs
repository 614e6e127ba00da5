//! Wall time and CPU time of a piece of work, and the memory of this process.

use std::fs;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// What a piece of work cost this process, all its threads together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

impl Cost {
    /// Microseconds of CPU for each of `operations`.
    pub(crate) fn cpu_us(self, operations: u64) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / operations.max(1) as f64
    }

    /// Operations a second, by wall time.
    pub(crate) fn per_second(self, operations: u64) -> f64 {
        operations as f64 / self.wall.as_secs_f64().max(1e-9)
    }

    pub(crate) fn wall_ms(self) -> f64 {
        self.wall.as_secs_f64() * 1e3
    }
}

/// Runs `work` and says what it cost.
pub(crate) fn measure<T>(work: impl FnOnce() -> T) -> (T, Cost) {
    let (wall, cpu) = (Instant::now(), process_cpu());
    let out = work();
    (out, Cost { wall: wall.elapsed(), cpu: process_cpu().saturating_sub(cpu) })
}

fn process_cpu() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// The most memory this process ever had resident, in bytes, where the system tells (Linux).
pub(crate) fn peak_memory_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// The value below which `share` of the sorted `values` lie.
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_sorted_list() {
        let values: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!((percentile(&values, 0.5), percentile(&values, 0.99)), (50.0, 99.0));
        assert!(percentile(&[], 0.5).is_nan());
    }

    #[test]
    fn work_costs_time() {
        let (sum, cost) = measure(|| (0..1_000_000u64).fold(0, |sum, n| sum ^ n.wrapping_mul(31)));
        assert!(sum > 0 && cost.wall > Duration::ZERO && cost.cpu_us(1_000_000) > 0.0);
    }
}
