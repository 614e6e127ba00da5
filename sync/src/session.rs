//! The protocol between two databases as a state machine: `docs/spec/session.md` is the specification.

mod batch;
mod contacts;
mod exchange;
mod fetches;
mod forks;
mod hello;
mod interface;
mod join;
mod limits;
mod listing;
mod message;
mod numbers;
mod offering;
mod receiving;
mod sending;

#[cfg(test)]
pub(crate) mod pair;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use interface::{
    ContactNews, Input, Output, Purpose, Role, SessionConfig, SessionError, SessionEvent, TicketRefusal,
};
pub use limits::MAX_FRAME_BYTES;
use tidewater_engine::id::SpaceId;
use tidewater_engine::log::Plane;
use tidewater_engine::store::{Change, ChangeGuard, ReadError};

use self::exchange::Exchange;
use self::fetches::Fetches;
use self::hello::Channel;
use self::limits::{HELLO_TIMEOUT_MS, MAX_QUEUED_BYTES, MAX_REASON_BYTES};
use self::message::{Hello, Message};
use self::numbers::Numbers;
use self::receiving::Receiving;
use self::sending::InFlight;
use crate::codec::{Codec, Malformed};
use crate::database::{Database, SpaceError};
use crate::identity::IdentityId;

/// One conversation between this database and one other device, without any input or output of its own.
///
/// # The verbs
///
/// - [`Session::new`] starts it. Either side sends first: poll at once.
/// - [`Session::handle`] is the only way in, or [`Session::handle_all`] for what came together: a whole frame of the other
///   side in the order it was sent, the news that the store changed, or the passing of time. It may write to the store and
///   return only when that is durable.
/// - [`Session::poll`] is the only way out. Call it until it says `None` after [`Session::new`] and after every
///   [`Session::handle`], and whenever the transport can take more: frames with entries are made as they are polled, so
///   a caller that polls only when there is room to send never holds more than a frame. Nothing else happens in it.
/// - [`Session::wants_frames`]: while it is false, stop reading from the transport.
///
/// `now_ms` is one clock of the caller's choice, and must not go back. After [`Output::Close`] nothing more comes out and
/// whatever is handed in is ignored. Dropping a session at any point loses nothing: the next one goes on from what both
/// sides hold.
///
/// Only durable entries are sent. [`Input::StoreChanged`] may be late, or one for many changes; the session has its own
/// record of which spaces changed. It must not be early: a listener that leads to it is registered with the store after
/// [`Session::new`], so that the session has heard of the change before.
pub struct Session {
    database: Database,
    config: SessionConfig,
    phase: Phase,
    now_ms: i64,
    deadline_ms: i64,
    queue: VecDeque<Output>,
    queued_bytes: usize,
    hello: Hello,
    /// Both sides' agreement, from the other's hello on.
    channel: Option<Channel>,
    /// Whose device the other is, once proven.
    peer: Option<IdentityId>,
    spaces: listing::Spaces,
    offering: offering::Offering,
    exchanges: BTreeMap<SpaceId, Exchange>,
    fetches: Fetches,
    contacts: contacts::ContactTalk,
    /// The space whose turn to send it was last.
    turn: Option<SpaceId>,
    in_flight: VecDeque<InFlight>,
    in_flight_bytes: usize,
    sent_numbers: Numbers,
    receiving: Receiving,
    /// The other side has something to do with this database: a space in common, an invitation, or the same identity.
    known: bool,
    /// The status counts this session.
    in_status: bool,
    news: News,
    _listener: ChangeGuard,
}

/// Spaces and planes that changed since the session last looked.
type News = Arc<Mutex<BTreeSet<(SpaceId, Plane)>>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waits for the other side's hello.
    Hello,
    /// Waits for its proof.
    Proof,
    /// Waits for the answer to the ticket.
    Joining,
    /// The rest of the session.
    Ready,
    /// Over.
    Closed,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("remote", &self.config.remote)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl From<Malformed> for SessionError {
    fn from(Malformed(why): Malformed) -> Self {
        Self::Protocol { why: why.into() }
    }
}

impl From<SpaceError> for SessionError {
    fn from(error: SpaceError) -> Self {
        Self::Store { why: error.to_string() }
    }
}

impl From<ReadError> for SessionError {
    fn from(error: ReadError) -> Self {
        Self::Store { why: error.to_string() }
    }
}

impl Session {
    /// Starts a session. Its first frame is ready to be polled.
    #[must_use]
    pub fn new(database: Database, config: SessionConfig, now_ms: i64) -> Self {
        let news = News::default();
        let heard = Arc::clone(&news);
        let listener = database.on_change(Arc::new(move |change: &Change| guard(&heard).extend(&change.spaces)));
        let hello = hello::new_hello(&**database.host());
        let mut session = Self {
            database,
            config,
            phase: Phase::Hello,
            now_ms,
            deadline_ms: now_ms,
            queue: VecDeque::new(),
            queued_bytes: 0,
            hello,
            channel: None,
            peer: None,
            spaces: listing::Spaces::default(),
            offering: offering::Offering::default(),
            exchanges: BTreeMap::new(),
            fetches: Fetches::default(),
            contacts: contacts::ContactTalk::default(),
            turn: None,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            sent_numbers: Numbers::default(),
            receiving: Receiving::default(),
            known: false,
            in_status: false,
            news,
            _listener: listener,
        };
        session.send(&Message::Hello(session.hello.clone()));
        session.wake_at(now_ms.saturating_add(HELLO_TIMEOUT_MS));
        session
    }

