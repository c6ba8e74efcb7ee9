//! `#[node]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::punctuated::Punctuated;
use syn::{
    Block, Error, Expr, ExprLit, FnArg, ItemFn, Lit, MetaNameValue, Pat, Path, Result, ReturnType,
    Token, Type, parse::Parser,
};

use crate::names;

/// What stands in the parentheses of the attribute.
#[derive(Default)]
struct Arguments {
    cores: Option<Expr>,
    pin: Option<Expr>,
    drain_ms: Option<Expr>,
    path: Option<Path>,
}

/// Wraps the function in a `main` that runs it on a node.
pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let arguments = parse_arguments(arguments)?;
    let function: ItemFn = syn::parse2(item.clone())
        .map_err(|_| Error::new_spanned(item, "#[node] stands on an `async fn`"))?;
    check(&function)?;
    let ringpost = match &arguments.path {
        Some(path) => quote!(#path),
        None => names::ringpost(),
    };
    Ok(wrap(&function, &arguments, &ringpost))
}

fn parse_arguments(tokens: TokenStream) -> Result<Arguments> {
    let pairs = Punctuated::<MetaNameValue, Token![,]>::parse_terminated.parse2(tokens)?;
    let mut arguments = Arguments::default();
    for MetaNameValue {
        path: key, value, ..
    } in pairs
    {
        let name = key.get_ident().map(ToString::to_string);
        match name.as_deref() {
            Some("cores") => set(&mut arguments.cores, &key, at_least_one(value)?)?,
            Some("pin") => set(&mut arguments.pin, &key, value)?,
            Some("drain_ms") => set(&mut arguments.drain_ms, &key, value)?,
            Some("crate") => set(&mut arguments.path, &key, path_in(&value)?)?,
            _ => {
                let text = "unknown argument: #[node] takes `cores`, `pin`, `drain_ms` and `crate`";
                return Err(Error::new_spanned(key, text));
            }
        }
    }
    Ok(arguments)
}

fn set<T>(argument: &mut Option<T>, key: &Path, value: T) -> Result<()> {
    match argument.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::new_spanned(key, "this argument is given twice")),
    }
}

fn at_least_one(cores: Expr) -> Result<Expr> {
    if is_zero(&cores) {
        let text = "cores = 0: a node needs at least one core; leave `cores` out for one per CPU";
        return Err(Error::new_spanned(cores, text));
    }
    Ok(cores)
}

fn is_zero(value: &Expr) -> bool {
    matches!(value, Expr::Lit(ExprLit { lit: Lit::Int(number), .. })
        if number.base10_parse::<u64>().is_ok_and(|number| number == 0))
}

fn path_in(value: &Expr) -> Result<Path> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => text.parse(),
        _ => Err(Error::new_spanned(
            value,
            "`crate` takes a path in quotes: crate = \"::ringpost\"",
        )),
    }
}

fn check(function: &ItemFn) -> Result<()> {
    let signature = &function.sig;
    if signature.asyncness.is_none() {
        return Err(Error::new_spanned(
            signature.fn_token,
            "#[node] needs an `async fn`",
        ));
    }
    if let Some(FnArg::Receiver(receiver)) = signature.inputs.first() {
        return Err(Error::new_spanned(
            receiver,
            "#[node] stands on a function, not on a method",
        ));
    }
    if !signature.generics.params.is_empty() {
        let text = "a node's main function has no parameters of types, constants or lifetimes";
        return Err(Error::new_spanned(&signature.generics, text));
    }
    if signature.inputs.len() > 1 {
        let text = "#[node] takes a function with one argument, the Context, or none";
        return Err(Error::new_spanned(&signature.inputs, text));
    }
    if matches!(signature.output, ReturnType::Default) {
        let text = "a node's main function returns a `ringpost::Result<()>`";
        return Err(Error::new_spanned(&signature.ident, text));
    }
    Ok(())
}

