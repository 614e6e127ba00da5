//! Ranges of index rows and of ids that comparisons come down to.

use std::ops::Bound;

use super::Comparison;
use super::key::after_prefix;
use super::like::Pattern;
use crate::value::{Class, Value, order_key, string_prefix_key};

/// Index rows from `lower` on and before `upper`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rows {
    pub lower: Vec<u8>,
    pub upper: Vec<u8>,
}

impl Rows {
    /// All rows that start with `prefix`.
    pub fn starting_with(prefix: &[u8]) -> Self {
        Self { lower: prefix.to_vec(), upper: after(prefix) }
    }

    /// Of the rows that start with `prefix`, those whose next value satisfies `comparison`, and maybe others.
    /// The flag says whether no others. `None`: the comparison is not a range.
    pub fn satisfying(prefix: &[u8], comparison: &Comparison) -> Option<(Self, bool)> {
        let up_to = |value: &Value| {
            let mut key = prefix.to_vec();
            order_key(value, &mut key);
            key
        };
        let class = |value: &Value| Self::of_class(prefix, value.class());
        let text = |start: &str| {
            let mut key = prefix.to_vec();
            string_prefix_key(start, &mut key);
            Self::starting_with(&key)
        };
        Some(match comparison {
            Comparison::Gt(value) => (Self { lower: after(&up_to(value)), ..class(value) }, true),
            Comparison::Gte(value) => (Self { lower: up_to(value), ..class(value) }, true),
            Comparison::Lt(value) => (Self { upper: up_to(value), ..class(value) }, true),
            Comparison::Lte(value) if planted!(RangeEndOff) => (Self { upper: up_to(value), ..class(value) }, true),
            Comparison::Lte(value) => (Self { upper: after(&up_to(value)), ..class(value) }, true),
            Comparison::StartsWith(start) => (text(start), true),
            Comparison::Like(pattern) => (text(Pattern::new(pattern)?.prefix()), false),
            _ => return None,
        })
    }

    /// Of the rows that start with `prefix`, those whose next value is of a class.
    pub fn of_class(prefix: &[u8], class: Class) -> Self {
        let mut key = prefix.to_vec();
        key.push(class as u8);
        Self::starting_with(&key)
    }

    /// What is in both.
    pub fn and(self, other: Self) -> Self {
        Self { lower: self.lower.max(other.lower), upper: self.upper.min(other.upper) }
    }

    /// Whether no row can be in it.
    pub fn is_empty(&self) -> bool {
        self.lower >= self.upper
    }
}

/// Every key starts with a byte below 255 that says what kind it is, so there is always something after a prefix.
fn after(prefix: &[u8]) -> Vec<u8> {
    after_prefix(prefix).unwrap_or_else(|| vec![u8::MAX])
}

/// A range of ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ids {
    pub lower: Bound<String>,
    pub upper: Bound<String>,
}

impl Ids {
    /// Every id.
    pub const ALL: Self = Self { lower: Bound::Unbounded, upper: Bound::Unbounded };

    /// The ids that satisfy `comparison`, and maybe others. The flag says whether no others. `None`: the comparison is not a range.
    pub fn satisfying(comparison: &Comparison) -> Option<(Self, bool)> {
        let from = |lower| Self { lower, ..Self::ALL };
        let to = |upper| Self { upper, ..Self::ALL };
        let starting_with = |start: &str| Self {
            lower: Bound::Included(start.to_owned()),
            upper: text_after(start).map_or(Bound::Unbounded, Bound::Excluded),
        };
        Some(match comparison {
            Comparison::Gt(Value::String(text)) => (from(Bound::Excluded(text.clone())), true),
            Comparison::Gte(Value::String(text)) => (from(Bound::Included(text.clone())), true),
            Comparison::Lt(Value::String(text)) => (to(Bound::Excluded(text.clone())), true),
            Comparison::Lte(Value::String(text)) => (to(Bound::Included(text.clone())), true),
            Comparison::StartsWith(start) => (starting_with(start), true),
            Comparison::Like(pattern) => match Pattern::new(pattern)?.prefix() {
                "" => return None,
                prefix => (starting_with(prefix), false),
            },
            _ => return None,
        })
    }

    /// What is in both.
    pub fn and(self, other: Self) -> Self {
        let lower = match (self.lower, other.lower) {
            (Bound::Unbounded, bound) | (bound, Bound::Unbounded) => bound,
            (a, b) if lower_rank(&a) >= lower_rank(&b) => a,
            (_, b) => b,
        };
        let upper = match (self.upper, other.upper) {
            (Bound::Unbounded, bound) | (bound, Bound::Unbounded) => bound,
            (a, b) if upper_rank(&a) <= upper_rank(&b) => a,
            (_, b) => b,
        };
        Self { lower, upper }
    }

