#[ringpost::node]
struct Start;

fn main() {}
