//! `#[async_worker]`.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Error, ItemImpl, Result};

/// Checks that it stands on an impl block, and hands the block back as it is.
pub(crate) fn expand(arguments: &TokenStream, item: TokenStream) -> Result<TokenStream> {
    if !arguments.is_empty() {
        return Err(Error::new_spanned(
            arguments,
            "#[async_worker] takes no arguments",
        ));
    }
    match syn::parse2::<ItemImpl>(item.clone()) {
        Ok(block) if block.trait_.is_some() => Ok(block.into_token_stream()),
        _ => Err(Error::new_spanned(
            item,
            "#[async_worker] stands on `impl Worker for …`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    #[test]
    fn an_impl_block_stays_as_it_is() {
        let block = quote!(impl Worker for Echo { type Message = String; });
        let expanded = expand(&quote!(), block.clone()).unwrap();
        assert_eq!(expanded.to_string(), block.to_string());
    }

    #[test]
    fn anything_else_is_refused() {
        let error = expand(
            &quote!(),
            quote!(
                struct Echo;
            ),
        )
        .unwrap_err();
        assert!(error.to_string().contains("impl Worker for"), "{error}");
        assert!(expand(&quote!(fast), quote!(impl Worker for Echo {})).is_err());
        assert!(expand(&quote!(), quote!(impl Echo {})).is_err());
    }
}
