//! Who takes part, in the order of the table.

use crate::peer::Peer;
use crate::{
    actix, crossbeam, eventfd, flume, glommio, kameo, kanal, kompact, kompact_ports, monoio, ockam,
    ractor, ringpost, rtrb, tokio_tasks, xtra,
};

/// Everybody.
pub const PEERS: &[Peer] = &[
    ringpost::PEER,
    ringpost::BY_NAME,
    actix::PEER,
    kameo::PER_CORE,
    kameo::STEALING,
    ractor::PER_CORE,
    ractor::STEALING,
    xtra::PEER,
    kompact::PEER,
    kompact_ports::PEER,
    ockam::PEER,
    tokio_tasks::PER_CORE,
    tokio_tasks::STEALING,
    monoio::PEER,
    glommio::PEER,
    flume::PEER,
    kanal::PEER,
    crossbeam::PEER,
    rtrb::SINGLE,
    rtrb::BATCHED,
    eventfd::PEER,
];
