//! Target: a session with a hostile member. It is a real member with a real session, whose frames are changed, repeated,
//! held back, cut and made up on the way. Whatever it sends, the honest side stays sound, keeps what it had, and agrees with
//! everybody else once it meets an honest session again.

use std::collections::VecDeque;

use tidewater_sync::{Database, Purpose};

use super::people::{open, people};
use super::script::{Script, put_block};
use super::{Memory, Target};
use crate::conversation::{converse, converse_through};

pub(super) const TARGET: Target = Target {
    name: "session",
    run,
    seeds,
    input_bytes_max: 1_024,
    memory: Memory { fixed: 48 << 20, per_byte: 64 << 10 },
    executions: 250,
};

/// Frames that one script makes up at most.
const MAX_MADE_UP: usize = 64;

/// The first byte says who is hostile and who dials; then one step for every frame of the hostile side.
fn run(input: &[u8]) -> bool {
    let people = people();
    let mut script = Script::new(input);
    let setting = script.byte();
    let honest = open(&people.ada, 21);
    let hostile = open(if setting & 1 == 0 { &people.laptop } else { &people.ben }, 22);
    let hostile_side = usize::from(setting & 2 != 0);
    let pair = if hostile_side == 0 { [&hostile, &honest] } else { [&honest, &hostile] };
    let mut hand = Hand { script, sent: VecDeque::new(), held: Vec::new(), made_up: 0 };
    let said = converse_through(pair[0], pair[1], Purpose::Member, 9, &mut |side, frame| match frame {
        frame if side != hostile_side => frame.into_iter().collect(),
        Some(frame) => hand.change(frame),
        None => hand.make_up(),
    });
    check(&honest, &hostile);
    said.ended[1 - hostile_side].is_none()
}

/// What changes the frames.
struct Hand<'a> {
    script: Script<'a>,
    /// The last frames, as they were sent.
    sent: VecDeque<Vec<u8>>,
    /// Frames that come later.
    held: Vec<Vec<u8>>,
    made_up: usize,
}

impl Hand<'_> {
    fn change(&mut self, frame: Vec<u8>) -> Vec<Vec<u8>> {
        self.sent.push_back(frame.clone());
        let mut frames = match self.script.byte() % 10 {
            0 | 1 => vec![frame],
            2 => Vec::new(),
            3 => vec![frame.clone(), frame],
            4 => {
                self.held.push(frame);
                Vec::new()
            }
            5 => {
                let at = self.script.place(frame.len());
                vec![frame[..at].to_vec()]
            }
            6 => {
                let mut frame = frame;
                for _ in 0..1 + self.script.byte() % 4 {
                    let at = self.script.place(frame.len());
                    frame[at] = self.script.byte();
                }
                vec![frame]
            }
            7 => vec![frame, self.another()],
            8 => vec![self.another(), frame],
            _ => {
                let mut frame = frame;
                let (at, other) = (self.script.place(frame.len() + 1), self.another());
                let from = self.script.place(other.len() + 1);
                frame.splice(at.., other[from..].iter().copied());
                vec![frame]
            }
        };
        if !frames.is_empty() && self.script.byte() % 4 == 1 {
            frames.append(&mut self.held);
        }
        frames
    }

    /// What is sent when the honest part of the hostile side has nothing to say.
    fn make_up(&mut self) -> Vec<Vec<u8>> {
        let mut frames = std::mem::take(&mut self.held);
        if !self.script.is_over() && self.made_up < MAX_MADE_UP {
            self.made_up += 1;
            frames.push(self.another());
        }
        frames
    }

    /// A frame of this session, of other sessions, or of nobody.
    fn another(&mut self) -> Vec<u8> {
        match self.script.byte() % 3 {
            0 if !self.sent.is_empty() => {
                let at = self.script.place(self.sent.len());
                self.sent[at].clone()
            }
            1 => self.script.block().to_vec(),
            _ => {
                let frames = &people().frames;
                frames[self.script.place(frames.len())].clone()
            }
        }
    }
}

/// The honest database is sound, and an honest session brings both to the same.
fn check(honest: &Database, other: &Database) {
    check_alone(honest);
    converse(honest, other, Purpose::Member, 10);
    assert_eq!(digest(honest), digest(other), "after an honest session both hold the same");
}

/// The honest database is sound, and what it had is as it was.
pub(super) fn check_alone(honest: &Database) {
    let report = honest.verify(&mut |_, _| {}).expect("a report");
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let own = honest.snapshot().expect("a snapshot").get(None, "notes", "by-ada").expect("a read");
    assert!(own.is_some_and(|note| note.fields["title"] == "by-ada".into()), "what it had is as it was");
}

pub(super) fn digest(database: &Database) -> [u8; 32] {
    database.digest(&people().space).expect("a digest")
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = (0..4).map(|setting| vec![setting]).collect();
    for kind in 2..10 {
        // Let the hello and the proof pass, then one kind of change again and again.
        seeds.push([&[kind % 4, 0, 0, 0, 0][..], &[kind, 1, 2, 3].repeat(6)].concat());
    }
    let mut made_up = vec![1, 0, 0, 0, 0, 7, 1];
    put_block(&mut made_up, &[9, 5, 0]);
    seeds.push(made_up);
    seeds
}
