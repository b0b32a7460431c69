//! What the operating system says about this process.

use std::fs;
use std::time::Duration;

/// Length of a tick of the kernel's accounts: 100 a second on every Linux that people run.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of all threads since the start, those that ended included; nothing where there
/// is no `/proc`. Unlike the clock on the wall it does not go on while others have the processor.
pub(crate) fn cpu() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program comes first, in brackets, and may contain anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some(TICK * (ticks()? + ticks()?))
}

/// Memory in use, in bytes: pages that are in memory now.
pub(crate) fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
}
