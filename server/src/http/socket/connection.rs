//! One connection: the order of its messages, the operations that run in it, and why it ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use super::message::{self, FromClient, MAX_REASON_BYTES};
use super::{MAX_OPERATIONS, Subscribe, WRITE_DEADLINE};
use crate::graphql::Operation;

/// How many messages may wait to be written. An operation whose message finds no room waits, and falls behind.
const QUEUED_MESSAGES: usize = 16;

/// Why a connection ends: the close frame's code and reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) code: u16,
    pub(super) reason: String,
}

impl Ending {
    fn new(code: u16, reason: &str) -> Self {
        let cut = (0..=MAX_REASON_BYTES.min(reason.len())).rev().find(|at| reason.is_char_boundary(*at)).unwrap_or(0);
        Self { code, reason: reason[..cut].to_owned() }
    }

    /// The client sent what is no message of the protocol.
    pub(super) fn bad_request(why: &str) -> Self {
        Self::new(4400, why)
    }

    /// The client went away.
    pub(super) fn gone() -> Self {
        Self::new(1000, "")
    }
}

/// What an operation's task has to say.
struct FromOperation {
    id: String,
    /// Tells a task's last words from those of a later operation with the same id.
    number: u64,
    text: String,
    last: bool,
}

struct Running {
    number: u64,
    task: AbortHandle,
}

/// The state of a connection.
pub(super) struct Connection<G> {
    graph: Arc<G>,
    init_deadline: Duration,
    acknowledged: bool,
    running: HashMap<String, Running>,
    started: u64,
    tasks: JoinSet<()>,
    out: mpsc::Sender<FromOperation>,
    outbox: mpsc::Receiver<FromOperation>,
}

impl<G: Subscribe> Connection<G> {
    pub(super) fn new(graph: Arc<G>, init_deadline: Duration) -> Self {
        let (out, outbox) = mpsc::channel(QUEUED_MESSAGES);
        Self {
            graph,
            init_deadline,
            acknowledged: false,
            running: HashMap::new(),
            started: 0,
            tasks: JoinSet::new(),
            out,
            outbox,
        }
    }

    /// Talks until one side ends it. The operations end with it.
    pub(super) async fn run(
        mut self,
        mut incoming: impl Stream<Item = Result<String, Ending>> + Unpin,
        mut outgoing: impl Sink<String> + Unpin,
    ) -> Ending {
        let init_by = Instant::now() + self.init_deadline;
        loop {
            let reply = tokio::select! {
                text = incoming.next() => match text {
                    Some(Ok(text)) => self.handle(&text),
                    Some(Err(ending)) => return ending,
                    None => return Ending::gone(),
                },
                said = self.outbox.recv() => Ok(said.and_then(|said| self.relay(said))),
                () = sleep_until(init_by), if !self.acknowledged => {
                    return Ending::new(4408, "Connection initialisation timeout");
                }
                // Finished tasks are let go of as they finish.
                Some(_) = self.tasks.join_next() => Ok(None),
            };
            match reply {
                Err(ending) => return ending,
                Ok(None) => {}
                Ok(Some(text)) => match timeout(WRITE_DEADLINE, outgoing.send(text)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Ending::gone(),
                    Err(_) => return Ending::new(4408, "The client does not read"),
                },
            }
        }
    }

    /// Takes a message of the client; gives the reply.
    fn handle(&mut self, text: &str) -> Result<Option<String>, Ending> {
        match FromClient::parse(text)? {
            FromClient::Init if self.acknowledged => Err(Ending::new(4429, "Too many initialisation requests")),
            FromClient::Init => {
                self.acknowledged = true;
                Ok(Some(message::ack()))
            }
            FromClient::Ping(payload) => Ok(Some(message::pong(payload))),
            FromClient::Pong => Ok(None),
            FromClient::Subscribe { .. } if !self.acknowledged => Err(Ending::new(4401, "Unauthorized")),
            FromClient::Subscribe { id, .. } if self.running.contains_key(&id) => {
                Err(Ending::new(4409, &format!("Subscriber for {id} already exists")))
            }
            FromClient::Subscribe { id, operation } => Ok(self.subscribe(id, operation)),
            FromClient::Complete { id } => {
                if let Some(running) = self.running.remove(&id) {
                    running.task.abort();
                }
                Ok(None)
            }
        }
    }

