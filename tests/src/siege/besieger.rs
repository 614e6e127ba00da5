//! One hostile peer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tidewater_engine::id::SpaceId;
use tidewater_net::quic::{QuicConfig, QuicTransport};
use tidewater_net::transport::{Addr, CloseCode, Connection, Stream, Transport};
use tidewater_sync::{Database, Input, Output, Purpose, Role, Session, SessionConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::sync::Barrier;

use super::path::{Path, address};
use crate::flood::{Flood, worst};
use crate::random::Random;

/// Messages on one connection before it is cut and another is made.
const MESSAGES_A_CONNECTION: u64 = 40;
/// Attempts to get a message across, for each that is to be sent: many end with the connection.
const ATTEMPTS: u64 = 3;

/// The length of a frame of 384 KiB, of which half is sent.
const HALF_FRAME: [u8; 3] = [0x80, 0x80, 0x18];

/// What a besieger does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weapon {
    /// Datagrams that are no QUIC, HTTP among them.
    Garbage,
    /// Handshakes to which no answer ever arrives.
    HalfHandshakes,
    /// A proven stranger's floods.
    StrangersFlood,
    /// Lengths of frames, and never all of their bytes; streams on which nothing comes.
    HalfFrames,
    /// A member's floods, whose answers it does not read.
    MembersFlood,
    /// A member's own messages, changed.
    Mutations,
    /// Bytes of no protocol on a stream.
    Noise,
}

impl Weapon {
    pub(super) const ALL: [Self; 7] = [
        Self::Garbage,
        Self::HalfHandshakes,
        Self::StrangersFlood,
        Self::HalfFrames,
        Self::MembersFlood,
        Self::Mutations,
        Self::Noise,
    ];

    pub(super) fn is_a_members(self) -> bool {
        matches!(self, Self::MembersFlood | Self::Mutations)
    }
}

pub(super) struct Besieger {
    pub(super) number: usize,
    pub(super) weapon: Weapon,
    pub(super) database: Database,
    pub(super) space: SpaceId,
    pub(super) target: SocketAddr,
    pub(super) messages: u64,
    pub(super) seed: u64,
    /// Where all wait for each other, each with its last connection open.
    pub(super) assembly: Arc<Barrier>,
}

/// What one besieger did.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Done {
    pub(super) sent: u64,
    pub(super) connected: u64,
    /// Its last connection was open until all went.
    pub(super) stayed: bool,
}

impl Besieger {
    pub(super) async fn run(self) -> Done {
        let mut done = Done::default();
        if self.weapon == Weapon::Garbage {
            done.sent = self.throw_garbage().await;
            self.assemble().await;
            return done;
        }
        let mut attempts = 0;
        while done.sent < self.messages && attempts < self.messages * ATTEMPTS {
            let sent = self.visit(&mut done, false).await;
            attempts += 1 + sent;
            done.sent += sent;
        }
        done.sent += self.visit(&mut done, true).await;
        done
    }

    /// All are there, and what they cost is looked at; then all go.
    async fn assemble(&self) {
        self.assembly.wait().await;
        self.assembly.wait().await;
    }

    async fn throw_garbage(&self) -> u64 {
        let Ok(socket) = UdpSocket::bind((address(self.number), 0)).await else { return 0 };
        let http = b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n".to_vec();
        let initial = [&[0xc3, 0, 0, 0, 1, 8][..], &[7; 1300]].concat();
        let unknown_version = [&[0xc3, 9, 9, 9, 9, 8][..], &[7; 1300]].concat();
        let kinds = [vec![0], vec![0xff; 1500], vec![0x40; 1200], http, initial, unknown_version];
        for number in 0..self.messages * 10 {
            // What finds no room is lost.
            let _ = socket.send_to(&kinds[number as usize % kinds.len()], self.target).await;
            tokio::task::yield_now().await;
        }
        self.messages
    }

    /// One connection, which is held until all have theirs if it is the last. Gives how many messages got across.
    async fn visit(&self, done: &mut Done, is_last: bool) -> u64 {
        let replies = self.weapon != Weapon::HalfHandshakes;
        let path = Path::open(self.target, self.number, replies).await.expect("sockets on loopback");
        let entrance: Addr = format!("quic://{}", path.entrance).parse().expect("an address");
        let mut config = QuicConfig::default();
        if !replies {
            config.dial_timeout = Duration::from_millis(200);
        }
        let transport = QuicTransport::of(&self.database, config);
        let dialed = transport.dial(&entrance, None).await;
        let sent = match dialed {
            // It was sent out, and that is all it was meant for.
            Err(_) if !replies => MESSAGES_A_CONNECTION.min(self.messages - done.sent),
            Err(_) => 0,
            Ok(connection) => {
                done.connected += 1;
                let (sent, stream) = self.talk(&*connection, if is_last { 0 } else { done.sent }, is_last).await;
                if is_last {
                    self.assemble().await;
                    done.stayed = tokio::time::timeout(Duration::ZERO, connection.closed()).await.is_err();
                }
                drop(stream);
                connection.close(CloseCode::Done, "");
                transport.shutdown().await;
                return sent;
            }
        };
        if is_last {
            self.assemble().await;
        }
        transport.shutdown().await;
        sent
    }