fn wrap(function: &ItemFn, arguments: &Arguments, ringpost: &TokenStream) -> TokenStream {
    let ItemFn {
        attrs,
        vis,
        sig,
        block,
    } = function;
    let (name, output) = (&sig.ident, &sig.output);
    let (parameter, body) = match sig.inputs.first() {
        Some(FnArg::Typed(argument)) => with_context(&argument.pat, &argument.ty, block),
        _ => (quote!(_: #ringpost::Context), quote!(#block)),
    };
    let settings = [
        arguments.cores.as_ref().map(|cores| quote!(.cores(#cores))),
        arguments.pin.as_ref().map(|pin| quote!(.pin(#pin))),
        arguments
            .drain_ms
            .as_ref()
            .map(|wait| quote!(.drain(::core::time::Duration::from_millis(#wait)))),
    ];
    let settings = settings.into_iter().flatten();
    quote! {
        #(#attrs)*
        #vis fn #name() -> #ringpost::Result<()> {
            #ringpost::Node::builder()
                #(#settings)*
                .serve(async move |#parameter| #output #body)
        }
    }
}

/// The closure's parameter and its body, which borrows the context where the function wants that. The
/// type stays the one that was written, so that what it was imported for is used.
fn with_context(pattern: &Pat, kind: &Type, block: &Block) -> (TokenStream, TokenStream) {
    let Type::Reference(reference) = kind else {
        return (quote!(#pattern: #kind), quote!(#block));
    };
    let (mutability, kind) = (&reference.mutability, &reference.elem);
    let borrow = quote!(let #pattern = & #mutability context;);
    (
        quote!(#mutability context: #kind),
        quote!({ #borrow #block }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(arguments: TokenStream, item: TokenStream) -> String {
        expand(arguments, item).unwrap_err().to_string()
    }

    #[test]
    fn a_main_function_is_wrapped() {
        let item = quote!(
            async fn main(mut ctx: Context) -> Result<()> {
                ctx.stop().await
            }
        );
        let text = expand(quote!(cores = 2, pin = false), item)
            .unwrap()
            .to_string();
        assert!(text.contains("fn main () ->"), "{text}");
        assert!(text.contains(". cores (2) . pin (false) . serve"), "{text}");
        assert!(text.contains("async move | mut ctx : Context |"), "{text}");
    }

    #[test]
    fn the_body_and_the_return_type_stay_as_they_are() {
        let item = quote!(
            async fn main(ctx: ringpost::Context) -> ringpost::Result<()> {
                go(ctx).await
            }
        );
        let text = expand(quote!(), item).unwrap().to_string();
        assert!(
            text.contains(
                "| ctx : ringpost :: Context | -> ringpost :: Result < () > { go (ctx) . await })"
            ),
            "{text}"
        );
        assert!(text.contains(":: builder () . serve"), "{text}");
    }

    #[test]
    fn a_context_may_be_borrowed_or_left_out() {
        let body = |item| expand(quote!(drain_ms = 50), item).unwrap().to_string();
        let text = body(quote!(
            async fn main(ctx: &mut Context) -> Result<()> {
                Ok(())
            }
        ));
        assert!(
            text.contains("async move | mut context : Context |"),
            "{text}"
        );
        assert!(text.contains("let ctx = & mut context ;"), "{text}");
        let text = body(quote!(
            async fn main(ctx: &Context) -> Result<()> {
                Ok(())
            }
        ));
        assert!(text.contains("async move | context : Context |"), "{text}");
        let text = body(quote!(
            async fn main() -> Result<()> {
                Ok(())
            }
        ));
        assert!(
            text.contains("async move | _ : :: ringpost :: Context |"),
            "{text}"
        );
        assert!(
            text.contains(". drain (:: core :: time :: Duration :: from_millis (50))"),
            "{text}"
        );
    }

    #[test]
    fn the_path_can_be_given() {
        let item = quote!(
            async fn main() -> Result<()> {
                Ok(())
            }
        );
        let text = expand(quote!(crate = "my::ring"), item)
            .unwrap()
            .to_string();
        assert!(text.contains("my :: ring :: Node :: builder"), "{text}");
    }

    #[test]
    fn misuse_is_explained() {
        let good = quote!(
            async fn main(ctx: Context) -> Result<()> {
                Ok(())
            }
        );
        assert!(error(quote!(cores = 0), good.clone()).contains("at least one core"));
        assert!(error(quote!(threads = 2), good.clone()).contains("unknown argument"));
        assert!(error(quote!(pin = true, pin = true), good.clone()).contains("given twice"));
        assert!(error(quote!(crate = ringpost), good.clone()).contains("in quotes"));
        assert!(!error(quote!(cores), good).is_empty());
        let generic = quote!(
            async fn main<T>(ctx: Context) -> Result<()> {
                Ok(())
            }
        );
        assert!(error(quote!(), generic).contains("no parameters"));
        let sync = quote!(
            fn main(ctx: Context) -> Result<()> {
                Ok(())
            }
        );
        assert!(error(quote!(), sync).contains("async fn"));
        let two = quote!(
            async fn main(a: Context, b: u8) -> Result<()> {
                Ok(())
            }
        );
        assert!(error(quote!(), two).contains("one argument"));
        let method = quote!(
            async fn main(self) -> Result<()> {
                Ok(())
            }
        );
        assert!(error(quote!(), method).contains("not on a method"));
        let nothing = quote!(
            async fn main(ctx: Context) {}
        );
        assert!(error(quote!(), nothing).contains("returns"));
        assert!(
            error(
                quote!(),
                quote!(
                    struct Node;
                )
            )
            .contains("async fn")
        );
    }
}
