//! How many files a process may have open.

/// The limit of open files of this process, where the system says it.
pub(super) fn limit() -> Option<usize> {
    parse(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

/// The soft limit in Linux's table of limits; none if there is none.
fn parse(limits: &str) -> Option<usize> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_found_in_the_table() {
        let table = "Limit                     Soft Limit           Hard Limit           Units     \n\
                     Max processes             11                   22                   processes \n\
                     Max open files            1024                 524288               files     \n";
        assert_eq!(parse(table), Some(1024));
        let unlimited = table.replace("1024", "unlimited");
        assert_eq!(parse(&unlimited), None);
        assert_eq!(parse(""), None);
    }
}
