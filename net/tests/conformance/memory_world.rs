//! The memory transport's world.

use std::sync::Arc;

use tidewater_engine::id::DeviceId;
use tidewater_net::memory::MemoryNetwork;
use tidewater_net::transport::{Addr, Transport};

use crate::world::World;

pub struct MemoryWorld {
    network: MemoryNetwork,
}

impl World for MemoryWorld {
    fn new() -> Self {
        Self { network: MemoryNetwork::new() }
    }

    fn device(&self, seed: u8) -> DeviceId {
        DeviceId([seed; 32])
    }

    fn transport(&self, seed: u8) -> Arc<dyn Transport> {
        Arc::new(self.network.transport(self.device(seed)))
    }

    fn impatient(&self, seed: u8) -> Arc<dyn Transport> {
        self.transport(seed)
    }

    fn anywhere(&self) -> Addr {
        "memory://0".parse().unwrap()
    }

    fn nowhere(&self) -> (Addr, Box<dyn Send>) {
        ("memory://nowhere".parse().unwrap(), Box::new(()))
    }

    async fn breakable(&self, to: &Addr, between: [u8; 2]) -> (Addr, Box<dyn FnOnce() + Send>) {
        let network = self.network.clone();
        let [one, other] = between.map(|seed| self.device(seed));
        (to.clone(), Box::new(move || network.cut(one, other)))
    }
}

#[tokio::test]
async fn a_cut_keeps_devices_apart_until_it_heals() {
    let world = MemoryWorld::new();
    let (one, two) = (world.transport(1), world.transport(2));
    let mut listener = two.listen(&"memory://two".parse().unwrap()).await.unwrap();
    let address = listener.local_address().clone();
    let dialed = one.dial(&address, None).await.unwrap();
    let accepted = listener.accept().await.unwrap();
    assert_eq!(world.network.sever(world.device(1), world.device(2)), 1);
    dialed.closed().await;
    accepted.closed().await;
    one.dial(&address, None).await.expect("a severed connection can be made again");
    world.network.cut(world.device(2), world.device(1));
    assert!(one.dial(&address, None).await.unwrap_err().is_transient());
    world.transport(3).dial(&address, None).await.expect("others are not cut off");
    world.network.heal(world.device(1), world.device(2));
    one.dial(&address, None).await.expect("healed");
}

#[tokio::test]
async fn dials_that_nobody_takes_are_turned_away_in_the_end() {
    let world = MemoryWorld::new();
    let listener = world.transport(2).listen(&world.anywhere()).await.unwrap();
    let mut waiting = Vec::new();
    let refused = loop {
        match world.transport(1).dial(listener.local_address(), None).await {
            Ok(connection) => waiting.push(connection),
            Err(error) => break error,
        }
        assert!(waiting.len() < 1000);
    };
    assert!(refused.is_transient(), "{refused}");
}
