//! Reading what callgrind has counted: instructions, and which of them lock the bus.

use std::collections::HashSet;

/// What a program has executed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Executed {
    /// Instructions of the program and its libraries.
    pub instructions: u64,
    /// Those of the program itself that are atomic read-modify-writes or full fences.
    pub locked: u64,
}

/// The addresses of atomic read-modify-writes and full fences in a disassembly by `objdump -d` of an
/// x86-64 program. Elsewhere they go by other names, and none is found.
#[must_use]
pub fn locked_addresses(disassembly: &str) -> HashSet<u64> {
    disassembly.lines().filter_map(locked_address).collect()
}

fn locked_address(line: &str) -> Option<u64> {
    let mut parts = line.split('\t');
    let address = parts.next()?.trim().strip_suffix(':')?;
    let code = parts.nth(1)?;
    let locks = code.starts_with("lock ")
        || code.starts_with("mfence")
        // Exchanging with memory locks without saying so.
        || code.starts_with("xchg ") && code.contains('(');
    locks.then(|| u64::from_str_radix(address, 16).ok())?
}

/// Sums up a profile that was written with `--dump-instr=yes`.
///
/// `program` is how the profile names the object whose locked instructions are counted; `None` if it has
/// no such object.
#[must_use]
pub fn executed(profile: &str, program: &str, locked: &HashSet<u64>) -> Option<Executed> {
    let mut sum = Executed::default();
    let mut own_id = None;
    let mut own = false;
    let mut address = 0u64;
    let mut is_call = false;
    for line in profile.lines() {
        // A name is spelled out where it occurs first, which may be as the object of what is called.
        if let Some(object) = line.strip_prefix("cob=").or(line.strip_prefix("ob=")) {
            let (id, name) = object.split_once(' ').unwrap_or((object, ""));
            if name.ends_with(program) {
                own_id = Some(id.to_owned());
            }
            if line.starts_with("ob=") {
                own = own_id.as_deref() == Some(id);
            }
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if let Some((position, count)) = costs(line, address) {
            address = position;
            // The line below `calls=` is the cost of what was called, which is told there.
            if std::mem::take(&mut is_call) {
                continue;
            }
            sum.instructions += count;
            if own && locked.contains(&position) {
                sum.locked += count;
            }
        }
    }
    own_id.map(|_| sum)
}

/// A line of costs: where, relative to the last line or not, the source line, how many.
fn costs(line: &str, last: u64) -> Option<(u64, u64)> {
    let mut words = line.split(' ');
    let (position, _line, count) = (words.next()?, words.next()?, words.next()?);
    let position = if let Some(digits) = position.strip_prefix("0x") {
        u64::from_str_radix(digits, 16).ok()?
    } else if let Some(more) = position.strip_prefix('+') {
        last.wrapping_add(more.parse().ok()?)
    } else if let Some(less) = position.strip_prefix('-') {
        last.wrapping_sub(less.parse().ok()?)
    } else if position == "*" {
        last
    } else {
        return None;
    };
    Some((position, count.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{Executed, executed, locked_addresses};

    const DISASSEMBLY: &str = "\
0000000000001000 <main>:
    1000:\tf0 0f b1 0d 00 00 00\tlock cmpxchg %ecx,0x0(%rip)
    1007:\t87 07               \txchg   %eax,(%rdi)
    1009:\t87 c1               \txchg   %eax,%ecx
    100b:\t0f ae f0            \tmfence
    100e:\t89 c1               \tmov    %eax,%ecx
";

    const PROFILE: &str = "\
events: Ir
summary: 31
ob=(3) /lib/loader
cob=(1) /somewhere/program
calls=1 0x1000 10
0x4000 0 500
ob=(1)
fn=(1) main
0x1000 10 3
+7 10 4
*  10 1
+2 11 5
+2 12 6
calls=2 0x2000 7
* 12 1000
ob=(2) /lib/c
fn=(2)
0x1000 0 12
ob=(1)
-4096 0 100
";

    #[test]
    fn locked_instructions_are_told_from_the_others() {
        let mut locked: Vec<u64> = locked_addresses(DISASSEMBLY).into_iter().collect();
        locked.sort_unstable();
        assert_eq!(locked, [0x1000, 0x1007, 0x100b]);
    }

    #[test]
    fn costs_are_summed_without_those_of_calls() {
        let locked = locked_addresses(DISASSEMBLY);
        let profile = PROFILE.replace("*  10", "* 10");
        let expected = Executed {
            instructions: 3 + 4 + 1 + 5 + 6 + 12 + 100,
            locked: 3 + 4 + 1 + 6,
        };
        assert_eq!(executed(&profile, "program", &locked), Some(expected));
        assert_eq!(executed(&profile, "another", &locked), None);
    }
}
