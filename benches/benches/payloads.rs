//! Payloads from nothing to a mebibyte: moved by value, in pooled buffers, as boxed plain data.

mod common;

use common::{criterion, row, start};
use criterion::Criterion;
use criterion::measurement::WallTime;
use ringpost::Limits;
use ringpost_benches::{Arena, workloads};

/// Sizes of what does not lie in the message itself.
const SIZES: [usize; 5] = [64, 1 << 10, 16 << 10, 64 << 10, 1 << 20];

/// From this size on a mailbox holds few messages, or most of what is measured is page faults.
const LARGE: usize = 16 << 10;

fn main() {
    let arenas = start();
    let mut criterion = criterion();
    let (one, pair) = (&arenas.one, &arenas.pair);
    suite(&mut criterion, "payloads, same core", one, &large(1));
    suite(&mut criterion, "payloads, cross core", pair, &large(2));
    criterion.final_summary();
}

/// A node for large messages.
fn large(cores: usize) -> Arena {
    let mut limits = Limits::default();
    limits.mailbox_credits = 32;
    limits.link_credits = 32;
    Arena::within(cores, limits)
}

fn suite(criterion: &mut Criterion<WallTime>, title: &str, arena: &Arena, large: &Arena) {
    let group = &mut criterion.benchmark_group(title);
    row(group, arena, "moved, 0 B", 1, workloads::moved::<0>);
    row(group, arena, "moved, 8 B", 1, workloads::moved::<1>);
    row(group, arena, "moved, 24 B", 1, workloads::moved::<3>);
    row(group, arena, "moved, 64 B", 1, workloads::moved::<8>);
    row(group, arena, "moved, 256 B", 1, workloads::moved::<32>);
    row(group, arena, "moved, 1024 B", 1, workloads::moved::<128>);
    for bytes in SIZES {
        let arena = if bytes < LARGE { arena } else { large };
        let name = format!("buffer, {bytes} B");
        row(group, arena, &name, 1, async move |ctx, n| {
            workloads::buffers(ctx, n, bytes).await
        });
        let name = format!("plain data, {bytes} B");
        row(group, arena, &name, 1, async move |ctx, n| {
            workloads::plain_data(ctx, n, bytes).await
        });
    }
}
