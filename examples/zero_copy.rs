//! A megabyte of plain data handed from core to core: the bytes stay where they are.
#![allow(clippy::print_stdout, reason = "a program for people")]

use ringpost::{Context, Result, Routed, Worker, async_worker};

/// One measurement, as it lies in memory.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Sample {
    at: u64,
    value: f64,
}

const SAMPLES: usize = (1 << 20) / size_of::<Sample>();

/// What a core says about the samples it was handed: their address, and the sum of their values.
type Finding = (u64, f64);

/// Reads the samples in place.
struct Reader;

#[async_worker]
impl Worker for Reader {
    type Message = ringpost::Pod<Sample>;
    type Context = Context;

    async fn handle_message(
        &mut self,
        ctx: &mut Context,
        msg: Routed<ringpost::Pod<Sample>>,
    ) -> Result<()> {
        let samples: &[Sample] = &msg;
        let sum: f64 = samples.iter().map(|sample| sample.value).sum();
        let finding: Finding = (samples.as_ptr() as u64, sum);
        println!(
            "core {}: {} bytes, sum {sum}",
            ctx.core(),
            size_of_val(samples)
        );
        ctx.send_message(msg.reply(), finding).await
    }
}

#[ringpost::node(cores = 2)]
async fn main(ctx: Context) -> Result<()> {
    let there = 1 - ctx.core();
    ctx.start_worker_on(there, "reader", Reader).await?;

    let samples: Vec<Sample> = (0..SAMPLES)
        .map(|at| Sample {
            at: at as u64,
            value: at as f64,
        })
        .collect();
    let before = samples.as_ptr() as u64;
    let finding: Finding = ctx.request("reader", ringpost::Pod::new(samples)).await?;
    let moved = if finding.0 == before {
        "did not change"
    } else {
        "CHANGED"
    };
    println!("the address of the bytes {moved}");
    ctx.stop().await
}
