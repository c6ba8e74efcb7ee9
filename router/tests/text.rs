//! Addresses and routes: what is printed can be read back, and any text is answered.

use proptest::collection::vec;
use proptest::prelude::*;
use ringpost_router::{Address, Hop, Placement, Route, TransportType, route};

/// Names that have a printed form of their own: text, not empty, without what separates addresses
/// and without space at the ends.
fn name() -> impl Strategy<Value = String> {
    "[a-zA-Zäé🦀{}#:/. _-]{0,40}[a-z}]".prop_map(|name| name.trim().to_owned())
}

fn address() -> impl Strategy<Value = Address> {
    (any::<u8>(), name()).prop_map(|(transport, name)| Address::new(TransportType(transport), name))
}

proptest! {
    #[test]
    fn an_address_is_read_as_it_was_printed(address in address()) {
        let text = address.to_string();
        prop_assert_eq!(&text.parse::<Address>().unwrap(), &address);
        prop_assert_eq!(&Address::from(text), &address);
    }

    #[test]
    fn a_route_is_read_as_it_was_printed(addresses in vec(address(), 1..=Route::HOPS_MAX)) {
        let route: Route = addresses.iter().collect();
        let text = route.to_string();
        prop_assert_eq!(&Route::parse(&text).unwrap(), &route);
        prop_assert_eq!(&text.parse::<Route>().unwrap(), &route);
        prop_assert_eq!(route.into_iter().collect::<Vec<_>>(), addresses);
    }

    #[test]
    fn any_text_is_an_address_and_an_error_or_not(text in ".{0,60}") {
        let total = Address::from(text.as_str());
        if let Ok(strict) = text.parse::<Address>() {
            prop_assert_eq!(strict, total);
        }
        if let Ok(route) = Route::parse(&text) {
            prop_assert!(!route.is_empty());
        }
    }

    #[test]
    fn equal_addresses_have_equal_hashes_and_homes(
        bytes in vec(any::<u8>(), 0..50),
        transport: u8,
        seed: u64,
        cores in 1..=256_u16,
    ) {
        let one = Address::new(TransportType(transport), &bytes);
        let other = Address::new(TransportType(transport), &bytes);
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(one.hash64(), other.hash64());
        let placement = Placement::new(seed, cores);
        prop_assert!(placement.home(&one) < cores);
        prop_assert_eq!(placement.home(&one), placement.home(&other));
        prop_assert_eq!(placement.bucket(&one), placement.bucket(&other));
    }

    #[test]
    fn one_tag_means_one_home(
        tag in "[a-z0-9]{1,30}",
        names in vec("[a-z#]{0,20}", 2..10),
        seed: u64,
        cores in 1..=256_u16,
    ) {
        let placement = Placement::new(seed, cores);
        let first = Address::local(format!("{{{tag}}}"));
        for name in names {
            let address = Address::local(format!("{name}{{{tag}}}{name}"));
            prop_assert_eq!(address.tag(), Some(tag.as_bytes()));
            prop_assert_eq!(placement.home(&address), placement.home(&first));
        }
    }

    /// The inline and the boxed forms of a route are one thing to its users.
    #[test]
    fn a_route_changes_as_a_deque_does(steps in vec((0..5_u8, address()), 0..40)) {
        let mut route = Route::new();
        let mut model = std::collections::VecDeque::new();
        for (step, address) in steps {
            match step {
                0 => {
                    route.push_front(Hop::new(address.clone()));
                    model.push_front(address);
                }
                1 => {
                    route.push_back(Hop::new(address.clone()));
                    model.push_back(address);
                }
                2 => {
                    let taken = route.pop_front().map(|hop| hop.address);
                    prop_assert_eq!(taken, model.pop_front());
                }
                3 => {
                    let taken = route.pop_back().map(|hop| hop.address);
                    prop_assert_eq!(taken, model.pop_back());
                }
                _ => {
                    route = route![address.clone(), route, &address];
                    model.push_front(address.clone());
                    model.push_back(address);
                }
            }
            prop_assert_eq!(route.len(), model.len());
            prop_assert_eq!(route.is_empty(), model.is_empty());
            prop_assert_eq!(route.last(), model.back());
            prop_assert!(route.iter().eq(&model));
        }
    }
}
