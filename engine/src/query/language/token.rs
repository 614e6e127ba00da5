//! The tokens of the filter language.

use super::{LanguageError, LanguageFault};
use crate::value::Value;

/// The longest piece of the text that an error repeats, in characters.
const MAX_QUOTED: usize = 80;
/// The operators; the longer ones first.
const OPERATORS: [&str; 9] = ["!=", ">=", "<=", "^=", "=", ">", "<", ":", "~"];
/// What ends a word, besides blanks.
const DELIMITERS: &str = "()\",=!><:^~";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'t> {
    Word(&'t str),
    String(String),
    Operator(&'static str),
    Open,
    Close,
    Comma,
    /// Anything else.
    Unknown(char),
    End,
}

/// Reads tokens, looking one ahead.
pub(super) struct Tokens<'t> {
    text: &'t str,
    /// Where the next token starts, in bytes.
    start: usize,
    /// The next token, and where it ends.
    next: Option<(Token<'t>, usize)>,
}

impl<'t> Tokens<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { text, start: 0, next: None }
    }

    /// The next token.
    pub fn peek(&mut self) -> Result<&Token<'t>, LanguageError> {
        if self.next.is_none() {
            let rest = self.text[self.start..].trim_start();
            self.start = self.text.len() - rest.len();
            let (token, bytes) = token(rest).ok_or_else(|| self.fault(LanguageFault::String))?;
            self.next = Some((token, self.start + bytes));
        }
        match &self.next {
            Some((token, _)) => Ok(token),
            None => Ok(&Token::End),
        }
    }

    /// Goes past the token that was looked at.
    pub fn advance(&mut self) {
        if let Some((_, end)) = self.next.take() {
            self.start = end;
        }
    }

    /// Goes past `word` if it is next.
    pub fn take_word(&mut self, word: &str) -> Result<bool, LanguageError> {
        let is_next = matches!(self.peek()?, Token::Word(next) if *next == word);
        if is_next {
            self.advance();
        }
        Ok(is_next)
    }

    /// Goes past `token`, which must be next.
    pub fn take(&mut self, token: &Token<'_>, expected: &'static str) -> Result<(), LanguageError> {
        if self.peek()? != token {
            return Err(self.expected(expected));
        }
        self.advance();
        Ok(())
    }

    /// The error for a next token that should be something else.
    pub fn expected(&self, expected: &'static str) -> LanguageError {
        let found = match &self.next {
            Some((Token::End, _)) | None => "the end".to_owned(),
            Some((_, end)) => {
                let found: String = self.text[self.start..*end].chars().take(MAX_QUOTED).collect();
                format!("`{found}`")
            }
        };
        self.fault(LanguageFault::Expected { expected, found })
    }

    /// An error at the next token.
    pub fn fault(&self, fault: LanguageFault) -> LanguageError {
        LanguageError { column: self.text[..self.start].chars().count() + 1, fault }
    }
}

/// The token that `text` starts with, and its length in bytes; `None` for a broken string.
fn token(text: &str) -> Option<(Token<'_>, usize)> {
    if let Some(operator) = OPERATORS.into_iter().find(|operator| text.starts_with(operator)) {
        return Some((Token::Operator(operator), operator.len()));
    }
    Some(match text.chars().next() {
        None => (Token::End, 0),
        Some('(') => (Token::Open, 1),
        Some(')') => (Token::Close, 1),
        Some(',') => (Token::Comma, 1),
        Some('"') => return string(text),
        Some(char) if DELIMITERS.contains(char) => (Token::Unknown(char), char.len_utf8()),
        Some(_) => {
            let ends = |char: char| char.is_whitespace() || DELIMITERS.contains(char);
            let word = &text[..text.find(ends).unwrap_or(text.len())];
            (Token::Word(word), word.len())
        }
    })
}

fn string(text: &str) -> Option<(Token<'_>, usize)> {
    let mut escaped = false;
    let closing = text.char_indices().skip(1).find(|(_, char)| {
        let closes = *char == '"' && !escaped;
        escaped = *char == '\\' && !escaped;
        closes
    });
    let bytes = closing?.0 + 1;
    match Value::from_json(&text.as_bytes()[..bytes]) {
        Ok(Value::String(string)) => Some((Token::String(string), bytes)),
        _ => None,
    }
}
