//! Tokio, one thread on each CPU: as a runtime for each, or as one that steals work.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use core_affinity::CoreId;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use crate::peer::{Dash, Task};

/// Runtimes that stay up until this is dropped.
pub struct Cores {
    handles: Vec<Handle>,
    /// Ends the runtime of a thread when dropped.
    running: Vec<(oneshot::Sender<()>, JoinHandle<()>)>,
    stealing: Option<Runtime>,
}

/// How tokio is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavor {
    /// A current-thread runtime on each CPU: what is put on different cores stays there.
    PerCore,
    /// One multi-thread runtime: its scheduler places everything.
    Stealing,
}

impl Flavor {
    /// A scheduler that steals work moves two partners with one message between them onto one core,
    /// where it is not two cores that are measured.
    pub fn check(self, task: &Task) -> Result<(), Dash> {
        match self {
            Flavor::Stealing if task.workload.in_turn() && task.cores() > 1 => task
                .dash("its scheduler moves two partners in turn onto one core: see there")
                .map(drop),
            _ => Ok(()),
        }
    }
}

/// Keeps a runtime of one thread from sleeping: it asks for its turn again and again.
pub async fn stay_awake() {
    loop {
        yield_now().await;
    }
}

impl Cores {
    /// For actors, whose receiving is not theirs to write: where nobody may sleep, a task on each core
    /// sees to it.
    pub fn for_actors(flavor: Flavor, task: &Task) -> Self {
        let cores = Self::start(flavor, &task.cpus);
        if task.workload.awake() {
            cores.handles.iter().for_each(|core| {
                core.spawn(stay_awake());
            });
        }
        cores
    }

    pub fn start(flavor: Flavor, cpus: &[CoreId]) -> Self {
        match flavor {
            Flavor::PerCore => Self::per_core(cpus),
            Flavor::Stealing => Self::stealing(cpus),
        }
    }

    fn per_core(cpus: &[CoreId]) -> Self {
        let (mut handles, mut running) = (Vec::new(), Vec::new());
        for cpu in cpus.iter().copied() {
            let runtime = Builder::new_current_thread()
                .enable_time()
                .build()
                .expect("a runtime");
            handles.push(runtime.handle().clone());
            let (end, ended) = oneshot::channel();
            let body = move || {
                core_affinity::set_for_current(cpu);
                // An error says that the other side was dropped, which is how it ends.
                let _ = runtime.block_on(ended);
            };
            running.push((end, thread::spawn(body)));
        }
        Self {
            handles,
            running,
            stealing: None,
        }
    }

    fn stealing(cpus: &[CoreId]) -> Self {
        let places = cpus.to_vec();
        let next = std::sync::Mutex::new(places.into_iter().cycle());
        let pin = move || {
            let cpu = next.lock().expect("nobody panics here").next();
            cpu.map(core_affinity::set_for_current);
        };
        let runtime = Builder::new_multi_thread()
            .worker_threads(cpus.len())
            .on_thread_start(pin)
            .enable_time()
            .build()
            .expect("a runtime");
        Self {
            handles: vec![runtime.handle().clone()],
            running: Vec::new(),
            stealing: Some(runtime),
        }
    }

    /// Where number `number` of many lives.
    pub fn at(&self, number: usize) -> Handle {
        self.handles[number % self.handles.len()].clone()
    }

    /// Where number `number` of those lives that are not on the first core, if there are others.
    pub fn elsewhere(&self, number: usize) -> Handle {
        match self.handles.len() {
            1 => self.at(0),
            cores => self.at(1 + number % (cores - 1)),
        }
    }

    /// Runs a driver on the first core and waits for what it returns.
    pub fn run<T: Send + 'static>(&self, driver: impl Future<Output = T> + Send + 'static) -> T {
        let (sender, receiver) = mpsc::channel();
        self.at(0).spawn(async move {
            // The receiver waits below.
            let _ = sender.send(driver.await);
        });
        receiver.recv().expect("the driver ends")
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        for (end, thread) in self.running.drain(..) {
            drop(end);
            thread.join().expect("a runtime's thread ends");
        }
        if let Some(runtime) = self.stealing.take() {
            runtime.shutdown_background();
        }
    }
}
