//! Taking the connections that come in.

use std::sync::Arc;

use tidewater_sync::{Purpose, Role};
use tracing::Instrument;

use super::conversation::stopped;
use super::event::NodeEvent;
use super::run::Shared;
use crate::transport::Listener;

/// Takes connections from `listener` until the node stops.
pub(super) fn start(shared: &Arc<Shared>, listener: Box<dyn Listener>) {
    let span = tracing::info_span!("accept", address = %listener.local_address());
    let task = accept(shared.clone(), listener).instrument(span);
    tokio::spawn(shared.tasks.count(task));
}

async fn accept(shared: Arc<Shared>, mut listener: Box<dyn Listener>) {
    let mut stop = shared.stop.subscribe();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            accepted = listener.accept() => accepted,
        };
        let Some(connection) = accepted else {
            let address = listener.local_address().clone();
            tracing::error!("the address is gone; nobody can connect to it any more");
            return shared.tell(NodeEvent::ListenerLost { address });
        };
        let device = connection.peer();
        if let Err(code) = shared.converse(connection, Role::Acceptor, Purpose::Member) {
            tracing::debug!(%device, %code, "a connection was not taken");
        }
    }
}
