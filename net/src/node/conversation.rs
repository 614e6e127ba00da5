//! One session on one connection: frames in, frames out, and the store on a thread that may block.

mod machine;

use std::sync::Arc;
use std::time::Duration;

use tidewater_sync::session::MAX_FRAME_BYTES;
use tidewater_sync::{Database, Input, Role, SessionConfig, SessionError, SessionEvent};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::Instant;

use self::machine::{Machine, Made};
use super::event::Ending;
use super::frames::{FRAME_OVERHEAD_BYTES, FrameError, ReadFrame, read_frame, write_frame};
use super::traffic::Traffic;
use crate::transport::{CloseCode, Connection, Stream};

/// Frames that are read before the session asks for them.
const READ_AHEAD_FRAMES: usize = 2;
/// Frames that are handed to the stream's writer before it asks for them.
const WRITE_AHEAD_FRAMES: usize = 1;
/// How many bytes of a stranger's frames are held at most, from when they are read until the session is done with them.
const NARROW_INPUT_BYTES: usize = MAX_FRAME_BYTES + FRAME_OVERHEAD_BYTES;
/// The same of a member's frames.
const WIDE_INPUT_BYTES: usize = 1 << 20;
/// How many bytes of frames wait for the writer before the session is asked for more.
const OUTBOX_BYTES: usize = 512 << 10;
/// How long a peer may take to open the session's stream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);

/// What a conversation needs.
pub(super) struct Conversation<'a> {
    pub database: Database,
    pub connection: &'a dyn Connection,
    pub session: SessionConfig,
    pub traffic: &'a Traffic,
    /// Becomes true when the node is shut down.
    pub stop: watch::Receiver<bool>,
    pub linger: Duration,
    /// How many more connections may be wide.
    pub wide: Arc<Semaphore>,
    /// How many more sessions may work at once.
    pub workers: Arc<Semaphore>,
}

impl Conversation<'_> {
    /// Talks until either side ends it, and closes the connection. Frames that were handed to the session are durable
    /// when this returns.
    pub(super) async fn run(self, tell: impl FnMut(SessionEvent) + Send) -> Ending {
        let mut stop = self.stop.clone();
        let stream = tokio::select! {
            biased;
            () = stopped(&mut stop) => Err(Ending::Stopped),
            stream = self.stream() => stream,
        };
        let ending = match stream {
            Ok(stream) => self.talk(stream, tell).await,
            Err(ending) => ending,
        };
        let (code, text) = farewell(&ending);
        self.connection.close(code, &text);
        ending
    }

    /// The stream that the session runs on: the dialer opens it.
    async fn stream(&self) -> Result<Stream, Ending> {
        match self.session.role {
            Role::Dialer => Ok(self.connection.open().await?),
            Role::Acceptor => match tokio::time::timeout(OPEN_TIMEOUT, self.connection.accept()).await {
                Ok(stream) => Ok(stream?),
                Err(_) => Err(SessionError::Silent { waited_ms: OPEN_TIMEOUT.as_millis() as i64 }.into()),
            },
        }
    }

    async fn talk(&self, stream: Stream, tell: impl FnMut(SessionEvent) + Send) -> Ending {
        let (read, frames) = mpsc::channel(READ_AHEAD_FRAMES);
        let (writer, write) = mpsc::channel(WRITE_AHEAD_FRAMES);
        let room = Arc::new(Semaphore::new(NARROW_INPUT_BYTES));
        let pumps = async {
            tokio::join!(
                pump_in(stream.reader, read, &room, self.traffic),
                pump_out(stream.writer, write, self.traffic)
            );
            std::future::pending::<Ending>().await
        };
        let talk = Talk {
            conversation: self,
            frames,
            writer,
            machine: Machine::start(self.database.clone(), self.session.clone(), OUTBOX_BYTES, self.workers.clone()),
            stop: self.stop.clone(),
            reading: true,
            room: room.clone(),
            wide: None,
            tell,
        };
        tokio::select! {
            ending = talk.run() => ending,
            ending = pumps => ending,
        }
    }
}

/// What to tell the peer's transport at the end.
fn farewell(ending: &Ending) -> (CloseCode, String) {
    match ending {
        Ending::Stopped => (CloseCode::ShuttingDown, String::new()),
        Ending::Left | Ending::Closed(_) | Ending::Session(SessionError::ClosedByPeer { .. }) => {
            (CloseCode::Done, String::new())
        }
        Ending::Failed | Ending::Session(SessionError::Store { .. }) => (CloseCode::Internal, String::new()),
        Ending::Session(SessionError::Silent { .. }) => (CloseCode::Busy, ending.to_string()),
        Ending::Session(_) | Ending::Frames(_) => (CloseCode::Protocol, ending.to_string()),
    }
}

/// Waits until the node is shut down.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // The node is gone without a word: the same.
    }
}

