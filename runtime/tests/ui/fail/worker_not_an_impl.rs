#[ringpost::async_worker]
struct Echo;

fn main() {}
