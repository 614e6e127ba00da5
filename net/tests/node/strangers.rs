//! What happens between nodes that don't belong together, and with peers that follow no rule.

use std::time::Duration;

use tidewater_net::node::{ConnectError, Ending, FrameError, JoinError, Node, NodeEvent, StartError, Unreachable};
use tidewater_net::transport::{Addr, CloseCode, CloseReason, DialError, ListenError};
use tidewater_sync::{SessionError, TicketRefusal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{Carrier, World, ended, event, home, ready, within_deadline, write};

async fn unreachable(node: &Node) -> (Unreachable, Duration) {
    let mut events = node.events();
    event(&mut events, |event| match event {
        NodeEvent::Unreachable { error, retry_in, .. } => Some((error.clone(), *retry_in)),
        _ => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_gets_nothing_and_leaves_no_trace() {
    within_deadline(async {
        let world = World::new(Carrier::Memory);
        let (ada, eve) = (world.person("ada"), world.person("eve"));
        write(&ada, home(&ada), "secret", "nobody's business").await;
        let (at_ada, at_eve) = (world.start(&ada).await, world.start(&eve).await);
        let (mut of_ada, mut of_eve) = (at_ada.events(), at_eve.events());
        at_eve.connect(ada.device(), at_ada.listen_addresses()).await.unwrap();
        ready(&mut of_ada, eve.device()).await;
        ready(&mut of_eve, ada.device()).await;
        at_eve.shutdown().await;
        ended(&mut of_ada, eve.device()).await;
        assert_eq!(Vec::from_iter(eve.spaces()), [home(&eve)]);
        assert!(ada.peers().unwrap().iter().all(|peer| peer.device != eve.device()));
        assert!(at_ada.status().peers.is_empty(), "{:?}", at_ada.status());
        at_ada.shutdown().await;
    })
    .await;
}

/// A device that stands at the address of another one is told as such, and gets nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_wrong_device_at_an_address_gets_nothing() {
    within_deadline(async {
        let world = World::new(Carrier::Memory);
        let (ada, bob, eve) = (world.person("ada"), world.person("bob"), world.person("eve"));
        let (at_ada, at_eve) = (world.start(&ada).await, world.start(&eve).await);
        let told = unreachable(&at_ada);
        let (told, connected) = tokio::join!(told, at_ada.connect(bob.device(), at_eve.listen_addresses()));
        connected.unwrap();
        assert!(matches!(told.0, Unreachable::Dial(DialError::WrongPeer { .. })), "{}", told.0);
        assert!(told.1 >= Duration::from_secs(600));
        assert!(at_ada.status().peers[&bob.device()].last_error.is_some());
        let oneself = at_ada.connect(ada.device(), &[]).await.unwrap_err();
        assert!(matches!(oneself, ConnectError::Oneself { .. }));
        at_ada.shutdown().await;
        at_eve.shutdown().await;
        assert!(matches!(at_ada.connect(bob.device(), &[]).await, Err(ConnectError::Stopped)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_that_fails_says_why() {
    within_deadline(async {
        let world = World::new(Carrier::Memory);
        let (laptop, phone, tablet) = (world.person("ada"), world.blank(), world.blank());
        let (at_laptop, at_phone) = (world.start(&laptop).await, world.start(&phone).await);
        let at_tablet = world.start(&tablet).await;
        let ticket = |address: &str| laptop.link_ticket(vec![address.to_owned()], 60_000).unwrap();
        let error = at_phone.join(&ticket("memory://nowhere")).await.unwrap_err();
        assert!(matches!(&error, JoinError::Unreachable(error) if error.is_transient()), "{error}");
        let error = at_phone.join(&ticket("not an address")).await.unwrap_err();
        assert!(matches!(error, JoinError::NoAddress), "{error}");
        let good = ticket(at_laptop.listen_addresses()[0].as_str());
        at_phone.join(&good).await.unwrap();
        let error = at_tablet.join(&good).await.unwrap_err();
        let spent = |error: &JoinError| {
            matches!(error, JoinError::Ended(Ending::Session(SessionError::Ticket(TicketRefusal::Spent))))
        };
        assert!(spent(&error), "{error}");
        let error = at_phone.join(&ticket(at_laptop.listen_addresses()[0].as_str())).await.unwrap_err();
        let refused = |error: &JoinError| {
            matches!(error, JoinError::Ended(Ending::Session(SessionError::Ticket(TicketRefusal::HasIdentity))))
        };
        assert!(refused(&error), "{error}");
        for node in [at_laptop, at_phone, at_tablet] {
            node.shutdown().await;
        }
    })
    .await;
}

/// A peer that sends garbage loses its own connection; others sync on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_peer_that_sends_garbage_is_cut_off_and_nobody_else() {
    within_deadline(async {
        let world = World::new(Carrier::Memory);
        let [(laptop, at_laptop), (phone, at_phone)] = world.two_devices().await;
        let stranger = world.person("eve");
        let transport = world.transport(&stranger);
        let mut events = at_laptop.events();
        let no_hello = b"\x04eggs".to_vec();
        // Its first letter announces 71 bytes.
        let http = format!("GET /{} HTTP/1.1\r\n\r\n", "index".repeat(20)).into_bytes();
        for garbage in [vec![0xff; 4], no_hello, http] {
            let connection = transport.dial(&at_laptop.listen_addresses()[0], None).await.unwrap();
            let mut stream = connection.open().await.unwrap();
            stream.writer.write_all(&garbage).await.unwrap();
            let why = ended(&mut events, stranger.device()).await;
            let blamed = matches!(
                why,
                Ending::Frames(FrameError::Length { .. }) | Ending::Session(SessionError::Protocol { .. })
            );
            assert!(blamed, "{why}");
            assert!(matches!(connection.closed().await, CloseReason::Peer { code: CloseCode::Protocol, .. }));
        }
        write(&phone, home(&laptop), "note", "all is well").await;
        crate::world::holds(&laptop, home(&laptop), "note", "all is well").await;
        at_laptop.shutdown().await;
        at_phone.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_stops_in_the_middle_of_a_frame_is_let_go() {
    within_deadline(async {
        let world = World::new(Carrier::Memory);
        let (ada, eve) = (world.person("ada"), world.person("eve"));
        let at_ada = world.start(&ada).await;
        let mut events = at_ada.events();
        let connection = world.transport(&eve).dial(&at_ada.listen_addresses()[0], None).await.unwrap();
        let mut stream = connection.open().await.unwrap();
        stream.writer.write_all(&[0x80, 2, 7]).await.unwrap();
        stream.writer.shutdown().await.unwrap();
        let why = ended(&mut events, eve.device()).await;
        assert_eq!(why, Ending::Frames(FrameError::Truncated));
        // Its own first frame had come by then.
        assert!(stream.reader.read_u32().await.is_ok() || !connection.closed().await.to_string().is_empty());
        at_ada.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_limit_are_turned_away() {
    within_deadline(async {
        let world = World::new(Carrier::Memory);
        let (hub, one, two) = (world.person("ada"), world.person("bob"), world.person("eve"));
        let mut config = world.config(&hub, world.anywhere());
        config.max_connections = 1;
        let at_hub = Node::start(hub.clone(), config).await.unwrap();
        let mut events = at_hub.events();
        let first = world.transport(&one).dial(&at_hub.listen_addresses()[0], None).await.unwrap();
        event(&mut events, |event| matches!(event, NodeEvent::Connected { .. }).then_some(())).await;
        let second = world.transport(&two).dial(&at_hub.listen_addresses()[0], None).await.unwrap();
        assert!(matches!(second.closed().await, CloseReason::Peer { code: CloseCode::Busy, .. }));
        first.close(CloseCode::Done, "");
        ended(&mut events, one.device()).await;
        let third = world.transport(&two).dial(&at_hub.listen_addresses()[0], None).await.unwrap();
        event(&mut events, |event| matches!(event, NodeEvent::Connected { .. }).then_some(())).await;
        drop(third);
        at_hub.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_does_not_start_where_it_cannot_listen() {
    within_deadline(async {
        let world = World::new(Carrier::Memory);
        let ada = world.person("ada");
        let at_ada = world.start(&ada).await;
        let taken = at_ada.listen_addresses()[0].clone();
        let bob = world.person("bob");
        let error = Node::start(bob.clone(), world.config(&bob, taken)).await.unwrap_err();
        assert!(matches!(error, StartError::Listen(ListenError::InUse { .. })), "{error}");
        let foreign: Addr = "pigeon://roof".parse().unwrap();
        let error = Node::start(bob.clone(), world.config(&bob, foreign)).await.unwrap_err();
        assert!(matches!(error, StartError::Listen(ListenError::Scheme { .. })), "{error}");
        at_ada.shutdown().await;
    })
    .await;
}
