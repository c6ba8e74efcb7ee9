//! The mailboxes of a core, by handle and by name.

use std::cell::UnsafeCell;

use ringpost_router::{Address, Handle, Hop, Table, WorkersOf};

use super::block::MailboxRc;

/// The table of a core.
///
/// Each message asks it for its receiver. A `RefCell` would be locked and unlocked for that each time; here
/// methods simply never overlap:
///
/// 1. One core owns the table: it is neither `Send` nor `Sync`.
/// 2. No reference into it leaves a method, and no method runs code of the user's while it holds one:
///    comparing, hashing and counting are ours, and what is taken out is dropped by the caller.
pub(crate) struct Mailboxes(UnsafeCell<Table<MailboxRc>>);

impl Mailboxes {
    pub(crate) fn new() -> Self {
        Self(UnsafeCell::new(Table::new()))
    }

    /// The table, to be looked at.
    ///
    /// # Safety
    /// As long as the reference is used, no other method is called.
    #[inline]
    unsafe fn shared(&self) -> &Table<MailboxRc> {
        // SAFETY: the caller upholds that nothing changes the table meanwhile.
        unsafe { &*self.0.get() }
    }

    /// The table, to be changed.
    ///
    /// # Safety
    /// As long as the reference is used, no other method is called.
    #[expect(clippy::mut_from_ref, reason = "methods never overlap")]
    unsafe fn exclusive(&self) -> &mut Table<MailboxRc> {
        // SAFETY: the caller upholds that there is no other reference.
        unsafe { &mut *self.0.get() }
    }

    /// The mailbox at this place, if the handle is still good.
    #[inline]
    pub(crate) fn at(&self, handle: Handle) -> Option<MailboxRc> {
        // SAFETY: cloning the pointer counts, and touches no table.
        unsafe { self.shared() }.at(handle).cloned()
    }

    /// The mailbox with this name.
    pub(crate) fn named(&self, address: &Address, bucket: u64) -> Option<MailboxRc> {
        // SAFETY: names are compared by code of ours, which knows of no table; and as in `at`.
        unsafe { self.shared() }.named(address, bucket).cloned()
    }

    /// The mailbox `here`, on this core, that a message visits first, if that is known, or was `recalled`, and has
    /// room; a credit of it is taken. Nothing here unwinds: what would then have to be dropped could not
    /// stay in registers.
    #[inline(always)]
    pub(crate) fn claim(
        &self,
        hop: &Hop,
        here: WorkersOf,
        recall: impl FnOnce(&Address) -> Handle,
    ) -> Option<MailboxRc> {
        // SAFETY: a mailbox's credits and its name are looked at by code of ours, which knows of no table.
        let table = unsafe { self.shared() };
        let to = match hop.worker_of(here) {
            Some(handle) => table.at(handle)?,
            None if hop.is_unseen() => table
                .at(recall(&hop.address))
                .filter(|to| to.address == hop.address)?,
            None => return None,
        };
        // Looked at as a pointer of ours: the table's is not read again when a credit was taken.
        let to = to.borrowed();
        to.take_room().then(|| to.counted())
    }

    /// Enters a mailbox under its name. `None` if that is taken.
    pub(crate) fn insert(&self, bucket: u64, mailbox: MailboxRc) -> Option<Handle> {
        // SAFETY: names are compared by code of ours; what is refused is dropped when the reference is gone.
        let entered = unsafe { self.exclusive() }.insert(bucket, mailbox);
        entered.ok()
    }

    /// Takes a mailbox out; its name is free.
    pub(crate) fn remove(&self, handle: Handle) -> Option<MailboxRc> {
        // SAFETY: what is taken out is the caller's to drop.
        unsafe { self.exclusive() }.remove(handle)
    }

    /// All mailboxes, in the order of their places.
    pub(crate) fn all(&self) -> Vec<MailboxRc> {
        // SAFETY: cloning the pointers counts, and touches no table.
        let table = unsafe { self.shared() };
        table.iter().map(|(_, mailbox)| mailbox.clone()).collect()
    }
}
