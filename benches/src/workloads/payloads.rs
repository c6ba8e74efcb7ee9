//! Messages that carry something: moved values, pooled buffers, plain old data.

use std::time::Instant;

use ringpost::{Buf, BufMut, Context, Message, Pod, Result, Route, Routed, Worker};

use super::stage::{Stage, announce};
use crate::Measured;

/// So many numbers of 8 bytes, moved as they are.
#[derive(Debug, Clone, Copy)]
pub struct Words<const N: usize>([u64; N]);

ringpost::local_message!(
    Words<0>,
    Words<1>,
    Words<3>,
    Words<8>,
    Words<32>,
    Words<128>
);

/// A payload of this workload.
pub(crate) trait Payload: Message {
    /// One with this number in it, if it has room for one.
    fn made(bytes: usize, number: u64) -> Self;
    /// How many bytes it carries. Looks at the first and the last of them.
    fn weighed(&self) -> usize;
}

impl<const N: usize> Payload for Words<N>
where
    Words<N>: Message,
{
    #[inline]
    fn made(_bytes: usize, number: u64) -> Self {
        Self([number; N])
    }

    #[inline]
    fn weighed(&self) -> usize {
        std::hint::black_box((self.0.first(), self.0.last()));
        8 * N
    }
}

impl Payload for Buf {
    /// Takes the bytes that the buffer happens to hold, and writes the ends of them: what is measured is
    /// the way of a message and not the filling of memory.
    #[inline]
    fn made(bytes: usize, number: u64) -> Self {
        let mut buf = BufMut::with_capacity(bytes);
        if bytes > 0 {
            buf.commit(bytes);
            buf[0] = number as u8;
            buf[bytes - 1] = number as u8;
        }
        buf.freeze()
    }

    #[inline]
    fn weighed(&self) -> usize {
        std::hint::black_box((self.first(), self.last()));
        self.len()
    }
}

impl Payload for Pod<u64> {
    #[inline]
    fn made(bytes: usize, number: u64) -> Self {
        let mut values = vec![0; bytes / 8];
        if let Some(last) = values.last_mut() {
            *last = number;
        }
        Pod::new(values)
    }

    #[inline]
    fn weighed(&self) -> usize {
        std::hint::black_box((self.first(), self.last()));
        size_of_val::<[u64]>(self)
    }
}

/// Weighs what comes, and reports when it has got everything.
struct Scales<P> {
    left: u64,
    bytes: u64,
    driver: Route,
    payload: std::marker::PhantomData<fn() -> P>,
}

impl<P: Payload> Worker for Scales<P> {
    type Message = P;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        announce(ctx, &self.driver).await
    }

    #[inline]
    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<P>) -> Result<()> {
        self.bytes += msg.weighed() as u64;
        self.left -= 1;
        if self.left == 0 {
            ctx.send_message(&self.driver, self.bytes).await?;
        }
        Ok(())
    }
}

/// Makes payloads and sends them off.
struct Shipper<P> {
    to: Route,
    bytes: usize,
    payload: std::marker::PhantomData<fn() -> P>,
}

impl<P: Payload> Worker for Shipper<P> {
    type Message = u64;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        for number in 0..*msg {
            ctx.send_message(&self.to, P::made(self.bytes, number))
                .await?;
        }
        Ok(())
    }
}

/// `n` messages of `N` numbers each, moved.
///
/// # Errors
/// Those of the node.
pub async fn moved<const N: usize>(ctx: Context, n: u64) -> Result<Measured>
where
    Words<N>: Message,
{
    ship::<Words<N>>(ctx, n, 8 * N).await
}

/// `n` buffers of so many bytes, from the pool of the core that sends.
///
/// # Errors
/// Those of the node.
pub async fn buffers(ctx: Context, n: u64, bytes: usize) -> Result<Measured> {
    ship::<Buf>(ctx, n, bytes).await
}

/// `n` boxed lists of numbers of so many bytes.
///
/// # Errors
/// Those of the node.
pub async fn plain_data(ctx: Context, n: u64, bytes: usize) -> Result<Measured> {
    ship::<Pod<u64>>(ctx, n, bytes).await
}

async fn ship<P: Payload>(ctx: Context, n: u64, bytes: usize) -> Result<Measured> {
    let payload = std::marker::PhantomData;
    let mut stage = Stage::new(ctx).await?;
    let scales = Scales::<P> {
        left: n,
        bytes: 0,
        driver: stage.driver(),
        payload,
    };
    let to = stage.introduce(stage.other(), "scales", scales).await?;
    let shipper = Shipper::<P> { to, bytes, payload };
    let shipper = stage.start(0, "shipper", shipper).await?;
    let start = Instant::now();
    stage.ctx().send_message(shipper, n).await?;
    let weight: u64 = stage.report().await?;
    let took = start.elapsed();
    assert_eq!(weight, n * bytes as u64);
    stage.end().await?;
    Ok(Measured::new(took, n))
}
