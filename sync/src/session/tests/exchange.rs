//! Two devices of one person: everything reaches both, whatever happens in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidewater_engine::host::Host;
use tidewater_engine::log::Plane;
use tidewater_engine::store::{Durability, Transaction, WriteError};
use tidewater_engine::value::Fields;

use super::super::pair::{Pair, Replica, assert_equal, link, linked};
use super::super::{Input, SessionError, SessionEvent};

/// What a write of one short register costs at most.
const LIVE_FRAME_BYTES: usize = 131;

#[test]
fn a_linked_device_gets_everything_and_both_converge() {
    let (first, second) = (Replica::person(1, "Ada"), Replica::blank(2));
    let home = first.home_space();
    first.write(home, "before", "written before the link");
    link(&second, &first);
    assert_eq!(second.identity(), first.identity());
    assert_eq!(second.home(), Some(home));
    assert_eq!(second.read(home, "before").as_deref(), Some("written before the link"));
    assert_equal(home, &[&first, &second]);

    first.write(home, "a", "from the first");
    second.write(home, "b", "from the second");
    second.write(home, "before", "changed by the second");
    let mut pair = Pair::new(&first, &second);
    pair.drive();
    assert_equal(home, &[&first, &second]);
    assert_eq!(first.read(home, "b").as_deref(), Some("from the second"));
    assert_eq!(second.read(home, "a").as_deref(), Some("from the first"));
    assert!(pair.dialer.in_sync().contains(&home) && pair.acceptor.in_sync().contains(&home));
}

#[test]
fn two_equal_replicas_agree_in_little_space_and_few_round_trips() {
    let (first, second) = linked(10);
    let home = first.home_space();
    for batch in 0..20 {
        let notes: Vec<_> = (0..100).map(|n| (format!("{batch}-{n}"), format!("note {n} of {batch}"))).collect();
        first.try_write(home, &notes).unwrap();
    }
    Pair::new(&first, &second).drive();
    assert_equal(home, &[&first, &second]);

    let mut pair = Pair::new(&first, &second);
    pair.drive();
    assert_eq!(pair.dialer.in_sync(), [home]);
    assert_eq!(pair.acceptor.in_sync(), [home]);
    let bytes = pair.dialer.sent_bytes() + pair.acceptor.sent_bytes();
    assert!(bytes < 10_000, "{bytes} bytes");
    assert!(pair.half_trips <= 6, "{} half round trips", pair.half_trips);
}

#[test]
fn a_second_meeting_of_equals_writes_nothing() {
    let (first, second) = linked(15);
    Pair::new(&first, &second).drive();
    let writes = Arc::new(AtomicUsize::new(0));
    let _guards = [&first, &second].map(|replica| {
        let writes = writes.clone();
        replica.on_change(Arc::new(move |_| {
            writes.fetch_add(1, Ordering::Relaxed);
        }))
    });
    let mut pair = Pair::new(&first, &second);
    pair.drive();
    assert_eq!(pair.dialer.in_sync(), [first.home_space()]);
    assert_eq!(writes.load(Ordering::Relaxed), 0, "both know each other's addresses, and met at this time");
    drop(pair);
    first.host.advance(1);
    Pair::new(&first, &second).drive();
    assert_eq!(writes.load(Ordering::Relaxed), 1, "the one whose clock went on notes when");
}

#[test]
fn a_commit_is_pushed_at_once_in_one_frame() {
    let (first, second) = linked(20);
    let home = first.home_space();
    let mut pair = Pair::new(&first, &second);
    pair.drive();
    let (frames, trips) = (pair.dialer.sent.len(), pair.half_trips);
    first.write(home, "live", "now");
    pair.step();
    assert_eq!(second.read(home, "live").as_deref(), Some("now"), "one half round trip");
    pair.drive();
    assert_eq!(pair.dialer.sent.len() - frames, 1);
    assert_eq!(pair.half_trips - trips, 2, "the commit and its acknowledgement");
    second.write(home, "live", "and back");
    pair.drive();
    assert_eq!(first.read(home, "live").as_deref(), Some("and back"));
    assert_equal(home, &[&first, &second]);
}

