//! Messages that leave in datagrams: what befalls a call costs no more than what a network may do with a datagram, and
//! one that was never sent is reported.

use std::time::Duration;

use ringpost::sim::{CallFault, Report, Sim, SystemCall};
use ringpost::{
    Address, Context, Result, Route, Routed, UDP, UdpListenerOptions, UdpTransport, Worker,
};

use crate::{Strike, at_every_call, lost};

const SERVER: &str = "10.0.0.1:4000";
const MESSAGES: u64 = 3;

/// Answers nothing, so that nothing but messages is sent.
pub(crate) struct Sink;

impl Worker for Sink {
    type Message = Vec<u8>;
    type Context = Context;

    async fn handle_message(&mut self, _: &mut Context, _: Routed<Vec<u8>>) -> Result<()> {
        Ok(())
    }
}

async fn serve(ctx: Context) -> Result<()> {
    ctx.start_worker("sink", Sink).await?;
    let udp = UdpTransport::create(&ctx).await?;
    udp.listen(SERVER, UdpListenerOptions::new().expose("sink"))
        .await?;
    Ok(())
}

fn make() -> Sim {
    Sim::new(3)
        .on_undelivered(|_| {})
        .drain(Duration::from_millis(100))
        .beside(serve)
}

/// Sends some messages, and goes.
async fn play(ctx: Context) -> Result<u64> {
    let udp = UdpTransport::create(&ctx).await?;
    ctx.sleep(Duration::from_millis(1)).await;
    let mut sent = 0;
    for _ in 0..MESSAGES {
        let route = Route::new().append_t(UDP, SERVER).append("sink");
        sent += u64::from(ctx.send_message(route, vec![7u8; 10]).await.is_ok());
    }
    let _ = udp.disconnect(Address::new(UDP, SERVER)).await;
    ctx.stop_now().await?;
    Ok(sent)
}

fn check(strike: Option<Strike>, report: &Report<u64>, what: &str) {
    let sent = *report.output.as_ref().expect("main ends");
    let written = report.stats.total(|core| core.transport.frames_written);
    let lost = lost(&report.stats, what);
    assert_eq!(
        written + lost,
        sent,
        "{what}: {written} written, {lost} lost"
    );
    if strike.is_none() {
        assert_eq!((sent, lost), (MESSAGES, 0), "{what}");
    }
    let (call, fault) = (strike.map(|it| it.call), strike.map(|it| it.fault));
    if (call, fault) == (Some(SystemCall::SendTo), Some(CallFault::Errno(11))) {
        assert_eq!(sent, MESSAGES, "{what}: there is room in the queue");
    }
}

#[test]
fn g3_a_message_whose_datagram_is_not_sent_is_reported() {
    let runs = at_every_call(make, |sim| sim.run(play), check);
    assert!(runs > 100, "{runs} runs");
}
