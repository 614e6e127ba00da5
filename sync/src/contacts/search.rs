//! Finding a person among the profiles that are held.

use super::Profile;

/// How many results a search gives at most.
pub const MAX_SEARCH_RESULTS: usize = 100;
/// The longest text that is searched for, in bytes.
const MAX_TEXT_BYTES: usize = 256;

/// Where a search looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchField {
    /// In all of them.
    Any,
    /// In the name.
    Name,
    /// In the email.
    Email,
    /// In the location.
    Location,
    /// In each tag.
    Tags,
}

impl SearchField {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Any, Self::Name, Self::Email, Self::Location, Self::Tags];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Name => "name",
            Self::Email => "email",
            Self::Location => "location",
            Self::Tags => "tags",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }
}

/// How well a profile fits: the less the better. `None`: it doesn't.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    Whole,
    Beginning,
    Part,
}

/// How well a profile fits what is searched for, without regard to case. An empty text fits everything.
pub(crate) fn fit(profile: &Profile, field: SearchField, text: &str) -> Option<Fit> {
    if text.len() > MAX_TEXT_BYTES {
        return None;
    }
    let text = text.to_lowercase();
    let one = |field| {
        let texts: Vec<&String> = match field {
            SearchField::Name => vec![&profile.name],
            SearchField::Email => vec![&profile.email],
            SearchField::Location => vec![&profile.location],
            SearchField::Tags => profile.tags.iter().collect(),
            SearchField::Any => Vec::new(),
        };
        texts.into_iter().filter_map(|held| fit_of(held, &text)).min()
    };
    match field {
        SearchField::Any => SearchField::ALL.into_iter().filter_map(one).min(),
        field => one(field),
    }
}

fn fit_of(held: &str, text: &str) -> Option<Fit> {
    let held = held.to_lowercase();
    if held == text {
        Some(Fit::Whole)
    } else if held.starts_with(text) {
        Some(Fit::Beginning)
    } else {
        held.contains(text).then_some(Fit::Part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_finds_parts_without_regard_to_case_where_it_looks() {
        let profile = Profile {
            name: "Ada Lovelace".into(),
            email: "ada@example.org".into(),
            location: "Łódź".into(),
            tags: ["math".to_owned(), "Poetry".to_owned()].into(),
            ..Profile::default()
        };
        let fit = |field, text: &str| fit(&profile, field, text);
        assert_eq!(fit(SearchField::Any, "ADA LOVELACE"), Some(Fit::Whole));
        assert_eq!(fit(SearchField::Any, "ada"), Some(Fit::Beginning));
        assert_eq!(fit(SearchField::Name, "love"), Some(Fit::Part));
        assert_eq!(fit(SearchField::Location, "łÓD"), Some(Fit::Beginning));
        assert_eq!(fit(SearchField::Tags, "poetry"), Some(Fit::Whole));
        assert_eq!(fit(SearchField::Email, "love"), None);
        assert_eq!(fit(SearchField::Any, "nobody"), None);
        assert_eq!(fit(SearchField::Any, ""), Some(Fit::Beginning));
        assert_eq!(fit(SearchField::Any, &"a".repeat(257)), None);
        assert!(SearchField::ALL.into_iter().all(|field| SearchField::named(field.name()) == Some(field)));
    }
}
