//! The tables of a core: values behind handles, with and without names.

mod named;
mod slab;

pub use named::{Table, Taken};
pub use slab::{Iter, Slab};
