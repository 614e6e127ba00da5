//! Names: from what collections and fields are called to what GraphQL allows, without collisions.

use std::collections::BTreeSet;

/// Plurals that no rule gives.
const IRREGULAR: &[(&str, &str)] = &[
    ("children", "child"),
    ("feet", "foot"),
    ("geese", "goose"),
    ("men", "man"),
    ("mice", "mouse"),
    ("movies", "movie"),
    ("people", "person"),
    ("teeth", "tooth"),
    ("women", "woman"),
];

/// A GraphQL name made of `text`: other characters become `_`, a leading digit and the reserved `__` get a prefix.
pub(crate) fn sanitise(text: &str) -> String {
    let mut name: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    if name.starts_with("__") {
        name.insert(0, 'x');
    }
    name
}

/// `todo-items` becomes `TodoItems`.
pub(crate) fn pascal(text: &str) -> String {
    let name: String = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word[..1].to_ascii_uppercase() + &word[1..])
        .collect();
    sanitise(&name)
}

/// The singular of an English plural, or the text itself where it is none.
pub(crate) fn singular(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    for (plural, singular) in IRREGULAR {
        if let Some(head) = lower.strip_suffix(plural)
            && (head.is_empty() || head.ends_with(|c: char| !c.is_ascii_alphanumeric()))
        {
            return text[..head.len()].to_owned() + singular;
        }
    }
    let cut = |ending: &str, replacement: &str| text[..text.len() - ending.len()].to_owned() + replacement;
    if lower.ends_with("ies") && lower.len() > 4 && lower != "series" {
        return cut("ies", "y");
    }
    if ["sses", "shes", "ches", "xes", "zes"].iter().any(|ending| lower.ends_with(ending)) {
        return cut("es", "");
    }
    let plural = lower.ends_with('s') && !["ss", "us", "is"].iter().any(|ending| lower.ends_with(ending));
    if plural && lower.len() > 1 && !["series", "news", "species"].contains(&lower.as_str()) {
        return cut("s", "");
    }
    text.to_owned()
}

/// Hands every name out once: who comes later gets `_2`, `_3` and so on.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeSet<String>);

impl Names {
    /// Starts with names that are taken.
    pub(crate) fn reserving(taken: &[&str]) -> Self {
        Self(taken.iter().map(|name| (*name).to_owned()).collect())
    }

    /// Takes `wanted`, or the first numbered form of it that is free.
    pub(crate) fn take(&mut self, wanted: &str) -> String {
        self.take_family(wanted, &[""])
    }

    /// Takes a base for which the base with every one of `suffixes` is free, and takes them all.
    pub(crate) fn take_family(&mut self, wanted: &str, suffixes: &[&str]) -> String {
        let base = (1u64..)
            .map(|n| if n == 1 { wanted.to_owned() } else { format!("{wanted}_{n}") })
            .find(|base| suffixes.iter().all(|suffix| !self.0.contains(&format!("{base}{suffix}"))))
            .expect("some number is free");
        self.0.extend(suffixes.iter().map(|suffix| format!("{base}{suffix}")));
        base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn singulars() {
        let cases = [
            ("notes", "note"),
            ("categories", "category"),
            ("boxes", "box"),
            ("classes", "class"),
            ("people", "person"),
            ("team_people", "team_person"),
            ("status", "status"),
            ("series", "series"),
            ("analysis", "analysis"),
            ("sheep", "sheep"),
            ("packages", "package"),
            ("s", "s"),
            ("", ""),
            ("größes", "größe"),
        ];
        for (plural, expected) in cases {
            assert_eq!(singular(plural), expected, "{plural}");
        }
    }

    #[test]
    fn any_text_becomes_a_name() {
        for (text, expected) in [("a b", "a_b"), ("1st", "_1st"), ("", "_"), ("__x", "x__x"), ("é", "_"), ("$x", "_x")]
        {
            assert_eq!(sanitise(text), expected);
        }
        assert_eq!(pascal("todo-items"), "TodoItems");
        assert_eq!(pascal("..."), "_");
    }

    #[test]
    fn collisions_are_numbered_in_order() {
        let mut names = Names::reserving(&["status"]);
        assert_eq!(names.take("status"), "status_2");
        assert_eq!(names.take("a"), "a");
        assert_eq!(names.take("a"), "a_2");
        assert_eq!(names.take_family("T", &["", "Input"]), "T");
        assert_eq!(names.take_family("TInput", &["", "Input"]), "TInput_2");
    }
}
