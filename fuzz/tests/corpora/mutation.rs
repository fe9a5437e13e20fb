//! Neighbours of kept inputs: the same ones in every run, so that a failure can be met again.

/// What parsers stumble over.
const TOKENS: &[&[u8]] = &[
    b"\0",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b";",
    b"=",
    b".",
    b" ",
    b"\n",
    b"\t",
    b"-",
    b"0",
    b"\\ud800",
    b"\\u0000",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"null",
    b"1e999",
    b"4294967295",
    b"9007199254740993",
    b"__proto__",
    b"%00",
    b"[::1]",
    b"127.0.0.1",
    b"10.0.0.1",
    b"for=",
    b"Bearer ",
    b"@",
    b"#",
    b"xn--",
    "\u{2028}".as_bytes(),
    "\u{1f600}".as_bytes(),
    "\u{ff0e}".as_bytes(),
];

/// An endless supply of inputs near those of a corpus.
pub(crate) struct Mutator<'a> {
    corpus: &'a [Vec<u8>],
    /// Of the generator xorshift64 (Marsaglia, 2003).
    state: u64,
}

impl<'a> Mutator<'a> {
    pub(crate) fn new(corpus: &'a [Vec<u8>]) -> Self {
        Self { corpus, state: 0x9e37_79b9_7f4a_7c15 }
    }

    /// A kept input after one to four changes.
    pub(crate) fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.kept().to_vec();
        for _ in 0..=self.below(4) {
            self.change(&mut input);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let start = self.below(input.len() + 1);
        let end = start + self.below(input.len() - start + 1).min(16);
        match self.below(6) {
            0 => drop(input.drain(start..end)),
            1 => input.truncate(start),
            2 => {
                let copy = input[start..end].to_vec();
                drop(input.splice(start..start, copy));
            }
            3 => {
                let other = self.kept();
                let from = self.below(other.len() + 1);
                input.truncate(start);
                input.extend_from_slice(&other[from..]);
            }
            4 => {
                let token = TOKENS[self.below(TOKENS.len())];
                drop(input.splice(start..end.min(start + 1), token.iter().copied()));
            }
            _ => {
                let bit = 1 << self.below(8);
                if let Some(byte) = input.get_mut(start) {
                    *byte ^= bit;
                }
            }
        }
    }

    fn kept(&mut self) -> &'a [u8] {
        &self.corpus[self.below(self.corpus.len())]
    }

    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state % bound as u64) as usize
    }
}
