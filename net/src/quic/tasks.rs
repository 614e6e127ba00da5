//! The tasks that quinn starts, counted, so that one can wait until its sockets are really closed.

use std::future::Future;
use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime};
use tokio::sync::watch;

/// Tokio, with a count of the tasks that run.
#[derive(Debug, Clone, Default)]
pub(super) struct CountedRuntime {
    running: Arc<watch::Sender<usize>>,
}

impl CountedRuntime {
    /// Waits until every task, and with it every socket, is gone.
    pub(super) async fn idle(&self) {
        // The sender lives in `self`, so the channel cannot close.
        let _ = self.running.subscribe().wait_for(|running| *running == 0).await;
    }
}

impl Runtime for CountedRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let guard = Running::start(self.running.clone());
        TokioRuntime.spawn(Box::pin(async move {
            // Declared before the future is moved in, so dropped after it, even when the task is aborted.
            let _guard = guard;
            let future = future;
            future.await;
        }));
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

struct Running(Arc<watch::Sender<usize>>);

impl Running {
    fn start(running: Arc<watch::Sender<usize>>) -> Self {
        running.send_modify(|running| *running += 1);
        Self(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}
