//! Which CPUs the loops of a node run on, and whether they may spin there.
//!
//! The mask of allowed CPUs belongs to a thread, and a pinned thread (and each thread it starts)
//! sees a mask of one. So it is read once for the whole process, before anything is pinned, and
//! kept. Reading the system and deciding are apart: [`CoreSet::plan`] is plain arithmetic.

use std::sync::OnceLock;
use std::{fs, thread};

use core_affinity::CoreId;

/// The CPUs that this process may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CoreSet {
    /// The allowed CPUs, the first of each physical core before its siblings. Empty if the system
    /// does not tell.
    allowed: Vec<CoreId>,
    /// How many CPUs' worth of time the process gets, which a quota can make less than `allowed`.
    parallelism: usize,
}

/// Whether each loop is to stay on a CPU of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pinning {
    /// Where it helps: each loop can have a CPU, and no quota takes CPUs away at times.
    #[default]
    Auto,
    /// Wherever each loop can have a CPU.
    Always,
    /// Nowhere.
    Never,
}

/// Where the loops run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CorePlan {
    /// For each loop the CPU to pin it to, or `None` to leave its place to the system.
    pub(crate) loops: Vec<Option<CoreId>>,
    /// Whether a loop without work may burn CPU time before it parks.
    pub(crate) spin: bool,
}

impl CoreSet {
    /// The CPUs of this process, as its first caller saw them.
    pub(crate) fn of_process() -> &'static Self {
        static SET: OnceLock<CoreSet> = OnceLock::new();
        SET.get_or_init(Self::read)
    }

    fn read() -> Self {
        let mut allowed = core_affinity::get_core_ids().unwrap_or_default();
        allowed.sort_by_key(|core| (sibling_rank(*core), core.id));
        let parallelism = thread::available_parallelism().map_or(1, usize::from);
        Self {
            allowed,
            parallelism,
        }
    }

    /// How many loops can run at the same time.
    pub(crate) fn parallelism(&self) -> usize {
        match self.allowed.len() {
            0 => self.parallelism,
            cpus => self.parallelism.min(cpus),
        }
    }

    /// Where to run `requested` loops, or as many as can run at the same time.
    ///
    /// Loops that share CPUs are neither pinned, which would fix a bad spread for good, nor do they
    /// spin, which would hold up the loop that has work. Under a quota spinning uses up the time
    /// that work will need. With a single CPU it keeps off whoever might bring work.
    pub(crate) fn plan(&self, requested: Option<usize>, pinning: Pinning) -> CorePlan {
        let parallelism = self.parallelism();
        let loops = requested.unwrap_or(parallelism);
        debug_assert!(loops > 0, "the builder refuses a node without loops");
        let quota = parallelism < self.allowed.len();
        let roomy = loops <= parallelism && !quota;
        let pinned = match pinning {
            Pinning::Auto => roomy,
            Pinning::Always => true,
            Pinning::Never => false,
        };
        let pinned = pinned && loops <= self.allowed.len();
        let place = |index| pinned.then(|| self.allowed[index]);
        CorePlan {
            loops: (0..loops).map(place).collect(),
            spin: roomy && parallelism > 1,
        }
    }
}

/// Pins the calling thread. False if the system refuses; the thread then runs as before.
pub(crate) fn pin_current(core: CoreId) -> bool {
    core_affinity::set_for_current(core)
}

/// The position of a CPU among those that share its physical core; 0 where that is not known.
fn sibling_rank(core: CoreId) -> usize {
    let topology = format!("/sys/devices/system/cpu/cpu{}/topology", core.id);
    let siblings = fs::read_to_string(topology + "/thread_siblings_list");
    siblings.map_or(0, |list| rank_in(&list, core.id))
}

