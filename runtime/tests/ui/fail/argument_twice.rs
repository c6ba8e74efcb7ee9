#[ringpost::node(cores = 1, cores = 2)]
async fn start(ctx: ringpost::Context) -> ringpost::Result<()> {
    Ok(())
}

fn main() {}
