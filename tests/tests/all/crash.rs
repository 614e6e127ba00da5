//! Power cuts, calls that fail and bytes that rot, as many as fit every run. `prove` tries more.
//!
//! `TIDEWATER_SEED=n` repeats a run that failed: the message names the seed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tidewater_tests::crash::faults::{self, faults};
use tidewater_tests::crash::points::{Plan, crash, crash_on};
use tidewater_tests::crash::rot::{self, rot, rot_on};
use tidewater_tests::crash::workload::{record, record_sealed};
use tidewater_tests::disk::{Call, FileName, What};
use tidewater_tests::figures::print;
use tidewater_tests::seeds::seed;

#[test]
fn what_was_acknowledged_survives_a_power_cut_at_every_call_and_another_in_recovery() {
    const POINTS: usize = 50_000;
    let tried = crash(Plan { seed: seed(1), steps: 60, points: POINTS });
    print("power cuts", format_args!("{tried:?}"));
    assert!(tried.points + tried.second >= POINTS, "{tried:?}");
    assert!(tried.databases >= 30, "the cuts came to too few states: {tried:?}");
    // The others were cut while the file was being opened, or again between the mirror and the file: a third was measured.
    assert!(tried.same_writer > tried.all() / 4, "hardly any recovery goes on as the same writer: {tried:?}");
    assert!(tried.found_out > 0 && tried.found_out < tried.put_back, "{tried:?}");
}

#[test]
fn what_was_acknowledged_survives_power_cuts_of_a_sealed_file_too() {
    const POINTS: usize = 10_000;
    let plan = Plan { seed: seed(1), steps: 40, points: POINTS };
    let tried = crash_on(plan, &record_sealed(plan.seed, plan.steps));
    print("power cuts, sealed", format_args!("{tried:?}"));
    assert!(tried.points + tried.second >= POINTS && tried.databases >= 20, "{tried:?}");
    assert!(tried.found_out > 0 && tried.found_out < tried.put_back, "{tried:?}");
}

#[test]
fn a_disk_that_forgets_what_was_synced_is_found_out() {
    let plan = Plan { seed: seed(1), steps: 4, points: 1 };
    let mut recording = record(plan.seed, plan.steps);
    let last = recording.tape.iter().rposition(|call| call.what == What::Sync).expect("something was synced");
    // In place of each sync a call that changes nothing, so that the places stay what they were.
    let mut length = 0;
    let tape = recording.tape.iter().enumerate().map(|(at, call)| {
        let of_database = call.file == FileName::Database;
        if let What::SetLen(set) = call.what
            && of_database
        {
            length = set;
        }
        let forgets = of_database && call.what == What::Sync && at != last;
        if forgets { Call { what: What::SetLen(length), ..call.clone() } } else { call.clone() }
    });
    recording.tape = tape.collect();
    let found = catch_unwind(AssertUnwindSafe(|| crash_on(plan, &recording)));
    assert!(found.is_err(), "losing what was synced went unnoticed");
}

#[test]
fn storage_may_fail_at_any_call_and_both_readers_and_writers_go_on() {
    const POINTS: usize = 5_000;
    let tried = faults(faults::Plan { seed: seed(1), points: POINTS });
    print("failing calls", format_args!("{tried:?}"));
    let reached = [tried.full, tried.failed, tried.stored, tried.unread, tried.unopened, tried.renewed];
    assert!(tried.points >= POINTS && reached.iter().all(|count| *count > 0), "{tried:?}");
}

#[test]
fn what_rots_is_never_read_and_nothing_panics() {
    const IMAGES: usize = 10_000;
    let tried = rot(rot::Plan { seed: seed(1), steps: 30, images: IMAGES, threads: rot::all_threads() });
    print("rot", format_args!("{tried:?}"));
    assert!(tried.images == IMAGES && tried.refused > 0 && tried.found > 0 && tried.errors > 0, "{tried:?}");
    assert!(tried.partial > 0, "a page that rots takes everything with it: {tried:?}");
    assert_eq!(tried.silent, 0, "an image answers wrongly without an error: {tried:?}");
}

#[test]
fn what_rots_in_a_sealed_file_is_never_read_and_nothing_panics() {
    const IMAGES: usize = 2_000;
    let plan = rot::Plan { seed: seed(1), steps: 30, images: IMAGES, threads: rot::all_threads() };
    let tried = rot_on(plan, &record_sealed(plan.seed, plan.steps));
    print("rot, sealed", format_args!("{tried:?}"));
    assert!(tried.images == IMAGES && tried.refused > 0 && tried.found > 0 && tried.errors > 0, "{tried:?}");
    assert!(tried.partial > 0, "a page that rots takes everything with it: {tried:?}");
    assert_eq!(tried.silent, 0, "an image answers wrongly without an error: {tried:?}");
}