#[test]
fn cut_at_any_frame_it_goes_on_from_there() {
    let (first, second) = linked(30);
    let home = first.home_space();
    let mut cuts = 0;
    for limit in 0.. {
        for number in 0..3 {
            first.write(home, &format!("a{limit}-{number}"), &"long ".repeat(number * 30_000));
            second.write(home, &format!("b{limit}-{number}"), "short");
        }
        first.new_space("another").unwrap();
        let mut broken = Pair::new(&first, &second);
        broken.cut_after = Some(limit);
        broken.drive();
        let was_cut = broken.was_cut();
        drop(broken);
        Pair::new(&second, &first).drive();
        assert_eq!(first.digest(&home).unwrap(), second.digest(&home).unwrap(), "cut after {limit} frames");
        assert_eq!(second.spaces(), first.spaces(), "cut after {limit} frames");
        assert_eq!(second.status().peers[&first.device()].spaces[&home].behind_entries, 0);
        cuts += usize::from(was_cut);
        if !was_cut {
            break;
        }
    }
    assert_equal(home, &[&first, &second]);
    assert!(cuts > 15, "only {cuts} places to cut");
}

#[test]
fn what_was_sent_is_not_sent_again() {
    let (first, second) = linked(40);
    let home = first.home_space();
    first.write(home, "large", &pseudo_random_text(400_000));
    let mut pair = Pair::new(&first, &second);
    pair.drive();
    let once = pair.dialer.sent_bytes();
    pair.tick();
    pair.tick();
    drop(pair);
    let mut again = Pair::new(&first, &second);
    again.drive();
    assert!(once > 190_000, "{once} bytes: the text was not compressible");
    assert!(again.dialer.sent_bytes() < 2_000, "{} bytes", again.dialer.sent_bytes());
}

#[test]
fn large_commits_travel_in_parts_with_progress() {
    let (first, second) = linked(50);
    let home = first.home_space();
    let notes: Vec<_> = (0..24).map(|n| (format!("{n}"), pseudo_random_text(300_000 + n))).collect();
    first.try_write(home, &notes).unwrap();
    let mut pair = Pair::new(&first, &second);
    pair.drive();
    assert_equal(home, &[&first, &second]);
    let progress: Vec<(u64, u64)> = pair
        .acceptor
        .events
        .iter()
        .filter_map(|event| match event {
            SessionEvent::Progress { received, expected, .. } => Some((*received, *expected)),
            _ => None,
        })
        .collect();
    assert!(progress.len() > 3 && progress.is_sorted(), "{progress:?}");
    assert!(progress.iter().all(|(_, expected)| *expected == progress[0].1), "{progress:?}");
    assert_eq!(progress.last().unwrap().0, progress[0].1);
}

#[test]
fn progress_comes_before_the_news_that_all_is_there() {
    let (first, second) = linked(55);
    let home = first.home_space();
    first.write(home, "note", "x");
    let mut pair = Pair::new(&first, &second);
    pair.drive();
    let events = &pair.acceptor.events;
    let last = events.iter().rposition(|event| matches!(event, SessionEvent::Progress { .. })).unwrap();
    let in_sync = events.iter().position(|event| matches!(event, SessionEvent::InSync { .. })).unwrap();
    assert!(last < in_sync, "{events:?}");
}

/// What the dialer sends when it hears that its store changed.
fn next_flight(pair: &mut Pair) -> Vec<Input> {
    pair.dialer.handle(Input::StoreChanged);
    pair.dialer.poll().into_iter().map(Input::Frame).collect()
}

