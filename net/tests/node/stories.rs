//! What happens between nodes that belong together.

use tidewater_net::node::{Attempt, ConnectionMode, Ending, NodeEvent};
use tidewater_net::transport::{CloseReason, PathKind};
use tidewater_sync::SessionEvent;

use crate::world::{World, ended, equal, event, holds, home, link, read, ready, until, write, write_all};

pub async fn a_second_device_joins_and_both_stay_in_sync(world: &World) {
    let laptop = world.person("ada");
    let space = home(&laptop);
    write(&laptop, space, "before", "written alone").await;
    let phone = world.blank();
    let (at_laptop, at_phone) = (world.start(&laptop).await, world.start(&phone).await);
    let mut events = at_laptop.events();
    link(&at_laptop, &at_phone).await;
    assert_eq!(read(&phone, space, "before").as_deref(), Some("written alone"));
    let admitted = event(&mut events, |event| match event {
        NodeEvent::Session { event: SessionEvent::Admitted { identity }, .. } => Some(*identity),
        _ => None,
    });
    assert_eq!(Some(admitted.await), laptop.identity());
    write(&laptop, space, "forth", "from the laptop").await;
    holds(&phone, space, "forth", "from the laptop").await;
    write(&phone, space, "back", "from the phone").await;
    holds(&laptop, space, "back", "from the phone").await;
    equal(&laptop, &phone, space).await;

    let status = at_phone.status();
    let peer = &status.peers[&laptop.device()];
    assert!(peer.kept && peer.mode == ConnectionMode::P2p && peer.last_error.is_none());
    let [connection] = &peer.connections[..] else { panic!("one connection") };
    assert!(connection.dialed && connection.ready);
    assert!(connection.received.bytes > 0 && connection.sent.bytes > 0);
    assert!(matches!(connection.path.kind, PathKind::Memory | PathKind::Loopback));
    assert!(peer.sync.as_ref().is_some_and(|sync| sync.connected && sync.spaces.contains_key(&space)));
    at_laptop.shutdown().await;
    at_phone.shutdown().await;
}

pub async fn an_edit_made_apart_arrives_after_the_connection_was_cut(world: &World) {
    let [(laptop, at_laptop), (phone, at_phone)] = world.two_devices().await;
    let space = home(&laptop);
    let mut events = at_phone.events();
    world.network.cut(laptop.device(), phone.device());
    let why = ended(&mut events, laptop.device()).await;
    assert!(matches!(why, Ending::Closed(CloseReason::Lost { .. })), "{why}");
    write(&laptop, space, "note", "the laptop's").await;
    write(&phone, space, "other", "the phone's").await;
    // While it is cut, the phone keeps trying and says why it fails.
    let unreachable = event(&mut events, |event| match event {
        NodeEvent::Unreachable { device, error, retry_in } if *device == laptop.device() => {
            Some((error.clone(), *retry_in))
        }
        _ => None,
    });
    assert!(unreachable.await.0.is_transient());
    assert_eq!(at_phone.status().peers[&laptop.device()].mode, ConnectionMode::Offline);
    assert!(at_phone.status().peers[&laptop.device()].last_error.is_some());
    assert_eq!(read(&phone, space, "note"), None);
    world.network.heal(laptop.device(), phone.device());
    at_phone.network_changed();
    ready(&mut events, laptop.device()).await;
    holds(&phone, space, "note", "the laptop's").await;
    holds(&laptop, space, "other", "the phone's").await;
    equal(&laptop, &phone, space).await;
    assert!(at_phone.status().peers[&laptop.device()].last_error.is_none());
    at_laptop.shutdown().await;
    at_phone.shutdown().await;
}

pub async fn a_peer_that_restarts_is_found_again(world: &World) {
    let [(laptop, at_laptop), (phone, at_phone)] = world.two_devices().await;
    let space = home(&laptop);
    let mut events = at_phone.events();
    let address = at_laptop.listen_addresses()[0].clone();
    at_laptop.shutdown().await;
    let why = ended(&mut events, laptop.device()).await;
    assert!(matches!(why, Ending::Left), "{why}");
    write(&laptop, space, "note", "written while stopped").await;
    // The laptop is told to forget the phone, so that it is the phone that comes back.
    laptop.forget_peer(&phone.device()).unwrap();
    let at_laptop = world.start_at(&laptop, address).await;
    holds(&phone, space, "note", "written while stopped").await;
    write(&phone, space, "answer", "still here").await;
    holds(&laptop, space, "answer", "still here").await;
    at_laptop.shutdown().await;
    at_phone.shutdown().await;
}

pub async fn a_node_that_restarts_dials_whom_it_knows(world: &World) {
    let [(laptop, at_laptop), (phone, at_phone)] = world.two_devices().await;
    let space = home(&laptop);
    at_phone.shutdown().await;
    write(&phone, space, "note", "written while stopped").await;
    // Nobody tells the new node about the laptop: the database remembers it.
    let at_phone = world.start(&phone).await;
    holds(&laptop, space, "note", "written while stopped").await;
    equal(&laptop, &phone, space).await;
    at_laptop.shutdown().await;
    at_phone.shutdown().await;
}

