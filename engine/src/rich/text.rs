//! The difference of two texts.

/// The most insertions and deletions that a difference looks for; texts that differ more are replaced as a whole
/// between their common ends. Bounds the work at this times the length of the texts.
const MAX_DISTANCE: usize = 400;

/// One splice, in Unicode scalar values. Positions count the splices before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    pub at: usize,
    pub delete: usize,
    pub insert: String,
}

/// Few splices that turn `old` into `new`.
pub(super) fn difference(old: &str, new: &str) -> Vec<Edit> {
    let (old, new): (Vec<char>, Vec<char>) = (old.chars().collect(), new.chars().collect());
    let front = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[front..], &new[front..]);
    let back = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[..old.len() - back], &new[..new.len() - back]);
    if old.is_empty() && new.is_empty() {
        return Vec::new();
    }
    let kept = common(old, new).unwrap_or_default();
    splices(front, old, new, &kept)
}

/// The splices between runs of kept pairs, front to back.
fn splices(front: usize, old: &[char], new: &[char], kept: &[(usize, usize)]) -> Vec<Edit> {
    let mut edits = Vec::new();
    let (mut from_old, mut from_new) = (0, 0);
    for &(to_old, to_new) in kept.iter().chain([&(old.len(), new.len())]) {
        if to_old > from_old || to_new > from_new {
            let insert = new[from_new..to_new].iter().collect();
            edits.push(Edit { at: front + from_new, delete: to_old - from_old, insert });
        }
        (from_old, from_new) = (to_old + 1, to_new + 1);
    }
    edits
}

/// A longest common subsequence as pairs of positions (Myers' greedy algorithm), or `None` when the texts differ by
/// more than [`MAX_DISTANCE`].
fn common(old: &[char], new: &[char]) -> Option<Vec<(usize, usize)>> {
    let (n, m) = (old.len() as isize, new.len() as isize);
    let limit = MAX_DISTANCE.min(old.len() + new.len()) as isize;
    let mut reach = vec![0isize; 2 * limit as usize + 3];
    let at = |diagonal: isize| (diagonal + limit + 1) as usize;
    let mut trace = Vec::new();
    for distance in 0..=limit {
        trace.push(reach[at(-distance - 1)..=at(distance + 1)].to_vec());
        for diagonal in (-distance..=distance).step_by(2) {
            let down =
                diagonal == -distance || diagonal != distance && reach[at(diagonal - 1)] < reach[at(diagonal + 1)];
            let mut x = if down { reach[at(diagonal + 1)] } else { reach[at(diagonal - 1)] + 1 };
            while x < n && x - diagonal < m && old[x as usize] == new[(x - diagonal) as usize] {
                x += 1;
            }
            reach[at(diagonal)] = x;
            if x >= n && x - diagonal >= m {
                return Some(walk_back(&trace, n, m));
            }
        }
    }
    None
}

/// The kept pairs on the path that ends at `(n, m)`. `trace[d]` is the reach before step `d`, over the diagonals
/// `-d-1..=d+1`.
fn walk_back(trace: &[Vec<isize>], n: isize, m: isize) -> Vec<(usize, usize)> {
    let mut kept = Vec::new();
    let (mut x, mut y) = (n, m);
    for (distance, reach) in trace.iter().enumerate().rev() {
        let distance = distance as isize;
        let diagonal = x - y;
        let at = |diagonal: isize| (diagonal + distance + 1) as usize;
        let down = diagonal == -distance || diagonal != distance && reach[at(diagonal - 1)] < reach[at(diagonal + 1)];
        let from = if down { diagonal + 1 } else { diagonal - 1 };
        let (from_x, from_y) = if distance == 0 { (0, 0) } else { (reach[at(from)], reach[at(from)] - from) };
        let (after_x, after_y) = match (distance, down) {
            (0, _) => (0, 0),
            (_, true) => (from_x, from_y + 1),
            (_, false) => (from_x + 1, from_y),
        };
        while x > after_x && y > after_y {
            (x, y) = (x - 1, y - 1);
            kept.push((x as usize, y as usize));
        }
        (x, y) = (from_x, from_y);
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::sample::Sampler;

    fn applied(old: &str, edits: &[Edit]) -> String {
        let mut chars: Vec<char> = old.chars().collect();
        for edit in edits {
            chars.splice(edit.at..edit.at + edit.delete, edit.insert.chars());
        }
        chars.into_iter().collect()
    }

    #[test]
    fn random_texts_turn_into_each_other_by_splices() {
        let mut random = Sampler::new(7);
        for round in 0..3_000 {
            let letters = 1 + random.below(6);
            let mut text = |length: usize| -> String {
                (0..random.below(length)).map(|_| "abçd✂🦀".chars().nth(random.below(letters)).unwrap()).collect()
            };
            let (old, new) = (text(40), text(40));
            assert_eq!(applied(&old, &difference(&old, &new)), new, "round {round}: {old:?} to {new:?}");
        }
    }

    #[test]
    fn small_edits_in_several_places_stay_small() {
        let old = "the quick brown fox jumps over the lazy dog";
        let new = "The quick brown cat jumps over the dog!";
        let edits = difference(old, new);
        assert_eq!(applied(old, &edits), new);
        let touched: usize = edits.iter().map(|edit| edit.delete + edit.insert.chars().count()).sum();
        assert!(edits.len() >= 4 && touched <= 16, "{edits:?}");
        assert!(difference(old, old).is_empty());
    }

    #[test]
    fn texts_that_share_little_are_replaced_between_their_common_ends() {
        let old = format!("<{}>", "a".repeat(5_000));
        let new = format!("<{}>", "b".repeat(5_000));
        let edits = difference(&old, &new);
        assert_eq!(edits, [Edit { at: 1, delete: 5_000, insert: "b".repeat(5_000) }]);
    }
}
