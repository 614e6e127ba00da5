//! Text patterns: `%` is any run, `_` any one character, `\` takes the next character literally.
//!
//! A pattern is cut at its `%`. The first part is anchored at the start and the last at the end; those between are
//! found leftmost first, which is enough: nothing is ever tried twice, so matching takes at most the product of the
//! two lengths.

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Pattern {
    first: Part,
    /// What follows the first `%`; `None` when there is none and `first` is the whole text.
    rest: Option<Rest>,
}

#[derive(Debug)]
struct Rest {
    middle: Vec<Part>,
    last: Part,
}

/// What stands between two `%`.
type Part = Vec<Piece>;

#[derive(Debug)]
enum Piece {
    Literal(String),
    AnyOne,
}

impl Pattern {
    /// Compiles a pattern; `None` when it ends in a `\` that has nothing to take.
    pub fn new(pattern: &str) -> Option<Self> {
        let mut parts = vec![Part::new()];
        let mut chars = pattern.chars();
        while let Some(char) = chars.next() {
            match char {
                '%' => parts.push(Part::new()),
                '_' => parts.last_mut()?.push(Piece::AnyOne),
                '\\' => push_literal(parts.last_mut()?, chars.next()?),
                char => push_literal(parts.last_mut()?, char),
            }
        }
        let last = if parts.len() > 1 { parts.pop() } else { None };
        let mut parts = parts.into_iter();
        let first = parts.next()?;
        let rest = last.map(|last| Rest { middle: parts.filter(|part| !part.is_empty()).collect(), last });
        Some(Self { first, rest })
    }

    /// What every text that matches starts with.
    pub fn prefix(&self) -> &str {
        match self.first.first() {
            Some(Piece::Literal(literal)) => literal,
            _ => "",
        }
    }

    /// Whether the whole of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        let Some(mut text) = match_start(&self.first, text) else { return false };
        let Some(rest) = &self.rest else { return text.is_empty() };
        for part in &rest.middle {
            match find(part, text) {
                Some(after) => text = after,
                None => return false,
            }
        }
        match_end(&rest.last, text)
    }
}

fn push_literal(part: &mut Part, char: char) {
    match part.last_mut() {
        Some(Piece::Literal(literal)) => literal.push(char),
        _ => part.push(Piece::Literal(char.into())),
    }
}

/// What follows `part` in a text that starts with it.
fn match_start<'t>(part: &[Piece], text: &'t str) -> Option<&'t str> {
    part.iter().try_fold(text, |text, piece| match piece {
        Piece::Literal(literal) => text.strip_prefix(literal.as_str()),
        Piece::AnyOne => {
            let mut chars = text.chars();
            chars.next().map(|_| chars.as_str())
        }
    })
}

fn match_end(part: &[Piece], text: &str) -> bool {
    let before = part.iter().rev().try_fold(text, |text, piece| match piece {
        Piece::Literal(literal) => text.strip_suffix(literal.as_str()),
        Piece::AnyOne => {
            let mut chars = text.chars();
            chars.next_back().map(|_| chars.as_str())
        }
    });
    before.is_some()
}

/// What follows the leftmost place where `part` is.
fn find<'t>(part: &[Piece], mut text: &'t str) -> Option<&'t str> {
    loop {
        if let Some(Piece::Literal(literal)) = part.first() {
            text = &text[text.find(literal.as_str())?..];
        }
        if let Some(after) = match_start(part, text) {
            return Some(after);
        }
        let mut chars = text.chars();
        chars.next()?;
        text = chars.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::sample::Sampler;

    /// The definition, with every choice tried.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], text) => text.is_empty(),
            (['%', pattern @ ..], text) => (0..=text.len()).any(|from| naive(pattern, &text[from..])),
            (['_', pattern @ ..], [_, text @ ..]) => naive(pattern, text),
            (['\\', literal, pattern @ ..], [char, text @ ..]) => literal == char && naive(pattern, text),
            ([literal, pattern @ ..], [char, text @ ..]) => literal == char && naive(pattern, text),
            _ => false,
        }
    }

    fn sample(sampler: &mut Sampler, alphabet: &[char], longest: usize) -> Vec<char> {
        (0..sampler.below(longest + 1)).map(|_| alphabet[sampler.below(alphabet.len())]).collect()
    }

    #[test]
    fn patterns_match_as_the_naive_matcher_says() {
        let mut matched = 0;
        for seed in 0..60_000 {
            let mut sampler = Sampler::new(seed);
            let pattern = sample(&mut sampler, &['a', 'b', '水', '%', '%', '_', '\\'], 7);
            let text = sample(&mut sampler, &['a', 'b', '水', '%', '_', '\\'], 8);
            let Some(compiled) = Pattern::new(&pattern.iter().collect::<String>()) else { continue };
            let text_string: String = text.iter().collect();
            let expected = naive(&pattern, &text);
            assert_eq!(compiled.matches(&text_string), expected, "seed {seed}: {pattern:?} on {text_string:?}");
            assert!(!expected || text_string.starts_with(compiled.prefix()), "seed {seed}");
            matched += u32::from(expected);
        }
        assert!(matched > 2_000, "only {matched} of the samples matched");
    }

    #[test]
    fn a_pattern_that_ends_in_an_escape_is_refused() {
        assert!(Pattern::new("a\\").is_none());
        assert!(Pattern::new("a\\\\").is_some_and(|pattern| pattern.matches("a\\")));
    }

    #[test]
    fn many_wildcards_do_not_backtrack() {
        let pattern = Pattern::new(&"%a".repeat(2_000)).unwrap();
        assert!(!pattern.matches(&"a".repeat(1_999)));
        assert!(pattern.matches("ab".repeat(2_000).trim_end_matches('b')));
    }
}
