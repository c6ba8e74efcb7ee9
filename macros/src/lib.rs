//! The attribute and derive macros of ringpost. Use them through the `ringpost` crate.

mod message;
mod names;
mod node;
mod worker;

use proc_macro::TokenStream;

/// Makes an `async fn main` the main function of a node.
///
/// The function takes a [`Context`](https://docs.rs/ringpost), or nothing, and returns a `Result<()>`.
/// Returning `Ok` leaves the node running until somebody stops it; returning an error stops it, and the
/// process exits with code 1.
///
/// Arguments: `cores = N`, `pin = true|false`, `drain_ms = N`, `crate = "path"`.
#[proc_macro_attribute]
pub fn node(arguments: TokenStream, item: TokenStream) -> TokenStream {
    node::expand(arguments.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Accepted on `impl Worker for …`, where other systems need it; changes nothing.
#[proc_macro_attribute]
pub fn async_worker(arguments: TokenStream, item: TokenStream) -> TokenStream {
    worker::expand(&arguments.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// The same as `#[async_worker]`.
#[proc_macro_attribute]
pub fn worker(arguments: TokenStream, item: TokenStream) -> TokenStream {
    async_worker(arguments, item)
}

/// Makes a type that implements serde's `Serialize` and `Deserialize` a message.
#[proc_macro_derive(Message)]
pub fn message(item: TokenStream) -> TokenStream {
    message::expand(item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
