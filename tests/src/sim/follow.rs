//! Live queries of a replica: their steps lead to what the query gives when it is run again.

use tidewater_engine::document::Document;
use tidewater_engine::query::{Delta, Filter, LiveQuery, Order, Query};
use tidewater_engine::store::{Change, Snapshot};

/// What is followed.
fn queries() -> Vec<Query> {
    let filter = |text: &str| Filter::parse(text).expect("a filter");
    vec![
        Query::all("declared").filter(filter("register=ebb or tags exists")),
        Query::all("declared").order_by(Order::parse("counter:desc").expect("an order")).limit(2),
        Query::all("free").filter(filter("register>=neap")).order_by(Order::parse("register").expect("an order")),
    ]
}

pub(super) struct Follower {
    followed: Vec<(LiveQuery, Vec<Document>)>,
    /// No change was missed since the results were last brought up to date.
    current: bool,
}

impl Default for Follower {
    fn default() -> Self {
        let live = |query| LiveQuery::new(query).expect("a query");
        Self { followed: queries().into_iter().map(|query| (live(query), Vec::new())).collect(), current: false }
    }
}

impl Follower {
    /// Brings the results up to date.
    pub(super) fn follow(&mut self, snapshot: &Snapshot, changes: &[Change]) -> Result<(), String> {
        let current = std::mem::replace(&mut self.current, true);
        for (live, shown) in &mut self.followed {
            if current && !changes.iter().any(|change| live.affected_by(change)) {
                continue;
            }
            let deltas = snapshot.refresh(live).map_err(|error| format!("a live query failed: {error}"))?;
            deltas.into_iter().try_for_each(|delta| take(shown, delta))?;
            if live.documents() != shown.as_slice() {
                return Err(format!("the steps of a live query lead elsewhere: {:?}", live.query()));
            }
        }
        Ok(())
    }

    /// A change is not followed.
    pub(super) fn miss(&mut self) {
        self.current = false;
    }

    /// Compares with the queries run again.
    pub(super) fn check(&self, snapshot: &Snapshot) -> Result<(), String> {
        for (live, shown) in self.followed.iter().filter(|_| self.current) {
            let again = snapshot.find(live.query()).map_err(|error| format!("a query failed: {error}"))?;
            if again.documents != *shown {
                let (query, again) = (live.query(), again.documents);
                return Err(format!("a live query shows {shown:?}, not {again:?}: {query:?}"));
            }
        }
        Ok(())
    }
}

fn take(shown: &mut Vec<Document>, delta: Delta) -> Result<(), String> {
    let (room, at) = (shown.len(), position(&delta));
    let grows = usize::from(matches!(delta, Delta::Added { .. }));
    if at.iter().any(|at| *at >= room + grows) {
        return Err(format!("a step of a live query lies outside of its {room} documents: {delta:?}"));
    }
    match delta {
        Delta::Added { document, index } => shown.insert(index, document),
        Delta::Changed { document, index } => shown[index] = document,
        Delta::Moved { from, to, .. } => {
            let document = shown.remove(from);
            shown.insert(to, document);
        }
        Delta::Removed { index, .. } => drop(shown.remove(index)),
    }
    Ok(())
}

fn position(delta: &Delta) -> Vec<usize> {
    match delta {
        Delta::Added { index, .. } | Delta::Changed { index, .. } | Delta::Removed { index, .. } => vec![*index],
        Delta::Moved { from, to, .. } => vec![*from, *to],
    }
}
