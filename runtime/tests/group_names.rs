//! A group, and workers of others that have come to the names of its own (G14).

use std::sync::Arc;
use std::time::Duration;

use ringpost::sim::Sim;
use ringpost::{Backoff, Context, Group, Result, Routed, Supervision, Worker};
use ringpost_mailbox::sync::Mutex;

const PANIC: u64 = 100;
const SECOND: Duration = Duration::from_secs(1);

type Diary = Arc<Mutex<Vec<String>>>;

/// Notes when it begins, and what it handles.
struct Member(&'static str, Diary);

impl Worker for Member {
    type Message = u64;
    type Context = Context;

    async fn initialize(&mut self, _: &mut Context) -> Result<()> {
        self.1.lock().push(format!("+{}", self.0));
        Ok(())
    }

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<u64>) -> Result<()> {
        assert_ne!(*msg, PANIC, "asked to");
        self.1.lock().push(format!("{}{}", self.0, *msg));
        ctx.send_message(msg.reply(), *msg).await
    }
}

fn member(
    name: &'static str,
    diary: &Diary,
) -> impl Fn() -> Member + Clone + Send + Sync + 'static {
    let diary = Arc::clone(diary);
    move || Member(name, Arc::clone(&diary))
}

/// A group that waits a second before it restarts anybody.
fn slow(group: Group) -> Group {
    group.backoff(Backoff {
        first: SECOND,
        most: SECOND,
    })
}

/// G14: a worker that has come to the name of one that left its group while that was down is none of that group, which
/// goes on without it; and its own group restarts it as ever.
#[test]
fn g14_a_group_restarts_its_own_workers_alone() {
    for seed in 0..20 {
        for kind in [Group::one_for_all, Group::rest_for_one] {
            let report = Sim::new(seed).cores(3).run(async move |ctx: Context| {
                let (diary, terms) = (Diary::default(), Supervision::transient());
                let group = slow(kind())
                    .worker("a", terms.clone(), member("a", &diary))
                    .worker("b", terms.clone(), member("b", &diary))
                    .worker("c", terms.clone(), member("c", &diary));
                ctx.start_group("group", group).await?;
                ctx.send_message("a", PANIC).await?;
                ctx.sleep(SECOND / 10).await;
                ctx.stop_worker("b").await?;
                let other = Group::one_for_one().worker("b", terms, member("B", &diary));
                ctx.start_group("other", other).await?;
                ctx.sleep(3 * SECOND).await;
                for round in 0..2 {
                    ctx.send_message("b", PANIC).await?;
                    for name in ["a", "b", "c"] {
                        let asked = ctx.request::<u64>(name, 1u64).within(SECOND).await;
                        assert_eq!(asked.ok(), Some(1), "seed {seed}, {round}: {name}");
                    }
                }
                let done = "+a +b +c +B +a +c a1 +B B1 c1 a1 +B B1 c1";
                assert_eq!(diary.lock().join(" "), done, "seed {seed}");
                ctx.stop().await
            });
            report.output.unwrap();
        }
    }
}
