//! What hostile peers can do: lose their own connection, for a reason that is named, and nothing else.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ringpost::net::TcpStream;
use ringpost::sim::{Report, Sim};
use ringpost::transport::TcpLimits;
use ringpost::{Address, Context, Result, Route};
use ringpost_mailbox::sync::Mutex;
use ringpost_router::wire::{Frame, Limits, Note};
use tracing::field::{Field, Visit};
use tracing::span;

use crate::common::{SERVER, append, asks, connected, frame, serve, to, until_closed};

/// Keeps why connections ended.
#[derive(Clone, Default)]
pub(crate) struct Ends(Arc<Mutex<Vec<String>>>, Arc<Mutex<u64>>);

impl Ends {
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }

    /// How many were warnings.
    fn warnings(&self) -> u64 {
        *self.1.lock()
    }
}

impl tracing::Subscriber for Ends {
    fn enabled(&self, _metadata: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let before = self.0.lock().len();
        event.record(&mut End(&self.0));
        let is_warning = *event.metadata().level() == tracing::Level::WARN;
        *self.1.lock() += u64::from(is_warning && self.0.lock().len() > before);
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}
    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}
    fn enter(&self, _span: &span::Id) {}
    fn exit(&self, _span: &span::Id) {}
}

struct End<'a>(&'a Mutex<Vec<String>>);

impl Visit for End<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Of a fault it is the cause.
        if matches!(field.name(), "end" | "cause") {
            self.0.lock().push(format!("{value:?}"));
        }
    }
}

/// Runs a peer beside a server with these limits, and then asks the server whether it is still there. Returns
/// why connections ended, and what came of the run.
fn against<F>(limits: TcpLimits, peer: F) -> (Vec<String>, Report<Duration>)
where
    F: AsyncFnOnce(&Context, TcpStream) -> Result<()> + Send + 'static,
{
    let ends = Ends::default();
    let serve = async move |ctx: Context| serve(ctx, limits).await;
    let report = tracing::subscriber::with_default(ends.clone(), || {
        Sim::new(3)
            .cores(2)
            .beside(serve)
            .run(async move |ctx: Context| {
                let _tcp = connected(&ctx, SERVER).await?;
                let stream = TcpStream::connect(&ctx, SERVER.parse()?).await?;
                peer(&ctx, stream).await?;
                asks(&ctx, to(SERVER, "echoer"), "still").await?;
                Ok(Duration::ZERO)
            })
    });
    let faulted = report.neighbours[0].1.total(|core| core.transport.faulted);
    assert_eq!(ends.warnings(), faulted, "{:?}", ends.take());
    (ends.take(), report)
}

/// Expects that a peer is cut off, for this reason, within so much time.
fn cut_off<F>(limits: TcpLimits, reason: &str, within: Duration, peer: F)
where
    F: AsyncFnOnce(&Context, TcpStream) -> Result<()> + Send + 'static,
{
    let (ends, report) = against(limits, peer);
    report
        .output
        .unwrap_or_else(|error| panic!("{reason}: {error}"));
    assert!(
        ends.iter().any(|end| end.contains(reason)),
        "{reason}: {ends:?}"
    );
    assert!(report.elapsed <= within, "{reason}: {:?}", report.elapsed);
    let server = &report.neighbours[0].1;
    assert_eq!(server.total(|core| core.transport.faulted), 1, "{reason}");
    assert_eq!(server.total(|core| core.panics), 0, "{reason}");
}

#[test]
fn g10_hostile_peers_lose_their_connection_and_nobody_else_does() {
    let generous = Limits {
        hops_max: 1000,
        ..Limits::default()
    };
    let far = (0..65).fold(Route::new(), |way, _| way.append("echoer"));
    let written = Frame::new(far, Route::new(), b"x").encode(&generous, &mut Vec::new());
    assert!(written.is_err(), "the writer has limits too");
    let mut heartbeats = vec![1];
    for _ in 0..2000 {
        heartbeats.extend_from_slice(&[0, 0, 0, 4, 0x83, 0x80, 0x80, 0x40]);
    }
    let mut watches = vec![1];
    for id in 1..=1025 {
        let address = Address::local("echoer");
        let note = Note::Watch { id, address }.encode();
        append(Route::new(), Route::new(), &note, &mut watches);
    }
    let mut again = vec![1];
    for _ in 0..2 {
        let address = Address::local("echoer");
        let note = Note::Watch { id: 7, address }.encode();
        append(Route::new(), Route::new(), &note, &mut again);
    }
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("the peer speaks version 9", vec![9]),
        (
            "the peer speaks version 71",
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        ),
        (
            "the frame is over its limit of 16777216 bytes: 4294967295",
            vec![1, 0xff, 0xff, 0xff, 0xff],
        ),
        ("the frame has 0 bytes", vec![1, 0, 0, 0, 0, 0, 0, 0, 0]),
        (
            "the onward route is over its limit of 64 addresses",
            vec![1, 0, 0, 0, 5, 0x83, 0x98, 65, 0x82, 0],
        ),
        ("(heartbeats_max)", heartbeats),
        ("(watches_max)", watches),
        ("the peer watches two workers by the number 7", again),
        ("(handshake)", Vec::new()),
        (
            "(frame_grace, frame_bytes_per_second_min)",
            vec![1, 0, 1, 0, 0, 0x83, 0x81],
        ),
    ];
    for (reason, bytes) in cases {
        let within = Duration::from_secs(11);
        cut_off(
            TcpLimits::default(),
            reason,
            within,
            async move |_, mut stream| {
                // The node may close while this is written.
                let _ = stream.write_all(&bytes).await;
                until_closed(&mut stream).await;
                Ok(())
            },
        );
    }
}

