//! The hello: who is at the other end, on which channel.

use tidewater_engine::id::DeviceId;

use super::super::pair::{Pair, Replica, config, linked};
use super::super::{Input, Output, Purpose, Role, Session, SessionError, SessionEvent};

/// Lets two sessions talk for two half round trips; says how each ended.
fn talk(dialer: &mut Session, acceptor: &mut Session) -> (Option<SessionError>, Option<SessionError>) {
    let (mut endings, mut frames) = ([None, None], [Vec::new(), Vec::new()]);
    for _ in 0..3 {
        for (number, session) in [&mut *dialer, &mut *acceptor].into_iter().enumerate() {
            while let Some(output) = session.poll() {
                match output {
                    Output::Frame(frame) => frames[number].push(frame),
                    Output::Close(error) => endings[number] = Some(error),
                    _ => {}
                }
            }
        }
        frames[0].drain(..).for_each(|frame| acceptor.handle(0, Input::Frame(frame)));
        frames[1].drain(..).for_each(|frame| dialer.handle(0, Input::Frame(frame)));
    }
    let [dialer, acceptor] = endings;
    (dialer, acceptor)
}

fn closing(session: &mut Session) -> Option<SessionError> {
    std::iter::from_fn(|| session.poll()).find_map(|output| match output {
        Output::Close(error) => Some(error),
        _ => None,
    })
}

#[test]
fn both_sides_learn_whose_device_the_other_is() {
    let (ada, ben) = (Replica::person(1, "Ada"), Replica::person(2, "Ben"));
    let mut pair = Pair::new(&ada, &ben);
    pair.drive();
    assert_eq!(pair.dialer.events, [SessionEvent::Ready { identity: ben.identity() }]);
    assert_eq!(pair.acceptor.events, [SessionEvent::Ready { identity: ada.identity() }]);
}

/// Who passes frames between two channels of its own is found out by both ends.
#[test]
fn attack_relay_in_the_middle_is_noticed_by_the_channel_binding() {
    let (first, second) = linked(10);
    let mut dialer = Session::new(first.database.clone(), config(Role::Dialer, &second, 1, Purpose::Member), 0);
    let mut acceptor = Session::new(second.database.clone(), config(Role::Acceptor, &first, 2, Purpose::Member), 0);
    let (dialer, acceptor) = talk(&mut dialer, &mut acceptor);
    assert!(matches!(dialer, Some(SessionError::Unproven { .. })), "{dialer:?}");
    assert!(matches!(acceptor, Some(SessionError::Unproven { .. })), "{acceptor:?}");
}

/// Everything that a device said on one channel, said again on another by somebody else, proves nothing.
#[test]
fn attack_replayed_hello_proves_nothing() {
    let (first, second) = linked(20);
    let mut pair = Pair::new(&first, &second);
    pair.drive();
    let recorded = pair.dialer.sent.clone();
    let mut victim = Session::new(second.database.clone(), config(Role::Acceptor, &first, 7, Purpose::Member), 0);
    recorded.into_iter().for_each(|frame| victim.handle(0, Input::Frame(frame)));
    assert!(matches!(closing(&mut victim), Some(SessionError::Unproven { .. })));
}

/// A hello by another device than the one that the transport authenticated ends the session.
#[test]
fn attack_another_device_than_the_transport_proved_is_refused() {
    let (first, second) = linked(30);
    let mut wrong = config(Role::Acceptor, &first, 7, Purpose::Member);
    wrong.remote = DeviceId([9; 32]);
    let mut dialer = Session::new(first.database.clone(), config(Role::Dialer, &second, 7, Purpose::Member), 0);
    let mut acceptor = Session::new(second.database.clone(), wrong, 0);
    let (_, acceptor) = talk(&mut dialer, &mut acceptor);
    assert!(matches!(acceptor, Some(SessionError::Unproven { .. })), "{acceptor:?}");
}

#[test]
fn silence_in_the_hello_ends_the_session() {
    let (first, second) = linked(40);
    let mut session = Session::new(first.database.clone(), config(Role::Dialer, &second, 7, Purpose::Member), 0);
    let wake_ms = std::iter::from_fn(|| session.poll())
        .find_map(|output| match output {
            Output::WakeAt(at_ms) => Some(at_ms),
            _ => None,
        })
        .unwrap();
    session.handle(wake_ms - 1, Input::Tick);
    assert_eq!(closing(&mut session), None);
    session.handle(wake_ms, Input::Tick);
    assert!(closing(&mut session).is_some_and(|error| error.is_transient()));
}

#[test]
fn a_peer_of_other_versions_is_named_as_such() {
    let (first, second) = linked(50);
    let answer = |hello: &[u8]| {
        let config = config(Role::Dialer, &second, 7, Purpose::Member);
        let mut session = Session::new(first.database.clone(), config, 0);
        session.handle(0, Input::Frame(hello.to_vec()));
        closing(&mut session)
    };
    // The oldest and the newest that it speaks, as LEB128.
    let hello = |versions: &[u8]| [b"\0tide", versions, &[1], &[0; 32]].concat();
    let none_in_common: [(&[u8], u16); 5] = [
        (&[9, 9], 9),
        (&[0, 0], 0),
        (&[1, 2], 2),
        (&[0xe7, 7, 0xe7, 7], 999),
        (&[6, 0xff, 0xff, 0xff, 0xff, 15], u16::MAX),
    ];
    for (versions, theirs) in none_in_common {
        assert_eq!(answer(&hello(versions)), Some(SessionError::Version { ours: 5, theirs }), "{versions:?}");
    }
    assert_eq!(answer(&hello(&[0, 0xe7, 7])), None, "what speaks older and newer ones speaks this one");
    assert!(matches!(answer(b"GET / HTTP/1.1\r\n"), Some(SessionError::Protocol { .. })));
}
