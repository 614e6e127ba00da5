//! A count of running tasks, so that one can wait until they are all gone.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;

/// How many tasks run. Clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct TaskCount {
    running: Arc<watch::Sender<usize>>,
}

impl TaskCount {
    /// Counts `future` from now until it is dropped, finished or aborted.
    pub(crate) fn count<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        let running = Running::start(self.running.clone());
        async move {
            // Bound before the future is, so dropped after it.
            let _running = running;
            let future = future;
            future.await
        }
    }

    /// Waits until nothing runs any more.
    pub(crate) async fn idle(&self) {
        // The sender lives in `self`, so the channel cannot close.
        let _ = self.running.subscribe().wait_for(|running| *running == 0).await;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_counts_until_it_is_dropped_however_it_ends() {
        let tasks = TaskCount::default();
        let running = || *tasks.running.borrow();
        let never_polled = tasks.count(std::future::pending::<()>());
        let aborted = tokio::spawn(tasks.count(std::future::pending::<()>()));
        let finished = tokio::spawn(tasks.count(async {}));
        finished.await.unwrap();
        assert_eq!(running(), 2);
        drop(never_polled);
        aborted.abort();
        tasks.idle().await;
        assert_eq!(running(), 0);
    }
}
