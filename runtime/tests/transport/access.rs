//! Whom a peer reaches (G11): what was exposed to it, by name, by how the name begins or by what a predicate says, and
//! the return addresses of what it was sent; and nobody else, whatever it says.

use std::sync::Arc;
use std::time::Duration;

use ringpost::net::{ListenOptions, TcpListener, TcpStream};
use ringpost::sim::{Network, Sim};
use ringpost::transport::{Backoff, TcpLimits};
use ringpost::{
    Address, Any, Context, Group, Reason, Result, Route, Routed, Supervision, TCP,
    TcpConnectionOptions, TcpListenerOptions, TcpTransport, Worker, route,
};
use ringpost_mailbox::sync::Mutex;
use ringpost_mailbox::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::common::{Echoer, SERVER, append, connected, greeting, serve};
use crate::raw::{Came, Raw};

const A_WHILE: Duration = Duration::from_millis(20);

/// Runs a peer beside this server, on several seeds; how often the server refused something, each time.
fn against<S, P>(serve: S, peer: P) -> Vec<u64>
where
    S: AsyncFnOnce(Context) -> Result<()> + Clone + Send + 'static,
    P: AsyncFnOnce(Context) -> Result<()> + Clone + Send + 'static,
{
    let run = |seed| {
        let sim = Sim::new(seed).cores(2).dead_letters("letters");
        let report = sim
            .node("server", 2)
            .main("server", serve.clone())
            .run(peer.clone());
        report
            .output
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        report.neighbours[0].1.undelivered(Reason::Refused)
    };
    (0..6).map(run).collect()
}

async fn listen(ctx: &Context, options: TcpListenerOptions) -> Result<TcpTransport> {
    let tcp = TcpTransport::create(ctx).await?;
    tcp.listen(SERVER, options).await?;
    Ok(tcp)
}

/// G11: by each way to expose, what it means and nothing that is like it.
#[test]
fn g11_names_beginnings_and_predicates_expose_what_they_say() {
    let open = ["echoer", "svc-", "svc-1", "one-pub", "pub"];
    let closed = [
        "echoe", "echoer2", "Echoer", "svc", "asvc-1", "pub-one", "secret", "0", "",
    ];
    let serve = async move |ctx: Context| -> Result<()> {
        for name in open.iter().chain(&closed).filter(|name| !name.is_empty()) {
            ctx.start_worker(*name, Echoer).await?;
        }
        let ends = |address: &Address| address.as_bytes().ends_with(b"pub");
        let options = TcpListenerOptions::new().expose("echoer");
        listen(&ctx, options.expose_prefix("svc-").expose_if(ends)).await?;
        Ok(())
    };
    let refused = against(serve, async move |ctx: Context| {
        let mut peer = Raw::connect(&ctx, SERVER).await?;
        for name in open {
            assert!(!peer.is_refused(name).await?, "{name}");
        }
        for name in closed {
            assert!(peer.is_refused(Address::local(name)).await?, "{name}");
        }
        // However the frame before went, and over other transports.
        for name in open {
            assert!(!peer.is_refused(name).await?, "{name}");
            assert!(peer.is_refused("secret").await?, "{name}");
            assert!(peer.is_refused(route![name, "secret"]).await?, "{name}");
            let away = Route::new().append_t(TCP, SERVER).append(name);
            assert!(peer.is_refused(away).await?, "{name}");
        }
        Ok(())
    });
    let count = closed.len() + 3 * open.len();
    assert_eq!(refused, [count as u64; 6], "each is counted");
}

/// G11: a predicate is asked each time, also where frames are alike.
#[test]
fn g11_a_predicate_that_changes_its_mind_is_heard() {
    let opens = Arc::new(AtomicBool::new(true));
    let says = Arc::clone(&opens);
    let serve = async move |ctx: Context| -> Result<()> {
        ctx.start_worker("echoer", Echoer).await?;
        // Relaxed: the simulation has one thread.
        let allows = move |_: &Address| says.load(Ordering::Relaxed);
        listen(&ctx, TcpListenerOptions::new().expose_if(allows)).await?;
        Ok(())
    };
    against(serve, async move |ctx: Context| {
        let mut peer = Raw::connect(&ctx, SERVER).await?;
        for turn in 0..20 {
            let is_open = turn % 5 < 3;
            opens.store(is_open, Ordering::Relaxed);
            assert_eq!(peer.is_refused("echoer").await?, !is_open, "{turn}");
        }
        Ok(())
    });
}