    fn subscribe(&mut self, id: String, operation: Result<Operation, String>) -> Option<String> {
        let refuse = |id: &str, code: &str, why: &str| {
            let errors = serde_json::json!([{ "message": why, "extensions": { "code": code } }]);
            Some(message::error(id, &errors.to_string()))
        };
        let operation = match operation {
            Ok(operation) => operation,
            Err(why) => return refuse(&id, "BAD_REQUEST", &why),
        };
        if self.running.len() >= MAX_OPERATIONS {
            let why = format!("a connection runs at most {MAX_OPERATIONS} operations at once");
            return refuse(&id, "LIMIT_EXCEEDED", &why);
        }
        self.started += 1;
        let number = self.started;
        let task = self.tasks.spawn(speak(Arc::clone(&self.graph), operation, id.clone(), number, self.out.clone()));
        self.running.insert(id, Running { number, task });
        None
    }

    /// Takes what an operation says; gives what of it is sent. What a completed operation still had to say is dropped.
    fn relay(&mut self, said: FromOperation) -> Option<String> {
        let current = self.running.get(&said.id).is_some_and(|running| running.number == said.number);
        if current && said.last {
            self.running.remove(&said.id);
        }
        current.then_some(said.text)
    }
}

/// Runs an operation and says what comes of it.
async fn speak<G: Subscribe>(
    graph: Arc<G>,
    operation: Operation,
    id: String,
    number: u64,
    out: mpsc::Sender<FromOperation>,
) {
    let mut outcomes = graph.subscribe(operation);
    while let Some(outcome) = outcomes.next().await {
        let (text, last) = match outcome.refused {
            Some(_) => (message::error(&id, &outcome.errors_to_json()), true),
            None => (message::next(&id, &outcome.to_json()), false),
        };
        let sent = out.send(FromOperation { id: id.clone(), number, text, last }).await;
        if last || sent.is_err() {
            return;
        }
    }
    let text = message::complete(&id);
    // The connection may have ended meanwhile.
    let _ = out.send(FromOperation { id, number, text, last: true }).await;
}

#[cfg(test)]
mod tests {
    use futures_util::sink;
    use futures_util::stream::{self, BoxStream};
    use serde_json::{Value as Json, json};

    use super::super::INIT_DEADLINE;
    use super::*;
    use crate::graphql::Outcome;

    /// Answers `count N` with N outcomes, `forever` with silence, and refuses the rest.
    struct Script;

