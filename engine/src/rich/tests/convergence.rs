//! Random concurrent edits, delivered in any causal order, give the same content everywhere.

use super::world::{Commit, Replica};
use crate::operation::FieldKind;
use crate::rich::document::{RichCell, Step};
use crate::value::Value;
use crate::value::sample::Sampler;

const SEEDS: u64 = 12;

/// Delivers all of `log` to every replica, each in its own random causal order.
fn deliver(replicas: &mut [Replica], log: &[Commit], random: &mut Sampler) {
    for replica in replicas {
        let mut waiting: Vec<&Commit> = log.iter().filter(|commit| !replica.held.contains(&commit.dot())).collect();
        while !waiting.is_empty() {
            let ready: Vec<usize> =
                (0..waiting.len()).filter(|&at| waiting[at].past.is_subset(&replica.held)).collect();
            let commit = waiting.swap_remove(ready[random.below(ready.len())]);
            replica.receive(commit).unwrap();
        }
    }
}

fn run(kind: FieldKind, seed: u64, edit: impl Fn(&mut RichCell, &mut Sampler)) -> Vec<Replica> {
    let mut random = Sampler::new(seed);
    let mut replicas: Vec<_> = (0..2 + random.below(4)).map(|writer| Replica::new(kind, writer)).collect();
    let mut log = Vec::new();
    for _ in 0..2 + random.below(5) {
        for replica in &mut replicas {
            for _ in 0..random.below(4) {
                log.extend(replica.commit(|cell| (0..1 + random.below(4)).for_each(|_| edit(cell, &mut random))));
            }
        }
        let count = replicas.len();
        let some = 1 + random.below(count);
        deliver(&mut replicas[..some], &log, &mut random);
    }
    deliver(&mut replicas, &log, &mut random);
    replicas
}

fn edit_text(cell: &mut RichCell, random: &mut Sampler) {
    let length = cell.length().unwrap();
    let at = random.below(length + 1);
    match random.below(5) {
        0 => cell.splice(at, random.below(length - at + 1).min(5), "").unwrap(),
        1 => {
            let mut text: Vec<char> = cell.text().unwrap().chars().rev().collect();
            text.truncate(random.below(30));
            cell.set_text(&text.into_iter().collect::<String>()).unwrap();
        }
        _ => cell
            .splice(at, random.below(length - at + 1).min(1), ["a", "çé", "🦀", "two words"][random.below(4)])
            .unwrap(),
    }
}

#[test]
fn texts_converge() {
    for seed in 0..SEEDS {
        let replicas = run(FieldKind::Text, seed, edit_text);
        let text = replicas[0].cell.text().unwrap();
        for replica in &replicas {
            assert_eq!(replica.cell.text().unwrap(), text, "seed {seed}");
            assert_eq!(replica.cell.length().unwrap(), text.chars().count(), "seed {seed}");
            assert_eq!(replica.reloaded().text().unwrap(), text, "seed {seed}");
            assert_eq!(replica.reloaded_into_automerge().text().unwrap(), text, "seed {seed}");
            assert_eq!(replica.reloaded().version(), replica.cell.version(), "seed {seed}");
        }
    }
}

fn edit_json(cell: &mut RichCell, random: &mut Sampler) {
    let value = cell.json().unwrap();
    if random.below(4) == 0 {
        let new = random.value(3);
        cell.set_json(&new).unwrap();
        assert_eq!(cell.json().unwrap(), new);
        return;
    }
    let mut path = Vec::new();
    let mut place = &value;
    loop {
        let deeper = random.below(3) > 0;
        match place {
            Value::Object(fields) if !fields.is_empty() && deeper => {
                let (key, inner) = fields.iter().nth(random.below(fields.len())).unwrap();
                path.push(Step::Key(key));
                place = inner;
            }
            Value::List(values) if !values.is_empty() && deeper => {
                let at = random.below(values.len());
                path.push(Step::Index(at));
                place = &values[at];
            }
            _ => break,
        }
    }
    let new = random.value(2);
    match (place, random.below(4)) {
        (_, 0) if !path.is_empty() => cell.cut(&path).unwrap(),
        (Value::List(values), 1 | 2) => {
            path.push(Step::Index(random.below(values.len() + 1)));
            cell.insert(&path, &new).unwrap();
        }
        (Value::Object(_), 1 | 2) => {
            path.push(Step::Key(["k", "l", "a key"][random.below(3)]));
            cell.put(&path, &new).unwrap();
        }
        _ => cell.put(&path, &new).unwrap(),
    }
}

#[test]
fn json_values_converge() {
    for seed in 0..SEEDS {
        let replicas = run(FieldKind::Json, seed, edit_json);
        let value = replicas[0].cell.json().unwrap();
        for replica in &replicas {
            assert_eq!(replica.cell.json().unwrap(), value, "seed {seed}");
            assert_eq!(replica.reloaded().json().unwrap(), value, "seed {seed}");
            assert_eq!(replica.reloaded().version(), replica.cell.version(), "seed {seed}");
        }
    }
}
