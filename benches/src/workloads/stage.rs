//! What workloads have in common: where workers are started, how they are reached, and their end.

use std::fmt::Display;

use ringpost::{Address, Context, Message, Result, Route, Worker};

/// The driver of a workload: its context, and the workers it has started.
pub(crate) struct Stage {
    ctx: Context,
    /// The route on which workers reach the driver.
    driver: Route,
    /// For each core a tag that keeps the names that bear it there.
    tags: Vec<String>,
    started: Vec<Address>,
}

impl Stage {
    pub(crate) async fn new(mut ctx: Context) -> Result<Self> {
        let me = ctx.address();
        ctx.send_message(me, ()).await?;
        let driver = ctx.receive::<()>().await?.reply();
        let tags = (0..ctx.cores()).map(|core| tag_of(&ctx, core)).collect();
        Ok(Self {
            ctx,
            driver,
            tags,
            started: Vec::new(),
        })
    }

    pub(crate) fn ctx(&self) -> &Context {
        &self.ctx
    }

    /// The route on which workers reach the driver.
    pub(crate) fn driver(&self) -> Route {
        self.driver.clone()
    }

    pub(crate) fn cores(&self) -> usize {
        self.tags.len()
    }

    /// The core next to the driver's; the driver's own on a node of one.
    pub(crate) fn other(&self) -> usize {
        self.elsewhere(0)
    }

    /// Spreads numbers over the cores without the first, which is the driver's.
    pub(crate) fn elsewhere(&self, number: usize) -> usize {
        match self.cores() {
            1 => 0,
            cores => 1 + number % (cores - 1),
        }
    }

    /// A name that lives on this core.
    pub(crate) fn name_on(&self, core: usize, name: impl Display) -> Address {
        Address::from(format!("{{{}}}{name}", self.tags[core]))
    }

    /// Starts a worker on a core, reached by the name that is returned.
    pub(crate) async fn start<W>(
        &mut self,
        core: usize,
        name: impl Display,
        worker: W,
    ) -> Result<Address>
    where
        W: Worker<Context = Context> + Send,
    {
        let address = self.name_on(core, name);
        self.ctx.start_worker(address.clone(), worker).await?;
        self.started.push(address.clone());
        Ok(address)
    }

    /// Starts a worker that announces itself to the driver when it initializes ([`announce`]). The
    /// route back to it is resolved: messages along it look no name up.
    pub(crate) async fn introduce<W>(
        &mut self,
        core: usize,
        name: impl Display,
        worker: W,
    ) -> Result<Route>
    where
        W: Worker<Context = Context> + Send,
    {
        self.start(core, name, worker).await?;
        Ok(self.ctx.receive::<()>().await?.reply())
    }

    /// Stops a worker before the end of all.
    pub(crate) async fn stop(&mut self, address: Address) -> Result<()> {
        self.started.retain(|started| *started != address);
        self.ctx.stop_worker(address).await
    }

    /// Waits for a report of a worker.
    pub(crate) async fn report<M: Message>(&mut self) -> Result<M> {
        Ok(self.ctx.receive::<M>().await?.take())
    }

    /// Stops the workers, last started first.
    pub(crate) async fn end(mut self) -> Result<()> {
        while let Some(address) = self.started.pop() {
            self.ctx.stop_worker(address).await?;
        }
        Ok(())
    }
}

/// Shows the driver a route to this worker.
pub(crate) async fn announce(ctx: &Context, driver: &Route) -> Result<()> {
    ctx.send_message(driver, ()).await
}

fn tag_of(ctx: &Context, core: usize) -> String {
    let mut tags = (0u64..).map(|number| number.to_string());
    tags.find(|tag| ctx.home(format!("{{{tag}}}")) == core)
        .unwrap_or_default()
}

/// A cheap stream of numbers that nobody needs to trust.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`.
    #[inline]
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn dice_stay_below_their_bound_and_show_every_side() {
        let mut seen = [0u32; 6];
        let mut dice = Dice::new(3);
        (0..6000).for_each(|_| seen[dice.below(6)] += 1);
        assert!(
            seen.iter().all(|count| (700..1300).contains(count)),
            "{seen:?}"
        );
    }
}
