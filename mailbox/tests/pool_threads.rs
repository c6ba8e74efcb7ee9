//! Blocks that travel between threads: out through rings, home in chains and by the return stack.

#![cfg(not(loom))]

mod payload;

use payload::{Cell, Ledger, Token};
use ringpost_mailbox::buf::{Buf, BufMut, SharedBuf};
use ringpost_mailbox::pool::{Chain, Pool, PoolLimits};
use ringpost_mailbox::ring::{Consumer, Producer, ring};
use ringpost_mailbox::sync::thread;

/// What the cores of these tests send each other.
enum Frame {
    Cell(Cell),
    Buf(Buf),
    Shared(SharedBuf),
    Chain(Chain),
    /// The sender sends nothing but chains from now on.
    Done,
}

/// One of a pair of cores.
struct Core {
    pool: Pool,
    peer: u16,
    out: Producer<Frame>,
    inbound: Consumer<Frame>,
    peer_done: bool,
}

impl Core {
    /// Sends a frame; takes in what comes meanwhile, so that two full rings do not stop each other.
    fn send(&mut self, mut frame: Frame) {
        while let Err(full) = self.out.push(frame) {
            frame = full.0;
            self.out.publish();
            self.drain();
            thread::yield_now();
        }
    }

    /// Checks and drops the values that came, and takes the chains in.
    fn drain(&mut self) -> u32 {
        let (pool, peer_done) = (&self.pool, &mut self.peer_done);
        self.inbound.drain(u32::MAX, |frame| match frame {
            Frame::Cell(cell) => {
                cell.take::<Token<40>>().expect("a token").assert_intact();
            }
            Frame::Buf(buf) => assert_eq!(buf, vec![buf.len() as u8; buf.len()]),
            Frame::Shared(buf) => assert_eq!(buf.slice(1..), vec![buf[0]; buf.len() - 1]),
            Frame::Chain(chain) => pool.accept(chain),
            Frame::Done => *peer_done = true,
        })
    }

    /// Sends the chains of at least `min` blocks.
    fn flush(&mut self, min: u32) {
        while let Some(chain) = self.pool.take_chain(self.peer, min) {
            self.send(Frame::Chain(chain));
        }
        self.out.publish();
    }

    /// Sends `count` of each kind of value, and handles what comes.
    fn run(&mut self, ledger: &Ledger, count: usize) {
        for n in 0..count {
            self.send(Frame::Cell(Cell::new(ledger.issue::<40>())));
            let len = 1 + n * 37 % 3000;
            let mut buf = BufMut::with_capacity(len);
            buf.resize(len, len as u8);
            let buf = buf.freeze();
            if n % 5 == 0 {
                let shared = buf.share();
                self.send(Frame::Shared(shared.slice(len / 2..)));
            } else {
                self.send(Frame::Buf(buf));
            }
            if n % 16 == 0 {
                self.flush(32);
                self.drain();
            }
        }
    }

    /// Waits until the other core has sent all its values, gives back the last of its blocks, and takes in
    /// the last of its own.
    fn finish(mut self) -> Pool {
        self.send(Frame::Done);
        while !self.peer_done {
            self.flush(1);
            self.drain();
            thread::yield_now();
        }
        self.flush(1);
        drop(self.out);
        while !self.inbound.is_closed() || !self.inbound.is_empty() {
            let pool = &self.pool;
            self.inbound.drain(u32::MAX, |frame| match frame {
                Frame::Chain(chain) => pool.accept(chain),
                _ => panic!("only chains come after the end"),
            });
            thread::yield_now();
        }
        self.pool
    }
}

/// Runs one core, and asserts that each block it made is home when the other is done too.
fn run_core(core: u16, out: Producer<Frame>, inbound: Consumer<Frame>, count: usize) {
    let ledger = Ledger::new();
    let pool = Pool::new(core, PoolLimits::default());
    let entered = pool.enter();
    let mut core = Core {
        pool,
        peer: 1 - core,
        out,
        inbound,
        peer_done: false,
    };
    core.run(&ledger, count);
    let pool = core.finish();
    drop(entered);

    ledger.assert_balanced();
    assert_eq!(
        (pool.reclaim(), pool.gathered(), pool.outstanding()),
        (0, 0, 0)
    );
    let stats = pool.stats();
    assert_eq!(
        stats.hits + stats.misses,
        2 * count as u64,
        "a block for each value"
    );
    assert_eq!(stats.returned, 0, "no block needed the return stack");
}

#[test]
fn two_cores_that_exchange_blocks_get_all_of_them_back() {
    let count = if cfg!(debug_assertions) {
        5_000
    } else {
        50_000
    };
    let (to_one, from_zero) = ring(64);
    let (to_zero, from_one) = ring(64);
    let one = thread::spawn(move || run_core(1, to_zero, from_zero, count));
    run_core(0, to_one, from_one, count);
    one.join().expect("nothing panics");
}

#[test]
fn outside_threads_return_every_block() {
    const THREADS: usize = 3;
    let count = if cfg!(debug_assertions) {
        3_000
    } else {
        30_000
    };
    let pool = Pool::new(0, PoolLimits::default());
    let ledger = Ledger::new();
    let drop_all = |mut inbound: Consumer<Frame>| {
        thread::spawn(move || {
            while !inbound.is_closed() || !inbound.is_empty() {
                inbound.drain(u32::MAX, drop);
                thread::yield_now();
            }
        })
    };
    let (mut outs, inbounds): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| ring::<Frame>(32)).unzip();
    let threads = Vec::from_iter(inbounds.into_iter().map(drop_all));

    let entered = pool.enter();
    for n in 0..count {
        let out = &mut outs[n % THREADS];
        let mut frame = if n % 2 == 0 {
            Frame::Cell(Cell::new(ledger.issue::<40>()))
        } else {
            Frame::Buf(pool.buf(n % 700).freeze())
        };
        while let Err(full) = out.push(frame) {
            frame = full.0;
            out.publish();
            thread::yield_now();
        }
        out.publish();
    }
    drop(outs);
    for thread in threads {
        thread.join().expect("nothing panics");
    }
    drop(entered);

    pool.reclaim();
    ledger.assert_balanced();
    assert_eq!(
        (pool.outstanding(), pool.stats().returned),
        (0, count as u64)
    );
}