#[test]
fn a_peer_that_is_gone_within_a_frame_is_no_fault_of_anybody() {
    let (ends, report) = against(TcpLimits::default(), async |_, mut stream| {
        stream.write_all(&[1]).await?;
        stream.write_all(&frame(b"\x02hi")[..9]).await?;
        stream.shutdown(std::net::Shutdown::Write)?;
        until_closed(&mut stream).await;
        Ok(())
    });
    report.output.expect("others are served");
    assert!(
        ends.iter()
            .any(|end| end == "the peer has closed it within a frame"),
        "{ends:?}"
    );
    let faulted = report.neighbours[0].1.total(|core| core.transport.faulted);
    assert_eq!(faulted, 0);
}

#[test]
fn bytes_that_come_one_by_one_are_a_message_all_the_same() {
    let (_, report) = against(TcpLimits::default(), async |ctx, mut stream| {
        let mut sent = vec![1];
        (0..3).for_each(|_| sent.extend(frame(b"\x02hi")));
        for byte in sent {
            stream.write_all(&[byte]).await?;
            ctx.sleep(Duration::from_millis(10)).await;
        }
        let mut replied = Vec::new();
        let mut piece = [0; 100];
        while replied.windows(3).filter(|part| part == b"\x02hi").count() < 3 {
            let count = stream.read(&mut piece).await?;
            assert!(count > 0, "{replied:?}");
            replied.extend_from_slice(&piece[..count]);
        }
        Ok(())
    });
    report.output.expect("it is answered three times");
}

#[test]
fn a_sender_slower_than_the_floor_is_gone_by_its_deadline() {
    for (payload, bytes, every) in [(40, 1, 3000), (500_000, 100, 500)] {
        let within = Duration::from_secs(20);
        let peer = async move |ctx: &Context, mut stream: TcpStream| {
            stream.write_all(&[1]).await?;
            for piece in frame(&vec![0; payload]).chunks(bytes) {
                if stream.write_all(piece).await.is_err() {
                    break;
                }
                ctx.sleep(Duration::from_millis(every)).await;
            }
            until_closed(&mut stream).await;
            Ok(())
        };
        cut_off(TcpLimits::default(), "(frame_grace", within, peer);
    }
}

#[test]
fn a_long_frame_that_comes_faster_than_the_floor_gets_its_time() {
    let (ends, report) = against(TcpLimits::default(), async |ctx, mut stream| {
        stream.write_all(&[1]).await?;
        for piece in frame(&vec![0; 100_000]).chunks(2048) {
            stream.write_all(piece).await?;
            ctx.sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    });
    report.output.expect("it is taken");
    assert!(
        report.elapsed > Duration::from_secs(40),
        "{:?}",
        report.elapsed
    );
    assert!(
        !ends.iter().any(|end| end.contains("frame_grace")),
        "{ends:?}"
    );
}

#[test]
fn a_peer_that_says_nothing_is_gone_where_that_is_limited() {
    let mut limits = TcpLimits::default();
    limits.idle = Some(Duration::from_secs(5));
    let (ends, report) = against(limits, async |ctx, mut stream| {
        stream.write_all(&[1]).await?;
        for _ in 0..4 {
            ctx.sleep(Duration::from_secs(4)).await;
            stream.write_all(&frame(b"\x02hi")).await?;
        }
        until_closed(&mut stream).await;
        Ok(())
    });
    report.output.expect("others connect again");
    let idle = ends
        .iter()
        .filter(|end| end.contains("for 5s (idle)"))
        .count();
    assert!(idle >= 1, "{ends:?}");
    let elapsed = report.elapsed.as_secs();
    assert!((21..30).contains(&elapsed), "{elapsed}");
}

#[test]
fn a_peer_that_takes_nothing_is_gone_by_its_deadline() {
    let mut limits = TcpLimits::default();
    limits.queued_bytes_max = 100_000;
    limits.stall = Duration::from_secs(20);
    // It is not read either, so what it writes may take until then.
    let within = Duration::from_secs(42);
    cut_off(
        limits,
        "nothing for 20s (stall)",
        within,
        async |ctx, mut stream| {
            let mut bytes = vec![1];
            let mut text = vec![0xc0, 0x3e];
            text.resize(8002, b'x');
            (0..50).for_each(|_| bytes.extend(frame(&text)));
            let _ = stream.write_all(&bytes).await;
            ctx.sleep(Duration::from_secs(21)).await;
            Ok(())
        },
    );
}
