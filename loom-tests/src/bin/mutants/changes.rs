//! What can be changed about a call.

use crate::source::Site;

/// The changes of a call, in the words of `mailbox/src/sync/mutation.rs`: each strong ordering
/// weakened, step by step, and each fence, store and exchange left out.
///
/// # Panics
///
/// If nothing is known of a strong ordering of the call: a new kind of call needs a line here.
pub(crate) fn changes(site: &Site) -> Vec<&'static str> {
    let mut changes = all(site);
    changes.retain(|change| is_visible(&site.operation, change));
    changes
}

/// Whether the arm that is built could notice at all. Shuttle takes all orderings for sequentially
/// consistent, and so needs no fence. A thread sanitizer knows no fences either, and of all others only looks
/// at what orders plain memory; what is left out would have real threads wait for ever.
fn is_visible(operation: &str, change: &str) -> bool {
    let is_fence = operation == "fence";
    let is_skip = change == "skip";
    cfg!(loom) || !is_fence && is_skip == cfg!(shuttle)
}

fn all(site: &Site) -> Vec<&'static str> {
    let mut changes = Vec::new();
    if is_left_out(&site.operation) {
        changes.push("skip");
    }
    for (position, ordering) in site.orderings.iter().enumerate() {
        if ordering != "Relaxed" {
            let weaker = weaker(&site.operation, ordering, position);
            changes.extend(weaker.unwrap_or_else(|| panic!("how is this weakened? {site:?}")));
        }
    }
    changes
}

/// Whether the facade can leave the operation out. A compare-exchange is not: to fail is part of
/// what it may do, and who has to retry would do so for ever.
fn is_left_out(operation: &str) -> bool {
    operation != "load" && operation != "compare_exchange"
}

/// What an ordering is weakened to; none if nothing is known of it. `AcqRel` loses each of its
/// halves; `Relaxed`, which has neither, would then be no news.
fn weaker(operation: &str, ordering: &str, position: usize) -> Option<&'static [&'static str]> {
    Some(match (operation, ordering, position) {
        ("fence", "SeqCst", 0) => &["first:AcqRel"],
        // There is no relaxed fence; it is left out.
        ("fence", "Acquire" | "Release", 0) => &[],
        (_, "Acquire" | "Release", 0) => &["first:Relaxed"],
        (_, "AcqRel", 0) => &["first:Acquire", "first:Release"],
        (_, "SeqCst", 0) => &["first:AcqRel"],
        ("compare_exchange", "Acquire", 1) => &["second:Relaxed"],
        ("compare_exchange", "SeqCst", 1) => &["second:Acquire"],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::all;
    use crate::source::Site;

    #[test]
    fn each_ordering_is_weakened_and_each_write_left_out() {
        for (operation, orderings, expected) in [
            ("load", vec!["Acquire"], vec!["first:Relaxed"]),
            ("load", vec!["Relaxed"], vec![]),
            ("store", vec!["Relaxed"], vec!["skip"]),
            ("store", vec!["Release"], vec!["skip", "first:Relaxed"]),
            (
                "swap",
                vec!["AcqRel"],
                vec!["skip", "first:Acquire", "first:Release"],
            ),
            ("fence", vec!["SeqCst"], vec!["skip", "first:AcqRel"]),
            ("fence", vec!["Release"], vec!["skip"]),
            ("compare_exchange", vec!["Relaxed", "Relaxed"], vec![]),
            (
                "compare_exchange",
                vec!["Release", "Relaxed"],
                vec!["first:Relaxed"],
            ),
            (
                "compare_exchange",
                vec!["AcqRel", "Acquire"],
                vec!["first:Acquire", "first:Release", "second:Relaxed"],
            ),
        ] {
            let site = Site {
                place: (1, 1),
                operation: operation.to_owned(),
                orderings: orderings.into_iter().map(str::to_owned).collect(),
            };
            assert_eq!(all(&site), expected, "{site:?}");
        }
    }
}
