//! What the suite needs to know about a transport, and the steps that its stories are told in.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tidewater_engine::id::DeviceId;
use tidewater_net::transport::{Addr, Connection, Listener, Stream, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Only guards against hanging for ever; no test waits for it.
const DEADLINE: Duration = Duration::from_secs(120);

/// Somewhere that devices of one transport can meet.
pub trait World: Sized {
    /// A fresh one.
    fn new() -> Self;
    /// The id of the device that is made from `seed`.
    fn device(&self, seed: u8) -> DeviceId;
    /// The transport of the device that is made from `seed`.
    fn transport(&self, seed: u8) -> Arc<dyn Transport>;
    /// One that gives up soon: for what never answers.
    fn impatient(&self, seed: u8) -> Arc<dyn Transport>;
    /// Any free address, to listen at.
    fn anywhere(&self) -> Addr;
    /// Where nobody listens. It is reserved while the value lives.
    fn nowhere(&self) -> (Addr, Box<dyn Send>);
    /// Where a dialer reaches the listener at `to` over a path that breaks without a farewell when the closure is called.
    fn breakable(&self, to: &Addr, between: [u8; 2]) -> impl Future<Output = (Addr, Box<dyn FnOnce() + Send>)> + Send;
}

/// Fails a test that hangs.
pub async fn within_deadline<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, test).await.expect("the test hangs")
}

/// Listens anywhere with the device made from `seed`.
pub async fn listen<W: World>(world: &W, seed: u8) -> Box<dyn Listener> {
    world.transport(seed).listen(&world.anywhere()).await.expect("a free address")
}

/// Devices 1 and 2, connected: 1 dialled.
pub struct Pair {
    pub dialed: Arc<dyn Connection>,
    pub accepted: Arc<dyn Connection>,
    pub listener: Box<dyn Listener>,
    /// A transport must outlive what it dialled.
    pub _dialer: Arc<dyn Transport>,
}

/// Connects device 1 to device 2.
pub async fn pair<W: World>(world: &W) -> Pair {
    let mut listener = listen(world, 2).await;
    let dialer = world.transport(1);
    let address = listener.local_address().clone();
    let (dialed, accepted) = tokio::join!(dialer.dial(&address, Some(world.device(2))), listener.accept());
    let (dialed, accepted) = (dialed.expect("it listens"), accepted.expect("it dialled"));
    // What is asked of a connection is asked of one between members.
    dialed.widen();
    accepted.widen();
    Pair { dialed, accepted, listener, _dialer: dialer }
}

/// Opens a stream with one byte, so that the peer learns of it, and gives both ends.
pub async fn stream(from: &dyn Connection, to: &dyn Connection) -> (Stream, Stream) {
    let mut here = from.open().await.expect("open");
    here.writer.write_all(b"!").await.expect("open");
    let mut there = to.accept().await.expect("open");
    assert_eq!(there.reader.read_u8().await.expect("open"), b'!');
    (here, there)
}

/// Checks that a connection carries bytes both ways.
pub async fn check_alive(one: &dyn Connection, other: &dyn Connection) {
    let (mut here, mut there) = stream(one, other).await;
    round_trip(&mut here, &mut there).await;
}

/// Sends a byte there and back.
pub async fn round_trip(here: &mut Stream, there: &mut Stream) {
    here.writer.write_u8(7).await.expect("write");
    assert_eq!(there.reader.read_u8().await.expect("read"), 7);
    there.writer.write_u8(9).await.expect("write back");
    assert_eq!(here.reader.read_u8().await.expect("read back"), 9);
}
