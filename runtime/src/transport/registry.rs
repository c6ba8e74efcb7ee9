//! What a core knows of its connections and listeners.

use std::cell::{Cell, Ref, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use ringpost_router::{Address, Handle, Hop, Message, NodeCore, TransportType};

use crate::core::Core;
use crate::envelope::ReplyTo;
use crate::task::Wake;
use crate::task::raw::MailboxRc;
use crate::transport::Terms;
use crate::transport::connection::Connection;

/// The connections of a core that were opened here, and its listeners.
#[derive(Default)]
pub(crate) struct Registry {
    /// The transports that there are, with what holds for connections that are opened because something is sent to
    /// them.
    on: RefCell<Vec<(TransportType, Arc<Terms>)>>,
    /// Each is kept by its own task and its worker.
    dialed: RefCell<BTreeMap<Address, Weak<Connection>>>,
    listeners: RefCell<BTreeMap<u64, Rc<Accepting>>>,
    /// All connections of the core, by the places of their workers in its table.
    carried: RefCell<Vec<Option<Carried>>>,
}

/// A connection, and the worker that carries it.
pub(super) type Carried = (MailboxRc, Rc<Connection>);

/// A listener as a core knows it, and what its task is told, if the core has one.
pub(super) struct Accepting {
    pub(super) terms: Arc<Terms>,
    /// Each of its connections on this core has one more of it.
    pub(super) open: Rc<()>,
    pub(super) is_over: Cell<bool>,
    has_task: bool,
    /// The task.
    pub(super) task: RefCell<Wake>,
    /// Who is told when the socket is closed.
    stoppers: RefCell<Vec<ReplyTo>>,
}

impl Accepting {
    pub(super) fn new(terms: Arc<Terms>, has_task: bool) -> Rc<Self> {
        Rc::new(Self {
            terms,
            open: Rc::new(()),
            is_over: Cell::new(false),
            has_task,
            task: RefCell::new(Wake::Nobody),
            stoppers: RefCell::default(),
        })
    }

    /// Has the task end.
    pub(super) fn end(&self, core: &Core) {
        self.is_over.set(true);
        core.wake(&self.task.replace(Wake::Nobody));
    }
}

impl Registry {
    /// Whether anything can be sent to addresses of this type.
    pub(crate) fn has(&self, transport: TransportType) -> bool {
        self.on.borrow().iter().any(|(on, _)| *on == transport)
    }

    pub(super) fn turn_on(&self, transport: TransportType) {
        if !self.has(transport) {
            let terms = Arc::new(Terms::of(transport));
            self.on.borrow_mut().push((transport, terms));
        }
    }

    /// What holds for a connection that is opened because something is sent to an address of this type.
    pub(super) fn terms(&self, transport: TransportType) -> Option<Arc<Terms>> {
        let on = self.on.borrow();
        let (_, terms) = on.iter().find(|(on, _)| *on == transport)?;
        Some(Arc::clone(terms))
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

    /// A worker carries a connection.
    pub(super) fn note_carried(&self, worker: &MailboxRc, connection: &Rc<Connection>) {
        let at = worker.handle().index as usize;
        let mut carried = self.carried.borrow_mut();
        if carried.len() <= at {
            carried.resize_with(at.saturating_add(1), || None);
        }
        if let Some(slot) = carried.get_mut(at) {
            *slot = Some((worker.clone(), Rc::clone(connection)));
        }
    }

    /// The worker at this place is no more.
    pub(super) fn forget_carried(&self, connection: &Connection, place: Handle) {
        let mut carried = self.carried.borrow_mut();
        let slot = carried.get_mut(place.index as usize);
        let forgotten = slot.and_then(|slot| {
            slot.take_if(|(_, there)| std::ptr::eq(Rc::as_ptr(there), connection))
        });
        drop(carried);
        drop(forgotten);
    }

    /// The connection that the worker at this place carries, if it carries one, and the worker.
    #[inline]
    pub(super) fn carried_by(&self, place: Handle) -> Option<Ref<'_, Carried>> {
        Ref::filter_map(self.carried.borrow(), |carried| {
            let there = carried.get(place.index as usize)?.as_ref();
            there.filter(|(worker, _)| worker.handle() == place)
        })
        .ok()
    }

    /// Whether a connection can be at this hop. Of another core it is known only whether there are transports.
    pub(super) fn may_carry(&self, hop: &Hop, here: NodeCore) -> bool {
        match hop.worker_on(here) {
            Some(place) => self.carried_by(place).is_some(),
            None => !self.on.borrow().is_empty(),
        }
    }

    /// The connection behind this mailbox, also where its worker has not begun.
    pub(super) fn connection_of(&self, mailbox: &MailboxRc) -> Option<Rc<Connection>> {
        let carried = self.carried_by(mailbox.handle());
        let carried = carried.map(|carried| Rc::clone(&carried.1));
        carried.or_else(|| self.dialed(&mailbox.address))
    }

    /// A connection has ended.
    pub(super) fn forget(&self, connection: &Connection) {
        let mut dialed = self.dialed.borrow_mut();
        let is_it = |there: &Weak<Connection>| std::ptr::eq(there.as_ptr(), connection);
        if dialed.get(&connection.name).is_some_and(is_it) {
            dialed.remove(&connection.name);
        }
    }

    /// Notes a listener; `has_task` if it is this core that accepts for it.
    pub(super) fn note_listener(
        &self,
        id: u64,
        terms: Arc<Terms>,
        has_task: bool,
    ) -> Rc<Accepting> {
        let accepting = Accepting::new(terms, has_task);
        self.listeners
            .borrow_mut()
            .insert(id, Rc::clone(&accepting));
        accepting
    }

    /// The listener with this number, unless it has ended.
    pub(super) fn listener(&self, id: u64) -> Option<Rc<Accepting>> {
        self.listeners.borrow().get(&id).cloned()
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
        let Some(accepting) = self.listener(id) else {
            return core.answer(to, Ok(().into_body()));
        };
        accepting.stoppers.borrow_mut().push(to);
        if !accepting.has_task {
            return self.listener_ended(core, id);
        }
        accepting.end(core);
    }
}
