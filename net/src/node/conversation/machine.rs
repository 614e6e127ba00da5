//! The session, its queues, and the thread it works on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tidewater_engine::store::ChangeGuard;
use tidewater_sync::{Database, Input, Output, Session, SessionConfig, SessionError, SessionEvent};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;

use super::super::event::Ending;
use super::super::frames::{FRAME_OVERHEAD_BYTES, ReadFrame};

/// A session that takes input and makes output in turns on a blocking thread.
pub(super) struct Machine {
    state: State,
    clock: Clock,
    changed: Arc<Notify>,
    inputs: VecDeque<Input>,
    /// For the frames among them.
    charge: Option<OwnedSemaphorePermit>,
    outbox: VecDeque<Vec<u8>>,
    outbox_bytes: usize,
    outbox_room: usize,
    /// How many more sessions may work at once.
    workers: Arc<Semaphore>,
    /// Whether the session may have more to say than the last turn took.
    more: bool,
    wants_frames: bool,
    is_stranger: bool,
    wake_ms: Option<i64>,
    closed: Option<SessionError>,
}

enum State {
    Idle(Box<Listening>),
    Working(JoinHandle<Result<Turn, JoinError>>),
    Failed,
}

/// A session, and the listener that tells when the store changed. It is registered after the session's own, and so
/// called after it: a session that is told early finds nothing.
struct Listening {
    session: Session,
    _listener: ChangeGuard,
}

/// What one turn gave.
struct Turn {
    session: Box<Listening>,
    outputs: Vec<Output>,
    more: bool,
}

/// Events to pass on.
pub(super) struct Made(pub(super) Vec<SessionEvent>);

/// Milliseconds that never go back: the wall clock when the session began, and what passed since.
#[derive(Clone, Copy)]
struct Clock {
    start: Instant,
    start_ms: i64,
}