    /// Whether no id can be in it.
    pub fn is_empty(&self) -> bool {
        match (&self.lower, &self.upper) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(lower), Bound::Included(upper)) => lower > upper,
            (Bound::Included(lower) | Bound::Excluded(lower), Bound::Included(upper) | Bound::Excluded(upper)) => {
                lower >= upper
            }
        }
    }

    /// The bounds, borrowed.
    pub fn bounds(&self) -> (Bound<&str>, Bound<&str>) {
        (self.lower.as_ref().map(String::as_str), self.upper.as_ref().map(String::as_str))
    }
}

fn lower_rank(bound: &Bound<String>) -> Option<(&str, bool)> {
    match bound {
        Bound::Unbounded => None,
        Bound::Included(text) => Some((text, false)),
        Bound::Excluded(text) => Some((text, true)),
    }
}

fn upper_rank(bound: &Bound<String>) -> Option<(&str, bool)> {
    match bound {
        Bound::Unbounded => None,
        Bound::Included(text) => Some((text, true)),
        Bound::Excluded(text) => Some((text, false)),
    }
}

/// The least text that is greater than everything that starts with `prefix`.
fn text_after(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(char) = chars.pop() {
        if let Some(next) = (char..=char::MAX).nth(1) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::test::Test;
    use crate::value::sample::Sampler;

    fn comparison(sampler: &mut Sampler) -> Comparison {
        let value = sampler.value(1);
        match sampler.below(6) {
            0 => Comparison::Gt(value),
            1 => Comparison::Gte(value),
            2 => Comparison::Lt(value),
            3 => Comparison::Lte(value),
            4 => Comparison::StartsWith(sampler.text()),
            _ => Comparison::Like(sampler.text().replace('\\', "_") + "%"),
        }
    }

    #[test]
    fn ranges_hold_what_satisfies_the_comparison_and_nothing_else_when_they_say_so() {
        for seed in 0..40_000 {
            let mut sampler = Sampler::new(seed);
            let comparison = comparison(&mut sampler);
            let value = match (&comparison, sampler.below(2)) {
                (
                    Comparison::Gt(bound) | Comparison::Gte(bound) | Comparison::Lt(bound) | Comparison::Lte(bound),
                    0,
                ) => sampler.neighbour(bound),
                (Comparison::StartsWith(start), 0) => Value::String(format!("{start}{}", sampler.text())),
                _ => sampler.value(1),
            };
            let (test, expected) = Test::new(&comparison);
            let holds = test.holds(Some(&value)) == expected;

            let (rows, exact) = Rows::satisfying(b"p", &comparison).unwrap();
            let mut row = b"p".to_vec();
            order_key(&value, &mut row);
            row.extend_from_slice(b"id");
            let inside = rows.lower <= row && row < rows.upper;
            assert!(if exact { inside == holds } else { inside || !holds }, "seed {seed}: {comparison:?} {value:?}");

            if let (Value::String(id), Some((ids, exact))) = (&value, Ids::satisfying(&comparison)) {
                let inside = std::ops::RangeBounds::contains(&(ids.lower, ids.upper), id);
                assert!(if exact { inside == holds } else { inside || !holds }, "seed {seed}: {comparison:?} {id:?}");
            }
        }
    }

    #[test]
    fn intersections_hold_what_both_hold() {
        for seed in 0..20_000 {
            let mut sampler = Sampler::new(seed);
            let mut bound = || {
                let text: String = (0..sampler.below(3)).map(|_| ['a', 'b'][sampler.below(2)]).collect();
                match sampler.below(3) {
                    0 => Bound::Unbounded,
                    1 => Bound::Included(text),
                    _ => Bound::Excluded(text),
                }
            };
            let a = Ids { lower: bound(), upper: bound() };
            let b = Ids { lower: bound(), upper: bound() };
            let both = a.clone().and(b.clone());
            for id in ["", "a", "aa", "ab", "b", "ba", "bb", "c"].map(str::to_owned) {
                let inside = |ids: &Ids| std::ops::RangeBounds::contains(&(ids.lower.clone(), ids.upper.clone()), &id);
                assert_eq!(inside(&both), inside(&a) && inside(&b), "seed {seed}: {a:?} {b:?} {id:?}");
                assert!(!both.is_empty() || !inside(&both), "seed {seed}: {both:?} {id:?}");
            }
        }
    }

    #[test]
    fn what_is_after_a_text_skips_surrogates() {
        assert_eq!(text_after("a\u{d7ff}"), Some("a\u{e000}".to_owned()));
        assert_eq!(text_after("a\u{10ffff}"), Some("b".to_owned()));
        assert_eq!(text_after("\u{10ffff}"), None);
        assert_eq!(text_after(""), None);
    }
}