    /// Takes one input. Poll until `None` afterwards.
    pub fn handle(&mut self, now_ms: i64, input: Input) {
        self.handle_all(now_ms, [input]);
    }

    /// Takes inputs that came together, in order: the entries in frames that follow each other become durable together.
    /// Poll until `None` afterwards.
    pub fn handle_all(&mut self, now_ms: i64, inputs: impl IntoIterator<Item = Input>) {
        self.now_ms = self.now_ms.max(now_ms);
        let handled = inputs.into_iter().try_for_each(|input| self.handle_one(input));
        // What came before an input that ends the session is stored all the same.
        if let Err(error) = self.store_arrived().and(handled) {
            self.close(error);
        }
    }

    fn handle_one(&mut self, input: Input) -> Result<(), SessionError> {
        match input {
            _ if self.phase == Phase::Closed => Ok(()),
            Input::Frame(frame) => self.handle_frame(frame),
            Input::StoreChanged if self.phase == Phase::Ready => self.take_news(),
            Input::StoreChanged => Ok(()),
            Input::Tick => self.handle_tick(),
        }
    }

    /// The next thing to do, if any.
    pub fn poll(&mut self) -> Option<Output> {
        if self.queue.is_empty()
            && self.phase == Phase::Ready
            && let Err(error) = self.send_next_batch()
        {
            self.close(error);
        }
        let output = self.queue.pop_front()?;
        self.queued_bytes -= size_of_output(&output);
        Some(output)
    }

    /// Whether more frames should be read from the other side now: false while too much waits to be sent to it.
    #[must_use]
    pub fn wants_frames(&self) -> bool {
        self.queued_bytes < MAX_QUEUED_BYTES
    }

    /// Whether the other side has nothing to do with this database, as far as is known: it gets little room. Once false, it
    /// stays so.
    #[must_use]
    pub fn is_stranger(&self) -> bool {
        !self.known
    }

