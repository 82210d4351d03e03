//! The one thread that starts sandboxes.
//!
//! A sandbox dies with the *thread* that started it (that is how the kernel reads "die with
//! parent"), and threads of an async runtime come and go. Invariant: this thread ends only when no
//! sandbox is left that holds it.

use std::io;
use std::sync::mpsc;
use std::thread;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Starts processes from a thread of its own.
#[derive(Debug)]
pub(super) struct Spawner(mpsc::Sender<Order>);

struct Order {
    command: Command,
    runtime: Handle,
    answer: oneshot::Sender<io::Result<Child>>,
}

impl Spawner {
    pub(super) fn start() -> io::Result<Self> {
        let (sender, orders) = mpsc::channel::<Order>();
        thread::Builder::new()
            .name("sandbox-spawner".to_owned())
            .spawn(move || {
                for mut order in orders {
                    let entered = order.runtime.enter();
                    let child = order.command.spawn();
                    drop(entered);
                    // A caller that went away drops the child, which kills it.
                    order.answer.send(child).ok();
                }
            })?;
        Ok(Self(sender))
    }

    pub(super) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (answer, answered) = oneshot::channel();
        let runtime = Handle::current();
        let gone = || io::Error::other("the spawning thread ended");
        self.0
            .send(Order {
                command,
                runtime,
                answer,
            })
            .map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}
