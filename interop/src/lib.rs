//! No code of its own: what this package has is its test, `tests/ockam.rs`.
