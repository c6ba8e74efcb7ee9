//! The macros at work: every form of a main function, and derived messages between workers.

use ringpost::{Context, Message, Result, Routed, Worker};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Message, Clone, PartialEq, Debug)]
enum Shape<T> {
    Dot,
    Line { length: T },
    Group(Vec<Shape<T>>),
}

struct Grouper;

#[ringpost::worker]
impl Worker for Grouper {
    type Message = Shape<u32>;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Shape<u32>>) -> Result<()> {
        let group = Shape::Group(vec![msg.clone(), Shape::Dot]);
        ctx.send_message(msg.reply(), group).await
    }
}

struct Silent;

#[ringpost::async_worker]
impl Worker for Silent {
    type Message = ();
    type Context = Context;
}

#[ringpost::node(cores = 1, pin = false)]
async fn group(ctx: Context) -> Result<()> {
    ctx.start_worker("silent", Silent).await?;
    ctx.start_worker("grouper", Grouper).await?;
    let line = Shape::Line { length: 3u32 };
    let group: Shape<u32> = ctx.request("grouper", line.clone()).await?;
    assert_eq!(group, Shape::Group(vec![line, Shape::Dot]));
    ctx.stop().await
}

#[ringpost::node(cores = 2, pin = false, drain_ms = 50, crate = "::ringpost")]
async fn by_value(mut ctx: Context) -> Result<()> {
    ctx.send_message(ctx.address(), 7u8).await?;
    assert_eq!(*ctx.receive::<u8>().await?, 7);
    ctx.stop().await
}

#[ringpost::node(cores = 1 + 1, pin = false)]
async fn by_path(context: ringpost::Context) -> ringpost::Result<()> {
    context.stop().await
}

#[ringpost::node(cores = 1, pin = false)]
async fn borrowed(ctx: &mut Context) -> Result<()> {
    ctx.send_message(ctx.address(), 8u8).await?;
    assert_eq!(*ctx.receive::<u8>().await?, 8);
    ctx.stop().await
}

#[ringpost::node(cores = 1, pin = false)]
async fn shared(ctx: &Context) -> Result<()> {
    ctx.stop().await
}

/// Without a context there is nobody to stop the node but an error.
#[ringpost::node(cores = 1, pin = false)]
async fn without_a_context() -> Result<()> {
    Err("nothing to do".into())
}

#[test]
fn a_main_function_may_have_every_form() {
    assert_eq!(by_value().map_err(|error| error.to_string()), Ok(()));
    assert_eq!(by_path().map_err(|error| error.to_string()), Ok(()));
    assert_eq!(borrowed().map_err(|error| error.to_string()), Ok(()));
    assert_eq!(shared().map_err(|error| error.to_string()), Ok(()));
    let error = without_a_context().expect_err("it fails");
    assert_eq!(error.to_string(), "nothing to do");
}

#[test]
fn derived_messages_travel_between_workers() {
    assert_eq!(group().map_err(|error| error.to_string()), Ok(()));
}
