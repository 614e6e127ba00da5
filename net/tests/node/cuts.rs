//! A device that vanishes after any byte that it sends.

use tidewater_net::node::Node;
use tidewater_net::transport::{CloseCode, Connection, Stream, Transport};
use tidewater_sync::{Database, Input, Output, Purpose, Role, Session, SessionConfig, SessionEvent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{Carrier, World, equal, holds, home, read, within_deadline, write};

/// Says what an honest device says, until so many bytes are said or both hold the same, and is gone. How many were said.
async fn vanish_after(bytes: usize, device: &Database, transport: &dyn Transport, node: &Node) -> usize {
    let connection = transport.dial(&node.listen_addresses()[0], None).await.unwrap();
    let mut stream = connection.open().await.unwrap();
    let mut session = session(device, &*connection);
    let mut left = bytes;
    loop {
        let (frames, in_sync) = said(&mut session);
        for frame in frames {
            let spelled = spell(&frame);
            if spelled.len() >= left {
                stream.writer.write_all(&spelled[..left]).await.unwrap();
                connection.close(CloseCode::Done, "");
                return bytes;
            }
            stream.writer.write_all(&spelled).await.unwrap();
            left -= spelled.len();
        }
        if in_sync {
            connection.close(CloseCode::Done, "");
            return bytes - left;
        }
        session.handle(0, Input::Frame(hear(&mut stream).await));
    }
}

fn session(device: &Database, connection: &dyn Connection) -> Session {
    let config = SessionConfig {
        role: Role::Dialer,
        remote: connection.peer(),
        binding: connection.binding().0,
        purpose: Purpose::Member,
        addresses: Vec::new(),
        anti_entropy_ms: 3_600_000,
    };
    Session::new(device.clone(), config, 0)
}

/// The frames that it has to say now, and whether it came to hold the same as the other side.
fn said(session: &mut Session) -> (Vec<Vec<u8>>, bool) {
    let (mut frames, mut in_sync) = (Vec::new(), false);
    while let Some(output) = session.poll() {
        match output {
            Output::Frame(frame) => frames.push(frame),
            Output::Event(event) => in_sync |= matches!(event, SessionEvent::InSync { .. }),
            Output::Close(error) => panic!("an honest session ended: {error}"),
            _ => {}
        }
    }
    (frames, in_sync)
}

/// A frame with its length before it, seven bits a byte.
fn spell(frame: &[u8]) -> Vec<u8> {
    let (mut spelled, mut rest) = (Vec::new(), frame.len());
    while rest >= 0x80 {
        spelled.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    spelled.push(rest as u8);
    [&spelled, frame].concat()
}

async fn hear(stream: &mut Stream) -> Vec<u8> {
    let mut length = 0;
    for at in 0.. {
        let byte = usize::from(stream.reader.read_u8().await.unwrap());
        length |= (byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            break;
        }
    }
    let mut frame = vec![0; length];
    stream.reader.read_exact(&mut frame).await.unwrap();
    frame
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_vanishes_after_any_byte_harms_nothing() {
    within_deadline(async {
        let world = World::new(Carrier::Memory);
        let [(laptop, at_laptop), (phone, at_phone)] = world.two_devices().await;
        at_phone.shutdown().await;
        let transport = world.transport(&phone);
        let at_phones = home(&phone);
        write(&phone, at_phones, "note", "at first").await;
        let bytes = vanish_after(usize::MAX, &phone, &*transport, &at_laptop).await;
        holds(&laptop, at_phones, "note", "at first").await;
        println!("each of {bytes} bytes is the last one");
        assert!(bytes > 500, "a hello, a proof, a listing, a vector and a commit are more than {bytes} bytes");
        let mut text = "at first".to_owned();
        for last in 0..bytes {
            // There is a commit to send, but no pile of them.
            if read(&laptop, at_phones, "note").as_ref() == Some(&text) {
                text = format!("before byte {last}");
                write(&phone, at_phones, "note", &text).await;
            }
            vanish_after(last, &phone, &*transport, &at_laptop).await;
        }
        let at_phone = world.start(&phone).await;
        at_phone.connect(laptop.device(), at_laptop.listen_addresses()).await.unwrap();
        holds(&laptop, at_phones, "note", &text).await;
        equal(&laptop, &phone, home(&laptop)).await;
        at_phone.shutdown().await;
        at_laptop.shutdown().await;
    })
    .await;
}
