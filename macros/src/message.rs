//! `#[derive(Message)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Result, parse_quote};

use crate::names;

/// Implements `Message` over serde for the type.
pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    expand_with(item, &names::messages())
}

fn expand_with(item: TokenStream, messages: &TokenStream) -> Result<TokenStream> {
    let mut input: DeriveInput = syn::parse2(item)?;
    check(&input)?;
    let name = &input.ident;
    let parameters: Vec<_> = input
        .generics
        .type_params()
        .map(|parameter| parameter.ident.clone())
        .collect();
    let clause = input.generics.make_where_clause();
    for parameter in parameters {
        clause
            .predicates
            .push(parse_quote!(#parameter: ::core::marker::Send + 'static));
    }
    let (generics, arguments, clause) = input.generics.split_for_impl();
    let predicates = clause.map(|clause| &clause.predicates);
    Ok(quote! {
        impl #generics #messages::Message for #name #arguments
        where
            Self: #messages::codec::SerdeMessage,
            #predicates
        {
            fn encode(
                &self,
                out: &mut ::std::vec::Vec<u8>,
            ) -> ::core::result::Result<(), #messages::CodecError> {
                #messages::codec::encode_serde(self, out)
            }

            fn decode(bytes: &[u8]) -> ::core::result::Result<Self, #messages::CodecError> {
                #messages::codec::decode_serde(bytes)
            }
        }
    })
}

fn check(input: &DeriveInput) -> Result<()> {
    if let Some(lifetime) = input.generics.lifetimes().next() {
        let text = "a message owns what it holds: it travels on when its sender is gone";
        return Err(Error::new_spanned(lifetime, text));
    }
    if let Data::Union(data) = &input.data {
        let text = "a union cannot be encoded; a message is a struct or an enum";
        return Err(Error::new_spanned(data.union_token, text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(item: TokenStream) -> String {
        expand_with(item, &quote!(::ringpost)).unwrap().to_string()
    }

    #[test]
    fn a_struct_becomes_a_message() {
        let text = expanded(quote!(
            struct Point {
                x: u32,
                y: u32,
            }
        ));
        assert!(
            text.contains("impl :: ringpost :: Message for Point where"),
            "{text}"
        );
    }

    #[test]
    fn parameters_are_carried_over() {
        let text = expanded(quote!(
            enum Tree<T> {
                Leaf(T),
                Node(Vec<T>),
            }
        ));
        assert!(
            text.contains("impl < T > :: ringpost :: Message for Tree < T > where"),
            "{text}"
        );
        assert!(
            text.contains("T : :: core :: marker :: Send + 'static"),
            "{text}"
        );
    }

    #[test]
    fn a_where_clause_and_constants_are_kept() {
        let text = expanded(quote!(
            struct Grid<T, const N: usize>([T; N])
            where
                T: Copy;
        ));
        assert!(text.contains("impl < T , const N : usize >"), "{text}");
        assert!(text.contains("for Grid < T , N > where"), "{text}");
        assert!(text.contains("T : Copy , T : :: core"), "{text}");
    }

    #[test]
    fn what_cannot_travel_is_refused() {
        let error = |item| {
            expand_with(item, &quote!(::ringpost))
                .unwrap_err()
                .to_string()
        };
        assert!(
            error(quote!(
                struct View<'a>(&'a str);
            ))
            .contains("owns what it holds")
        );
        assert!(error(quote!(union Bits { a: u32, b: f32 })).contains("a union cannot"));
    }
}
