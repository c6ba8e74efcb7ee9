//! `#[derive(Message)]` where only the router is at hand.

use ringpost_macros::Message;
use ringpost_router::{Message as _, unpack};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
struct Point {
    x: u32,
    y: i64,
}

#[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
struct Nothing;

#[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
enum Tree<T, const N: usize>
where
    T: Copy,
{
    Leaf(T),
    Node(Vec<Tree<T, N>>),
}

#[test]
fn derived_messages_travel() {
    let point = Point { x: 1, y: -2 };
    let mut bytes = Vec::new();
    point.encode(&mut bytes).unwrap();
    assert_eq!(bytes.len(), 12);
    assert_eq!(Point::decode(&bytes).unwrap(), point);
    assert_eq!(
        unpack::<Point>(Point { x: 1, y: -2 }.into_body()).unwrap(),
        point
    );
    assert_eq!(Nothing::decode(&[]).unwrap(), Nothing);

    let tree = Tree::<u8, 3>::Node(vec![Tree::Leaf(7), Tree::Node(Vec::new())]);
    bytes.clear();
    tree.encode(&mut bytes).unwrap();
    assert_eq!(Tree::decode(&bytes).unwrap(), tree);
}

#[test]
fn a_derived_type_cannot_be_read_too_deep() {
    let error = Tree::<u8, 0>::decode(&[1, 1].repeat(100_000)).unwrap_err();
    assert!(error.to_string().contains("lie in each other"), "{error}");
}