    impl Subscribe for Script {
        fn subscribe(&self, operation: Operation) -> BoxStream<'static, Outcome> {
            match operation.query.split_once(' ') {
                Some(("count", n)) => {
                    stream::iter((0..n.parse().unwrap()).map(|n: u64| Outcome::data(json!({"n": n})))).boxed()
                }
                _ if operation.query == "forever" => stream::pending().boxed(),
                _ => stream::iter([Outcome::refused("no")]).boxed(),
            }
        }
    }

    struct Client {
        to: Option<mpsc::UnboundedSender<Result<String, Ending>>>,
        from: mpsc::UnboundedReceiver<String>,
        ending: tokio::task::JoinHandle<Ending>,
    }

    impl Client {
        fn connect() -> Self {
            Self::connect_with(INIT_DEADLINE)
        }

        fn connect_with(init_deadline: Duration) -> Self {
            let (to, incoming) = mpsc::unbounded_channel();
            let (outgoing, from) = mpsc::unbounded_channel();
            let incoming = stream::unfold(incoming, |mut incoming| async move {
                incoming.recv().await.map(|message| (message, incoming))
            });
            let outgoing = sink::unfold(outgoing, |outgoing, message| async move {
                outgoing.send(message).map(|()| outgoing).map_err(drop)
            });
            let connection = Connection::new(Arc::new(Script), init_deadline);
            let ending = tokio::spawn(connection.run(Box::pin(incoming), Box::pin(outgoing)));
            Self { to: Some(to), from, ending }
        }

        async fn ready() -> Self {
            let mut client = Self::connect();
            client.say(json!({"type": "connection_init"}));
            assert_eq!(client.hear().await, json!({"type": "connection_ack"}));
            client
        }

        fn say(&self, message: Json) {
            self.to.as_ref().unwrap().send(Ok(message.to_string())).unwrap();
        }

        fn subscribe(&self, id: &str, query: &str) {
            self.say(json!({"type": "subscribe", "id": id, "payload": {"query": query}}));
        }

        async fn hear(&mut self) -> Json {
            serde_json::from_str(&self.from.recv().await.expect("a message")).unwrap()
        }

        async fn code(self) -> u16 {
            self.ending.await.unwrap().code
        }
    }

    #[tokio::test]
    async fn an_operation_says_next_and_then_complete() {
        let mut client = Client::ready().await;
        client.subscribe("a", "count 2");
        assert_eq!(client.hear().await, json!({"type": "next", "id": "a", "payload": {"data": {"n": 0}}}));
        assert_eq!(client.hear().await, json!({"type": "next", "id": "a", "payload": {"data": {"n": 1}}}));
        assert_eq!(client.hear().await, json!({"type": "complete", "id": "a"}));
        client.subscribe("a", "count 0");
        assert_eq!(client.hear().await, json!({"type": "complete", "id": "a"}));
        client.to = None;
        assert_eq!(client.code().await, 1000);
    }

    #[tokio::test]
    async fn what_is_refused_is_an_error_and_frees_its_id() {
        let mut client = Client::ready().await;
        for _ in 0..2 {
            client.subscribe("a", "nonsense");
            let message = client.hear().await;
            assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!("a")));
            assert_eq!(message["payload"][0]["message"], "no");
        }
        client.say(json!({"type": "subscribe", "id": "a", "payload": {"query": "count 1", "variables": 7}}));
        assert_eq!(client.hear().await["type"], "error");
    }

    #[tokio::test]
    async fn completing_an_operation_ends_it() {
        let mut client = Client::ready().await;
        client.subscribe("a", "forever");
        client.say(json!({"type": "complete", "id": "a"}));
        client.subscribe("a", "count 1");
        assert_eq!(client.hear().await["type"], "next");
        client.say(json!({"type": "complete", "id": "never there"}));
    }

    #[tokio::test]
    async fn pings_are_answered_before_and_after_the_start() {
        let mut client = Client::connect();
        client.say(json!({"type": "ping", "payload": {"x": 1}}));
        assert_eq!(client.hear().await, json!({"type": "pong", "payload": {"x": 1}}));
        client.say(json!({"type": "pong"}));
        client.say(json!({"type": "ping"}));
        assert_eq!(client.hear().await, json!({"type": "pong"}));
    }

    #[tokio::test]
    async fn breaking_the_protocol_ends_the_connection_with_its_code() {
        let client = Client::connect();
        client.subscribe("a", "count 1");
        assert_eq!(client.code().await, 4401);
        let client = Client::ready().await;
        client.say(json!({"type": "connection_init"}));
        assert_eq!(client.code().await, 4429);
        let client = Client::ready().await;
        client.subscribe("a", "forever");
        client.subscribe("a", "forever");
        assert_eq!(client.code().await, 4409);
        let wrong = [
            json!(1),
            json!({}),
            json!({"type": "what"}),
            json!({"type": "subscribe", "payload": {"query": "count 1"}}),
            json!({"type": "subscribe", "id": "", "payload": {"query": "count 1"}}),
            json!({"type": "subscribe", "id": "a"}),
            json!({"type": "complete"}),
        ];
        for message in wrong {
            let client = Client::ready().await;
            client.say(message.clone());
            assert_eq!(client.code().await, 4400, "{message}");
        }
    }

    #[tokio::test]
    async fn who_says_nothing_is_hung_up_on() {
        assert_eq!(Client::connect_with(Duration::ZERO).code().await, 4408);
    }

    #[tokio::test]
    async fn operations_are_bounded() {
        let mut client = Client::ready().await;
        for n in 0..MAX_OPERATIONS {
            client.subscribe(&n.to_string(), "forever");
        }
        client.subscribe("more", "count 1");
        let message = client.hear().await;
        assert_eq!(message["payload"][0]["extensions"]["code"], "LIMIT_EXCEEDED");
    }

    #[test]
    fn a_reason_fits_a_close_frame() {
        assert_eq!(Ending::bad_request(&"é".repeat(100)).reason.len(), 122);
    }
}