#[test]
fn what_arrives_together_becomes_durable_together() {
    let (first, second) = linked(56);
    let home = first.home_space();
    let mut pair = Pair::new(&first, &second);
    pair.drive();
    // One batch takes what one storage transaction wrote at least, and 256 KiB at most.
    for number in 0..4 {
        first.write(home, &format!("{number}"), &pseudo_random_text(200_000 + number));
    }
    let flight = next_flight(&mut pair);
    assert!(flight.len() >= 4, "{} frames", flight.len());
    let commits = Arc::new(AtomicUsize::new(0));
    let counted = commits.clone();
    let _guard = second.on_change(Arc::new(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
    }));
    let now_ms = second.host.now_ms();
    pair.acceptor.session.handle_all(now_ms, flight);
    assert_eq!(commits.load(Ordering::Relaxed), 1, "one storage transaction");
    let answers = pair.acceptor.poll();
    assert_eq!(answers.len(), 1, "one acknowledgement for all");
    pair.dialer.inbox.extend(answers);
    pair.drive();
    assert_eq!((&pair.dialer.closed, &pair.acceptor.closed), (&None, &None));
    assert_equal(home, &[&first, &second]);
}

#[test]
fn what_came_before_a_broken_frame_is_kept() {
    let (first, second) = linked(57);
    let home = first.home_space();
    let mut pair = Pair::new(&first, &second);
    pair.drive();
    first.write(home, "note", "kept");
    let mut flight = next_flight(&mut pair);
    flight.push(Input::Frame(vec![99]));
    let now_ms = second.host.now_ms();
    pair.acceptor.session.handle_all(now_ms, flight);
    pair.acceptor.poll();
    assert!(matches!(pair.acceptor.closed, Some(SessionError::Protocol { .. })));
    assert_eq!(second.read(home, "note").as_deref(), Some("kept"));
}

#[test]
fn an_answer_that_names_more_frames_than_were_sent_ends_the_session() {
    for frames in [0u8, 2, 15] {
        let (first, second) = linked(58);
        let mut pair = Pair::new(&first, &second);
        pair.drive();
        first.write(first.home_space(), "note", "x");
        assert_eq!(next_flight(&mut pair).len(), 1);
        pair.dialer.handle(Input::Frame(vec![9, frames << 3]));
        pair.dialer.poll();
        assert!(matches!(pair.dialer.closed, Some(SessionError::Protocol { .. })), "{frames}");
    }
}

#[test]
fn a_small_live_write_is_a_small_frame() {
    let (first, second) = linked(59);
    let home = first.home_space();
    let mut pair = Pair::new(&first, &second);
    pair.drive();
    let mut frames = Vec::new();
    for round in 0..4 {
        first.host.advance(1_000);
        second.host.advance(1_000);
        for (device, text) in [(&first, "a"), (&second, "b")] {
            let before = (pair.dialer.sent.len(), pair.acceptor.sent.len());
            device.write(home, "note", text);
            pair.drive();
            let sent = pair.dialer.sent[before.0..].iter().chain(&pair.acceptor.sent[before.1..]);
            frames.push((round, sent.map(Vec::len).collect::<Vec<_>>()));
        }
    }
    // Each write depends on the one before it, of the other device. After two rounds all logs have numbers.
    for (round, lengths) in frames.iter().filter(|(round, _)| *round > 1) {
        let mut lengths = lengths.clone();
        lengths.sort_unstable();
        assert!(matches!(lengths[..], [2, batch] if batch <= LIVE_FRAME_BYTES), "round {round}: {frames:?}");
    }
}

#[test]
fn a_slow_peer_bounds_what_is_in_flight() {
    let (first, second) = linked(60);
    let home = first.home_space();
    for number in 0..50 {
        first.write(home, &format!("{number}"), &pseudo_random_text(250_000 + number));
    }
    let mut pair = Pair::new(&first, &second);
    // Until the first batch goes out, everything is answered. One look asks for all that may be sent unanswered.
    while !pair.dialer.sent.iter().any(|frame| frame.len() > 100_000) {
        pair.step();
    }
    let sent = pair.dialer.sent_bytes();
    assert!((4 << 20..5 << 20).contains(&sent), "{sent} bytes without an acknowledgement");
    pair.drive();
    assert!(pair.dialer.sent_bytes() > 5 << 20, "there was more to send");
    assert_equal(home, &[&first, &second]);
}