impl Clock {
    fn now_ms(&self) -> i64 {
        self.start_ms.saturating_add(i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    fn instant(&self, at_ms: i64) -> Instant {
        let after = u64::try_from(at_ms.saturating_sub(self.start_ms)).unwrap_or(0);
        // A time that no clock can hold never comes; a day later is soon enough to look again.
        let day = Duration::from_secs(86_400);
        self.start.checked_add(Duration::from_millis(after)).unwrap_or_else(|| Instant::now() + day)
    }
}

impl Machine {
    /// Starts the session; its first turn is under way.
    ///
    /// About `outbox_room` bytes of frames wait to be sent; what the session has to say beyond waits in it.
    pub(super) fn start(
        database: Database,
        config: SessionConfig,
        outbox_room: usize,
        workers: Arc<Semaphore>,
    ) -> Self {
        let clock = Clock { start: Instant::now(), start_ms: database.host().now_ms() };
        let changed = Arc::new(Notify::new());
        let tell = changed.clone();
        let first = move || {
            let session = Session::new(database.clone(), config, clock.now_ms());
            let listener = database.on_change(Arc::new(move |_| tell.notify_one()));
            turn(Box::new(Listening { session, _listener: listener }), clock, VecDeque::new(), outbox_room)
        };
        Self {
            state: State::Working(tokio::spawn(work(workers.clone(), first))),
            clock,
            changed,
            inputs: VecDeque::new(),
            charge: None,
            outbox: VecDeque::new(),
            outbox_bytes: 0,
            outbox_room,
            workers,
            more: false,
            wants_frames: true,
            is_stranger: true,
            wake_ms: None,
            closed: None,
        }
    }

    /// Begins a turn when there is something to do: input, or room for more output.
    pub(super) fn work(&mut self) {
        let room = self.outbox_room.saturating_sub(self.outbox_bytes);
        let wanted = !self.inputs.is_empty() || (self.more && room > 0);
        if !wanted || self.closed.is_some() {
            return;
        }
        self.state = match std::mem::replace(&mut self.state, State::Failed) {
            State::Idle(session) => {
                let (clock, inputs, charge) = (self.clock, std::mem::take(&mut self.inputs), self.charge.take());
                let take_turn = move || {
                    let turn = turn(session, clock, inputs, room);
                    // The frames are gone.
                    drop(charge);
                    turn
                };
                State::Working(tokio::spawn(work(self.workers.clone(), take_turn)))
            }
            busy => busy,
        };
    }

    pub(super) fn is_working(&self) -> bool {
        matches!(self.state, State::Working(_))
    }

    /// Whether all input was taken.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle(_)) && self.inputs.is_empty()
    }

    /// Waits for the turn that is under way. Cancel-safe.
    pub(super) async fn made(&mut self) -> Result<Made, Ending> {
        let State::Working(working) = &mut self.state else { return Ok(Made(Vec::new())) };
        let Turn { session, outputs, more } = match working.await.flatten() {
            Ok(turn) => turn,
            Err(error) => {
                tracing::error!(%error, "a session panicked");
                self.state = State::Failed;
                return Err(Ending::Failed);
            }
        };
        self.wants_frames = session.session.wants_frames();
        self.is_stranger = session.session.is_stranger();
        self.state = State::Idle(session);
        self.more = more;
        let mut events = Vec::new();
        for output in outputs {
            match output {
                Output::Frame(frame) => {
                    self.outbox_bytes += frame.len() + FRAME_OVERHEAD_BYTES;
                    self.outbox.push_back(frame);
                }
                Output::Event(event) => events.push(event),
                Output::WakeAt(at_ms) => self.wake_ms = Some(at_ms),
                Output::Close(error) => self.closed = Some(error),
                // A kind of output that this version does not know is not for it.
                _ => {}
            }
        }
        Ok(Made(events))
    }

    /// Notified when the store changed.
    pub(super) fn changed(&self) -> Arc<Notify> {
        self.changed.clone()
    }

    /// Takes a frame of the peer.
    pub(super) fn frame(&mut self, frame: ReadFrame) {
        self.inputs.push_back(Input::Frame(frame.bytes));
        match &mut self.charge {
            Some(charge) => charge.merge(frame.charge),
            None => self.charge = Some(frame.charge),
        }
    }

    /// Takes news that are as good once as many times.
    pub(super) fn input(&mut self, news: Input) {
        if !self.inputs.contains(&news) {
            self.inputs.push_back(news);
        }
    }

    /// Whether another frame of the peer is welcome.
    pub(super) fn wants_frame(&self) -> bool {
        self.wants_frames
    }

    /// Whether the peer has nothing to do with this database, so far.
    pub(super) fn is_stranger(&self) -> bool {
        self.is_stranger
    }

    pub(super) fn has_output(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// The next frame to send.
    pub(super) fn output(&mut self) -> Option<Vec<u8>> {
        let frame = self.outbox.pop_front()?;
        self.outbox_bytes -= frame.len() + FRAME_OVERHEAD_BYTES;
        Some(frame)
    }

    /// When the session wants to be woken.
    pub(super) fn wake(&self) -> Option<Instant> {
        self.wake_ms.map(|at_ms| self.clock.instant(at_ms))
    }

    /// The time that the session asked for has come.
    pub(super) fn tick(&mut self) {
        self.wake_ms = None;
        self.input(Input::Tick);
    }

    /// Why the session is over, once.
    pub(super) fn closed(&mut self) -> Option<SessionError> {
        self.closed.take()
    }
}

/// Does work on a thread that may block, when it is its turn.
async fn work(workers: Arc<Semaphore>, work: impl FnOnce() -> Turn + Send + 'static) -> Result<Turn, JoinError> {
    // The semaphore is never closed.
    let _working = workers.acquire().await.ok();
    tokio::task::spawn_blocking(work).await
}

/// Hands `inputs` in and takes what the session says, until that is enough for now. A session that is over says all.
fn turn(mut listening: Box<Listening>, clock: Clock, inputs: VecDeque<Input>, room: usize) -> Turn {
    let (mut outputs, mut bytes) = (Vec::new(), 0);
    let session = &mut listening.session;
    session.handle_all(clock.now_ms(), inputs);
    while bytes < room || session.is_over() {
        let Some(output) = session.poll() else { return Turn { session: listening, outputs, more: false } };
        if let Output::Frame(frame) = &output {
            bytes += frame.len() + FRAME_OVERHEAD_BYTES;
        }
        outputs.push(output);
    }
    Turn { session: listening, outputs, more: true }
}
