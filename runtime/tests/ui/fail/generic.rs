#[ringpost::node]
async fn start<T>(ctx: ringpost::Context) -> ringpost::Result<()> {
    Ok(())
}

fn main() {}