pub async fn devices_that_dial_each_other_at_once_end_with_one_connection(world: &World) {
    let [(laptop, at_laptop), (phone, at_phone)] = world.two_devices().await;
    let space = home(&laptop);
    let addresses = [&at_laptop, &at_phone].map(|node| node.listen_addresses()[0].clone());
    at_laptop.shutdown().await;
    at_phone.shutdown().await;
    // Both know each other's address, and dial as soon as they are up.
    laptop.remember_peer(&phone.device(), &[addresses[1].to_string()]).unwrap();
    phone.remember_peer(&laptop.device(), &[addresses[0].to_string()]).unwrap();
    let [to_laptop, to_phone] = addresses;
    let (at_laptop, at_phone) = tokio::join!(world.start_at(&laptop, to_laptop), world.start_at(&phone, to_phone));
    write(&laptop, space, "note", "whoever dials").await;
    holds(&phone, space, "note", "whoever dials").await;
    write(&phone, space, "answer", "one is enough").await;
    holds(&laptop, space, "answer", "one is enough").await;
    let count = |node: &tidewater_net::node::Node, device| node.status().peers[&device].connections.len();
    let mut events = at_laptop.events();
    while (count(&at_laptop, phone.device()), count(&at_phone, laptop.device())) != (1, 1) {
        // The superfluous one is on its way out.
        events.next().await;
    }
    at_laptop.shutdown().await;
    at_phone.shutdown().await;
}

pub async fn ten_devices_meet_through_one(world: &World) {
    let hub = world.person("ada");
    let at_hub = world.start(&hub).await;
    let space = home(&hub);
    let mut devices = Vec::new();
    for _ in 0..10 {
        let device = world.blank();
        let node = world.start(&device).await;
        link(&at_hub, &node).await;
        devices.push((device, node));
    }
    for (number, (device, _)) in devices.iter().enumerate() {
        write(device, space, &format!("from-{number}"), "hello").await;
    }
    for (device, _) in &devices {
        let all = || (0..10).all(|number| read(device, space, &format!("from-{number}")).is_some());
        until(&[device], all).await;
    }
    for (device, node) in devices {
        equal(&hub, &device, space).await;
        node.shutdown().await;
    }
    at_hub.shutdown().await;
}

pub async fn many_documents_arrive_with_their_progress_told(world: &World) {
    const COMMITS: u64 = 20;
    let laptop = world.person("ada");
    let space = home(&laptop);
    for commit in 0..COMMITS {
        let notes = (0..200).map(|note| (format!("{commit:02}-{note:03}"), noise(commit * 1000 + note, 400)));
        write_all(&laptop, space, notes.collect()).await;
    }
    let phone = world.blank();
    let (at_laptop, at_phone) = (world.start(&laptop).await, world.start(&phone).await);
    let mut events = at_phone.events();
    link(&at_laptop, &at_phone).await;
    let (mut steps, mut done, mut in_sync) = (0, 0, false);
    // What is in sync first is the control plane: without its keys nothing else can be read.
    while done < COMMITS || !in_sync {
        match events.next().await.expect("the node runs") {
            NodeEvent::Session { event: SessionEvent::Progress { space: of, received, expected }, .. }
                if of == space =>
            {
                assert!(received > done && received <= expected, "{received} of {expected} after {done}");
                (steps, done, in_sync) = (steps + 1, received, in_sync && received == expected);
            }
            NodeEvent::Session { event: SessionEvent::InSync { space: of }, .. } if of == space => in_sync = true,
            _ => {}
        }
    }
    assert!(steps > 2, "{steps} steps");
    equal(&laptop, &phone, space).await;
    at_laptop.shutdown().await;
    at_phone.shutdown().await;
}

/// Text that does not compress away.
fn noise(seed: u64, length: usize) -> String {
    let mut state = seed;
    let mut letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + ((state >> 33) % 26) as u8)
    };
    (0..length).map(|_| letter()).collect()
}

pub async fn a_node_that_was_shut_down_leaves_no_task_behind(world: &World) {
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = alive();
    let [(laptop, at_laptop), (phone, at_phone)] = world.two_devices().await;
    assert!(alive() > before);
    let space = home(&laptop);
    write(&laptop, space, "last", "written just before").await;
    let mut events = at_phone.events();
    tokio::join!(at_laptop.shutdown(), at_phone.shutdown());
    // The runtime takes a task off its list a moment after it ended.
    while alive() > before {
        tokio::task::yield_now().await;
    }
    drop((at_laptop, at_phone));
    while events.next().await.is_some() {}
    // Nothing was lost on the way: the next time both run, they agree.
    let at_laptop = world.start(&laptop).await;
    phone.remember_peer(&laptop.device(), &[at_laptop.listen_addresses()[0].to_string()]).unwrap();
    let at_phone = world.start(&phone).await;
    holds(&phone, space, "last", "written just before").await;
    tokio::join!(at_laptop.shutdown(), at_phone.shutdown());
}

pub async fn a_node_that_is_dropped_stops_too(world: &World) {
    let [(laptop, at_laptop), (phone, at_phone)] = world.two_devices().await;
    let mut events = at_phone.events();
    drop(at_laptop);
    assert!(matches!(ended(&mut events, laptop.device()).await, Ending::Left));
    drop((phone, at_phone));
    while events.next().await.is_some() {}
}

pub async fn a_forgotten_peer_is_left_alone(world: &World) {
    let [(laptop, at_laptop), (phone, at_phone)] = world.two_devices().await;
    let mut events = at_phone.events();
    assert!(phone.peers().unwrap().iter().any(|peer| peer.device == laptop.device()));
    at_phone.forget(laptop.device()).await.unwrap();
    ended(&mut events, laptop.device()).await;
    let status = at_phone.status();
    let kept = status.peers.get(&laptop.device()).is_some_and(|peer| peer.kept || peer.attempt != Attempt::None);
    assert!(!kept, "{status:?}");
    at_phone.network_changed();
    at_laptop.shutdown().await;
    at_phone.shutdown().await;
}
