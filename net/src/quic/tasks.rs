//! The tasks that quinn starts, counted, so that one can wait until its sockets are really closed.

use std::future::Future;
use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime};
use tokio::task::AbortHandle;

use crate::tasks::TaskCount;

/// Tokio, with a count of the tasks that run.
#[derive(Debug, Clone, Default)]
pub(super) struct CountedRuntime {
    tasks: TaskCount,
    handles: Arc<Mutex<Vec<AbortHandle>>>,
}

impl CountedRuntime {
    /// Waits until every task, and with it every socket, is gone; after `patience`, ends those that are left.
    pub(super) async fn end(&self, patience: Duration) {
        if tokio::time::timeout(patience, self.tasks.idle()).await.is_ok() {
            return;
        }
        // A handshake that was given up waits three probe timeouts of a path that it knows nothing of: seconds.
        tracing::debug!("connections are cut off that something still uses");
        for handle in self.handles().drain(..) {
            handle.abort();
        }
        self.tasks.idle().await;
    }

    fn handles(&self) -> MutexGuard<'_, Vec<AbortHandle>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runtime for CountedRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let handle = tokio::spawn(self.tasks.count(future)).abort_handle();
        let mut handles = self.handles();
        handles.retain(|handle| !handle.is_finished());
        handles.push(handle);
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}
