//! The lock-free layer of ringpost: everything that two threads touch at once.
//!
//! This crate holds what a core needs to talk to the other cores of its node and to threads outside
//! it, and nothing else: no I/O, no time, no addresses. Nearly all `unsafe` code of the project
//! lives here, and every module that is touched from two threads opens with a page that says who
//! may touch what, when, and why that is enough. Those pages are checked by the models in
//! `loom-tests`, and the models are checked by mutants: each ordering and each fence below is
//! weakened in turn, and a model has to notice.
//!
//! | module | what it is | who uses it |
//! |---|---|---|
//! | [`ring`] | bounded ring from one core to one other | each ordered pair of cores |
//! | [`wake`] | wake word and parker of a core | every sender to that core |
//! | [`inbox`] | bounded queue of many senders | threads outside the node |
//! | [`wake_list`] | stack of tasks to be run again | wakers held by any thread |
//! | [`semaphore`] | permits that can be waited for | threads outside the node |
//! | [`glance`] | what a core shows of itself | its watchdog |
//! | [`cell`] | a message of any type in 32 bytes | every send |
//! | [`pool`], [`buf`] | buffers that go home to their core | payloads |
//! | [`queue`] | growing queue of one thread | messages within a core |
//! | [`sync`] | atomics, cells, threads; std or loom | all of the project |

pub mod buf;
pub mod canary;
pub mod cell;
pub mod glance;
pub mod inbox;
pub mod pool;
pub mod queue;
pub mod ring;
pub mod semaphore;
pub mod sync;
pub mod wake;
pub mod wake_list;
