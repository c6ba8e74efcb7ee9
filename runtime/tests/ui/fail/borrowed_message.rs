#[derive(ringpost::Message)]
struct View<'a>(&'a str);

fn main() {}
