//! What every transport promises.

use std::pin::Pin;
use std::task::Poll;

use futures_util::future::{join_all, poll_fn};
use tidewater_net::transport::{CloseCode, CloseReason, DialError, ListenError, Listener, PermanentCause};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::world::{World, check_alive, listen, pair, round_trip, stream};

pub async fn both_ends_know_each_other_and_the_channel(world: &impl World) {
    let mut pair = pair(world).await;
    assert_eq!(pair.dialed.peer(), world.device(2));
    assert_eq!(pair.accepted.peer(), world.device(1));
    assert!(pair.dialed.binding() == pair.accepted.binding());
    let address = pair.listener.local_address().clone();
    let again = world.transport(1);
    let (dialed, accepted) = tokio::join!(again.dial(&address, None), pair.listener.accept());
    let (dialed, accepted) = (dialed.unwrap(), accepted.unwrap());
    assert_eq!(dialed.peer(), world.device(2), "the peer is proven without being expected");
    assert!(dialed.binding() == accepted.binding());
    assert!(dialed.binding() != pair.dialed.binding(), "every channel has a binding of its own");
    assert_eq!(dialed.path().remote, address);
    check_alive(&*dialed, &*accepted).await;
}

pub async fn a_wrong_key_is_found_out_before_the_dialer_shows_its_own(world: &impl World) {
    let mut listener = listen(world, 2).await;
    let address = listener.local_address().clone();
    let error = world.transport(1).dial(&address, Some(world.device(3))).await.unwrap_err();
    let (expected, found) = (world.device(3), world.device(2));
    assert_eq!(error, DialError::WrongPeer { address: address.clone(), expected, found });
    // The listener never got to know device 1: the first that it meets is device 4.
    let honest = world.transport(4);
    let (dialed, accepted) = tokio::join!(honest.dial(&address, Some(world.device(2))), listener.accept());
    assert_eq!(accepted.unwrap().peer(), world.device(4));
    drop(dialed);
}

pub async fn a_device_does_not_connect_to_itself(world: &impl World) {
    let listener = listen(world, 1).await;
    let error = world.transport(1).dial(listener.local_address(), None).await.unwrap_err();
    assert!(matches!(error, DialError::Permanent { cause: PermanentCause::Oneself, .. }), "{error}");
}

pub async fn a_reader_that_stops_bounds_the_writer_and_nobody_else(world: &impl World) {
    const BOUND_BYTES: usize = 16 << 20;
    const ROUNDS: usize = 50;
    let pair = pair(world).await;
    let (mut held, mut unread) = stream(&*pair.dialed, &*pair.accepted).await;
    let (mut here, mut there) = stream(&*pair.dialed, &*pair.accepted).await;
    let chunk = vec![5; 64 << 10];
    let (mut written, mut stalled) = (0, 0);
    // Held means: no progress while fifty round trips beside it are made.
    while stalled < ROUNDS {
        let step = poll_fn(|context| match Pin::new(&mut held.writer).poll_write(context, &chunk) {
            Poll::Ready(result) => Poll::Ready(result.expect("write")),
            Poll::Pending => Poll::Ready(0),
        });
        match step.await {
            0 => {
                stalled += 1;
                round_trip(&mut here, &mut there).await;
            }
            progress => (written, stalled) = (written + progress, 0),
        }
        assert!(written <= BOUND_BYTES, "nothing holds the writer back");
    }
    let drain = async {
        let mut sink = vec![0; written];
        unread.reader.read_exact(&mut sink).await.expect("read");
        assert!(sink.iter().all(|byte| *byte == 5));
    };
    drain.await;
    held.writer.write_all(&chunk).await.expect("it goes on once the reader reads");
}

pub async fn a_large_stream_arrives_whole(world: &impl World) {
    const TOTAL: usize = 32 << 20;
    let pair = pair(world).await;
    let (mut here, mut there) = stream(&*pair.dialed, &*pair.accepted).await;
    // A period that no packet or buffer size divides.
    let pattern: Vec<u8> = (0..65_521u32).map(|at| (at % 251) as u8).collect();
    let write = async {
        let mut left = TOTAL;
        while left > 0 {
            let part = &pattern[..pattern.len().min(left)];
            here.writer.write_all(part).await.expect("write");
            left -= part.len();
        }
        here.writer.shutdown().await.expect("end");
    };
    let read = async {
        let mut buffer = vec![0; 128 << 10];
        let mut at = 0;
        loop {
            let length = there.reader.read(&mut buffer).await.expect("read");
            if length == 0 {
                return at;
            }
            for byte in &buffer[..length] {
                assert_eq!(*byte, pattern[at % pattern.len()], "at {at}");
                at += 1;
            }
        }
    };
    assert_eq!(tokio::join!(write, read).1, TOTAL);
}