#[test]
fn thousands_of_small_commits_travel_together() {
    let (first, second) = linked(65);
    let home = first.home_space();
    let mut pair = Pair::new(&first, &second);
    pair.drive();
    for number in 0..2_500 {
        let body = |transaction: &mut Transaction<'_>| -> Result<(), WriteError> {
            transaction.in_space(home)?;
            transaction.insert("notes", Some(&number.to_string()), Fields::new()).map(|_| ())
        };
        first.transaction(Durability::Buffered, body).unwrap();
    }
    pair.drive();
    assert_eq!(second.vector(&home, Plane::Data).unwrap().total(), 0, "what isn't durable doesn't leave");
    first.flush().unwrap();
    pair.drive();
    assert_eq!(second.vector(&home, Plane::Data).unwrap().total(), 2_500);
    assert_equal(home, &[&first, &second]);
    let batches = pair.dialer.sent.iter().filter(|frame| frame[0] == 8).count();
    assert!(batches < 10, "{batches} batches");
}

#[test]
fn spaces_made_while_connected_reach_the_other_device() {
    let (first, second) = linked(70);
    let mut pair = Pair::new(&first, &second);
    pair.drive();
    let mine = first.new_space("made by the first").unwrap();
    let theirs = second.new_space("made by the second").unwrap();
    first.write(mine, "a", "1");
    second.write(theirs, "b", "2");
    pair.drive();
    assert_eq!(second.read(mine, "a").as_deref(), Some("1"));
    assert_eq!(first.read(theirs, "b").as_deref(), Some("2"));
    let labels: Vec<_> = second.spaces_info().unwrap().into_iter().map(|info| info.label).collect();
    assert_eq!(labels, ["home", "made by the first", "made by the second"]);
}

#[test]
fn many_spaces_sync_in_one_session() {
    let (first, second) = linked(80);
    let spaces: Vec<_> = (0..100).map(|n| first.new_space(&format!("space {n:03}")).unwrap()).collect();
    for space in &spaces {
        first.write(*space, "note", &space.to_string());
    }
    let mut pair = Pair::new(&second, &first);
    pair.drive();
    for space in &spaces {
        assert_eq!(second.read(*space, "note"), Some(space.to_string()));
    }
    let mut again = Pair::new(&second, &first);
    again.drive();
    assert_eq!(again.dialer.in_sync().len(), 101);
    assert!(again.half_trips <= 6, "{}", again.half_trips);
}

#[test]
fn three_devices_agree_through_the_one_in_the_middle() {
    let (first, second) = linked(90);
    let third = Replica::blank(99);
    link(&third, &first);
    let home = first.home_space();
    let mut left = Pair::new(&second, &first);
    let mut right = Pair::new(&third, &first);
    for round in 0..5 {
        for (number, device) in [&first, &second, &third].into_iter().enumerate() {
            device.write(home, &format!("{round}-{number}"), "own");
            device.write(home, "shared", &format!("round {round} by {number}"));
        }
        while left.step() | right.step() {}
    }
    assert_equal(home, &[&first, &second, &third]);
    assert_eq!(second.spaces_info().unwrap()[0].members, 1);
    assert_eq!(second.members(&home).unwrap()[0].devices.len(), 3);
}

#[test]
fn anti_entropy_finds_what_a_push_missed() {
    let (first, second) = linked(100);
    let home = first.home_space();
    let mut pair = Pair::new(&first, &second);
    pair.drive();
    first.write(home, "missed", "x");
    // The push is made and lost, as if the receiver had been restored from before it.
    pair.dialer.handle(Input::StoreChanged);
    while pair.dialer.session.poll().is_some() {}
    assert_eq!(second.read(home, "missed"), None);
    drop(pair);
    let mut pair = Pair::new(&first, &second);
    pair.drive();
    assert_eq!(second.read(home, "missed").as_deref(), Some("x"));
    pair.tick();
    assert_equal(home, &[&first, &second]);
}

#[test]
fn the_same_seeds_give_the_same_frames() {
    let run = || {
        let (first, second) = linked(110);
        first.write(first.home_space(), "a", "1");
        let mut pair = Pair::new(&first, &second);
        pair.drive();
        (pair.dialer.sent, pair.acceptor.sent)
    };
    assert_eq!(run(), run());
}

/// Text that doesn't compress.
fn pseudo_random_text(length: usize) -> String {
    let mut bytes = vec![0; length / 2];
    blake3::Hasher::new().update(&length.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
