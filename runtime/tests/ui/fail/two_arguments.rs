#[ringpost::node]
async fn start(ctx: ringpost::Context, cores: usize) -> ringpost::Result<()> {
    Ok(())
}

fn main() {}
