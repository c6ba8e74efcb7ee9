//! What the crate is called where the macro is used.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::Ident;

/// The path of `ringpost`, also where its user renamed it.
pub(crate) fn ringpost() -> TokenStream {
    first_of(&["ringpost"], found)
}

/// The path of the crate that has `Message`: `ringpost`, or its router where that is used alone.
pub(crate) fn messages() -> TokenStream {
    first_of(&["ringpost", "ringpost-router"], found)
}

fn found(package: &str) -> Option<FoundCrate> {
    crate_name(package).ok()
}

/// Where none of the packages is found, the compiler's complaint about `ringpost` says what to do.
fn first_of(packages: &[&str], found: impl Fn(&str) -> Option<FoundCrate>) -> TokenStream {
    packages
        .iter()
        .find_map(|package| found(package).map(|found| path(package, found)))
        .unwrap_or_else(|| quote!(::ringpost))
}

fn path(package: &str, found: FoundCrate) -> TokenStream {
    let name = match found {
        // In the package itself only examples and tests use the macros, and they see it from outside.
        FoundCrate::Itself => package.replace('-', "_"),
        FoundCrate::Name(name) => name,
    };
    let ident = Ident::new(&name, Span::call_site());
    quote!(::#ident)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The path where the manifest gives `package` the name `name`, and nothing else.
    fn seen(package: &str, name: Option<&str>) -> String {
        let found = |asked: &str| {
            let itself_or_name =
                name.map_or(FoundCrate::Itself, |name| FoundCrate::Name(name.into()));
            (asked == package).then_some(itself_or_name)
        };
        first_of(&["ringpost", "ringpost-router"], found).to_string()
    }

    #[test]
    fn a_renamed_crate_goes_by_its_new_name() {
        assert_eq!(seen("ringpost", Some("ockam")), ":: ockam");
        assert_eq!(
            seen("ringpost-router", Some("ringpost_router")),
            ":: ringpost_router"
        );
    }

    #[test]
    fn a_crate_is_called_from_outside_even_by_its_own_tests() {
        assert_eq!(seen("ringpost", None), ":: ringpost");
        assert_eq!(seen("ringpost-router", None), ":: ringpost_router");
    }

    #[test]
    fn ringpost_is_named_where_nothing_is_found() {
        assert_eq!(seen("something-else", None), ":: ringpost");
        assert_eq!(first_of(&["ringpost"], |_| None).to_string(), ":: ringpost");
    }
}
