//! Runs: cutting, checking, joining.

use super::*;
use crate::id::{DeviceId, Incarnation};

fn moved(count: usize) -> VersionVector {
    let named = |number: usize| {
        let mut device = [0; 32];
        device[..8].copy_from_slice(&(number as u64).to_be_bytes());
        let writer = WriterId { device: DeviceId(device), incarnation: Incarnation([0; 8]) };
        (writer, Prefix { length: 1 + number as u64, root: [7; 32] })
    };
    (0..count).map(named).collect()
}

fn header(part: &Part<'_>) -> Header {
    Header {
        timestamp_ms: 1,
        first: part.first,
        last: part.last,
        epoch: EpochId([1; 32]),
        salt: [0; 8],
        dependencies: part.dependencies.clone(),
        control: part.control.clone(),
        body_length: 19 + part.chunk.len() as u32,
        body_hash: [0; 32],
    }
}

fn plain(first: bool, last: bool) -> Header {
    header(&Part { first, last, dependencies: Moved::new(), control: Moved::new(), chunk: &[] })
}

#[test]
fn a_cut_commit_is_a_run_and_joins_to_itself() {
    let mebibytes = b"uneven: 11\n".repeat(COMMIT_BYTES_MAX / 11 + 1);
    for (length, dependencies, control, entries) in [
        (0, 0, 0, 1),
        (1, 0, 0, 1),
        (CHUNK_BYTES_MAX, 256, 256, 1),
        (CHUNK_BYTES_MAX + 1, 0, 0, 2),
        (1, 257, 0, 2),
        (1, 0, 513, 3),
        (3 * CHUNK_BYTES_MAX, 300, 1, 3),
        (COMMIT_BYTES_MAX, 262_144, 0, RUN_ENTRIES_MAX),
    ] {
        let case = format!("{length} bytes, {dependencies} and {control} logs");
        let (dependencies, control) = (moved(dependencies), moved(control));
        let commit = &mebibytes[..length];
        let parts = cut(Plane::Data, commit, &dependencies, &control).unwrap();
        assert_eq!(parts.len(), entries, "{case}");
        let mut check = RunCheck::new(Plane::Data);
        let (mut folded, mut folded_control) = (VersionVector::default(), VersionVector::default());
        for (number, part) in parts.iter().enumerate() {
            assert!(part.dependencies.len() <= MOVED_LOGS_MAX && part.control.len() <= MOVED_LOGS_MAX, "{case}");
            assert_eq!(check.accept(&header(part)), Ok(number + 1 == entries), "{case}");
            part.dependencies.iter().for_each(|(writer, prefix)| folded.set(*writer, *prefix));
            part.control.iter().for_each(|(writer, prefix)| folded_control.set(*writer, *prefix));
        }
        assert_eq!(check, RunCheck::new(Plane::Data), "{case}");
        assert_eq!((folded, folded_control), (dependencies, control), "{case}");
        let joined = join(Plane::Data, parts.iter().map(|part| part.chunk.to_vec()));
        assert_eq!(joined.as_deref(), Ok(commit), "{case}");
    }
}

#[test]
fn commits_over_the_limits_are_refused() {
    let none = VersionVector::default();
    for plane in [Plane::Control, Plane::Data] {
        let limit = commit_bytes_max(plane);
        let commit = vec![0; limit + 1];
        let too_large = RunError::CommitTooLarge { length: limit + 1, limit };
        assert_eq!(cut(plane, &commit, &none, &none), Err(too_large));
        assert_eq!(join(plane, [vec![0; limit], vec![0]]), Err(too_large));
        assert!(cut(plane, &commit[1..], &none, &none).is_ok());
        assert_eq!(join(plane, [vec![0; limit], vec![]]).map(|commit| commit.len()), Ok(limit));
    }
    assert_eq!(cut(Plane::Data, &[], &moved(262_145), &none), Err(RunError::TooManyEntries));
}

#[test]
fn flags_that_make_no_run_are_refused() {
    let mut check = RunCheck::new(Plane::Data);
    assert_eq!(check.accept(&plain(false, true)), Err(RunError::Flags), "goes on without having begun");
    assert_eq!(check.accept(&plain(false, false)), Err(RunError::Flags));
    assert_eq!(check.accept(&plain(true, false)), Ok(false));
    assert_eq!(check.accept(&plain(true, false)), Err(RunError::Flags), "begins inside another");
    assert_eq!(check.accept(&plain(true, true)), Err(RunError::Flags));
    assert_eq!(check.accept(&plain(false, false)), Ok(false));
    assert_eq!(check.open().map(|run| run.entries), Some(2));
    let mut resumed = RunCheck::resume(Plane::Data, *check.open().unwrap());
    assert_eq!(resumed.accept(&plain(false, true)), Ok(true));
    assert_eq!(check.accept(&plain(false, true)), Ok(true));
    assert_eq!(check.accept(&plain(true, true)), Ok(true));
}

#[test]
fn the_entries_of_a_run_share_timestamp_and_epoch() {
    let mut check = RunCheck::new(Plane::Data);
    check.accept(&plain(true, false)).unwrap();
    assert_eq!(check.accept(&Header { timestamp_ms: 2, ..plain(false, true) }), Err(RunError::Mixed));
    assert_eq!(check.accept(&Header { epoch: EpochId([2; 32]), ..plain(false, true) }), Err(RunError::Mixed));
    assert_eq!(check.accept(&plain(false, true)), Ok(true));
}

#[test]
fn an_endless_run_ends() {
    let mut check = RunCheck::new(Plane::Data);
    check.accept(&plain(true, false)).unwrap();
    for _ in 1..RUN_ENTRIES_MAX {
        assert_eq!(check.accept(&plain(false, false)), Ok(false));
    }
    assert_eq!(check.accept(&plain(false, true)), Err(RunError::TooManyEntries));
    for (plane, limit) in [(Plane::Data, RUN_BODIES_BYTES_MAX), (Plane::Control, CONTROL_RUN_BODIES_BYTES_MAX)] {
        let mut check = RunCheck::new(plane);
        let large = |first| Header { body_length: 65_536, ..plain(first, false) };
        check.accept(&large(true)).unwrap();
        for _ in 1..limit / 65_536 {
            assert_eq!(check.accept(&large(false)), Ok(false));
        }
        assert_eq!(check.accept(&large(false)), Err(RunError::BodiesTooLarge { limit }));
    }
}

/// However a commit within the limits is cut, its run is accepted.
#[test]
fn the_limit_on_bodies_is_above_every_commit_within_the_limits() {
    let sealed = |chunk: usize| crate::log::seal::padme(chunk + 7) + 16;
    for plane in [Plane::Control, Plane::Data] {
        let commit = commit_bytes_max(plane);
        for chunk in (1..CHUNK_BYTES_MAX.min(commit)).step_by(13) {
            let full = (commit / chunk).min(RUN_ENTRIES_MAX - 1);
            let rest = (commit - full * chunk).min(chunk);
            let bodies = full * sealed(chunk) + sealed(rest) + (RUN_ENTRIES_MAX - full - 1) * sealed(0);
            assert!(bodies as u64 <= bodies_bytes_max(plane), "{plane:?} {chunk}: {bodies}");
        }
    }
}
