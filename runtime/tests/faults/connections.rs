//! Connections between nodes: what befalls a call of one of them costs at the most the requests that were under way
//! over its connection; everybody is answered or told, and the next request finds its way.

use std::time::Duration;

use ringpost::sim::{CallFault, Network, Report, Sim, SystemCall};
use ringpost::{Context, CoreStats, Result, Route, TCP, TcpListenerOptions, TcpTransport};

use crate::{Echo, Strike, at_every_call, is_harmless, lost};

const SERVERS: [&str; 2] = ["10.0.0.1:4000", "10.0.0.2:4000"];
/// How long a request may take; and how often it is made again, a little later, if it fails.
const PATIENCE: Duration = Duration::from_secs(2);
const TRIES: usize = 20;
/// A short payload, and one that takes several reads.
const LENGTHS: [usize; 3] = [10, 5_000, 10];

/// A server tries for a while to listen, as anybody would.
async fn serve(ctx: &Context, address: &str) -> Result<()> {
    ctx.start_worker("echo", Echo).await?;
    let tcp = TcpTransport::create(ctx).await?;
    let mut tries = TRIES;
    loop {
        let options = TcpListenerOptions::new().expose("echo");
        match tcp.listen(address, options).await {
            Err(error) if tries == 0 => return Err(error),
            Err(_) => ctx.sleep(Duration::from_millis(10)).await,
            Ok(_) => return Ok(()),
        }
        tries -= 1;
    }
}

/// What came of all requests to one server: how many failed before each was answered.
type Failures = [usize; LENGTHS.len()];

async fn ask(ctx: &Context, server: &str) -> Result<Failures> {
    let mut failures = Failures::default();
    for (length, failed) in LENGTHS.iter().zip(&mut failures) {
        let question = vec![7u8; *length];
        loop {
            let route = Route::new().append_t(TCP, server).append("echo");
            let asked = ctx.request::<Vec<u8>>(route, question.clone());
            match asked.within(PATIENCE).await {
                Ok(answer) => {
                    assert_eq!(answer, question);
                    break;
                }
                Err(error) if *failed == TRIES => return Err(error),
                Err(_) => *failed += 1,
            }
            ctx.sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(failures)
}

fn make(seed: u64) -> Sim {
    let mut sim = Sim::new(seed)
        .network(Network::new().buffer(2_000))
        .on_undelivered(|_| {})
        .drain(Duration::from_millis(100));
    for (number, address) in SERVERS.into_iter().enumerate() {
        let name = format!("server {number}");
        let main = async move |ctx: Context| serve(&ctx, address).await;
        sim = sim.node(&*name, 1).main(&name, main);
    }
    sim
}

/// Asks both servers at the same time.
async fn play(ctx: Context) -> Result<[Failures; 2]> {
    TcpTransport::create(&ctx).await?;
    // They listen by then, unless something is in the way of that.
    ctx.sleep(Duration::from_millis(1)).await;
    let (mut hear, mine) = (ctx.detached()?, ctx.detached()?);
    let to = hear.address();
    ctx.spawn(async move {
        let asked = ask(&mine, SERVERS[1]).await;
        let asked = asked.map(|failures| failures.map(|count| count as u64).to_vec());
        let asked = asked.map_err(|error| error.to_string());
        mine.send_message(to, asked).await.expect("somebody waits");
    });
    let first = ask(&ctx, SERVERS[0]).await?;
    let second = hear
        .receive::<std::result::Result<Vec<u64>, String>>()
        .await?
        .take()
        .map_err(ringpost::Error::other)?;
    let mut both = [first, Failures::default()];
    for (place, count) in both[1].iter_mut().zip(second) {
        *place = count as usize;
    }
    Ok(both)
}

fn check(strike: Option<Strike>, report: &Report<[Failures; 2]>, what: &str) {
    let failures = report.output.as_ref();
    let failures = failures.unwrap_or_else(|error| panic!("{what}: {error}"));
    for (main, _) in &report.neighbours {
        if let Some(Err(error)) = main {
            panic!("{what}: a server does not listen: {error}");
        }
    }
    let failed: Vec<usize> = failures.iter().map(|of_one| of_one.iter().sum()).collect();
    match strike {
        None => assert_eq!(failed, [0, 0], "{what}"),
        Some(strike) if is_harmless(strike.fault, strike.call) => {
            assert_eq!(failed, [0, 0], "{what}");
        }
        Some(Strike {
            fault: CallFault::Stall(_) | CallFault::Jump(_),
            ..
        }) => {}
        // Speed is wished for, not needed.
        Some(Strike {
            call: SystemCall::SetOption,
            ..
        }) => assert_eq!(failed, [0, 0], "{what}"),
        Some(_) => assert!(failed.contains(&0), "{what}: {failed:?} failed"),
    }
    let neighbours = report.neighbours.iter().map(|(_, stats)| stats);
    let all: Vec<_> = std::iter::once(&report.stats).chain(neighbours).collect();
    if strike.is_none() {
        // What one node wrote another has read.
        let sum =
            |figure: fn(&CoreStats) -> u64| -> u64 { all.iter().map(|it| it.total(figure)).sum() };
        let (written, read) = (
            sum(|core| core.transport.frames_written),
            sum(|core| core.transport.frames_read),
        );
        assert_eq!(written, read, "{what}: frames");
    }
    for (node, stats) in all.into_iter().enumerate() {
        lost(stats, &format!("{what}: node {node}"));
    }
}

/// G3, G7: every request ends, the other connection does not notice, and the next one is answered.
#[test]
fn g7_a_call_that_fails_costs_its_connection_alone() {
    let runs = at_every_call(|| make(1), |sim| sim.run(play), check);
    assert!(runs > 500, "{runs}");
}
