//! Urgent messages (G15).

mod common;
mod ends;
mod passing;
mod put_back;
mod room;
mod words;
