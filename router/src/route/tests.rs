use super::*;
use crate::{Handle, HandleKind, RouteError, route};

fn names(route: &Route) -> Vec<String> {
    route
        .iter()
        .map(|address| address.as_str().unwrap().to_owned())
        .collect()
}

/// The number of the node that makes the hints.
const NODE: u32 = 7;

fn hint(core: u16) -> Hint {
    let handle = Handle {
        index: 1,
        generation: 1,
    };
    Hint {
        core: NodeCore::new(NODE, core),
        kind: HandleKind::Worker,
        handle,
    }
}

#[test]
fn both_ends_work_at_every_length() {
    let mut route = Route::new();
    let mut model = std::collections::VecDeque::new();
    for round in 0..200_u32 {
        let name = round.to_string();
        // Lengths rise to 4 and fall to 0 again, through both ends in turn.
        match round % 8 {
            0 | 2 => {
                route.push_front(Hop::new(&name));
                model.push_front(name);
            }
            1 | 3 => {
                route.push_back(Hop::new(&name));
                model.push_back(name);
            }
            4 | 7 => assert_eq!(
                route.pop_front().map(|hop| hop.address),
                model.pop_front().map(Address::from)
            ),
            _ => assert_eq!(
                route.pop_back().map(|hop| hop.address),
                model.pop_back().map(Address::from)
            ),
        }
        assert_eq!(names(&route), Vec::from(model.clone()));
        assert_eq!(
            (route.len(), route.is_empty()),
            (model.len(), model.is_empty())
        );
        assert_eq!(
            route.first().map(|hop| hop.address.to_string()),
            route.next().ok().map(Address::to_string)
        );
        assert_eq!(
            route.last().and_then(Address::as_str),
            model.back().map(String::as_str)
        );
        assert_eq!(route, model.iter().collect::<Route>());
    }
    assert!(route.pop_front().is_none() && route.pop_back().is_none());
}

#[test]
fn an_empty_route_says_so() {
    let mut route = Route::new();
    assert_eq!(route.next(), Err(RouteError::Empty));
    assert_eq!(route.step(), Err(RouteError::Empty));
    assert_eq!(route.recipient(), Err(RouteError::Empty));
    assert_eq!(route.to_string(), "");
    assert!(route.only().is_none());
}

#[test]
fn hints_travel_with_their_hop_and_do_not_count_in_comparisons() {
    let known = Hop::with_hint("a".into(), hint(3));
    assert_eq!(known, Hop::new("a"));
    let mut route = route!["x", known, "y"];
    assert_eq!(route, route!["x", "a", "y"]);
    route.pop_front();
    assert_eq!(route.first().and_then(Hop::hint), Some(hint(3)));
    let hop = route.pop_front().unwrap();
    assert_eq!(hop.hint(), Some(hint(3)));
    assert_eq!(hop.worker_on(NodeCore::new(NODE, 3)), Some(hint(3).handle));
    assert_eq!(hop.worker_on(NodeCore::new(NODE, 4)), None);
    let among = |node, core| hop.worker_of(NodeCore::new(node, core).into());
    assert_eq!(among(NODE, 3), Some(hint(3).handle));
    assert!(among(NODE, 4).is_none() && among(NODE + 1, 3).is_none());
    assert!(hop.worker_of(WorkersOf::NOBODY).is_none() && !hop.is_unseen());
    let kind = HandleKind::Reply;
    let reply = Hop::with_hint("a".into(), Hint { kind, ..hint(3) });
    let of = NodeCore::new(NODE, 3).into();
    assert!(reply.worker_of(of).is_none() && Hop::new("a").worker_of(of).is_none());
}

#[test]
fn a_hint_is_believed_by_the_node_that_made_it() {
    let hop = Hop::with_hint("a".into(), hint(3));
    assert_eq!(hop.hint_of(NODE), Some(hint(3)));
    assert_eq!((hint(3).core.node(), hint(3).core.index()), (NODE, 3));
    for other in [0, 1, NODE + 1, NODE << 16, u32::MAX] {
        assert_eq!(hop.hint_of(other), None);
        assert_eq!(hop.worker_on(NodeCore::new(other, 3)), None);
    }
    assert_eq!(Hop::new("a").hint_of(0), None);
    assert_eq!(Hop::new("a").hint_of(NODE), None);
}

#[test]
fn a_route_to_where_a_worker_was_seen_is_that_of_its_hop() {
    let core = NodeCore::new(NODE, 3);
    let long = "a name that is too long to lie in its address";
    for name in ["short", long] {
        let address = Address::from(name);
        let seen = Seen::worker(core, hint(3).handle);
        let route = Route::to_seen(&address, seen);
        assert_eq!(route.first().and_then(Hop::hint), Some(hint(3)));
        assert_eq!(route, Route::from(Hop::to_seen(address.clone(), seen)));
        assert_eq!(route.only_short().is_some(), name != long);

        let nowhere = Seen::worker(core, Handle::NONE);
        assert_eq!(
            (nowhere.handle(), nowhere.node_core()),
            (Handle::NONE, core)
        );
        let route = Route::to_seen(&address, nowhere);
        let hop = route.first().unwrap();
        assert!(hop.is_unseen() && hop.hint().is_none() && hop.hint_of(NODE).is_none());
        assert!(hop.worker_on(core).is_none() && hop.worker_of(core.into()).is_none());
        assert!(hop.reply_on(core).is_none());
    }
}