pub async fn many_streams_do_not_mix(world: &impl World) {
    const STREAMS: u32 = 200;
    let pair = pair(world).await;
    let echo = async {
        let mut streams = Vec::new();
        for _ in 0..STREAMS {
            streams.push(pair.accepted.accept().await.expect("accept"));
        }
        // All are open by now; they are answered in the reverse order.
        for mut stream in streams.into_iter().rev() {
            let mut message = vec![0; 1024];
            stream.reader.read_exact(&mut message).await.expect("read");
            stream.writer.write_all(&message).await.expect("write");
        }
    };
    let ask = join_all((0..STREAMS).map(|number| {
        let connection = pair.dialed.clone();
        async move {
            let mut stream = connection.open().await.expect("open");
            let message = number.to_be_bytes().repeat(256);
            stream.writer.write_all(&message).await.expect("write");
            let mut answer = vec![0; 1024];
            stream.reader.read_exact(&mut answer).await.expect("read");
            assert_eq!(answer, message);
        }
    }));
    tokio::join!(echo, ask);
    check_alive(&*pair.accepted, &*pair.dialed).await;
}

pub async fn one_direction_ends_and_the_other_goes_on(world: &impl World) {
    let pair = pair(world).await;
    let (mut here, mut there) = stream(&*pair.dialed, &*pair.accepted).await;
    here.writer.write_all(b"question").await.unwrap();
    here.writer.shutdown().await.unwrap();
    let mut question = String::new();
    there.reader.read_to_string(&mut question).await.unwrap();
    assert_eq!(question, "question");
    there.writer.write_all(b"answer").await.unwrap();
    drop(there.writer);
    let mut answer = String::new();
    here.reader.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "answer");
}

pub async fn a_reader_that_leaves_stops_the_writer(world: &impl World) {
    let pair = pair(world).await;
    let (mut here, there) = stream(&*pair.dialed, &*pair.accepted).await;
    drop(there.reader);
    let chunk = vec![0; 64 << 10];
    let mut written = 0;
    while here.writer.write_all(&chunk).await.is_ok() {
        written += chunk.len();
        assert!(written < 64 << 20, "writes to nobody go on");
    }
    check_alive(&*pair.dialed, &*pair.accepted).await;
}

pub async fn a_loss_without_a_farewell_is_noticed(world: &impl World) {
    let mut listener = listen(world, 2).await;
    let (address, cut) = world.breakable(listener.local_address(), [1, 2]).await;
    let dialer = world.transport(1);
    let (dialed, accepted) = tokio::join!(dialer.dial(&address, Some(world.device(2))), listener.accept());
    let (dialed, accepted) = (dialed.unwrap(), accepted.unwrap());
    let (mut here, mut there) = stream(&*dialed, &*accepted).await;
    cut();
    let (dialed_end, accepted_end, read_here, read_there) =
        tokio::join!(dialed.closed(), accepted.closed(), here.reader.read_u8(), there.reader.read_u8());
    assert!(matches!(dialed_end, CloseReason::Lost { .. }), "{dialed_end}");
    assert!(matches!(accepted_end, CloseReason::Lost { .. }), "{accepted_end}");
    assert!(read_here.is_err() && read_there.is_err());
    assert!(here.writer.write_u8(1).await.is_err());
}