/// How many CPUs of a list like `0,4-6` come before `id`.
fn rank_in(list: &str, id: usize) -> usize {
    let ranges = list.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse::<usize>().ok()?..=last.parse().ok()?)
    });
    ranges.flatten().filter(|other| *other < id).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Pinning::{Always, Auto, Never};

    fn set(allowed: &[usize], parallelism: usize) -> CoreSet {
        let allowed = allowed.iter().map(|id| CoreId { id: *id }).collect();
        CoreSet {
            allowed,
            parallelism,
        }
    }

    /// The planned CPUs, `None` when unpinned, with the number of loops and whether they spin.
    fn plan(
        set: &CoreSet,
        requested: Option<usize>,
        pinning: Pinning,
    ) -> (usize, Option<Vec<usize>>, bool) {
        let plan = set.plan(requested, pinning);
        let cpus = plan.loops.iter().map(|core| core.map(|core| core.id));
        (plan.loops.len(), cpus.collect(), plan.spin)
    }

    #[test]
    fn a_loop_for_each_cpu_by_default() {
        let four = set(&[0, 1, 2, 3], 4);
        let all = Some(vec![0, 1, 2, 3]);
        assert_eq!(plan(&four, None, Auto), (4, all.clone(), true));
        assert_eq!(plan(&four, None, Always), (4, all, true));
        assert_eq!(plan(&four, None, Never), (4, None, true));
        assert_eq!(plan(&four, Some(2), Auto), (2, Some(vec![0, 1]), true));
    }

    #[test]
    fn a_single_cpu_is_pinned_but_never_spun_on() {
        let one = set(&[0], 1);
        assert_eq!(plan(&one, None, Auto), (1, Some(vec![0]), false));
        assert_eq!(plan(&one, Some(1), Never), (1, None, false));
    }

    #[test]
    fn more_loops_than_cpus_are_left_to_the_system() {
        for pinning in [Auto, Always, Never] {
            assert_eq!(plan(&set(&[0, 1], 2), Some(3), pinning), (3, None, false));
            assert_eq!(plan(&set(&[0], 1), Some(4), pinning), (4, None, false));
        }
    }

    #[test]
    fn only_cpus_of_the_mask_are_used() {
        let restricted = set(&[5, 9], 2);
        assert_eq!(plan(&restricted, None, Auto), (2, Some(vec![5, 9]), true));
        assert_eq!(plan(&restricted, Some(1), Auto), (1, Some(vec![5]), true));
    }

    #[test]
    fn a_quota_means_fewer_loops_no_spinning_and_pinning_only_on_demand() {
        let quota = set(&[0, 1, 2, 3, 4, 5, 6, 7], 2);
        assert_eq!(plan(&quota, None, Auto), (2, None, false));
        assert_eq!(plan(&quota, Some(1), Auto), (1, None, false));
        assert_eq!(plan(&quota, Some(2), Always), (2, Some(vec![0, 1]), false));
        assert_eq!(plan(&quota, Some(9), Always), (9, None, false));
    }

    #[test]
    fn without_a_mask_nothing_is_pinned() {
        let unknown = set(&[], 4);
        assert_eq!(plan(&unknown, None, Always), (4, None, true));
        assert_eq!(plan(&unknown, Some(5), Auto), (5, None, false));
    }

    #[test]
    fn a_mask_smaller_than_the_parallelism_counts() {
        assert_eq!(set(&[3], 8).parallelism(), 1);
        assert_eq!(plan(&set(&[3], 8), None, Auto), (1, Some(vec![3]), false));
    }

    #[test]
    fn siblings_are_ranked_by_number() {
        assert_eq!(rank_in("0,64\n", 0), 0);
        assert_eq!(rank_in("0,64\n", 64), 1);
        assert_eq!(rank_in("4-7", 6), 2);
        assert_eq!(rank_in("", 3), 0);
        assert_eq!(rank_in("what", 3), 0);
    }

    #[test]
    fn the_system_gives_a_set_that_can_be_planned_with() {
        let set = CoreSet::of_process();
        assert!(set.parallelism() >= 1);
        assert_eq!(set.plan(None, Auto).loops.len(), set.parallelism());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn pinning_is_done_or_refused() {
        // Number 1,023 is the last that a mask can name; no mask of a test machine has it.
        assert!(!pin_current(CoreId { id: 1_023 }));
        let before = CoreSet::of_process();
        let core = before.allowed[0];
        let pinned = thread::scope(|scope| {
            let pinned = scope.spawn(|| pin_current(core).then(CoreSet::read));
            pinned.join().expect("the pinned thread does not panic")
        });
        // Where the system lets us pin, a fresh reading sees one CPU: why it is read before.
        assert!(pinned.is_none_or(|after| after.allowed == [core]));
        assert_eq!(CoreSet::of_process(), before);
    }
}
