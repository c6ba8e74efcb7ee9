//! Which core an address lives on.

use core::fmt;

use crate::Address;

/// Maps addresses to cores, and to buckets of a core's [`Table`](crate::Table), under a secret of
/// the node.
///
/// Both are computed from [`Address::hash64`] by a multiplication with keys that follow from the
/// node's seed: whoever chooses names does not know the seed, so cannot aim them at one core. The
/// core depends on bits 32 and up only, so addresses with one [`tag`](Address::tag) share a core;
/// the bucket depends on all bits, so they spread within its table.
///
/// *Not guaranteed:* names that agree in those upper 32 bits share a core under every seed. Such
/// names can be searched for, at about four thousand million hashes each.
///
/// ```
/// use ringpost_router::{Address, Placement};
///
/// let placement = Placement::new(7, 4);
/// let cart = Address::from("cart{user-7}");
/// let bill = Address::from("bill{user-7}");
/// assert!(placement.home(&cart) < 4);
/// assert_eq!(placement.home(&cart), placement.home(&bill));
/// assert_ne!(placement.bucket(&cart), placement.bucket(&bill));
/// ```
#[derive(Clone, Copy)]
pub struct Placement {
    core_mask: u64,
    core_factor: u64,
    bucket_mask: u64,
    bucket_factor: u64,
    cores: u16,
}

impl Placement {
    /// Placement on `cores` cores; 0 is taken as 1.
    pub fn new(seed: u64, cores: u16) -> Self {
        let mut state = seed;
        Self {
            core_mask: split_mix(&mut state),
            core_factor: split_mix(&mut state) | 1,
            bucket_mask: split_mix(&mut state),
            bucket_factor: split_mix(&mut state) | 1,
            cores: cores.max(1),
        }
    }

    /// How many cores there are.
    #[inline]
    pub fn cores(&self) -> u16 {
        self.cores
    }

    /// The core where a worker of this address lives.
    #[inline]
    pub fn home(&self, address: &Address) -> u16 {
        let upper = address.hash64() >> 32;
        let mixed = folded_multiply(upper ^ self.core_mask, self.core_factor) >> 32;
        // Multiply and shift instead of a remainder: even over all cores, and no division.
        (mixed.wrapping_mul(u64::from(self.cores)) >> 32) as u16
    }

    /// The bucket of the address in its core's table.
    #[inline]
    pub fn bucket(&self, address: &Address) -> u64 {
        folded_multiply(address.hash64() ^ self.bucket_mask, self.bucket_factor)
    }
}

impl fmt::Debug for Placement {
    /// Leaves out the keys, which are a secret of the node.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Placement")
            .field("cores", &self.cores)
            .finish_non_exhaustive()
    }
}

/// The two halves of the full product, folded: each bit of the result depends on all bits of `a`.
#[inline]
fn folded_multiply(a: u64, b: u64) -> u64 {
    let product = u128::from(a).wrapping_mul(u128::from(b));
    (product as u64) ^ ((product >> 64) as u64)
}

/// SplitMix64: turns seeds as alike as 1 and 2 into unrelated keys.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn sequential_names_spread_evenly_over_64_cores() {
        for seed in [0, 1, 42, u64::MAX] {
            let placement = Placement::new(seed, 64);
            let mut counts = [0_u32; 64];
            for i in 0..640_000 {
                let address = Address::local(format!("worker-{i}"));
                counts[usize::from(placement.home(&address))] += 1;
            }
            // 10,000 each; five standard deviations are 5 %.
            for count in counts {
                assert!((9_500..=10_500).contains(&count), "seed {seed}: {counts:?}");
            }
        }
    }

    #[test]
    fn a_tag_decides_on_the_core_and_leaves_the_buckets_spread() {
        let placement = Placement::new(3, 64);
        let names: Vec<Address> = (0..4_096).map(|i| format!("{i}{{tag}}").into()).collect();
        let homes: HashSet<u16> = names.iter().map(|name| placement.home(name)).collect();
        assert_eq!(homes.len(), 1);
        let low: HashSet<u64> = names
            .iter()
            .map(|name| placement.bucket(name) & 0xffff)
            .collect();
        // 4,096 balls in 65,536 bins fill 3,970 of them; far fewer would mean clustering.
        assert!(low.len() > 3_900, "{}", low.len());
        let top: HashSet<u64> = names
            .iter()
            .map(|name| placement.bucket(name) >> 57)
            .collect();
        assert_eq!(top.len(), 128);
    }

    #[test]
    fn tags_themselves_spread_over_the_cores() {
        let placement = Placement::new(3, 16);
        let mut counts = [0_u32; 16];
        for i in 0..16_000 {
            counts[usize::from(placement.home(&format!("x{{{i}}}").into()))] += 1;
        }
        assert!(
            counts.iter().all(|count| (840..=1_160).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn another_seed_places_differently_and_the_same_seed_alike() {
        let names: Vec<Address> = (0..256).map(|i| format!("w{i}").into()).collect();
        let homes = |seed| {
            let placement = Placement::new(seed, 16);
            names
                .iter()
                .map(|name| placement.home(name))
                .collect::<Vec<_>>()
        };
        assert_eq!(homes(1), homes(1));
        assert_ne!(homes(1), homes(2));
    }

    #[test]
    fn any_number_of_cores_is_met() {
        let address = Address::from("x");
        assert_eq!(Placement::new(1, 0).home(&address), 0);
        assert_eq!(Placement::new(1, 1).home(&address), 0);
        for cores in [2, 3, 100, u16::MAX] {
            let placement = Placement::new(9, cores);
            assert_eq!(placement.cores(), cores);
            assert!((0..999).all(|i| placement.home(&format!("{i}").into()) < cores));
        }
    }

    #[test]
    fn printing_a_placement_keeps_its_keys_to_itself() {
        assert_eq!(
            format!("{:?}", Placement::new(5, 2)),
            "Placement { cores: 2, .. }"
        );
    }
}
