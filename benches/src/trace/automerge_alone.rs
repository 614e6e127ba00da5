//! The same editing in automerge by itself: one document per agent, changes handed over as far as each had seen.

use automerge::transaction::Transactable;
use automerge::{AutoCommit, Change, ObjId, ObjType, ROOT, ReadDoc};

use super::Trace;
use crate::contender::Outcome;

/// The text after all edits, and how many bytes the saved document has.
pub(crate) struct Replayed {
    pub(crate) content: String,
    pub(crate) saved_bytes: usize,
}

/// Replays `trace` with commits of at most `batch` patches.
pub(crate) fn replay(trace: &Trace, batch: usize) -> Outcome<Replayed> {
    let mut first = AutoCommit::new();
    let text = first.put_object(ROOT, "text", ObjType::Text)?;
    first.splice_text(&text, 0, 0, &trace.start)?;
    first.commit();
    let mut documents = vec![first];
    while documents.len() < trace.agents {
        let next = documents[0].fork();
        documents.push(next);
    }
    // Each agent's changes, with how many of its transactions there were after each.
    let mut changes: Vec<Vec<(usize, Change)>> = vec![Vec::new(); trace.agents];
    let mut applied: Vec<Vec<usize>> = vec![vec![0; trace.agents]; trace.agents];
    for batch in trace.batches(batch) {
        let agent = batch[0].agent;
        deliver(&mut documents[agent], agent, &mut applied[agent], &changes, &batch[0].seen)?;
        write(&mut documents[agent], &text, batch.iter().flat_map(|one| &one.patches))?;
        let transactions = batch[batch.len() - 1].seen[agent] + 1;
        let change = documents[agent].get_last_local_change().ok_or("a commit without a change")?;
        changes[agent].push((transactions, change));
    }
    let everything = vec![usize::MAX; trace.agents];
    for (agent, document) in documents.iter_mut().enumerate() {
        deliver(document, agent, &mut applied[agent], &changes, &everything)?;
    }
    let content = documents[0].text(&text)?;
    for document in &documents[1..] {
        if document.text(&text)? != content {
            return Err("two automerge documents with the same changes differ".into());
        }
    }
    Ok(Replayed { content, saved_bytes: documents[0].save().len() })
}

fn write<'a>(document: &mut AutoCommit, text: &ObjId, patches: impl Iterator<Item = &'a super::Patch>) -> Outcome<()> {
    for super::Patch(at, deleted, inserted) in patches {
        document.splice_text(text, *at, isize::try_from(*deleted)?, inserted)?;
    }
    document.commit();
    Ok(())
}

/// Applies the other agents' changes up to `seen` transactions of each. `applied` counts the changes it has.
fn deliver(
    document: &mut AutoCommit,
    agent: usize,
    applied: &mut [usize],
    changes: &[Vec<(usize, Change)>],
    seen: &[usize],
) -> Outcome<()> {
    for other in (0..changes.len()).filter(|other| *other != agent) {
        let from = applied[other];
        let new = changes[other][from..].iter().take_while(|(transactions, _)| *transactions <= seen[other]);
        let new: Vec<Change> = new.map(|(_, change)| change.clone()).collect();
        applied[other] += new.len();
        document.apply_changes(new)?;
    }
    Ok(())
}
