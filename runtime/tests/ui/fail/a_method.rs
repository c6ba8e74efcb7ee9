struct Program;

impl Program {
    #[ringpost::node]
    async fn start(self) -> ringpost::Result<()> {
        Ok(())
    }
}

fn main() {}
