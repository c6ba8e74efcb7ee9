#[ringpost::node]
async fn start(ctx: ringpost::Context) {}

fn main() {}
