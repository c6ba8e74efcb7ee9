//! Whether a generic argument is a route that is lent, seen when compiling.
//!
//! A function that takes `impl Into<Route>` makes a route before it does anything else, also of a `&Route`, whose clone it may
//! not need. The standard library can tell one type from another where neither borrows, which a reference does; so this does
//! without the lifetime, which is the same for what is handed in and what is handed out.

use std::any::TypeId;
use std::marker::PhantomData;

use ringpost_router::Route;

/// The route that `value` refers to, if it is a `&Route`. Known when compiling.
#[inline(always)]
pub(crate) fn lent<R>(value: &R) -> Option<&Route> {
    if type_of::<R>() != TypeId::of::<&'static Route>() {
        return None;
    }
    // SAFETY: `R` is a `&Route` but for the lifetime of that reference, as types have one id if, and only if, they are the same
    // apart from their lifetimes, and a route has none within. That lifetime is longer than that of the borrow of `value`,
    // which the result has.
    Some(unsafe { *std::ptr::from_ref(value).cast::<&Route>() })
}

/// The id of a type that may borrow: that of the same type with any other lifetimes.
#[inline(always)]
fn type_of<R>() -> TypeId {
    trait Typed {
        fn type_of(&self) -> TypeId
        where
            Self: 'static;
    }

    impl<R> Typed for PhantomData<R> {
        #[inline(always)]
        fn type_of(&self) -> TypeId
        where
            Self: 'static,
        {
            TypeId::of::<R>()
        }
    }

    let typed: &dyn Typed = &PhantomData::<R>;
    // SAFETY: both are pointers to the same trait, with the same table. The lifetime is one that nothing is kept for: an id
    // depends on no lifetime, and the method reads nothing of what it is called on.
    let typed = unsafe { std::mem::transmute::<&dyn Typed, &(dyn Typed + 'static)>(typed) };
    typed.type_of()
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