/// G11, G7: a predicate that panics exposes nothing, and costs neither the connection nor who sends over it.
#[test]
fn g11_a_predicate_that_panics_exposes_nothing() {
    let serve = async move |ctx: Context| -> Result<()> {
        ctx.start_worker("echoer", Echoer).await?;
        let allows = |name: &Address| {
            assert!(*name == "echoer".into(), "who is {name}?");
            true
        };
        listen(&ctx, TcpListenerOptions::new().expose_if(allows)).await?;
        Ok(())
    };
    against(serve, async move |ctx: Context| {
        let mut peer = Raw::connect(&ctx, SERVER).await?;
        for _ in 0..3 {
            assert!(!peer.is_refused("echoer").await?);
            assert!(peer.is_refused("somebody").await?);
        }
        Ok(())
    });
}

/// Writes the address of its context and of who sent to it to a list.
struct Witness(Arc<Mutex<Vec<Address>>>);

impl Worker for Witness {
    type Message = Any;
    type Context = Context;

    async fn initialize(&mut self, ctx: &mut Context) -> Result<()> {
        self.0.lock().push(ctx.address());
        Ok(())
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        let ways = [msg.return_route(), msg.onward_route()];
        let hops = ways.iter().flat_map(Route::iter).cloned();
        self.0.lock().extend(hops.filter(|hop| *hop != "me".into()));
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

/// G11: what the node has of its own has addresses too: main functions, contexts, groups, whoever handles dead letters,
/// connections, and the listener. A peer that has learnt all of them reaches none.
#[test]
fn g11_nothing_that_the_node_has_of_its_own_is_reached() {
    let names = Arc::new(Mutex::new(Vec::new()));
    let learnt = Arc::clone(&names);
    let serve = async move |ctx: Context| -> Result<()> {
        let witness = || Witness(Arc::clone(&names));
        ctx.start_worker("witness", witness()).await?;
        ctx.start_worker("letters", witness()).await?;
        ctx.start_replicated("everywhere", {
            let names = Arc::clone(&names);
            move || Witness(Arc::clone(&names))
        })
        .await?;
        let member = Arc::clone(&names);
        let group = Group::one_for_one().worker("member", Supervision::permanent(), move || {
            Witness(Arc::clone(&member))
        });
        ctx.start_group("leader", group).await?;
        let options = TcpListenerOptions::new().expose("witness");
        listen(&ctx, options).await?;
        let other = ctx.detached()?;
        names.lock().extend([ctx.address(), other.address()]);
        names
            .lock()
            .extend(["leader", "app", "main"].map(Address::from));
        // A request from outside has a context of its own.
        let _: String = ctx.handle().request("witness", "hi".to_owned()).await?;
        ctx.sleep(Duration::from_secs(3600)).await;
        Ok(())
    };
    against(serve, async move |ctx: Context| {
        let mut other = Raw::connect(&ctx, SERVER).await?;
        assert!(!other.is_refused("witness").await?);
        let mut peer = Raw::connect(&ctx, SERVER).await?;
        assert!(!peer.is_refused("witness").await?);
        let mut known = learnt.lock().clone();
        known.retain(|address| *address != "witness".into());
        known.sort();
        known.dedup();
        // Both connections, the main function, two contexts, the leader, its member, the letters, the instances.
        assert!(known.len() >= 9, "{known:?}");
        for address in known {
            assert!(peer.is_refused(address.clone()).await?, "{address}");
            let way = route![address.clone(), "witness"];
            assert!(peer.is_refused(way).await?, "{address}");
        }
        Ok(())
    });
}

/// Where the peer is to be sent to.
type Way = Arc<Mutex<Route>>;

/// Is not exposed, and sends to the peer when it is told to: a message, or a request. Counts what it hears besides.
struct Hidden {
    way: Way,
    heard: Arc<AtomicU64>,
}

impl Worker for Hidden {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        let way = self.way.lock().clone();
        match msg.as_str() {
            "go" => ctx.send_message(way, "a message".to_owned()).await,
            "ask" => {
                let answer: String = ctx.request(way, "a question".to_owned()).await?;
                assert_eq!(answer, "an answer");
                Ok(())
            }
            "end" => ctx.stop_worker_now(ctx.address()).await,
            _ => {
                // Relaxed: the simulation has one thread.
                self.heard.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
        }
    }
}

/// Notes the way back to the peer, and hands on what it says.
struct Front(Way);

impl Worker for Front {
    type Message = String;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<String>) -> Result<()> {
        *self.0.lock() = msg.return_route();
        ctx.send_message("hidden", msg.take()).await
    }
}

/// Serves `front`, behind which is `hidden`, on the other core if there is one.
async fn fronted(ctx: &Context, heard: &Arc<AtomicU64>) -> Result<()> {
    let (way, heard) = (Way::default(), Arc::clone(heard));
    let front = Front(Arc::clone(&way));
    ctx.start_worker_on(0, "front", front).await?;
    ctx.start_worker_on(1, "hidden", Hidden { way, heard })
        .await
}

/// Runs a peer beside a server of which it reaches `front`; it can see how much `hidden` has heard.
fn against_front<P>(peer: P)
where
    P: AsyncFnOnce(Context, Arc<AtomicU64>) -> Result<()> + Clone + Send + 'static,
{
    let heard = Arc::new(AtomicU64::new(0));
    let counts = Arc::clone(&heard);
    let serve = async move |ctx: Context| -> Result<()> {
        fronted(&ctx, &counts).await?;
        listen(&ctx, TcpListenerOptions::new().expose("front")).await?;
        Ok(())
    };
    against(serve, async move |ctx: Context| peer(ctx, heard).await);
}

/// Whether a name stands for `hidden` there. Whatever is said in its place is not heard.
async fn reaches(
    ctx: &Context,
    peer: &mut Raw,
    name: Address,
    heard: &Arc<AtomicU64>,
) -> Result<bool> {
    let before = heard.load(Ordering::Relaxed);
    peer.send(name.clone(), "me", "knock").await?;
    ctx.sleep(A_WHILE).await;
    let is_heard = heard.load(Ordering::Relaxed) > before;
    if !is_heard {
        let came = peer.next().await?;
        let wanted = Came::Refused {
            sender: "me".into(),
            address: name,
        };
        assert_eq!(came, Some(wanted), "of what is refused the peer is told");
    }
    Ok(is_heard)
}

/// G11: of who sends to it a peer sees a name that says nothing, leads there and nowhere else, and cannot be made up.
#[test]
fn g11_a_return_address_is_one_name_which_cannot_be_guessed() {
    against_front(async move |ctx: Context, heard| {
        let mut peer = Raw::connect(&ctx, SERVER).await?;
        peer.send("front", "me", "go").await?;
        let (_, name) = peer.text().await?;
        assert!(reaches(&ctx, &mut peer, name.clone(), &heard).await?);
        assert!(peer.is_refused(route![name.clone(), "hidden"]).await?);
        assert!(peer.is_refused("hidden").await?);
        assert_eq!(name.as_bytes().len(), 22);
        for at in 0..22 {
            for other in [b'A', b'b', b'7', b'-'] {
                let mut bytes = name.as_bytes().to_vec();
                bytes[at] = other;
                let like = Address::local(&bytes[..]);
                if like != name {
                    let reached = reaches(&ctx, &mut peer, like, &heard).await?;
                    assert!(!reached, "{at} {other}");
                }
            }
        }
        assert!(reaches(&ctx, &mut peer, name, &heard).await?);
        Ok(())
    });
}

/// G11: a name that one connection was given is nobody's on another, beside it or after it.
#[test]
fn g11_a_return_address_is_good_on_its_own_connection_alone() {
    against_front(async move |ctx: Context, heard| {
        let mut peer = Raw::connect(&ctx, SERVER).await?;
        peer.send("front", "me", "go").await?;
        let (_, name) = peer.text().await?;
        let mut beside = Raw::connect(&ctx, SERVER).await?;
        assert!(!reaches(&ctx, &mut beside, name.clone(), &heard).await?);
        assert!(reaches(&ctx, &mut peer, name.clone(), &heard).await?);
        // Also where it has a name for the same worker.
        beside.send("front", "me", "go").await?;
        let (_, its) = beside.text().await?;
        assert!(reaches(&ctx, &mut beside, its, &heard).await?);
        assert!(!reaches(&ctx, &mut beside, name.clone(), &heard).await?);
        drop(peer);
        ctx.sleep(A_WHILE).await;
        assert!(!reaches(&ctx, &mut beside, name.clone(), &heard).await?);
        let mut after = Raw::connect(&ctx, SERVER).await?;
        assert!(!reaches(&ctx, &mut after, name, &heard).await?);
        Ok(())
    });
}

/// G11: the place of a reply takes one.
#[test]
fn g11_the_return_address_of_a_request_is_good_for_one_reply() {
    against_front(async move |ctx: Context, heard| {
        let mut peer = Raw::connect(&ctx, SERVER).await?;
        peer.send("front", "me", "ask").await?;
        let (_, name) = peer.text().await?;
        peer.send(name.clone(), "me", "an answer").await?;
        assert!(!reaches(&ctx, &mut peer, name, &heard).await?);
        Ok(())
    });
}

/// G11: of whom a peer cannot reach any more it learns no more than before.
#[test]
fn g11_who_has_gone_is_named_as_the_peer_knows_it() {
    against_front(async move |ctx: Context, heard| {
        let mut peer = Raw::connect(&ctx, SERVER).await?;
        peer.send("front", "me", "go").await?;
        let (_, name) = peer.text().await?;
        peer.send("front", "me", "end").await?;
        ctx.sleep(A_WHILE).await;
        assert!(!reaches(&ctx, &mut peer, name, &heard).await?);
        Ok(())
    });
}

/// G11: a connection that is opened again is another one.
#[test]
fn g11_a_return_address_is_gone_when_its_connection_is_opened_again() {
    let heard = Arc::new(AtomicU64::new(0));
    let counts = Arc::clone(&heard);
    let serve = async move |ctx: Context| -> Result<()> {
        fronted(&ctx, &counts).await?;
        let tcp = TcpTransport::create(&ctx).await?;
        let options = TcpConnectionOptions::new().expose("front");
        tcp.connect(SERVER, options.reconnect(Backoff::default()))
            .await?;
        Ok(())
    };
    against(serve, async move |ctx: Context| {
        let options = ListenOptions::default();
        let mut listener = TcpListener::bind(&ctx, SERVER.parse()?, &options)?;
        let mut peer = Raw::over(listener.accept().await?.0).await?;
        peer.send("front", "me", "go").await?;
        let (_, name) = peer.text().await?;
        assert!(reaches(&ctx, &mut peer, name.clone(), &heard).await?);
        drop(peer);
        let mut peer = Raw::over(listener.accept().await?.0).await?;
        assert!(!reaches(&ctx, &mut peer, name, &heard).await?);
        peer.send("front", "me", "go").await?;
        let (_, name) = peer.text().await?;
        assert!(reaches(&ctx, &mut peer, name, &heard).await?);
        Ok(())
    });
}

/// G11: a peer that is refused much and does not read is told of as much as may wait to be sent to it; all is counted.
#[test]
fn g11_of_what_is_refused_a_peer_is_told_as_much_as_may_wait() {
    const REFUSED: usize = 900;
    const BYTES: usize = 2000;
    let serve = async |ctx: Context| {
        let mut limits = TcpLimits::default();
        limits.queued_bytes_max = BYTES;
        serve(ctx, limits).await
    };
    let network = Network::new().buffer(BYTES);
    let sim = Sim::new(1)
        .network(network)
        .on_undelivered(|_| {})
        .beside(serve);
    let report = sim.run(async |ctx: Context| {
        let _tcp = connected(&ctx, SERVER).await?;
        let mut stream = TcpStream::connect(&ctx, SERVER.parse()?).await?;
        let mut bytes = greeting(1000);
        for _ in 0..REFUSED {
            append(route!["secret"], route!["me"], b"\x02hi", &mut bytes);
        }
        stream.write_all(&bytes).await?;
        ctx.sleep(Duration::from_secs(1)).await;
        stream.set_read_timeout(Some(Duration::from_secs(1)));
        let (mut piece, mut told) = (vec![0; 4096], Vec::new());
        while let Ok(count @ 1..) = stream.read(&mut piece).await {
            told.extend_from_slice(&piece[..count]);
        }
        let parts = told.windows("secret".len());
        Ok(parts.filter(|part| part == b"secret").count())
    });
    let told = report.output.expect("it is told");
    let refused = report.neighbours[0].1.undelivered(Reason::Refused);
    assert_eq!(refused, REFUSED as u64);
    // What waits, and what is on its way.
    assert!(10 < told && told < 4 * BYTES / 20, "{told} were told");
}
