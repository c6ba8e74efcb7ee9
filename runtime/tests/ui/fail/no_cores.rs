#[ringpost::node(cores = 0)]
async fn start(ctx: ringpost::Context) -> ringpost::Result<()> {
    Ok(())
}

fn main() {}
