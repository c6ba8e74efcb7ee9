//! Cells against a list of values.

#![cfg(not(loom))]

mod payload;

use payload::Cell;
use proptest::prelude::*;
use ringpost_mailbox::pool::{Pool, PoolLimits};

/// What a property test may do with a row of cells.
#[derive(Clone, Debug)]
enum Step {
    Inline(u64),
    Pooled(u8),
    Boxed(u8),
    Text(String),
    Take(usize),
    Refuse(usize),
    Drop(usize),
    Print(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        any::<u64>().prop_map(Step::Inline),
        any::<u8>().prop_map(Step::Pooled),
        any::<u8>().prop_map(Step::Boxed),
        "[a-z]{0,40}".prop_map(Step::Text),
        any::<usize>().prop_map(Step::Take),
        any::<usize>().prop_map(Step::Refuse),
        any::<usize>().prop_map(Step::Drop),
        any::<usize>().prop_map(Step::Print),
    ];
    proptest::collection::vec(step, 0..60)
}

/// What a cell of the test holds.
#[derive(Clone, Debug, PartialEq)]
enum Held {
    Inline(u64),
    Pooled(u8),
    Boxed(u8),
    Text(String),
}

fn take(cell: Cell) -> Held {
    let cell = match cell.take::<u64>() {
        Ok(number) => return Held::Inline(number),
        Err(cell) => cell,
    };
    let cell = match cell.take::<[u8; 99]>() {
        Ok(bytes) => return Held::Pooled(bytes[98]),
        Err(cell) => cell,
    };
    let cell = match cell.take::<[u8; 70_001]>() {
        Ok(bytes) => return Held::Boxed(bytes[70_000]),
        Err(cell) => cell,
    };
    Held::Text(cell.take::<String>().expect("there are no other types"))
}

/// One step, on the cells and on what they should hold.
fn apply(step: Step, row: &mut Vec<(Cell, Held)>) {
    let index = |at: usize| (!row.is_empty()).then(|| at % row.len().max(1));
    match step {
        Step::Inline(number) => row.push((Cell::new(number), Held::Inline(number))),
        Step::Pooled(byte) => row.push((Cell::new([byte; 99]), Held::Pooled(byte))),
        Step::Boxed(byte) => row.push((Cell::new([byte; 70_001]), Held::Boxed(byte))),
        Step::Text(text) => row.push((Cell::new(text.clone()), Held::Text(text))),
        Step::Take(at) => {
            if let Some((cell, held)) = index(at).map(|at| row.swap_remove(at)) {
                assert_eq!(take(cell), held);
            }
        }
        Step::Refuse(at) => {
            if let Some((cell, held)) = index(at).map(|at| row.swap_remove(at)) {
                let cell = cell
                    .take::<(u8, u64)>()
                    .expect_err("there are no such values");
                row.push((cell, held));
            }
        }
        Step::Drop(at) => drop(index(at).map(|at| row.swap_remove(at))),
        Step::Print(at) => {
            if let Some(at) = index(at) {
                assert!(format!("{:?}", row[at].0).contains("is_inline"));
            }
        }
    }
}

proptest! {
    #[test]
    fn cells_hold_what_a_list_of_values_would(steps in steps()) {
        let pool = Pool::new(0, PoolLimits { cached_max: [2; 5] });
        let entered = pool.enter();
        let mut row = Vec::new();
        for step in steps {
            apply(step, &mut row);
        }
        for (cell, held) in row {
            prop_assert_eq!(take(cell), held);
        }
        prop_assert_eq!(pool.outstanding(), 0);
        drop(entered);
    }
}