/// Reads frames until the stream ends or fails; the last thing that it sends says which.
async fn pump_in(
    mut reader: impl tokio::io::AsyncRead + Unpin,
    frames: mpsc::Sender<Result<ReadFrame, FrameError>>,
    room: &Arc<Semaphore>,
    traffic: &Traffic,
) {
    loop {
        let frame = match read_frame(&mut reader, room).await {
            Ok(Some(frame)) => {
                traffic.add_received(frame.on_stream);
                frame
            }
            Ok(None) => return,
            Err(error) => return drop(frames.send(Err(error)).await),
        };
        if frames.send(Ok(frame)).await.is_err() {
            return;
        }
    }
}

/// Writes frames, and ends the stream in good order when there are no more.
async fn pump_out(
    mut writer: impl tokio::io::AsyncWrite + Unpin,
    mut frames: mpsc::Receiver<Vec<u8>>,
    traffic: &Traffic,
) {
    use tokio::io::AsyncWriteExt;
    while let Some(frame) = frames.recv().await {
        // A stream that fails, fails for the reader too, who tells.
        let Ok(bytes) = write_frame(&mut writer, &frame).await else { return };
        traffic.add_sent(bytes);
    }
    let _ = writer.shutdown().await;
}

struct Talk<'a, Tell> {
    conversation: &'a Conversation<'a>,
    frames: mpsc::Receiver<Result<ReadFrame, FrameError>>,
    writer: mpsc::Sender<Vec<u8>>,
    machine: Machine,
    stop: watch::Receiver<bool>,
    /// Whether the peer may still send.
    reading: bool,
    /// What the peer's frames may take.
    room: Arc<Semaphore>,
    /// Held once the connection is wide.
    wide: Option<OwnedSemaphorePermit>,
    tell: Tell,
}

impl<Tell: FnMut(SessionEvent) + Send> Talk<'_, Tell> {
    async fn run(mut self) -> Ending {
        let connection = self.conversation.connection;
        let changed = self.machine.changed();
        let ending = loop {
            if let Some(error) = self.machine.closed() {
                break error.into();
            }
            if !self.reading && self.machine.is_idle() {
                break Ending::Left;
            }
            self.machine.work();
            self.widen();
            let wake = self.machine.wake();
            let wants_frame = self.reading && self.machine.wants_frame();
            tokio::select! {
                biased;
                () = stopped(&mut self.stop) => break Ending::Stopped,
                made = self.machine.made(), if self.machine.is_working() => match made {
                    Ok(Made(events)) => events.into_iter().for_each(&mut self.tell),
                    Err(ending) => return ending,
                },
                room = self.writer.reserve(), if self.machine.has_output() => match room {
                    Ok(room) => {
                        if let Some(frame) = self.machine.output() {
                            room.send(frame);
                        }
                    }
                    Err(_) => break self.lost("the peer takes nothing more").await,
                },
                frame = self.frames.recv(), if wants_frame => match frame {
                    Some(Ok(frame)) => self.machine.frame(frame),
                    Some(Err(FrameError::Stream { text })) => break self.lost(&text).await,
                    Some(Err(error)) => break error.into(),
                    None => self.reading = false,
                },
                () = changed.notified() => self.machine.input(Input::StoreChanged),
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                    self.machine.tick();
                }
                reason = connection.closed() => return reason.into(),
            }
        };
        self.finish(ending).await
    }

    /// Gives a member's connection the room of a member, if there are not too many that have it.
    fn widen(&mut self) {
        if self.wide.is_none() && !self.machine.is_stranger() {
            self.wide = self.conversation.wide.clone().try_acquire_owned().ok();
            if self.wide.is_some() {
                self.room.add_permits(WIDE_INPUT_BYTES - NARROW_INPUT_BYTES);
                self.conversation.connection.widen();
            }
        }
    }

    /// A stream fails because its connection does, which says why; else the stream alone is to blame.
    async fn lost(&self, text: &str) -> Ending {
        match tokio::time::timeout(self.conversation.linger, self.conversation.connection.closed()).await {
            Ok(reason) => reason.into(),
            Err(_) => FrameError::Stream { text: text.to_owned() }.into(),
        }
    }

    /// Lets what is being stored become durable and the last frames reach the peer, as far as it takes them soon.
    async fn finish(mut self, ending: Ending) -> Ending {
        while self.machine.is_working() {
            match self.machine.made().await {
                Ok(Made(events)) => events.into_iter().for_each(&mut self.tell),
                Err(ending) => return ending,
            }
        }
        let Self { mut machine, mut frames, writer, reading, conversation, wide, .. } = self;
        let goodbye = async move {
            while let Some(frame) = machine.output() {
                if writer.send(frame).await.is_err() {
                    return;
                }
            }
            // The writer ends the stream; the peer answers by ending its own, or by closing.
            drop(writer);
            if reading {
                while let Some(Ok(_)) = frames.recv().await {}
            }
        };
        // Whatever comes of it, the connection is closed next.
        let _ = tokio::time::timeout(conversation.linger, goodbye).await;
        drop(wide);
        ending
    }
}
