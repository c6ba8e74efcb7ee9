//! Whom a pool asks before it takes more memory.
//!
//! A pool grows where its free lists are empty, which is rare, so a question there costs a message nothing. It is asked
//! only where a refusal is provided for: where a `None` goes back to who wanted a block. So tests can refuse what a system
//! would refuse, at the same places.

use std::cell::OnceCell;
use std::fmt;

/// Whether a pool may have so many bytes more.
type Question = Box<dyn Fn(usize) -> bool>;

/// Whom to ask; nobody, as a rule.
#[derive(Default)]
pub(super) struct Growth(OnceCell<Question>);

impl Growth {
    /// From now on this is asked.
    ///
    /// # Panics
    ///
    /// If somebody is asked already.
    pub(super) fn ask(&self, question: Question) {
        assert!(
            self.0.set(question).is_ok(),
            "a pool asks one question before it grows"
        );
    }

    /// Whether so many bytes are refused.
    pub(super) fn is_refused(&self, bytes: usize) -> bool {
        self.0.get().is_some_and(|may_have| !may_have(bytes))
    }
}

impl fmt::Debug for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_asked = self.0.get().is_some();
        f.debug_tuple("Growth").field(&is_asked).finish()
    }
}
