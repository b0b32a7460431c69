//! Many runs on as many cores as there are. Each run is one world on one thread and depends on its
//! seed alone, so that the results don't depend on the number of cores.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use indicatif::{ProgressBar, ProgressStyle};

/// Shows on standard error how far a family is.
pub(crate) fn progress(title: &str, runs: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:<10} {bar:30} {pos}/{len}  {elapsed}  {msg}")
        .expect("the template is well formed");
    let bar = ProgressBar::new(u64::try_from(runs).unwrap_or(u64::MAX)).with_style(style);
    bar.set_prefix(title.to_owned());
    bar
}

/// Does all the jobs; results are in the order of the jobs.
pub(crate) fn parallel<J: Sync, R: Send>(
    bar: &ProgressBar,
    jobs: &[J],
    run: impl Fn(&J) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<R>>> = Mutex::new(jobs.iter().map(|_| None).collect());
    let work = || {
        // The last are the slowest in most families: begun first, no core waits for them in the end.
        while let Some(index) = jobs.len().checked_sub(next.fetch_add(1, Ordering::Relaxed) + 1) {
            let result = run(&jobs[index]);
            results.lock().expect("no run panics while it holds this")[index] = Some(result);
            bar.inc(1);
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    let results = results.into_inner().expect("no run panics while it holds this");
    results.into_iter().map(|result| result.expect("every job was done")).collect()
}
