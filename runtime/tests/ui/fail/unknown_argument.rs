#[ringpost::node(threads = 4)]
async fn start(ctx: ringpost::Context) -> ringpost::Result<()> {
    Ok(())
}

fn main() {}
