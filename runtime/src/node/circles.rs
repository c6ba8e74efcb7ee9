//! The circles among those who wait for each other.
//!
//! Whoever waits for several at the same time may be in several circles. So for each wait that is part of one, the shortest
//! that it closes is named, unless an earlier one that is named has that wait in it. The same waits bring the same
//! circles, in whichever order they are told.

use std::collections::{BTreeMap, VecDeque};

use crate::node::waits::{Edge, Who};

/// Looks at a wait, for each that there is, after which only the first circle is searched for of those that hang together.
const LOOKS_EACH: usize = 16;

/// Who waits for whom, by number. Of several waits of one for the same other there is the first.
struct Graph<'a> {
    waits: Vec<Vec<(usize, &'a Edge)>>,
}

/// The circles among these edges, each beginning with its lowest worker.
pub(super) fn circles(edges: &[&Edge]) -> Vec<Vec<Edge>> {
    let graph = Graph::of(edges);
    let knots = graph.knots();
    let mut is_named: Vec<_> = graph.waits.iter().map(|of| vec![false; of.len()]).collect();
    let mut has_circle = vec![false; graph.waits.len()];
    let mut looks = LOOKS_EACH * edges.len();
    let mut circles = Vec::new();
    for who in 0..graph.waits.len() {
        for at in 0..graph.waits[who].len() {
            let (of, _) = graph.waits[who][at];
            let is_due = looks > 0 || !has_circle[knots[who]];
            if knots[of] != knots[who] || is_named[who][at] || !is_due {
                continue;
            }
            let circle = graph.shortest(who, at, &knots, &mut looks);
            has_circle[knots[who]] = true;
            circle
                .iter()
                .for_each(|(who, at)| is_named[*who][*at] = true);
            circles.push(graph.edges(&circle));
        }
    }
    circles
}

