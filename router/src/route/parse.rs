//! Routes from text.

use core::str::FromStr;

use super::Route;
use crate::{Address, AddressError};

/// Why a text, or a list of addresses, is not a route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// There is no address.
    #[error("the route has no address")]
    Empty,
    /// There are more addresses than [`Route::HOPS_MAX`].
    #[error(
        "the route has {hops} addresses; at most {} are allowed",
        Route::HOPS_MAX
    )]
    TooLong {
        /// How many there are.
        hops: usize,
    },
    /// One of the addresses is malformed.
    #[error("address {position} of the route: {source}")]
    Address {
        /// Which, counted from 1.
        position: usize,
        /// What is wrong with it.
        source: AddressError,
    },
}

const SEPARATOR: &str = "=>";

impl Route {
    /// Reads addresses separated by `=>`, each strictly (see `Address::from_str`) and without the
    /// space around it.
    ///
    /// # Errors
    ///
    /// [`RouteError`] if the text is blank, has too many addresses, or one is malformed.
    ///
    /// ```
    /// use ringpost_router::{Route, RouteError};
    ///
    /// let route = Route::parse("relay => 1#10.0.0.1:4000 => echoer")?;
    /// assert_eq!(route.len(), 3);
    /// assert_eq!(Route::parse("a => => b").unwrap_err().to_string(),
    ///     "address 2 of the route: the address has no name; write `name` or `type#name`");
    /// # Ok::<(), RouteError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, RouteError> {
        if text.trim().is_empty() {
            return Err(RouteError::Empty);
        }
        // Counted before anything is kept, since the text may come from anyone.
        let hops = text.split(SEPARATOR).count();
        if hops > Self::HOPS_MAX {
            return Err(RouteError::TooLong { hops });
        }
        let mut position: usize = 0;
        let parse_one = |part: &str| {
            position = position.saturating_add(1);
            let parsed = part.trim().parse::<Address>();
            parsed.map_err(|source| RouteError::Address { position, source })
        };
        text.split(SEPARATOR).map(parse_one).collect()
    }
}

impl FromStr for Route {
    type Err = RouteError;

    /// The same as [`Route::parse`].
    fn from_str(text: &str) -> Result<Self, RouteError> {
        Self::parse(text)
    }
}
