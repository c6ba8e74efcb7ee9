//! How targets cut the bytes of a connection.

/// Cuts bytes into pieces of 1 to 16, or all of 1.
pub(super) struct Pieces<'a> {
    state: u8,
    rest: &'a [u8],
}

impl<'a> Pieces<'a> {
    pub(super) fn new(state: u8, rest: &'a [u8]) -> Self {
        Self { state, rest }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        // A generator of full period; from 0 it is left alone, which cuts byte by byte.
        if self.state > 0 {
            self.state = self.state.wrapping_mul(5).wrapping_add(3).max(1);
        }
        let len = usize::from(self.state >> 4) + 1;
        let (piece, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        (!piece.is_empty()).then_some(piece)
    }
}
