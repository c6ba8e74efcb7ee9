//! Whether a generic argument is a reference, seen when compiling.
//!
//! A function that takes `impl Into<T>` makes a `T` before it does anything else, also of a `&T`, whose clone it may not need.
//! The standard library can tell one type from another where neither borrows, which a reference does; so this does without
//! the lifetime, which is the same for what is handed in and what is handed out.

use std::any::TypeId;
use std::marker::PhantomData;

/// What `value` refers to, if it is a `&T`. Known when compiling.
///
/// ```
/// use ringpost_mailbox::lent::lent;
///
/// let name = String::from("name");
/// assert_eq!(lent::<_, String>(&&name), Some(&name));
/// assert_eq!(lent::<_, String>(&name), None);
/// assert_eq!(lent::<_, String>(&"name"), None);
/// ```
#[inline(always)]
pub fn lent<R, T: 'static>(value: &R) -> Option<&T> {
    if type_of::<R>() != TypeId::of::<&'static T>() {
        return None;
    }
    // SAFETY: `R` is a `&T` but for its lifetime, as types have one id if, and only if, they are the same apart from their
    // lifetimes. Its own lifetime is longer than that of the borrow of `value`, which the result has.
    Some(unsafe { *std::ptr::from_ref(value).cast::<&T>() })
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
    use super::lent;

    struct Word<'a>(&'a str);

    #[test]
    fn a_reference_is_told_from_all_else_whatever_it_borrows() {
        let text = String::from("a");
        let word = Word(&text);
        assert!(lent::<_, String>(&&text).is_some_and(|lent| std::ptr::eq(lent, &raw const text)));
        assert!(lent::<_, String>(&word).is_none());
        assert!(lent::<_, String>(&&word).is_none());
        assert!(lent::<_, String>(&&&text).is_none());
        assert!(lent::<_, String>(&text).is_none());
        assert!(lent::<_, &str>(&word.0).is_none());
        assert!(lent::<_, String>(&&mut String::new()).is_none());
        assert!(lent::<_, String>(&std::ptr::from_ref(&text)).is_none());
    }

    #[test]
    fn what_is_lent_lives_as_long_as_the_borrow() {
        let text = String::from("a");
        let argument = &text;
        let lent = lent::<_, String>(&argument);
        assert_eq!(lent, Some(argument));
    }
}
