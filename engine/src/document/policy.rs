//! Policies: which value concurrent writes of a register show, and what they are resolved to when nobody chooses by hand.

use std::cmp::Ordering;

use crate::value::Value;

/// Which value a register with several concurrent ones shows. A function of these values alone, so all replicas agree; it
/// drops none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ConflictPolicy {
    /// The one that was written last, by the clocks of its writers.
    #[default]
    Latest,
    /// The greatest, in the total order of values.
    Max,
    /// The least.
    Min,
    /// All of them: one list of the values, in their total order, each once. A value that is a list gives its elements. When
    /// that is too large for a value, the latest is shown.
    KeepAll,
}

impl ConflictPolicy {
    /// Every policy.
    pub const ALL: [Self; 4] = [Self::Latest, Self::Max, Self::Min, Self::KeepAll];

    /// The name in schemas.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::Max => "max",
            Self::Min => "min",
            Self::KeepAll => "keepAll",
        }
    }

    /// The policy of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name() == name)
    }

    /// How this policy orders two values, the one to show first. Equal: the later one.
    pub(crate) fn order(self, a: &Value, b: &Value) -> Ordering {
        match self {
            Self::Max => b.total_cmp(a),
            Self::Min => a.total_cmp(b),
            Self::Latest | Self::KeepAll => Ordering::Equal,
        }
    }

    /// What several values show, given in the order of this policy.
    pub(crate) fn shown<'v>(self, mut ranked: impl Iterator<Item = &'v Value> + Clone) -> Option<Value> {
        if self == Self::KeepAll
            && ranked.clone().nth(1).is_some()
            && let Some(all) = all(ranked.clone())
        {
            return Some(all);
        }
        ranked.next().cloned()
    }
}

/// `None`: it is no value that could be stored.
fn all<'v>(values: impl Iterator<Item = &'v Value>) -> Option<Value> {
    let mut elements: Vec<&Value> = values
        .flat_map(|value| match value {
            Value::List(items) => items.as_slice(),
            one => std::slice::from_ref(one),
        })
        .collect();
    elements.sort_by(|a, b| a.total_cmp(b));
    elements.dedup_by(|a, b| a.total_cmp(b).is_eq());
    let list = Value::List(elements.into_iter().cloned().collect());
    list.to_bytes().is_ok().then_some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(policy: ConflictPolicy, values: &[Value]) -> Value {
        let mut ranked: Vec<&Value> = values.iter().collect();
        ranked.sort_by(|a, b| policy.order(a, b));
        policy.shown(ranked.into_iter()).unwrap()
    }

    #[test]
    fn every_policy_shows_what_it_is_named_for() {
        let latest_first = [Value::Int(2), Value::Int(3), Value::Int(1)];
        let list = |numbers: &[i64]| Value::List(numbers.iter().map(|number| Value::Int(*number)).collect());
        for (policy, expected) in [
            (ConflictPolicy::Latest, Value::Int(2)),
            (ConflictPolicy::Max, Value::Int(3)),
            (ConflictPolicy::Min, Value::Int(1)),
            (ConflictPolicy::KeepAll, list(&[1, 2, 3])),
        ] {
            assert_eq!(shown(policy, &latest_first), expected, "{policy:?}");
            assert_eq!(shown(policy, &latest_first[..1]), Value::Int(2), "{policy:?} of one value");
            assert_eq!(ConflictPolicy::from_name(policy.name()), Some(policy));
        }
        assert_eq!(ConflictPolicy::from_name("newest"), None);
        assert_eq!(shown(ConflictPolicy::KeepAll, &[list(&[3, 1]), Value::Int(3), list(&[2])]), list(&[1, 2, 3]));
    }

    #[test]
    fn what_is_too_large_to_keep_all_shows_the_latest() {
        let half = |byte: u8| Value::Bytes(vec![byte; 3 << 20]);
        assert_eq!(shown(ConflictPolicy::KeepAll, &[half(1), half(2)]), half(1));
        let deep = (0..64).fold(Value::Int(1), |value, _| Value::Object([("a".to_owned(), value)].into()));
        assert_eq!(shown(ConflictPolicy::KeepAll, &[deep.clone(), Value::Int(2)]), deep);
    }
}
