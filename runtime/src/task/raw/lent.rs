//! Whether a generic argument is a route that is lent, seen when compiling.
//!
//! A function that takes `impl Into<Route>` makes a route before it does anything else, also of a `&Route`, whose clone it may
//! not need. The standard library can tell one type from another where neither borrows, which a reference does; `typeid` does
//! so without the lifetime, which is the same for what is handed in and what is handed out.

use std::any::TypeId;

use ringpost_router::Route;

/// The route that `value` refers to, if it is a `&Route`. Known when compiling.
#[inline(always)]
pub(crate) fn lent<R>(value: &R) -> Option<&Route> {
    if typeid::of::<R>() != TypeId::of::<&'static Route>() {
        return None;
    }
    // SAFETY: `R` is a `&Route` but for the lifetime of that reference, as types have one id if, and only if, they are the same
    // apart from their lifetimes, and a route has none within. That lifetime is longer than that of the borrow of `value`,
    // which the result has.
    Some(unsafe { *std::ptr::from_ref(value).cast::<&Route>() })
}

#[cfg(test)]
mod tests {
    use ringpost_router::Route;

    use super::lent;

    #[test]
    fn a_route_that_is_lent_is_told_from_all_else() {
        let route = Route::from("one");
        assert!(lent(&&route).is_some_and(|lent| std::ptr::eq(lent, &raw const route)));
        assert!(lent(&route).is_none());
        assert!(lent(&&&route).is_none());
        assert!(lent(&"one").is_none());
        assert!(lent(&&mut Route::new()).is_none());
        assert!(lent(&std::ptr::from_ref(&route)).is_none());
    }

    #[test]
    fn what_is_lent_lives_as_long_as_the_borrow() {
        let route = Route::from("one");
        let argument = &route;
        assert_eq!(lent(&argument), Some(argument));
    }
}
