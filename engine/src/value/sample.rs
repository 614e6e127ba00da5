//! Values for property tests: the same seed gives the same value, and edges are common.

use super::{Blob, Fields, Reference, Value};

/// A generator of values.
pub(crate) struct Sampler(u64);

impl Sampler {
    /// Starts from a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits (SplitMix64).
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// A storable value: never NaN, never -0, lists and objects at most `depth` deep.
    pub(crate) fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth > 0 { 14 } else { 11 }) {
            0 => Value::Null,
            1 => Value::Bool(self.below(2) == 1),
            2 | 3 => Value::Int(self.int()),
            4 => Value::Float(self.float()),
            5 | 6 => Value::String(self.text()),
            7 => Value::Bytes(self.bytes()),
            8 => Value::Timestamp(self.int()),
            9 => Value::Reference(Reference { collection: self.name(), id: self.name() }),
            10 if self.below(2) == 0 => Value::Blob(Blob { hash: [self.next() as u8; 32], length: self.next() >> 1 }),
            10 => Value::Vector((0..self.below(4)).map(|_| (self.float() as f32) + 0.0).collect()),
            11 | 12 => Value::List((0..self.below(4)).map(|_| self.value(depth - 1)).collect()),
            _ => Value::Object(self.fields(depth - 1)),
        }
    }

    /// A few fields with values of at most `depth`.
    pub(crate) fn fields(&mut self, depth: usize) -> Fields {
        (0..self.below(4)).map(|_| (self.text(), self.value(depth))).collect()
    }

    /// A value that is equal to `value` or close to it.
    pub(crate) fn neighbour(&mut self, value: &Value) -> Value {
        match value {
            Value::Int(int) => match self.below(3) {
                0 => Value::Float(*int as f64),
                1 => Value::Float((*int as f64).next_down() + 0.0),
                _ => Value::Int(int.saturating_add(self.pick(&[-1, 0, 1]))),
            },
            Value::Float(float) if self.below(2) == 0 => Value::Int(*float as i64),
            Value::Float(float) => Value::Float(float.next_up().min(f64::MAX) + 0.0),
            Value::String(text) => Value::String(format!("{text}{}", self.pick(&["", "\0", "\u{1}", "a"]))),
            Value::List(values) => {
                let mut values: Vec<_> = values.iter().map(|value| self.neighbour(value)).collect();
                if self.below(3) == 0 {
                    values.pop();
                }
                Value::List(values)
            }
            Value::Object(fields) => {
                Value::Object(fields.iter().map(|(key, value)| (key.clone(), self.neighbour(value))).collect())
            }
            other => other.clone(),
        }
    }

    /// A whole number; powers of two and their neighbours are common.
    pub(crate) fn int(&mut self) -> i64 {
        let near_power = (1i128 << self.below(64)) + self.pick(&[-2, -1, 0, 1, 2]);
        let near_power = near_power.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        match self.below(4) {
            0 => near_power,
            1 => near_power.wrapping_neg(),
            2 => self.next() as i64,
            _ => self.below(300) as i64 - 150,
        }
    }

    /// A float that is neither NaN nor -0.
    pub(crate) fn float(&mut self) -> f64 {
        let float = match self.below(4) {
            0 => self.int() as f64,
            1 => self.int() as f64 / 4.0,
            2 => self.pick(&[f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE, f64::from_bits(1), 0.1]),
            _ => f64::from_bits(self.next()),
        };
        if float.is_nan() { 0.0 } else { float + 0.0 }
    }

    /// Text; zeros, prefixes of each other and characters outside ASCII are common.
    pub(crate) fn text(&mut self) -> String {
        let length = self.pick(&[0, 1, 2, 3, 5, 62, 63, 64, 65, 130]);
        (0..length).map(|_| self.pick(&['a', 'b', '\0', '\u{1}', '"', '\\', '\n', 'ÿ', '水', '\u{10ffff}'])).collect()
    }

    /// A name of 1 to 256 bytes.
    pub(crate) fn name(&mut self) -> String {
        let length = 1 + self.below(8);
        (0..length).map(|_| self.pick(&['a', 'b', '$', '.', '水'])).collect()
    }

    fn bytes(&mut self) -> Vec<u8> {
        (0..self.below(9)).map(|_| self.pick(&[0, 0, 1, 0x7f, 0xff])).collect()
    }
}