    /// Gives the streams too, so that they stay open.
    async fn talk(&self, connection: &dyn Connection, before: u64, is_last: bool) -> (u64, Vec<Stream>) {
        let mut streams = Vec::new();
        let sent = self.talk_on(connection, &mut streams, before, is_last).await;
        (sent, streams)
    }

    async fn talk_on(&self, connection: &dyn Connection, streams: &mut Vec<Stream>, before: u64, is_last: bool) -> u64 {
        let Ok(stream) = connection.open().await else { return 0 };
        streams.push(stream);
        let most = MESSAGES_A_CONNECTION.min(self.messages - before);
        let mut random = Random::new(self.seed ^ (self.number as u64) << 32 ^ before);
        match self.weapon {
            Weapon::HalfFrames => {
                for sent in 0..most {
                    // The first is the session's own; nobody ever reads the others.
                    let other = if sent == 0 { streams.pop() } else { connection.open().await.ok() };
                    let Some(mut other) = other else { return sent };
                    let half = vec![7; 192 << 10];
                    let begun = async {
                        other.writer.write_all(&HALF_FRAME).await?;
                        other.writer.write_all(&half).await
                    };
                    // Only so much is taken of what nobody reads.
                    let patience = Duration::from_millis(20);
                    let begun = tokio::time::timeout(patience, begun).await;
                    streams.push(other);
                    if !matches!(begun, Ok(Ok(()))) {
                        return sent + 1;
                    }
                }
                most
            }
            Weapon::Noise => {
                let noise: Vec<u8> = (0..1_024).flat_map(|_| random.number().to_le_bytes()).collect();
                let mut sent = 0;
                while sent < most && streams[0].writer.write_all(&noise).await.is_ok() {
                    sent += 1;
                }
                sent
            }
            _ => self.converse(connection, &mut streams[0], most, before, is_last, &mut random).await,
        }
    }

    /// An honest beginning, and what follows.
    async fn converse(
        &self,
        connection: &dyn Connection,
        stream: &mut Stream,
        most: u64,
        before: u64,
        is_last: bool,
        random: &mut Random,
    ) -> u64 {
        let mutates = self.weapon == Weapon::Mutations;
        let config = SessionConfig {
            role: Role::Dialer,
            remote: connection.peer(),
            binding: connection.binding().0,
            purpose: Purpose::Member,
            addresses: Vec::new(),
            anti_entropy_ms: 3_600_000,
        };
        let mut session = Session::new(self.database.clone(), config, 0);
        let mut sent = 0;
        // Until the first frames of both are exchanged, and then as long as it changes what it says.
        for heard in 0.. {
            let (frames, over) = said(&mut session);
            for mut frame in frames {
                if mutates && heard > 2 && random.one_in(2) {
                    let at = random.below(frame.len());
                    frame[at] ^= 1 << random.below(8);
                }
                if write(stream, &frame).await.is_err() {
                    return sent;
                }
                sent += u64::from(mutates);
            }
            if over || sent >= most || (!mutates && heard > 3) {
                break;
            }
            let wait = Duration::from_millis(if heard > 3 { 100 } else { 1_000 });
            match tokio::time::timeout(wait, read(stream)).await {
                Ok(Ok(frame)) => session.handle(0, Input::Frame(frame)),
                // Nothing more is said.
                _ => break,
            }
        }
        if is_last && !mutates {
            return sent + burden(stream, &worst(&self.space, &self.database.device())).await;
        }
        let flood = Flood::ALL[(before / MESSAGES_A_CONNECTION) as usize % Flood::ALL.len()];
        while sent < most {
            let frame = flood.frame(&self.space, &self.database.device(), sent);
            // A connection that holds the writer is one whose room is used up: that is what a flood is for.
            let patience = Duration::from_millis(500);
            match tokio::time::timeout(patience, write(stream, &frame)).await {
                Ok(Ok(())) => sent += 1,
                _ => return sent.max(1),
            }
        }
        sent
    }
}

/// Sends frames, and half of one more.
async fn burden(stream: &mut Stream, frames: &[Vec<u8>]) -> u64 {
    let mut sent = 0;
    for frame in frames {
        if write(stream, frame).await.is_err() {
            return sent;
        }
        sent += 1;
    }
    let half = vec![7; 192 << 10];
    let begun = async {
        stream.writer.write_all(&HALF_FRAME).await?;
        stream.writer.write_all(&half).await
    };
    sent + u64::from(begun.await.is_ok())
}

fn said(session: &mut Session) -> (Vec<Vec<u8>>, bool) {
    let (mut frames, mut over) = (Vec::new(), false);
    while let Some(output) = session.poll() {
        match output {
            Output::Frame(frame) => frames.push(frame),
            Output::Close(_) => over = true,
            _ => {}
        }
    }
    (frames, over)
}

async fn write(stream: &mut Stream, frame: &[u8]) -> std::io::Result<()> {
    let (mut spelled, mut rest) = (Vec::new(), frame.len());
    while rest >= 0x80 {
        spelled.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    spelled.push(rest as u8);
    stream.writer.write_all(&spelled).await?;
    stream.writer.write_all(frame).await
}

async fn read(stream: &mut Stream) -> std::io::Result<Vec<u8>> {
    let mut length = 0usize;
    for at in 0..3 {
        let byte = stream.reader.read_u8().await?;
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            break;
        }
    }
    let mut frame = vec![0; length];
    stream.reader.read_exact(&mut frame).await?;
    Ok(frame)
}
