//! Reading choices from an input: every input is some script, and a short change of it a short change of the script.

/// Takes choices from the front of an input; at the end everything is 0.
#[derive(Debug)]
pub(super) struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    /// Two bytes, big-endian.
    pub fn short(&mut self) -> usize {
        usize::from(self.byte()) << 8 | usize::from(self.byte())
    }

    /// A place among `count` things, or 0 when there are none.
    pub fn place(&mut self, count: usize) -> usize {
        self.short().checked_rem(count).unwrap_or(0)
    }

    /// As many bytes as there are, at most `most`.
    pub fn bytes(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Bytes behind their length.
    pub fn block(&mut self) -> &'a [u8] {
        let length = self.short();
        self.bytes(length)
    }
}

/// Writes what [`Script::block`] reads. At most 65,535 bytes.
pub(super) fn put_block(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).expect("a block of a seed is short");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}