pub async fn a_dead_address_may_come_alive(world: &impl World) {
    let (nowhere, _reserved) = world.nowhere();
    let error = world.impatient(1).dial(&nowhere, None).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

pub async fn a_senseless_address_stays_senseless(world: &impl World) {
    let foreign = "carrier-pigeon".replace('-', "") + "://roof";
    let foreign = foreign.parse().unwrap();
    let error = world.transport(1).dial(&foreign, None).await.unwrap_err();
    assert!(matches!(error, DialError::Permanent { cause: PermanentCause::Scheme { .. }, .. }), "{error}");
    let error = world.transport(1).listen(&foreign).await.unwrap_err();
    assert!(matches!(error, ListenError::Scheme { .. }), "{error}");
}

pub async fn the_peer_hears_why_a_connection_is_closed(world: &impl World) {
    let (code, text) = (CloseCode::ShuttingDown, "back in an hour".to_owned());
    let forth = pair(world).await;
    forth.dialed.close(code, &text);
    assert_eq!(forth.accepted.closed().await, CloseReason::Peer { code, text: text.clone() });
    assert_eq!(forth.dialed.closed().await, CloseReason::Local { code, text });
    let back = pair(world).await;
    let (mut here, _there) = stream(&*back.dialed, &*back.accepted).await;
    let long = "x".repeat(1000);
    back.accepted.close(CloseCode::Other(4711), &long);
    let text = "x".repeat(CloseReason::MAX_TEXT_BYTES);
    assert_eq!(back.dialed.closed().await, CloseReason::Peer { code: CloseCode::Other(4711), text });
    assert!(here.reader.read_u8().await.is_err(), "its streams fail");
    // Closing again changes nothing.
    back.accepted.close(CloseCode::Busy, "");
    assert!(matches!(back.accepted.closed().await, CloseReason::Local { code: CloseCode::Other(4711), .. }));
}

pub async fn a_connection_that_nobody_holds_closes(world: &impl World) {
    let pair = pair(world).await;
    drop(pair.dialed);
    let reason = pair.accepted.closed().await;
    assert_eq!(reason, CloseReason::Peer { code: CloseCode::Done, text: String::new() });
}

pub async fn streams_hold_a_connection_open(world: &impl World) {
    let pair = pair(world).await;
    let (mut here, mut there) = stream(&*pair.dialed, &*pair.accepted).await;
    drop(pair.dialed);
    round_trip(&mut here, &mut there).await;
    drop(here);
    assert!(matches!(pair.accepted.closed().await, CloseReason::Peer { code: CloseCode::Done, .. }));
}

pub async fn a_closed_connection_opens_and_accepts_nothing(world: &impl World) {
    let pair = pair(world).await;
    pair.dialed.close(CloseCode::Done, "");
    assert!(matches!(pair.dialed.open().await, Err(CloseReason::Local { .. })));
    assert!(matches!(pair.accepted.accept().await, Err(CloseReason::Peer { .. })));
    assert!(matches!(pair.accepted.open().await, Err(CloseReason::Peer { .. })));
}

pub async fn devices_that_dial_each_other_at_once_get_two_connections(world: &impl World) {
    let (one, two) = (world.transport(1), world.transport(2));
    let mut at_one = one.listen(&world.anywhere()).await.unwrap();
    let mut at_two = two.listen(&world.anywhere()).await.unwrap();
    let (to_one, to_two) = (at_one.local_address().clone(), at_two.local_address().clone());
    let (forth, back, from_two, from_one) = tokio::join!(
        one.dial(&to_two, Some(world.device(2))),
        two.dial(&to_one, Some(world.device(1))),
        at_one.accept(),
        at_two.accept()
    );
    let (forth, back) = (forth.unwrap(), back.unwrap());
    check_alive(&*forth, &*from_one.unwrap()).await;
    check_alive(&*back, &*from_two.unwrap()).await;
    assert!(forth.binding() != back.binding());
}

pub async fn a_transport_listens_at_several_addresses(world: &impl World) {
    let transport = world.transport(2);
    let mut listeners = Vec::new();
    for _ in 0..3 {
        listeners.push(transport.listen(&world.anywhere()).await.expect("a free address"));
    }
    let dialer = world.transport(1);
    for listener in &mut listeners {
        let address = listener.local_address().clone();
        assert_ne!(address, world.anywhere(), "the address that was given is reported");
        let (dialed, accepted) = tokio::join!(dialer.dial(&address, Some(world.device(2))), listener.accept());
        check_alive(&*dialed.expect("it listens"), &*accepted.expect("it dialled")).await;
    }
}

pub async fn an_address_is_listened_at_once(world: &impl World) {
    let listener = listen(world, 1).await;
    let taken = listener.local_address().clone();
    let error = world.transport(2).listen(&taken).await.unwrap_err();
    assert!(matches!(error, ListenError::InUse { .. }), "{error}");
}

pub async fn a_dropped_listener_lets_nobody_in_and_nobody_down(world: &impl World) {
    let pair = pair(world).await;
    let address = pair.listener.local_address().clone();
    drop(pair.listener);
    check_alive(&*pair.dialed, &*pair.accepted).await;
    let error = world.impatient(3).dial(&address, None).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

pub async fn shutting_down_frees_what_was_dialled(world: &impl World) {
    let (one, two) = (world.transport(1), world.transport(2));
    let mut listener = two.listen(&world.anywhere()).await.unwrap();
    let address = listener.local_address().clone();
    let (dialed, accepted) = tokio::join!(one.dial(&address, None), listener.accept());
    let (dialed, accepted) = (dialed.unwrap(), accepted.unwrap());
    dialed.close(CloseCode::ShuttingDown, "");
    drop(dialed);
    one.shutdown().await;
    assert!(matches!(accepted.closed().await, CloseReason::Peer { code: CloseCode::ShuttingDown, .. }));
    drop((listener, accepted));
    two.shutdown().await;
    // The very same address can be had again at once.
    let again: Box<dyn Listener> = two.listen(&address).await.expect("it is free again");
    assert_eq!(*again.local_address(), address);
}
