//! Timers that are armed and never fire, as the deadlines of nearly all requests are.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use ringpost::{Context, Result};

use crate::Measured;

/// Long enough that nothing fires while it is measured.
const WAIT: Duration = Duration::from_secs(60);

/// `n` times: arm a timer and cancel it, while `armed` others run.
///
/// # Errors
/// None: the signature is that of all workloads.
pub async fn armed_and_cancelled(ctx: Context, n: u64, armed: usize) -> Result<Measured> {
    let mut others: Vec<_> = (0..armed)
        .map(|number| Box::pin(ctx.sleep(WAIT + Duration::from_millis(number as u64))))
        .collect();
    for other in &mut others {
        arm(other.as_mut()).await;
    }
    let start = Instant::now();
    for number in 0..n {
        let wait = WAIT + Duration::from_millis(number % 1024);
        arm(pin!(ctx.sleep(wait))).await;
    }
    Ok(Measured::new(start.elapsed(), n))
}

/// Polls a sleep once, which arms its timer; dropping it cancels that.
async fn arm(mut sleep: Pin<&mut ringpost::Sleep>) {
    poll_fn(|polling| {
        assert!(sleep.as_mut().poll(polling).is_pending());
        Poll::Ready(())
    })
    .await;
}
