//! What the system says of this process, where it has a `/proc`.

use std::fs;

/// Ticks a second in `/proc/self/stat`: a constant of the interface, whatever the kernel's own.
const TICKS_PER_SECOND: u32 = 100;

/// Figures of this process; none of what the system does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Process {
    pub(super) resident_bytes: Option<u64>,
    pub(super) cpu_seconds: Option<f64>,
    pub(super) open_fds: Option<usize>,
    pub(super) fds_max: Option<u64>,
    pub(super) threads: Option<u64>,
}

/// Looks at this process.
pub(super) fn look() -> Process {
    let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    let status = read("status");
    Process {
        resident_bytes: field(&status, "VmRSS:").map(|kib| kib * 1024),
        threads: field(&status, "Threads:"),
        cpu_seconds: cpu_seconds(&read("stat")),
        open_fds: fs::read_dir("/proc/self/fd").ok().map(Iterator::count),
        fds_max: field(&read("limits"), "Max open files"),
    }
}

/// The first number behind a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Time spent in user and system mode, from fields 14 and 15. The second field is the program's name in brackets, which
/// may have spaces and brackets of its own.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u32>().ok()?.checked_add(fields.next()?.parse().ok()?)?;
    Some(f64::from(ticks) / f64::from(TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_proc_are_read() {
        assert_eq!(field("Name:\tx\nVmRSS:\t  123 kB\nThreads:\t7\n", "VmRSS:"), Some(123));
        assert_eq!(
            field("Max open files            1024      4096      files\n", "Max open files"),
            Some(1024)
        );
        assert_eq!(field("Max open files            unlimited", "Max open files"), None);
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 9 0 1 2 3";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!((cpu_seconds(""), field("", "x")), (None, None));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_figures() {
        let process = look();
        assert!(process.resident_bytes > Some(1 << 20) && process.open_fds > Some(2), "{process:?}");
        assert!(process.cpu_seconds.is_some() && process.threads > Some(0), "{process:?}");
    }
}
