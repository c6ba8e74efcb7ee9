//! What a core knows of its connections and listeners.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use ringpost_router::{Address, Message};

use crate::core::Core;
use crate::envelope::ReplyTo;
use crate::task::Wake;
use crate::transport::Terms;
use crate::transport::connection::Connection;

/// The connections of a core that were opened here, and its listeners.
#[derive(Default)]
pub(crate) struct Registry {
    /// What holds for connections that are opened because something is sent to them, if any are.
    terms: RefCell<Option<Arc<Terms>>>,
    /// Each is kept by its own task and its worker.
    dialed: RefCell<BTreeMap<Address, Weak<Connection>>>,
    listeners: RefCell<BTreeMap<u64, Rc<Accepting>>>,
}

/// What a task that accepts connections is told.
pub(super) struct Accepting {
    pub(super) is_over: Cell<bool>,
    /// The task.
    pub(super) task: RefCell<Wake>,
    /// Who is told when the socket is closed.
    stoppers: RefCell<Vec<ReplyTo>>,
}

impl Registry {
    /// Whether anything can be sent to TCP addresses.
    pub(crate) fn is_on(&self) -> bool {
        self.terms.borrow().is_some()
    }

    pub(super) fn turn_on(&self) {
        self.terms.borrow_mut().get_or_insert_default();
    }

    pub(super) fn terms(&self) -> Option<Arc<Terms>> {
        self.terms.borrow().clone()
    }

    /// The connection to this address.
    pub(super) fn dialed(&self, address: &Address) -> Option<Rc<Connection>> {
        self.dialed.borrow().get(address)?.upgrade()
    }

    pub(super) fn note_dialed(&self, connection: &Rc<Connection>) {
        let name = connection.name.clone();
        let connection = Rc::downgrade(connection);
        self.dialed.borrow_mut().insert(name, connection);
    }

    /// A connection has ended.
    pub(super) fn forget(&self, connection: &Connection) {
        let mut dialed = self.dialed.borrow_mut();
        let is_it = |there: &Weak<Connection>| std::ptr::eq(there.as_ptr(), connection);
        if dialed.get(&connection.name).is_some_and(is_it) {
            dialed.remove(&connection.name);
        }
    }

    pub(super) fn note_listener(&self, id: u64) -> Rc<Accepting> {
        let accepting = Rc::new(Accepting {
            is_over: Cell::new(false),
            task: RefCell::new(Wake::Nobody),
            stoppers: RefCell::default(),
        });
        self.listeners
            .borrow_mut()
            .insert(id, Rc::clone(&accepting));
        accepting
    }

    /// A listener has closed its socket.
    pub(super) fn listener_ended(&self, core: &Rc<Core>, id: u64) {
        let accepting = self.listeners.borrow_mut().remove(&id);
        let stoppers = accepting.map(|accepting| accepting.stoppers.take());
        for to in stoppers.into_iter().flatten() {
            core.answer(to, Ok(().into_body()));
        }
    }

    /// Ends a listener, if it is there, and answers when its socket is closed.
    pub(super) fn stop_listener(&self, core: &Rc<Core>, id: u64, to: ReplyTo) {
        let Some(accepting) = self.listeners.borrow().get(&id).cloned() else {
            return core.answer(to, Ok(().into_body()));
        };
        accepting.stoppers.borrow_mut().push(to);
        accepting.is_over.set(true);
        core.wake(&accepting.task.replace(Wake::Nobody));
    }
}
