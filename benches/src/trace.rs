//! Replays recorded editing: `trace FILE.json.gz`. Two kinds of files are known, those of one writer (`txns[].patches`) and those
//! of several at once (`parents`, `agent`, `patches`); a patch is `[position, deleted, inserted]` in Unicode scalar values.

pub(crate) mod automerge_alone;
pub(crate) mod tidewater;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use serde::Deserialize;

use crate::contender::Outcome;

/// The largest trace that is read, in bytes of JSON.
const MAX_TRACE_BYTES: u64 = 1 << 30;

/// A recorded history of one text.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) start: String,
    pub(crate) end: String,
    pub(crate) agents: usize,
    pub(crate) transactions: Vec<Transaction>,
}

/// Edits made in one go.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) agent: usize,
    /// How many transactions of each agent its author had seen, its own included but for this one.
    pub(crate) seen: Vec<usize>,
    pub(crate) patches: Vec<Patch>,
}

/// At a position, so many characters go and this text comes.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Patch(pub(crate) usize, pub(crate) usize, pub(crate) String);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recorded {
    #[serde(default)]
    start_content: String,
    end_content: String,
    #[serde(default)]
    num_agents: Option<usize>,
    txns: Vec<RecordedTransaction>,
}

#[derive(Deserialize)]
struct RecordedTransaction {
    parents: Option<Vec<usize>>,
    #[serde(default)]
    agent: usize,
    patches: Vec<Patch>,
}

impl Trace {
    /// Reads a file of either kind, gzipped when its name ends with `.gz`.
    pub(crate) fn read(path: &Path) -> Outcome<Self> {
        let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut text = String::new();
        if path.extension().is_some_and(|extension| extension == "gz") {
            GzDecoder::new(file).take(MAX_TRACE_BYTES).read_to_string(&mut text)?;
        } else {
            file.take(MAX_TRACE_BYTES).read_to_string(&mut text)?;
        }
        Self::parse(&text)
    }

    fn parse(text: &str) -> Outcome<Self> {
        let recorded: Recorded = serde_json::from_str(text)?;
        let agents = recorded.num_agents.unwrap_or(1);
        let mut transactions: Vec<Transaction> = Vec::with_capacity(recorded.txns.len());
        let mut done = vec![0; agents];
        for (number, one) in recorded.txns.into_iter().enumerate() {
            let parents = one.parents.unwrap_or_else(|| number.checked_sub(1).into_iter().collect());
            let mut seen = vec![0; agents];
            for parent in parents {
                let parent: &Transaction =
                    transactions.get(parent).ok_or("a transaction names a parent that comes after it")?;
                for (agent, seen) in seen.iter_mut().enumerate() {
                    *seen = (*seen).max(parent.seen[agent] + usize::from(agent == parent.agent));
                }
            }
            let own = done.get_mut(one.agent).ok_or("a transaction names an agent beyond numAgents")?;
            if seen[one.agent] != *own {
                return Err("an agent that writes without having seen its own last transaction is not supported".into());
            }
            *own += 1;
            transactions.push(Transaction { agent: one.agent, seen, patches: one.patches });
        }
        Ok(Self { start: recorded.start_content, end: recorded.end_content, agents, transactions })
    }

    /// How many patches there are in all.
    pub(crate) fn edits(&self) -> u64 {
        self.transactions.iter().map(|one| one.patches.len() as u64).sum()
    }

    /// Groups of consecutive transactions of one agent that may be one commit: between them the agent learns nothing, nobody else
    /// learns of a part of them, and together they have at most `most` patches unless the first alone has more.
    pub(crate) fn batches(&self, most: usize) -> Vec<Vec<&Transaction>> {
        let mut told = vec![std::collections::BTreeSet::new(); self.agents];
        for one in &self.transactions {
            for (agent, seen) in one.seen.iter().enumerate().filter(|(agent, _)| *agent != one.agent) {
                told[agent].insert(*seen);
            }
        }
        let mut done: Vec<Vec<&Transaction>> = Vec::new();
        let mut open: Vec<Option<usize>> = vec![None; self.agents];
        for one in &self.transactions {
            let agent = one.agent;
            let joins = open[agent].filter(|at| {
                let batch = &done[*at];
                let last = batch[batch.len() - 1];
                let patches: usize = batch.iter().map(|one| one.patches.len()).sum();
                let learned_nothing =
                    (0..self.agents).all(|other| other == agent || one.seen[other] == last.seen[other]);
                learned_nothing && !told[agent].contains(&one.seen[agent]) && patches + one.patches.len() <= most
            });
            match joins {
                Some(at) => done[at].push(one),
                None => {
                    open[agent] = Some(done.len());
                    done.push(vec![one]);
                }
            }
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONCURRENT: &str = r#"{"kind": "concurrent", "endContent": "", "numAgents": 2, "txns": [
        {"parents": [], "agent": 0, "patches": [[0, 0, "a"]]},
        {"parents": [0], "agent": 0, "patches": [[1, 0, "b"]]},
        {"parents": [0], "agent": 1, "patches": [[1, 0, "c"]]},
        {"parents": [1], "agent": 0, "patches": [[2, 0, "d"]]},
        {"parents": [2, 3], "agent": 1, "patches": [[3, 0, "e"]]}]}"#;

    #[test]
    fn parents_become_what_was_seen_of_each_agent() {
        let trace = Trace::parse(CONCURRENT).expect("a trace");
        let seen: Vec<_> = trace.transactions.iter().map(|one| one.seen.clone()).collect();
        assert_eq!(seen, [vec![0, 0], vec![1, 0], vec![1, 0], vec![2, 0], vec![3, 1]]);
    }

    #[test]
    fn a_batch_ends_where_others_learn_of_it() {
        let trace = Trace::parse(CONCURRENT).expect("a trace");
        let sizes: Vec<_> = trace.batches(1_000).iter().map(|batch| (batch[0].agent, batch.len())).collect();
        assert_eq!(sizes, [(0, 1), (0, 2), (1, 1), (1, 1)]);
        assert!(trace.batches(1).iter().all(|batch| batch.len() == 1));
    }

    #[test]
    fn a_trace_of_one_writer_has_no_parents() {
        let text =
            r#"{"startContent": "x", "endContent": "xy", "txns": [{"patches": [[1, 0, "y"]]}, {"patches": []}]}"#;
        let trace = Trace::parse(text).expect("a trace");
        assert_eq!((trace.agents, trace.edits(), trace.batches(1_000).len()), (1, 1, 1));
    }

    #[test]
    fn broken_traces_are_refused() {
        for (broken, why) in [
            (
                r#"{"endContent": "", "numAgents": 1, "txns": [{"parents": [3], "agent": 0, "patches": []}]}"#,
                "comes after",
            ),
            (r#"{"endContent": "", "numAgents": 1, "txns": [{"parents": [], "agent": 1, "patches": []}]}"#, "beyond"),
            ("{", "EOF"),
        ] {
            let error = Trace::parse(broken).expect_err("refused").to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
