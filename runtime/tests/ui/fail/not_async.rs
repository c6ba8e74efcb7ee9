#[ringpost::node]
fn start(ctx: ringpost::Context) -> ringpost::Result<()> {
    Ok(())
}

fn main() {}
