//! Marking many rows: a piece at a time, and always in the same order.

/// How many rows one transaction marks, so that no other write waits long for it.
const PIECE: usize = 500;

/// Puts `rows` in the order of their keys and cuts them into pieces, a transaction each. Transactions that take
/// the same rows in the same order never wait for each other in a circle.
pub(crate) fn in_pieces<Row: Clone, Key: Ord>(
    mut rows: Vec<Row>,
    key: impl Fn(&Row) -> Key,
) -> Vec<Vec<Row>> {
    rows.sort_by_key(key);
    rows.chunks(PIECE).map(<[Row]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_in_order_and_hold_every_row_once() {
        let pieces = in_pieces((0..1100).rev().collect(), |row| *row);
        assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [500, 500, 100]);
        assert_eq!(pieces.concat(), (0..1100).collect::<Vec<_>>());
        assert!(in_pieces(Vec::<u8>::new(), |row| *row).is_empty());
    }
}
