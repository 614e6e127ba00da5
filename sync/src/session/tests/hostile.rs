//! What others may send.

use tidewater_engine::log::Plane;

use super::super::batch::{BatchPart, BatchWriter};
use super::super::message::{BatchVerdict, Message};
use super::super::numbers::LogName;
use super::super::pair::{Pair, Replica, assert_equal, link, linked};
use super::super::{Input, SessionError};
use crate::codec::Codec;

/// What is no message ends the session with its sender, at any point, and the data stands.
#[test]
fn attack_garbage_at_any_point_ends_the_session_and_harms_nothing() {
    let (first, second) = linked(10);
    let home = first.home_space();
    for point in 0..12 {
        first.write(home, &format!("note {point}"), "x");
        let mut pair = Pair::new(&first, &second);
        for _ in 0..point {
            pair.step();
        }
        let mut garbage = vec![0; 300];
        blake3::Hasher::new().update(&[point]).finalize_xof().fill(&mut garbage);
        pair.acceptor.handle(Input::Frame(garbage));
        pair.drive();
        assert!(matches!(pair.acceptor.closed, Some(SessionError::Protocol { .. })), "{:?}", pair.acceptor.closed);
    }
    Pair::new(&first, &second).drive();
    assert_equal(home, &[&first, &second]);
}

/// A frame with a changed bit is refused or harmless, whatever frame it is.
#[test]
fn attack_changed_bit_in_any_frame_never_changes_the_state() {
    let (first, second) = linked(20);
    let home = first.home_space();
    let mut endings = [0, 0];
    for bit in 0..150 {
        let note = format!("note {bit}");
        first.write(home, &note, "the only truth");
        let mut pair = Pair::new(&first, &second);
        // One bit of the dialer's last frame of one half round trip, before the whole frame or after it.
        for _ in 0..1 + bit % 5 {
            pair.step();
        }
        let mut changed = pair.dialer.sent.last().unwrap().clone();
        let position = (bit * 7919) % (changed.len() * 8);
        changed[position / 8] ^= 1 << (position % 8);
        pair.acceptor.handle(Input::Frame(changed));
        pair.drive();
        endings[usize::from(pair.acceptor.closed.is_some())] += 1;
        assert!(matches!(second.read(home, &note).as_deref(), None | Some("the only truth")), "bit {bit}");
        drop(pair);
        Pair::new(&first, &second).drive();
        assert_eq!(first.digest(&home).unwrap(), second.digest(&home).unwrap(), "bit {bit}");
    }
    assert_equal(home, &[&first, &second]);
    assert!(endings[1] > 60, "{endings:?}");
}

#[test]
fn a_repeated_frame_is_harmless() {
    let (first, second) = linked(30);
    let home = first.home_space();
    first.write(home, "note", "once");
    let mut pair = Pair::new(&first, &second);
    pair.drive();
    let batches: Vec<_> = pair.dialer.sent.iter().filter(|frame| frame[0] == 8).cloned().collect();
    assert!(!batches.is_empty());
    for batch in batches {
        pair.acceptor.handle(Input::Frame(batch));
    }
    // The acknowledgement that nobody waits for ends the dialer's session; the data stands.
    pair.drive();
    assert_eq!(pair.acceptor.closed.is_none(), pair.dialer.closed.is_none());
    Pair::new(&first, &second).drive();
    assert_equal(home, &[&first, &second]);
}

/// A frame over 1 MiB ends the session unread.
#[test]
fn attack_oversized_frame_is_refused_before_it_is_read() {
    let (first, second) = linked(40);
    let mut pair = Pair::new(&first, &second);
    pair.drive();
    pair.acceptor.handle(Input::Frame(vec![8; super::super::MAX_FRAME_BYTES + 1]));
    pair.drive();
    assert!(matches!(pair.acceptor.closed, Some(SessionError::Protocol { .. })));
    assert!(matches!(pair.dialer.closed, Some(SessionError::ClosedByPeer { .. })));
}

/// What one side takes for shared may have come while the space was closed to the other.
#[test]
fn a_root_left_out_that_is_not_held_is_a_gap_and_not_the_end() {
    let ((first, second), third) = (linked(50), Replica::blank(52));
    link(&third, &first);
    let home = first.home_space();
    Pair::new(&first, &third).drive();
    let mut pair = Pair::new(&first, &second);
    pair.drive();
    third.write(home, "note", "only the first hears of it");
    Pair::new(&third, &first).drive();
    first.write(home, "answer", "written in its knowledge");
    let (plane, writer) = (Plane::Data, first.writer());
    let from = second.vector(&home, plane).unwrap().length(&writer);
    let batch = first.read_log(&home, plane, &writer, from, usize::MAX).unwrap().unwrap();
    let log = LogName { space: home, plane, writer };
    let part = BatchPart { log, from, entries: batch.entries, head: Some(batch.head) };
    let numbers = &mut pair.dialer.session.sent_numbers;
    let written = BatchWriter { numbers, shares: &|_, _, _| true }.write(&part);
    pair.acceptor.handle(Input::Frame(Message::Batch(written).to_bytes()));
    let answers: Vec<Message> =
        pair.acceptor.poll().iter().map(|frame| Message::read(frame.clone()).unwrap()).collect();
    assert_eq!(pair.acceptor.closed, None);
    let is_gap = |answer: &Message| matches!(answer, Message::Ack { frames: 1, verdict: BatchVerdict::Gap });
    assert!(answers.iter().any(is_gap), "{answers:?}");
    assert!(answers.iter().any(|answer| matches!(answer, Message::Vectors(_))), "{answers:?}");
    assert_eq!(second.read(home, "answer"), None);
    drop(pair);
    Pair::new(&first, &second).drive();
    assert_equal(home, &[&first, &second]);
}
