//! How many bytes of a cell should be for the value itself?
//!
//! Moves messages of 8 to 64 bytes in cells that keep up to 8, 24, 40 or 56 bytes inline (cells of 16, 32, 48
//! and 64 bytes), with a pool for the larger ones:
//!
//! - through a queue on one core, once a short one that stays in the first cache, once a long one;
//! - through a ring to another core, each cell in a slot beside the 32 bytes that a runtime needs to know
//!   of a message (its route and the like); blocks go home in chains through a second ring.
//!
//! What is printed is the time for one burst, and the rate.
//!
//! Run with `cargo bench -p ringpost-mailbox --bench cell_size`.

use std::any::TypeId;
use std::collections::VecDeque;
use std::hint::black_box;
use std::mem::ManuallyDrop;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use ringpost_mailbox::cell::payload::Payload;
use ringpost_mailbox::pool::{Chain, Pool, PoolLimits};
use ringpost_mailbox::ring::{Consumer, Producer, ring};
use ringpost_mailbox::sync::{hint, thread};

/// Messages in flight on one core: a burst of one turn, and a queue that has run up.
const DEPTHS: [usize; 2] = [64, 16 * 1024];

/// Messages sent to the other core before it is asked whether they arrived.
const CROSSING: u64 = 10_000;

/// Slots of the ring to the other core.
const SLOTS: u32 = 1024;

/// Messages written before they are published, and blocks gathered before they go home.
const BATCH: u32 = 16;

/// What a message cell is but for its size.
struct SizedCell<const INLINE: usize> {
    described: &'static Described<INLINE>,
    payload: Payload<INLINE>,
}

struct Described<const INLINE: usize> {
    type_id: TypeId,
    drop_payload: Option<unsafe fn(&mut Payload<INLINE>)>,
}

/// A message of so many words.
type Message<const WORDS: usize> = [u64; WORDS];

impl<const INLINE: usize> SizedCell<INLINE> {
    #[inline]
    fn new<const WORDS: usize>(message: Message<WORDS>) -> Self {
        let described = const {
            &Described {
                type_id: TypeId::of::<Message<WORDS>>(),
                drop_payload: if Payload::<INLINE>::needs_drop::<Message<WORDS>>() {
                    Some(Payload::drop_value::<Message<WORDS>>)
                } else {
                    None
                },
            }
        };
        SizedCell {
            described,
            payload: Payload::new(message),
        }
    }

    #[inline]
    fn take<const WORDS: usize>(self) -> Option<Message<WORDS>> {
        if self.described.type_id != TypeId::of::<Message<WORDS>>() {
            return None;
        }
        let mut cell = ManuallyDrop::new(self);
        // SAFETY: the payload holds a message of this type, and the cell is forgotten.
        Some(unsafe { cell.payload.take::<Message<WORDS>>() })
    }
}

impl<const INLINE: usize> Drop for SizedCell<INLINE> {
    #[inline]
    fn drop(&mut self) {
        if let Some(drop_payload) = self.described.drop_payload {
            // SAFETY: made for the type of the value, which is not used again.
            unsafe { drop_payload(&mut self.payload) }
        }
    }
}

/// Fills the queue with messages and takes them all out again.
fn burst<const INLINE: usize, const WORDS: usize>(
    queue: &mut VecDeque<SizedCell<INLINE>>,
    depth: usize,
) -> u64 {
    for n in 0..depth as u64 {
        queue.push_back(SizedCell::new([black_box(n); WORDS]));
    }
    let mut sum = 0;
    while let Some(cell) = queue.pop_front() {
        let message = cell.take::<WORDS>().expect("one type of message");
        sum += message.iter().sum::<u64>();
    }
    sum
}

/// What travels to the other core.
struct Slot<const INLINE: usize> {
    /// The route and the like, here whether an answer is wanted.
    about: [u64; 4],
    cell: SizedCell<INLINE>,
}

/// What travels back.
enum Back {
    Arrived(u64),
    Chain(Chain),
}

/// The other core: takes messages, sends blocks home, and answers when asked to.
fn receive<const INLINE: usize, const WORDS: usize>(
    mut inbound: Consumer<Slot<INLINE>>,
    back: Producer<Back>,
) {
    let pool = Pool::new(1, PoolLimits::default());
    let _entered = pool.enter();
    while !inbound.is_closed() || !inbound.is_empty() {
        let mut answer = None;
        let mut sum = 0;
        inbound.drain(64, |slot| {
            let message = slot.cell.take::<WORDS>().expect("one type of message");
            sum += black_box(slot.about)[1] + message.iter().sum::<u64>();
            answer = (slot.about[0] == 1).then_some(sum);
        });
        while let Some(chain) = pool.take_chain(0, BATCH) {
            assert!(
                back.push(Back::Chain(chain)).is_ok(),
                "the ring back has room for all blocks"
            );
        }
        if let Some(sum) = answer {
            assert!(
                back.push(Back::Arrived(sum)).is_ok(),
                "the ring back has room for an answer"
            );
        }
        back.publish();
        hint::spin_loop();
    }
}

