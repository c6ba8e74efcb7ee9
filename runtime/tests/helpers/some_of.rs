//! Several futures at a time, in their order.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use ringpost::Result;

/// Waits for some of them, polling all of them in their order, so that each waits where it has to.
pub(crate) async fn some_of<F>(waiting: &mut VecDeque<Pin<Box<F>>>) -> Result<()>
where
    F: Future<Output = Result<()>> + ?Sized,
{
    let mut done = VecDeque::new();
    poll_fn(|polling| {
        waiting.retain_mut(|work| match work.as_mut().poll(polling) {
            Poll::Ready(ended) => {
                done.push_back(ended);
                false
            }
            Poll::Pending => true,
        });
        match done.is_empty() {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    })
    .await;
    done.into_iter().collect()
}
