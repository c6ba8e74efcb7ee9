//! Routes and addresses from text: what is read is printed, and then read alike.

use ringpost_router::{Address, Route};

pub(super) fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let total = Address::from(text.as_ref());
    if let Ok(strict) = text.parse::<Address>() {
        assert_eq!(strict, total);
        assert_eq!(strict.to_string().parse(), Ok(strict));
    }
    // A tag is part of the name, and the hash is of the name.
    if let Some(tag) = total.tag() {
        assert!(!tag.is_empty() && tag.len() + 2 <= total.as_bytes().len());
    }
    let again = Address::new(total.transport(), total.as_bytes());
    assert_eq!(again.hash64(), total.hash64());

    if let Ok(route) = Route::parse(&text) {
        assert!(!route.is_empty() && route.check().is_ok());
        assert_eq!(Route::parse(&route.to_string()), Ok(route));
    }
}
