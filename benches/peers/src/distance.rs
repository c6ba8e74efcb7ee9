//! How far apart two CPUs are just now.
//!
//! The host of a guest moves the guest's CPUs about: the two of the machine that we measure on pass a cache line to
//! and fro in 45 ns for half a minute, and in 400 ns for the next. A median of runs of both kinds is a
//! figure of neither, so each run of two cores is sorted by what such a bounce took just before and
//! just after.

use std::fmt;

use core_affinity::CoreId;
use ringpost_benches::bounce::CpuPair;

/// Nanoseconds of a bounce, from one CPU to the other and back, above which the two share no cache.
const NEAR_MAX: f64 = 150.0;

/// Looks at the bounce of which the least counts: whatever else runs holds bounces up, and nothing
/// speeds them up.
const LOOKS: usize = 3;

/// Whether two CPUs share a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    Near,
    Far,
}

impl Distance {
    pub const ALL: [Self; 2] = [Self::Near, Self::Far];

    /// Of CPUs between which a bounce takes so many nanoseconds.
    pub fn of(bounce: f64) -> Self {
        if bounce <= NEAR_MAX {
            Self::Near
        } else {
            Self::Far
        }
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Near => "near",
            Self::Far => "far",
        })
    }
}

/// Nanoseconds of a bounce between these two, now.
pub fn bounce(cpus: [CoreId; 2]) -> f64 {
    let pair = CpuPair::pinned(cpus);
    let looks = (0..LOOKS).map(|_| pair.bounce_now());
    looks.fold(f64::INFINITY, f64::min)
}

/// The bounces that were seen at one distance, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    pub distance: Distance,
    pub least: f64,
    pub most: f64,
}

impl Span {
    pub fn of(bounce: f64) -> Self {
        Self {
            distance: Distance::of(bounce),
            least: bounce,
            most: bounce,
        }
    }

    pub fn add(&mut self, bounce: f64) {
        self.least = self.least.min(bounce);
        self.most = self.most.max(bounce);
    }
}

#[cfg(test)]
mod tests {
    use super::{Distance, Span};

    #[test]
    fn a_span_holds_what_was_added() {
        let mut span = Span::of(47.0);
        span.add(52.0);
        span.add(45.0);
        assert_eq!((span.least, span.most), (45.0, 52.0));
        assert_eq!(span.distance, Distance::Near);
        assert_eq!(Distance::of(400.0), Distance::Far);
    }
}