impl<'a> Graph<'a> {
    fn of(edges: &[&'a Edge]) -> Self {
        let mut whos: BTreeMap<&Who, usize> = BTreeMap::new();
        for edge in edges {
            whos.insert(&edge.who, 0);
            whos.insert(&edge.of, 0);
        }
        whos.values_mut().zip(0..).for_each(|(to, at)| *to = at);
        let mut waits = vec![BTreeMap::new(); whos.len()];
        for edge in edges {
            let known = waits[whos[&edge.who]]
                .entry(whos[&edge.of])
                .or_insert(*edge);
            if edge.awaited < known.awaited {
                *known = edge;
            }
        }
        let waits = waits.into_iter().map(|of| of.into_iter().collect());
        Self {
            waits: waits.collect(),
        }
    }

    /// For each the number of the knot that it is in: two are in the same one if each waits for the other, by way of others
    /// perhaps (Tarjan, without recursion).
    fn knots(&self) -> Vec<usize> {
        const NONE: usize = usize::MAX;
        let count = self.waits.len();
        let (mut order, mut lowest, mut knots) =
            (vec![NONE; count], vec![NONE; count], vec![NONE; count]);
        let (mut seen, mut open) = (0, Vec::new());
        for start in 0..count {
            let mut path = vec![(start, 0)];
            while let Some((who, at)) = path.pop() {
                if at == 0 {
                    if order[who] != NONE {
                        continue;
                    }
                    (order[who], lowest[who]) = (seen, seen);
                    seen += 1;
                    open.push(who);
                } else {
                    let (of, _) = self.waits[who][at - 1];
                    if knots[of] == NONE {
                        lowest[who] = lowest[who].min(lowest[of]);
                    }
                }
                if let Some((of, _)) = self.waits[who].get(at) {
                    path.push((who, at + 1));
                    path.push((*of, 0));
                } else if lowest[who] == order[who] {
                    let from = open.iter().rposition(|it| *it == who).unwrap_or(0);
                    open.drain(from..).for_each(|it| knots[it] = who);
                }
            }
        }
        knots
    }

    /// The shortest circle that this wait closes, within its knot: each as who waits, and which wait of theirs it is.
    fn shortest(
        &self,
        who: usize,
        at: usize,
        knots: &[usize],
        looks: &mut usize,
    ) -> Vec<(usize, usize)> {
        let (of, _) = self.waits[who][at];
        // By whom each was reached.
        let mut ways: BTreeMap<usize, (usize, usize)> = BTreeMap::from([(of, (who, at))]);
        let mut next = VecDeque::from([of]);
        while !ways.contains_key(&who) {
            let Some(from) = next.pop_front() else { break };
            for (at, (of, _)) in self.waits[from].iter().enumerate() {
                *looks = looks.saturating_sub(1);
                if knots[*of] == knots[who] && !ways.contains_key(of) {
                    ways.insert(*of, (from, at));
                    next.push_back(*of);
                }
            }
        }
        let mut circle = Vec::new();
        let mut to = who;
        while let Some((from, at)) = ways.remove(&to) {
            circle.push((from, at));
            to = from;
        }
        circle.reverse();
        circle
    }

    fn edges(&self, circle: &[(usize, usize)]) -> Vec<Edge> {
        let lowest = (0..circle.len()).min_by_key(|at| circle[*at].0);
        let (before, after) = circle.split_at(lowest.unwrap_or(0));
        let around = after.iter().chain(before);
        around
            .map(|(who, at)| self.waits[*who][*at].1.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use ringpost_router::Address;

    use super::*;
    use crate::waits::Awaited;

    fn edge(who: &str, awaited: Awaited, of: &str) -> Edge {
        let who_of = |name: &str| Who {
            address: Address::from(name),
            instance: None,
        };
        Edge::new(0, who_of(who), awaited, who_of(of))
    }

    fn told(edges: &[Edge]) -> Vec<String> {
        let circles = circles(&edges.iter().collect::<Vec<_>>());
        let shown = |circle: Vec<Edge>| {
            let names = circle.iter().map(|edge| edge.who.address.to_string());
            names.collect::<Vec<_>>().join(" ")
        };
        circles.into_iter().map(shown).collect()
    }

    fn found(edges: &[(&str, &str)]) -> Vec<String> {
        let edges = edges.iter();
        let edges: Vec<_> = edges
            .map(|(who, of)| edge(who, Awaited::Room, of))
            .collect();
        told(&edges)
    }

    #[test]
    fn circles_are_found_among_chains() {
        assert_eq!(found(&[("a", "b"), ("b", "c"), ("d", "b")]), [""; 0]);
        assert_eq!(found(&[("a", "a")]), ["0#a"]);
        let chain = [("z", "c"), ("c", "a"), ("a", "b"), ("b", "c"), ("b", "x")];
        assert_eq!(found(&chain), ["0#a 0#b 0#c"]);
        let two = [("a", "b"), ("b", "a"), ("c", "d"), ("d", "c"), ("a", "d")];
        assert_eq!(found(&two), ["0#a 0#b", "0#c 0#d"]);
    }

    #[test]
    fn each_wait_that_is_part_of_a_circle_is_named() {
        let behind = [("a", "b"), ("b", "a"), ("a", "c"), ("c", "b")];
        assert_eq!(found(&behind), ["0#a 0#b", "0#a 0#c 0#b"]);
        let mut turned = behind;
        turned.reverse();
        assert_eq!(found(&turned), found(&behind), "in whichever order");
    }

    #[test]
    fn who_waits_twice_for_the_same_one_closes_one_circle() {
        let (room, reply) = (Awaited::Room, Awaited::Reply);
        let twice = [edge("b", reply, "a"), edge("b", room, "a")];
        let both = [&twice[..], &[edge("a", room, "b")]].concat();
        assert_eq!(told(&both), ["0#a 0#b"]);
        let circles = circles(&both.iter().collect::<Vec<_>>());
        assert_eq!(circles[0][1].awaited, room);
    }
}
