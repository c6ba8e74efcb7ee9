//! Every call that nodes make of the system is a place where something goes wrong: the scenarios here are run once to
//! count their calls, and then once for each call and each thing that can befall it.
#![cfg(target_os = "linux")]

mod connections;
mod datagrams;
mod limits;
mod memory;
mod sends;
mod sockets;

use std::time::Duration;

use ringpost::sim::{CallFault, Report, Sim, SystemCall};
use ringpost::{Context, NodeStats, Reason, Result, Routed, Worker};

/// Error numbers, as Linux counts them: each is returned by every call, likely or not.
const ERRORS: &[(&str, i32)] = &[
    ("EINTR", 4),
    ("EAGAIN", 11),
    ("ENOMEM", 12),
    ("EMFILE", 24),
    ("EPIPE", 32),
    ("ECONNABORTED", 103),
    ("ECONNRESET", 104),
    ("ENOBUFS", 105),
    ("ETIMEDOUT", 110),
];

/// How long a core does not run, and how far a clock jumps: longer than any of the scenarios waits.
const LONG: Duration = Duration::from_secs(20);

struct Echo;

impl Worker for Echo {
    type Message = Vec<u8>;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Vec<u8>>) -> Result<()> {
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

/// How many messages of a node were not handled: all that were sent, but for those.
fn lost(stats: &NodeStats, what: &str) -> u64 {
    let lost = stats.undelivered_total() - stats.undelivered(Reason::LateReply);
    let sent = stats.total(|core| core.sent_local + core.sent_remote);
    let handled = stats.total(|core| core.handled);
    assert_eq!(sent, handled + lost, "{what}");
    lost
}

/// What befalls a call, with a name.
fn faults() -> impl Iterator<Item = (&'static str, CallFault)> {
    let errors = ERRORS
        .iter()
        .map(|(name, number)| (*name, CallFault::Errno(*number)));
    let others = [
        ("one byte", CallFault::OneByte),
        ("the core stands still", CallFault::Stall(LONG)),
        ("the clock jumps", CallFault::Jump(LONG)),
    ];
    errors.chain(others)
}

/// Whether nobody but the caller's loop has to notice: the call is made again.
fn is_harmless(fault: CallFault, call: SystemCall) -> bool {
    match fault {
        CallFault::Errno(4 | 11) => !matches!(
            call,
            SystemCall::Listen
                | SystemCall::Bind
                | SystemCall::Connect
                | SystemCall::Register
                | SystemCall::SetOption
                | SystemCall::Shutdown
        ),
        CallFault::OneByte => true,
        CallFault::Errno(_) => matches!(call, SystemCall::Poll | SystemCall::Wake),
        _ => false,
    }
}

/// A call that something has befallen.
#[derive(Clone, Copy)]
struct Strike {
    call: SystemCall,
    fault: CallFault,
}

/// Runs a scenario without faults, and then with each fault at each of its calls. The scenario is handed what has
/// struck, and its run; it checks what came of that.
fn at_every_call<T>(
    make: impl Fn() -> Sim,
    run: impl Fn(Sim) -> Report<T>,
    check: impl Fn(Option<Strike>, &Report<T>, &str),
) -> usize {
    let calm = run(make().list_calls());
    check(None, &calm, "nothing");
    let mut runs = 0;
    for (number, call) in calm.calls.iter().enumerate() {
        for (name, fault) in faults() {
            let call = *call;
            let what = format!("{name} at call {number}, {call}");
            let report = run(make().fail_call(number as u64, fault));
            assert_eq!(report.violation, None, "{what}");
            check(Some(Strike { call, fault }), &report, &what);
            runs += 1;
        }
    }
    runs
}