/// Sends a burst to the other core and waits until it has arrived.
fn cross<const INLINE: usize, const WORDS: usize>(
    pool: &Pool,
    out: &Producer<Slot<INLINE>>,
    back: &mut Consumer<Back>,
) -> u64 {
    let mut arrived = None;
    let mut come_back = |back: &mut Consumer<Back>| {
        back.drain(u32::MAX, |back| match back {
            Back::Arrived(sum) => arrived = Some(sum),
            Back::Chain(chain) => pool.accept(chain),
        });
        arrived
    };
    for n in 1..=CROSSING {
        while !out.has_room(1) {
            out.publish();
            come_back(back);
            hint::spin_loop();
        }
        let slot = Slot {
            about: [u64::from(n == CROSSING), n, n, n],
            cell: SizedCell::new([black_box(n); WORDS]),
        };
        assert!(out.push(slot).is_ok(), "there is room for one");
        if out.unpublished() >= BATCH {
            out.publish();
            come_back(back);
        }
    }
    out.publish();
    loop {
        if let Some(sum) = come_back(back) {
            return sum;
        }
        hint::spin_loop();
    }
}

type Group<'a> = BenchmarkGroup<'a, WallTime>;

fn id<const INLINE: usize, const WORDS: usize>() -> BenchmarkId {
    let cell_bytes = size_of::<SizedCell<INLINE>>();
    BenchmarkId::new(format!("cell of {cell_bytes}"), 8 * WORDS)
}

fn bench_queue<const INLINE: usize, const WORDS: usize>(group: &mut Group<'_>, depth: usize) {
    let mut queue = VecDeque::with_capacity(depth);
    group.bench_function(id::<INLINE, WORDS>(), |bencher| {
        bencher.iter(|| burst::<INLINE, WORDS>(&mut queue, depth));
    });
}

fn bench_ring<const INLINE: usize, const WORDS: usize>(group: &mut Group<'_>, pool: &Pool) {
    let (out, inbound) = ring(SLOTS);
    let (back_out, mut back) = ring(16 * SLOTS);
    let receiver = thread::spawn(move || receive::<INLINE, WORDS>(inbound, back_out));
    group.bench_function(id::<INLINE, WORDS>(), |bencher| {
        bencher.iter(|| cross::<INLINE, WORDS>(pool, &out, &mut back));
    });
    drop(out);
    receiver.join().expect("the receiver ends");
}

/// Calls a bench for each size of cell and, around that, of message: what is compared runs one after the
/// other, in the same weather.
macro_rules! for_all_sizes {
    ($bench:ident, $($args:expr),+) => {
        for_all_sizes!(@ $bench, ($($args),+), 1 2 3 4 5 6 7 8)
    };
    (@ $bench:ident, $args:tt, $($words:literal)+) => {
        $(for_all_sizes!(# $bench, $args, $words);)+
    };
    (# $bench:ident, ($($args:expr),+), $words:literal) => {
        $bench::<8, $words>($($args),+);
        $bench::<24, $words>($($args),+);
        $bench::<40, $words>($($args),+);
        $bench::<56, $words>($($args),+);
    };
}

fn begin<'a>(criterion: &'a mut Criterion, name: &str, messages: u64) -> Group<'a> {
    let mut group = criterion.benchmark_group(name);
    group
        .throughput(Throughput::Elements(messages))
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600));
    group
}

fn cell_size(criterion: &mut Criterion) {
    let limits = PoolLimits {
        cached_max: [DEPTHS[1] as u32; 5],
    };
    let pool = Pool::new(0, limits);
    let _entered = pool.enter();
    for depth in DEPTHS {
        let mut group = begin(criterion, &format!("queue of {depth}"), depth as u64);
        for_all_sizes!(bench_queue, &mut group, depth);
        group.finish();
    }
    let mut group = begin(criterion, "ring", CROSSING);
    for_all_sizes!(bench_ring, &mut group, &pool);
    group.finish();
}

criterion_group!(benches, cell_size);
criterion_main!(benches);
