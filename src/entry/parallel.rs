//! Checking the signatures of many entries on all cores. Outside of the core: it needs threads.

use alloc::vec::Vec;
use std::thread;

use parking_lot::Mutex;

use crate::entry::{InvalidEntry, SignedEntry, VerifiedEntry};
use crate::wire::key::Verifier;

/// Entries that a thread takes at a time: about 1 ms of work, so that threads end together and
/// hardly ever meet at the queue.
const STEP: usize = 32;

/// Entries from which on a second thread pays: starting one costs as much as two signatures.
const MIN_PARALLEL: usize = 2 * STEP;

type Verdict = Result<VerifiedEntry, InvalidEntry>;

/// An entry to check, and what came of it.
struct Job {
    entry: Option<SignedEntry>,
    verdict: Option<Verdict>,
}

/// Verifies entries, in order, on as many threads as the machine has cores; few are verified by
/// the caller alone.
///
/// ```
/// use basefs::entry::verify_all;
///
/// assert!(verify_all(Vec::new()).is_empty());
/// ```
pub fn verify_all(entries: Vec<SignedEntry>) -> Vec<Result<VerifiedEntry, InvalidEntry>> {
    if entries.len() < MIN_PARALLEL {
        let mut verifier = Verifier::new();
        return entries.into_iter().map(|entry| entry.verify_with(&mut verifier)).collect();
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(entries.len() / STEP);
    verify_on(threads, entries)
}

fn verify_on(threads: usize, entries: Vec<SignedEntry>) -> Vec<Verdict> {
    let count = entries.len();
    let job = |entry| Job { entry: Some(entry), verdict: None };
    let mut jobs: Vec<Job> = entries.into_iter().map(job).collect();
    let queue = Mutex::new(jobs.chunks_mut(STEP));
    thread::scope(|scope| {
        for _ in 1..threads {
            let helper = thread::Builder::new().name("basefs-verify".into());
            // A system that gives no thread leaves more to the others.
            let _ = helper.spawn_scoped(scope, || work(&queue));
        }
        work(&queue);
    });
    let verdicts: Vec<Verdict> = jobs.into_iter().filter_map(|job| job.verdict).collect();
    debug_assert_eq!(verdicts.len(), count, "whoever works leaves only an empty queue");
    verdicts
}

fn work<'a>(queue: &Mutex<impl Iterator<Item = &'a mut [Job]>>) {
    let mut verifier = Verifier::new();
    loop {
        let Some(jobs) = queue.lock().next() else { return };
        for job in jobs {
            job.verdict = job.entry.take().map(|entry| entry.verify_with(&mut verifier));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Body, Payload, Rule};
    use crate::id::{DirId, EntryId};
    use crate::time::WallTime;
    use crate::wire::SecretKey;
    use alloc::format;

    fn signed(number: usize) -> SignedEntry {
        let key = SecretKey::from_seed([7; 32]);
        let body = Body {
            dir: DirId::from_bytes([1; 32]),
            name: format!("{number}").into(),
            prev: Vec::new(),
            cap: EntryId::from_bytes([2; 32]),
            key: key.public(),
            seq: 0,
            aprev: None,
            ts: WallTime::from_millis(0),
            payload: Payload::Mkdir,
        };
        let entry = body.sign(&key).expect("a valid body");
        SignedEntry::decode(entry.bytes()).expect("a valid entry")
    }

    fn forged(number: usize) -> SignedEntry {
        let mut bytes = signed(number).bytes().to_vec();
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
        SignedEntry::decode(&bytes).expect("well formed, whatever the signature")
    }

    // rule: SIG-1
    #[test]
    fn many_threads_give_the_verdicts_of_one_in_order() {
        let entries: Vec<SignedEntry> =
            (0..333).map(|n| if n % 7 == 3 { forged(n) } else { signed(n) }).collect();
        let alone: Vec<Verdict> = entries.iter().cloned().map(SignedEntry::verify).collect();
        assert_eq!(verify_on(4, entries.clone()), alone);
        assert_eq!(verify_all(entries), alone);
        assert!(matches!(&alone[3], Err(error) if error.rule == Rule::Sig1));
        assert!(alone[4].is_ok());
    }
}
