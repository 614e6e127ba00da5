//! Reading JSON, strictly and in one pass.

use std::collections::btree_map::Entry;

use super::{JsonError, JsonFault, typed};
use crate::value::{Fields, Value};

/// How deep text may nest: every level of a value may cost two, because of `$object`, and the innermost two more.
const MAX_TEXT_DEPTH: usize = 2 * Value::MAX_DEPTH + 2;

/// A fault and where it is, in bytes from the start.
type At<T> = Result<T, (usize, JsonFault)>;

/// A place in a text.
pub(super) struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    deepest: usize,
}

impl<'a> Parser<'a> {
    /// Reads one thing that takes up all of `bytes`, blanks around it aside.
    pub(super) fn all_of<T>(bytes: &'a [u8], read: impl FnOnce(&mut Self) -> At<T>) -> Result<T, JsonError> {
        let text = std::str::from_utf8(bytes).map_err(|error| place(bytes, (error.valid_up_to(), JsonFault::Utf8)))?;
        let mut parser = Parser { text, at: 0, depth: 0, deepest: 0 };
        let read = |parser: &mut Self| {
            parser.blanks();
            let read = read(parser)?;
            parser.blanks();
            if parser.at < text.len() { Err(parser.expected("the end")) } else { Ok(read) }
        };
        read(&mut parser).map_err(|fault| place(bytes, fault))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// The fault that something else should stand here.
    fn expected(&self, expected: &'static str) -> (usize, JsonFault) {
        let fault = if self.at < self.text.len() { JsonFault::Expected { expected } } else { JsonFault::End };
        (self.at, fault)
    }

    fn eat(&mut self, byte: u8, expected: &'static str) -> At<()> {
        if self.peek() != Some(byte) {
            return Err(self.expected(expected));
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &str, value: Value) -> At<Value> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.expected("a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    /// Reads a value.
    pub(super) fn value(&mut self) -> At<Value> {
        let start = self.at;
        let value = self.any()?;
        self.check_depth(start, || depth(&value), Value::MAX_DEPTH)?;
        Ok(value)
    }

    /// Reads an object as fields. It is no level of its own: each field's value may nest as deep as any.
    pub(super) fn fields(&mut self) -> At<Fields> {
        let start = self.at;
        let fields = self.literal_object()?;
        self.check_depth(start, || fields.values().map(depth).max().unwrap_or(0), Value::MAX_DEPTH)?;
        Ok(fields)
    }

    /// Text may nest deeper than the value it means; only where it does, the value is measured.
    fn check_depth(&self, start: usize, depth: impl FnOnce() -> usize, limit: usize) -> At<()> {
        if self.deepest > limit && depth() > limit { Err((start, JsonFault::TooDeep)) } else { Ok(()) }
    }

    fn any(&mut self) -> At<Value> {
        match self.peek() {
            Some(b'{') => self.object(),
            Some(b'[') => self.list(),
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.expected("a value")),
        }
    }

    fn enter(&mut self) -> At<()> {
        if self.depth == MAX_TEXT_DEPTH {
            return Err((self.at, JsonFault::TooDeep));
        }
        self.at += 1;
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        self.blanks();
        Ok(())
    }

    fn leave(&mut self) {
        self.at += 1;
        self.depth -= 1;
    }

    fn list(&mut self) -> At<Value> {
        self.enter()?;
        let mut values = Vec::new();
        while self.peek() != Some(b']') {
            if !values.is_empty() {
                self.eat(b',', "`,` or `]`")?;
                self.blanks();
            }
            values.push(self.any()?);
            self.blanks();
        }
        self.leave();
        Ok(Value::List(values))
    }

    /// An object, or the typed value that it stands for.
    fn object(&mut self) -> At<Value> {
        let start = self.at;
        let mut escaped = None;
        let fields = self.members(|parser, key, first| {
            if key != typed::OBJECT {
                return if escaped.is_none() { parser.any() } else { Err(typed::alone(start)) };
            }
            if !first {
                return Err(typed::alone(start));
            }
            escaped = Some(parser.literal_object()?);
            Ok(Value::Null)
        })?;
        match escaped {
            Some(fields) => Ok(Value::Object(fields)),
            None => typed::from_object(fields).map_err(|fault| (start, fault)),
        }
    }

    /// An object that stands for itself.
    fn literal_object(&mut self) -> At<Fields> {
        if self.peek() != Some(b'{') {
            return Err(self.expected("an object"));
        }
        self.members(|parser, _, _| parser.any())
    }

    /// The members of an object. `read` gets each key, whether it is the first, and reads its value.
    fn members(&mut self, mut read: impl FnMut(&mut Self, &str, bool) -> At<Value>) -> At<Fields> {
        self.enter()?;
        let mut fields = Fields::new();
        while self.peek() != Some(b'}') {
            if !fields.is_empty() {
                self.eat(b',', "`,` or `}`")?;
                self.blanks();
            }
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.expected("a key in quotes"));
            }
            let key = self.string()?;
            self.blanks();
            self.eat(b':', "`:`")?;
            self.blanks();
            let first = fields.is_empty();
            match fields.entry(key) {
                Entry::Occupied(entry) => {
                    let key = entry.key().chars().take(80).collect();
                    return Err((start, JsonFault::DuplicateKey { key }));
                }
                Entry::Vacant(entry) => {
                    let value = read(self, entry.key(), first)?;
                    entry.insert(value);
                }
            }
            self.blanks();
        }
        self.leave();
        Ok(fields)
    }

