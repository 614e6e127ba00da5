//! What others may send.

use super::super::pair::{Pair, assert_equal, linked};
use super::super::{Input, SessionError};

#[test]
fn garbage_at_any_point_ends_the_session_and_harms_nothing() {
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

#[test]
fn a_changed_bit_in_any_frame_never_changes_the_state() {
    let mut endings = [0, 0];
    for bit in 0..120 {
        let (first, second) = linked(20);
        let home = first.home_space();
        first.write(home, "note", "the only truth");
        let mut pair = Pair::new(&first, &second);
        let mut frames = 0;
        for _ in 0..20 {
            pair.step();
            // One bit of one frame of the dialer, chosen by number.
            if frames == 0 && pair.half_trips == 1 + bit % 6 {
                if let Some(frame) = pair.dialer.sent.last() {
                    let mut changed = frame.clone();
                    let position = (bit * 7919) % (changed.len() * 8);
                    changed[position / 8] ^= 1 << (position % 8);
                    pair.acceptor.handle(Input::Frame(changed));
                    frames += 1;
                }
            }
        }
        endings[usize::from(pair.acceptor.closed.is_some())] += 1;
        assert!(matches!(second.read(home, "note").as_deref(), None | Some("the only truth")));
        drop(pair);
        Pair::new(&first, &second).drive();
        assert_equal(home, &[&first, &second]);
    }
    assert!(endings[1] > 30, "{endings:?}");
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

#[test]
fn an_oversized_frame_is_refused_before_it_is_read() {
    let (first, second) = linked(40);
    let mut pair = Pair::new(&first, &second);
    pair.drive();
    pair.acceptor.handle(Input::Frame(vec![8; super::super::MAX_FRAME_BYTES + 1]));
    pair.drive();
    assert!(matches!(pair.acceptor.closed, Some(SessionError::Protocol { .. })));
    assert!(matches!(pair.dialer.closed, Some(SessionError::ClosedByPeer { .. })));
}