    /// Whether it has ended: what is left to poll are the last words, and [`Output::Close`].
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Closed
    }

    fn handle_frame(&mut self, frame: Vec<u8>) -> Result<(), SessionError> {
        let message = Message::read(frame)?;
        if let Message::Bye { why } = message {
            return Err(SessionError::ClosedByPeer { why });
        }
        match self.phase {
            Phase::Hello => self.handle_hello(message),
            Phase::Proof => self.handle_proof(message),
            Phase::Joining => self.handle_answer(message),
            Phase::Ready => self.handle_message(message),
            Phase::Closed => Ok(()),
        }
    }

    fn handle_hello(&mut self, message: Message) -> Result<(), SessionError> {
        let Message::Hello(theirs) = message else { return Err(unexpected("instead of a hello")) };
        hello::check_hello(&theirs)?;
        let channel = Channel::new(&self.config, self.database.device(), &self.hello, &theirs);
        self.send(&Message::Proof(Box::new(channel.prove(&self.database))));
        self.channel = Some(channel);
        self.phase = Phase::Proof;
        Ok(())
    }

    fn handle_proof(&mut self, message: Message) -> Result<(), SessionError> {
        let Message::Proof(proof) = message else { return Err(unexpected("instead of a proof")) };
        let genesis = self.channel()?.check(&self.config.remote, &proof, &self.database)?;
        self.peer = genesis.map(|genesis| genesis.id());
        self.known |= self.peer.is_some() && self.peer == self.database.identity();
        self.event(SessionEvent::Ready { identity: self.peer });
        match self.config.purpose.clone() {
            Purpose::Member => self.begin_sync(),
            Purpose::Join(ticket) => self.ask_to_join(&ticket, genesis.as_ref()),
        }
    }

    /// From here on spaces are exchanged.
    fn begin_sync(&mut self) -> Result<(), SessionError> {
        self.phase = Phase::Ready;
        if self.config.role == Role::Dialer {
            self.enter_status();
        }
        self.wake_at(self.now_ms.saturating_add(self.config.anti_entropy_ms));
        self.list_all()?;
        self.review_contact()?;
        self.tell_offers()
    }

    /// From here on the status tells about this peer: one that was dialled, or that has a space in common. Strangers who
    /// call leave no trace in it.
    fn enter_status(&mut self) {
        if !std::mem::replace(&mut self.in_status, true) {
            self.database.join_status(&self.config.remote, self.peer);
        }
    }

    fn handle_message(&mut self, message: Message) -> Result<(), SessionError> {
        if let Message::Batch(part) = message {
            return self.take_part(&part);
        }
        self.store_arrived()?;
        match message {
            Message::Join { .. } | Message::Offer(_) | Message::Decline(_) | Message::Over(_) => {
                self.take_sharing(message)
            }
            Message::Welcome(welcome) => self.take_welcome(&welcome),
            Message::Refuse(refusal) if self.offering.is_asking() => self.take_refusal(refusal),
            Message::Spaces { more, listed } => self.take_listing(more, &listed),
            Message::Invite(invite) => self.take_invite(&invite),
            Message::Vectors(vectors) => self.take_vectors(vectors),
            Message::Ack { frames, verdict } => self.take_ack(frames, verdict),
            Message::Addresses(addresses) => self.take_addresses(&addresses),
            Message::Branches(branches) => self.take_branches(branches),
            Message::Contact(message) => self.take_contact(&message),
            Message::Hello(_) | Message::Proof(_) | Message::Refuse(_) | Message::Batch(_) | Message::Bye { .. } => {
                Err(unexpected("after the hello"))
            }
        }
    }

    /// What may come from either side once both are proven.
    fn take_sharing(&mut self, message: Message) -> Result<(), SessionError> {
        match message {
            Message::Join { offer, proof, enrolment } => self.admit(&offer, &proof, &enrolment),
            Message::Offer(delivery) => self.take_offer(*delivery),
            Message::Decline(offer) => self.take_decline(offer),
            Message::Over(offer) => self.take_over(offer),
            _ => Err(unexpected("among offers")),
        }
    }

    fn take_addresses(&mut self, addresses: &[String]) -> Result<(), SessionError> {
        // Only of those who have a space in common with us is anything kept.
        if self.exchanges.values().any(|exchange| exchange.open) {
            self.database.remember_peer(&self.config.remote, addresses)?;
        }
        Ok(())
    }

    fn handle_tick(&mut self) -> Result<(), SessionError> {
        if self.now_ms < self.deadline_ms {
            return Ok(());
        }
        if self.phase != Phase::Ready {
            return Err(SessionError::Silent { waited_ms: HELLO_TIMEOUT_MS });
        }
        if !planted!(NeverComparesAgain) {
            self.wake_at(self.now_ms.saturating_add(self.config.anti_entropy_ms));
        }
        self.take_news()?;
        self.remember_all_fetched();
        self.list_all()?;
        self.repeat_contact()?;
        self.tell_offers()
    }

    fn take_news(&mut self) -> Result<(), SessionError> {
        self.store_arrived()?;
        let news = std::mem::take(&mut *guard(&self.news));
        // What is decided about others stands in a private space.
        if news.iter().any(|(space, _)| self.database.is_private(space).unwrap_or_default()) {
            self.review_contact()?;
        }
        for (space, plane) in news {
            if plane == Plane::Control {
                self.review(&space)?;
            }
            if let Some(exchange) = self.exchanges.get_mut(&space) {
                if !planted!(NewsIgnored) {
                    exchange.wake(plane);
                }
                self.compare(&space)?;
            }
        }
        Ok(())
    }

    /// Nothing fails silently: the status tells what was wrong last, until all is well again.
    fn note_error(&self, why: &str) {
        self.database.update_status(&self.config.remote, |status| status.last_error = Some(why.to_owned()));
    }

    fn channel(&self) -> Result<&Channel, SessionError> {
        self.channel.as_ref().ok_or_else(|| unexpected("before the hello"))
    }

    fn send(&mut self, message: &Message) {
        let frame = message.to_bytes();
        debug_assert!(frame.len() <= MAX_FRAME_BYTES, "senders cut what is longer");
        self.queue(Output::Frame(frame));
    }

    fn event(&mut self, event: SessionEvent) {
        self.queue(Output::Event(event));
    }

    fn queue(&mut self, output: Output) {
        self.queued_bytes += size_of_output(&output);
        self.queue.push_back(output);
    }

    fn wake_at(&mut self, at_ms: i64) {
        self.deadline_ms = at_ms;
        self.queue(Output::WakeAt(at_ms));
    }

    /// Ends the session: says why to the other side, as far as it is its business, and to the caller.
    fn close(&mut self, error: SessionError) {
        let why = match &error {
            SessionError::ClosedByPeer { .. } => None,
            SessionError::Store { .. } => Some("the store failed".to_owned()),
            other => Some(other.to_string()),
        };
        if let Some(mut why) = why {
            let longest = (0..=MAX_REASON_BYTES).rev().find(|length| why.is_char_boundary(*length));
            why.truncate(longest.unwrap_or(0));
            self.send(&Message::Bye { why });
        }
        self.note_error(&error.to_string());
        self.phase = Phase::Closed;
        self.queue(Output::Close(error));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.remember_all_fetched();
        if self.in_status {
            self.database.leave_status(&self.config.remote);
        }
    }
}

/// What an output takes while it waits, in bytes: short ones more than what they say.
fn size_of_output(output: &Output) -> usize {
    let frame = if let Output::Frame(frame) = output { frame.len() } else { 0 };
    size_of::<Output>() + frame
}

fn unexpected(when: &str) -> SessionError {
    SessionError::Protocol { why: format!("a message that doesn't belong there, {when}") }
}

/// The set is whole whatever a panicking thread did.
fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
