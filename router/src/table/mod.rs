//! The tables of a core: values behind handles, found by name too.

mod named;
mod slab;

pub use named::{Named, Table, Taken};
pub use slab::{Iter, Slab};
