//! The machine, in the words that belong beside each figure.
//!
//! Read from the files that Linux keeps about itself; elsewhere the words are "unknown".

use std::fmt;
use std::fs;
use std::thread;

/// What figures depend on.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The name that the CPU gives itself, with its family and model where there are such.
    pub cpu: String,
    /// The CPUs that this process may use, as a list like `0-1,4`.
    pub allowed: String,
    /// How many CPUs' worth of time the process gets.
    pub parallelism: usize,
    /// The version of the kernel.
    pub kernel: String,
    /// Whether the machine is a guest of another.
    pub guest: bool,
}

impl Machine {
    /// Looks at the machine. Call this before anything is pinned.
    #[must_use]
    pub fn read() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let flags = field(&cpuinfo, "flags").unwrap_or_default();
        Self {
            cpu: cpu_name(&cpuinfo),
            allowed: field(&status, "Cpus_allowed_list").unwrap_or_else(unknown),
            parallelism: thread::available_parallelism().map_or(1, usize::from),
            kernel: kernel.trim().to_owned(),
            guest: flags.split_whitespace().any(|flag| flag == "hypervisor"),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guest = if self.guest {
            ", a virtual machine"
        } else {
            ""
        };
        write!(
            f,
            "{}, {} CPUs allowed ({}){guest}, kernel {}",
            self.cpu, self.parallelism, self.allowed, self.kernel
        )
    }
}

/// Where a thread runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The CPU it was seen on.
    pub cpu: String,
    /// Whether it can run on no other.
    pub pinned: bool,
}

impl fmt::Display for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pinned = if self.pinned { "" } else { " (not pinned)" };
        write!(f, "{}{pinned}", self.cpu)
    }
}

/// Where the calling thread runs now.
#[must_use]
pub fn placed() -> Placed {
    let stat = fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let allowed = field(&status, "Cpus_allowed_list").unwrap_or_else(unknown);
    // Behind the name, which may hold spaces, the CPU is the 37th field.
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let cpu = rest.split(' ').nth(36).map_or_else(unknown, str::to_owned);
    Placed {
        pinned: allowed == cpu,
        cpu,
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn cpu_name(cpuinfo: &str) -> String {
    let name = field(cpuinfo, "model name").unwrap_or_else(unknown);
    match (field(cpuinfo, "cpu family"), field(cpuinfo, "model")) {
        (Some(family), Some(model)) => format!("{name} (family {family}, model {model})"),
        _ => name,
    }
}

/// The value behind the first line `key : value`.
fn field(text: &str, key: &str) -> Option<String> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = pairs.find(|(name, _)| name.trim() == key)?;
    Some(value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{cpu_name, field};

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "model\t\t: 17\nmodel name\t: A CPU\ncpu family : 25\n";
        assert_eq!(field(text, "model").as_deref(), Some("17"));
        assert_eq!(field(text, "stepping"), None);
        assert_eq!(cpu_name(text), "A CPU (family 25, model 17)");
        assert_eq!(cpu_name(""), "unknown");
    }
}
