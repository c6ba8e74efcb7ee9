//! A node in a process of its own, whose worker `echoer` is exposed over TCP.

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use ringpost::{
    Any, Context, Error, NodeBuilder, Result, Routed, TcpListenerOptions, TcpTransport, Worker,
};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::process;

/// The argument with which a program starts itself as the server.
pub const SERVE: &str = "--serve";
/// Descriptors that a process needs besides its connections.
const DESCRIPTORS: u64 = 100;

/// Sends back whatever it gets.
struct Echoer;

impl Worker for Echoer {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

/// Runs this node as the server, and prints its address.
///
/// # Errors
/// When it cannot start or listen.
#[allow(clippy::print_stdout, reason = "its parent reads this")]
pub fn serve(node: NodeBuilder) -> Result<()> {
    node.serve(async |ctx: Context| {
        ctx.start_replicated("echoer", || Echoer).await?;
        let tcp = TcpTransport::create(&ctx).await?;
        let options = TcpListenerOptions::new().expose("echoer");
        println!("{}", tcp.listen("127.0.0.1:0", options).await?.address());
        Ok(())
    })
}

/// The server, which ends with this.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts this program with [`SERVE`], and waits for its address.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start() -> Result<Self> {
        let child = Command::new(env::current_exe()?)
            .arg(SERVE)
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child?;
        let mut address = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut address)?;
        }
        let address = address.trim().to_owned();
        Ok(Self { child, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Resident memory in KiB.
    #[must_use]
    pub fn memory(&self) -> u64 {
        process::status(&self.child.id().to_string(), "VmRSS")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets this process, and the server that it starts, open so many connections, or as many as the system allows.
///
/// # Errors
/// When the limit cannot be set.
#[allow(clippy::print_stdout, reason = "for the people who run the program")]
pub fn allowed(wanted: u64) -> Result<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).map_err(Error::other)?;
    let most = limit
        .maximum
        .unwrap_or(u64::MAX)
        .saturating_sub(DESCRIPTORS);
    if most < wanted {
        println!("the system allows {most} connections here, not {wanted} (ulimit -H -n)");
    }
    Ok(most.min(wanted))
}
