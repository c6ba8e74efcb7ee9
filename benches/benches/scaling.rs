//! What more cores bring: the same work on 1, 2, 4… cores, up to all that the process may use.

mod common;

use common::{criterion, row, start};
use ringpost_benches::{Arena, workloads};

fn main() {
    let arenas = start();
    let mut criterion = criterion();
    let mut group = criterion.benchmark_group("scaling");
    for cores in steps(arenas.all.cores()) {
        let arena = Arena::new(cores);
        let name = format!("all to all on {cores}");
        row(&mut group, &arena, &name, 1, workloads::all_to_all);
        let name = format!("big, 120 workers on {cores}");
        row(&mut group, &arena, &name, 1, async |ctx, n| {
            workloads::big(ctx, n, 120).await
        });
    }
    group.finish();
    criterion.final_summary();
}

/// The powers of two below `cores`, and `cores`.
fn steps(cores: usize) -> impl Iterator<Item = usize> {
    let powers = (0..).map(|power| 1 << power);
    powers.take_while(move |step| *step < cores).chain([cores])
}