#[test]
fn a_hop_moves_itself_from_the_onward_to_the_return_route() {
    let mut onward = route!["h1", "h2", "echoer"];
    let mut back = Route::from("app");
    for _ in 0..2 {
        back.push_front(onward.pop_front().unwrap());
    }
    assert_eq!(onward, Route::from("echoer"));
    assert_eq!(back, route!["h2", "h1", "app"]);
    assert_eq!(back.recipient().unwrap(), &Address::from("app"));
}

#[test]
fn routes_join_in_order() {
    for front in 0..4 {
        for back in 0..4 {
            let left: Route = (0..front).map(|i| format!("l{i}")).collect();
            let right: Route = (0..back).map(|i| format!("r{i}")).collect();
            let mut expected = names(&left);
            expected.extend(names(&right));
            assert_eq!(names(&left.clone().append_route(&right)), expected);
            assert_eq!(names(&right.clone().prepend_route(&left)), expected);
            let mut extended = left;
            extended.extend(right.clone());
            assert_eq!(names(&extended), expected);
            assert!(extended.contains_route(&right));
        }
    }
}

#[test]
fn part_of_a_route_is_found_only_in_order() {
    let route = route!["a", "b", "c"];
    assert!(route.contains_route(&route!["b", "c"]));
    assert!(route.contains_route(&route));
    assert!(!route.contains_route(&route!["c", "b"]));
    assert!(!route.contains_route(&route!["a", "c"]));
}

#[test]
fn everything_that_names_workers_is_a_route() {
    let one = route!["a"];
    assert_eq!(Route::from("a"), one);
    assert_eq!(Route::from(String::from("a")), one);
    assert_eq!(Route::from(&String::from("a")), one);
    assert_eq!(Route::from(Address::from("a")), one);
    assert_eq!(Route::from(&Address::from("a")), one);
    assert_eq!(Route::from(Hop::new("a")), one);
    assert_eq!(Route::from(vec!["a"]), one);
    assert_eq!(Route::from(["a"]), one);
    assert_eq!(Route::new().prepend("a"), one);
    assert_eq!(one.into_iter().collect::<Vec<_>>(), [Address::from("a")]);
}

#[test]
fn the_builder_edits_in_place() {
    let mut route = route!["a", "b"];
    let copy: Route = route
        .modify()
        .replace("x")
        .pop_back()
        .append_t(TransportType::TCP, "h:1")
        .append_route(["y"])
        .prepend_route(["w"])
        .into();
    assert_eq!(route.to_string(), "0#w => 0#x => 1#h:1 => 0#y");
    assert_eq!(copy, route);
    assert!(format!("{:?}", route.modify()).contains("0#w"));
}

#[test]
fn parsing_says_which_address_is_wrong() {
    assert_eq!(Route::parse(" "), Err(RouteError::Empty));
    let error = "a => 300#x".parse::<Route>().unwrap_err();
    assert!(
        matches!(error, RouteError::Address { position: 2, .. }),
        "{error}"
    );
    let long = vec!["a"; Route::HOPS_MAX + 1].join("=>");
    assert_eq!(Route::parse(&long), Err(RouteError::TooLong { hops: 65 }));
    assert!(Route::parse(&long[4..]).is_err());
    assert_eq!(Route::parse(&long[3..]).unwrap().len(), Route::HOPS_MAX);
}

#[test]
fn routes_over_the_limit_stay_at_home() {
    let long: Route = vec!["a"; Route::HOPS_MAX + 1].into();
    assert_eq!(long.check(), Err(RouteError::TooLong { hops: 65 }));
    assert!(serde_bare::to_vec(&long).is_err());
    let raw = serde_bare::to_vec(&vec![Address::from("a"); Route::HOPS_MAX + 1]).unwrap();
    assert!(serde_bare::from_slice::<Route>(&raw).is_err());
}

#[test]
fn the_bare_form_is_a_list_without_hints() {
    let route = route![Hop::with_hint("a".into(), hint(1)), "1#b"];
    let bytes = serde_bare::to_vec(&route).unwrap();
    assert_eq!(bytes, [2, 0, 1, b'a', 1, 1, b'b']);
    let decoded: Route = serde_bare::from_slice(&bytes).unwrap();
    assert_eq!(decoded, route);
    assert!(decoded.hops().all(Hop::is_unseen));
    let hop: Hop = serde_bare::from_slice(&serde_bare::to_vec(&Hop::new("a")).unwrap()).unwrap();
    assert_eq!(hop, Hop::new("a"));
}
