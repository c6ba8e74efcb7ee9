//! A future that waits must not outlive what it waits for.

use ringpost_mailbox::semaphore::Semaphore;

fn main() {
    let acquire = {
        let semaphore = Semaphore::new(1);
        semaphore.acquire()
    };
    drop(acquire);
}