    fn string(&mut self) -> At<String> {
        self.at += 1;
        let mut string = String::new();
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len());
            string.push_str(&self.text[self.at..self.at + plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(string);
                }
                Some(b'\\') => string.push(self.escape()?),
                Some(_) => return Err((self.at, JsonFault::ControlCharacter)),
                None => return Err((self.at, JsonFault::End)),
            }
        }
    }

    fn escape(&mut self) -> At<char> {
        let start = self.at;
        let wrong = (start, JsonFault::Escape);
        self.at += 1;
        let escape = self.peek().ok_or((self.at, JsonFault::End))?;
        self.at += 1;
        Ok(match escape {
            b'"' | b'\\' | b'/' => escape.into(),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.unit().ok_or_else(|| wrong.clone())?;
                let second = if (0xd800..0xdc00).contains(&unit) && self.text[self.at..].starts_with("\\u") {
                    self.at += 2;
                    Some(self.unit().ok_or_else(|| wrong.clone())?)
                } else {
                    None
                };
                let decoded = char::decode_utf16([unit].into_iter().chain(second)).next();
                decoded.and_then(Result::ok).ok_or(wrong)?
            }
            _ => return Err(wrong),
        })
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Option<u16> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u16::from_str_radix(digits, 16).ok()
    }

    fn digits(&mut self) -> At<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(self.expected("a digit")) } else { Ok(()) }
    }

    fn number(&mut self) -> At<Value> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if let Some(b'0'..=b'9') = self.peek() {
                return Err(self.expected("a number without leading zeros"));
            }
        } else {
            self.digits()?;
        }
        let whole = self.at;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        let mantissa = &self.text[start..self.at];
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        let number = &self.text[start..self.at];
        if self.at == whole {
            return number.parse().map(Value::Int).map_err(|_| (start, JsonFault::IntegerRange));
        }
        let float: f64 = number.parse().map_err(|_| (start, JsonFault::FloatRange))?;
        let vanished = float == 0.0 && mantissa.bytes().any(|digit| matches!(digit, b'1'..=b'9'));
        if float.is_infinite() || vanished {
            return Err((start, JsonFault::FloatRange));
        }
        // Adding 0 turns -0 into 0, as the encoding does.
        Ok(Value::Float(float + 0.0))
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::List(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn place(bytes: &[u8], (at, fault): (usize, JsonFault)) -> JsonError {
    let before = &bytes[..at.min(bytes.len())];
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    JsonError { line, column: 1 + String::from_utf8_lossy(&before[start..]).chars().count(), fault }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &[u8]) -> JsonFault {
        match Value::from_json(text) {
            Err(error) => error.fault,
            Ok(value) => panic!("{} was read as {value:?}", String::from_utf8_lossy(text)),
        }
    }

    #[test]
    fn a_text_that_ends_too_early_is_told_from_one_that_goes_on_otherwise() {
        for cut in ["[1", "{\"a\"", "{\"a\":1", "{", ""] {
            assert_eq!(fault(cut.as_bytes()), JsonFault::End, "{cut}");
        }
        for other in ["[1;", "{\"a\";", "{\"a\":1;", "{;"] {
            assert!(matches!(fault(other.as_bytes()), JsonFault::Expected { .. }), "{other}");
        }
    }

    #[test]
    fn plain_json_is_itself() {
        let value =
            Value::from_json(br#" { "a" : [ 1 , -2.5 , 1e2, true, false, null, "\u00e9\n\ud83c\udf0a/\/" ] } "#);
        let list = vec![
            Value::Int(1),
            Value::Float(-2.5),
            Value::Float(100.0),
            Value::Bool(true),
            Value::Bool(false),
            Value::Null,
            Value::from("é\n🌊//"),
        ];
        assert_eq!(value, Ok(Value::Object([("a".to_owned(), Value::List(list))].into())));
        assert_eq!(Value::from_json(b"[]"), Ok(Value::List(vec![])));
        assert_eq!(Value::from_json(b"{}"), Ok(Value::Object(Fields::new())));
    }

    #[test]
    fn numbers_are_exact_or_refused() {
        assert_eq!(Value::from_json(b"9223372036854775807"), Ok(Value::Int(i64::MAX)));
        assert_eq!(Value::from_json(b"-9223372036854775808"), Ok(Value::Int(i64::MIN)));
        assert_eq!(Value::from_json(b"-0"), Ok(Value::Int(0)));
        for text in ["9223372036854775808", "-9223372036854775809", "18446744073709551616000"] {
            assert_eq!(fault(text.as_bytes()), JsonFault::IntegerRange, "{text}");
        }
        for text in ["1e400", "-1e400", "1e-400", "0.0001e-330"] {
            assert_eq!(fault(text.as_bytes()), JsonFault::FloatRange, "{text}");
        }
        assert_eq!(Value::from_json(b"0.0e-400"), Ok(Value::Float(0.0)));
        assert_eq!(Value::from_json(b"5e-324"), Ok(Value::Float(f64::from_bits(1))));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        let cases: [&[u8]; 30] = [
            b"",
            b"  ",
            b"nul",
            b"nulll",
            b"NaN",
            b"Infinity",
            b"-",
            b"+1",
            b"01",
            b"-01",
            b"1.",
            b".5",
            b"1e",
            b"1e+",
            b"0x1",
            b"'a'",
            b"\"a",
            b"\"\\x\"",
            b"\"\\ud800\"",
            b"\"\\ud800\\u0041\"",
            b"\"\\udc00\"",
            b"\"\\u12g4\"",
            b"\"a\tb\"",
            b"[1,]",
            b"[1 2]",
            b"{\"a\":1,}",
            b"{a:1}",
            b"{\"a\" 1}",
            b"[1] 2",
            b"\"\xff\"",
        ];
        for text in cases {
            assert!(Value::from_json(text).is_err(), "{}", String::from_utf8_lossy(text));
        }
        assert_eq!(fault(b"{\"a\":1,\"b\":2,\"\\u0061\":3}"), JsonFault::DuplicateKey { key: "a".into() });
    }

    #[test]
    fn an_error_says_line_and_column() {
        let error = Value::from_json("{\n \"é\": nul}".as_bytes()).unwrap_err();
        assert_eq!((error.line, error.column), (2, 7));
        assert_eq!(error.to_string(), "line 2, column 7: expected a value");
        let error = Value::from_json(b"[\"\xff\"]").unwrap_err();
        assert_eq!((error.line, error.column, error.fault), (1, 3, JsonFault::Utf8));
    }

    #[test]
    fn nesting_is_bounded_by_what_the_value_may_have() {
        let nested = |depth: usize| [&b"[".repeat(depth)[..], &b"]".repeat(depth)].concat();
        assert!(Value::from_json(&nested(64)).unwrap().to_bytes().is_ok());
        assert_eq!(fault(&nested(65)), JsonFault::TooDeep);
        assert_eq!(fault(&b"[".repeat(1_000_000)), JsonFault::TooDeep);
        assert_eq!(fault(&b"{\"a\":".repeat(1_000_000)), JsonFault::TooDeep);
        let field = |depth| [b"{\"a\":", &nested(depth)[..], b"}"].concat();
        assert!(crate::value::fields_from_json(&field(64)).is_ok());
        assert!(crate::value::fields_from_json(&field(65)).is_err());
    }

    #[test]
    fn random_text_never_panics_and_agrees_with_another_parser() {
        use crate::value::sample::Sampler;
        for seed in 0..20_000 {
            let mut sampler = Sampler::new(seed);
            let mut text = sampler.value(3).to_json().into_bytes();
            let at = sampler.below(text.len());
            match sampler.below(4) {
                0 => text[at] ^= 1 << sampler.below(8),
                1 => text[at] = b"{}[]\",:\\0e.- "[sampler.below(13)],
                2 => text.truncate(at),
                _ => {}
            }
            let theirs: Result<serde_json::Value, _> = serde_json::from_slice(&text);
            if Value::from_json(&text).is_ok() {
                assert!(theirs.is_ok(), "seed {seed}: {}", String::from_utf8_lossy(&text));
            }
        }
    }
}
