//! Every small log, in every order of arrival.
//!
//! A root key has granted two others everything at the root directory. From there on, every log of
//! up to two entries over two names is written, and an even share of those of three and four; all
//! of three if that many are asked for.
//!
//! `BASEFS_LOGS=1000000 cargo test --release --test law exhaustion -- --nocapture` checks at least
//! a million.

mod menu;
mod world;

use std::time::Instant;

use menu::{Made, is_in_order, is_representative, menu};
use world::World;

/// The longest logs.
const MAX_LOG: usize = 4;

/// Logs of one, two and three entries.
const LOGS: [u64; 3] = [25, 1_615, 237_214];

/// Lists of three entries that longer logs begin with.
const BEGINNINGS: u64 = 833_161;

/// Logs of four entries that begin alike: about 110 on average. Of each beginning that is looked
/// at, every so manieth log is taken, so that more beginnings are.
const LOGS_PER_BEGINNING: u64 = 109;
const EVERY: u64 = 41;

/// Logs that are checked unless asked otherwise: what an unoptimised build does in a minute.
const DEFAULT_LOGS: u64 = 15_000;

/// What must have decided something somewhere, if at least the usual number is checked.
const DECIDING: [&str; 19] = [
    "ADMIT-4",
    "ADMIT-9",
    "ADMIT-10",
    "AUTH-1.cut",
    "FORK-2.no_common_branch",
    "FORK-4.rank",
    "FORK-4.keys",
    "FORK-4.kind",
    "FORK-4.tie",
    "FORK-4.id",
    "READY-2.dropped",
    "READY-2.kept_by_descendant",
    "REVOKE-1.kept",
    "REVOKE-2.rank",
    "REVOKE-2.spared",
    "REVOKE-3.amended",
    "REVOKE-3.intersect",
    "TREE-2.lost",
    "TREE-3.alias",
];

/// Takes `of.0` of every `of.1` things, evenly.
struct Share {
    of: (u64, u64),
    seen: u64,
}

impl Share {
    fn new(take: u64, among: u64) -> Self {
        Self { of: (take.min(among), among), seen: 0 }
    }

    fn takes_next(&mut self) -> bool {
        let (take, among) = self.of;
        let before = self.seen * take / among;
        self.seen += 1;
        self.seen * take / among > before
    }
}

/// Goes through all logs and checks a share of them.
struct Walk {
    world: World,
    /// Which logs are checked, by length.
    logs: [Share; MAX_LOG],
    /// Which lists of three are continued.
    beginnings: Share,
    /// How many logs there were, by length.
    met: [u64; MAX_LOG],
}

impl Walk {
    fn new(logs: u64) -> Self {
        let few = LOGS[0] + LOGS[1];
        let three = if logs >= few + LOGS[2] { LOGS[2] } else { logs * 3 / 4 };
        let four = logs.saturating_sub(few + three);
        // A little more than asked for: not all beginnings are followed by equally many.
        let beginnings = (four + four / 10) * EVERY / LOGS_PER_BEGINNING;
        Self {
            world: World::new(),
            logs: [
                Share::new(1, 1),
                Share::new(1, 1),
                Share::new(three, LOGS[2]),
                Share::new(1, EVERY),
            ],
            beginnings: Share::new(beginnings, BEGINNINGS),
            met: [0; MAX_LOG],
        }
    }

    fn continue_from(&mut self, log: &mut Vec<Made>) {
        for made in menu(log) {
            if !is_in_order(log, &made) {
                continue;
            }
            log.push(made);
            if is_representative(log) {
                self.met[log.len() - 1] += 1;
                if self.logs[log.len() - 1].takes_next() {
                    self.world.check(log);
                }
            }
            if log.len() < 3 || (log.len() < MAX_LOG && self.beginnings.takes_next()) {
                self.continue_from(log);
            }
            log.pop();
        }
    }
}

#[test]
fn exhaustion() {
    // rule: ADMIT-2
    // rule: AUTH-1
    // rule: REVOKE-1
    // rule: REVOKE-2
    // rule: REVOKE-3
    // rule: READY-2
    // rule: FORK-2
    // rule: FORK-3
    // rule: FORK-4
    // rule: TREE-2
    // rule: TREE-3
    let asked = std::env::var("BASEFS_LOGS").ok().and_then(|logs| logs.parse().ok());
    let asked = asked.unwrap_or(DEFAULT_LOGS);
    let start = Instant::now();
    let mut walk = Walk::new(asked);
    walk.continue_from(&mut Vec::new());
    let World { logs, orders, comparisons, deciders, findings, .. } = &walk.world;
    println!(
        "{logs} logs of up to {MAX_LOG} entries in {orders} orders, {comparisons} comparisons, \
         {} s",
        start.elapsed().as_secs()
    );
    println!("what decided: {deciders:?}");
    println!("logs by length, of four only those looked at: {:?}", walk.met);
    let shown = findings.iter().take(5).cloned().collect::<Vec<_>>().join("\n");
    assert!(findings.is_empty(), "{} findings\n{shown}", findings.len());
    assert_eq!(walk.met[..3], LOGS, "logs of up to three entries");
    assert!(*logs >= asked, "fewer logs than asked for");
    for rule in DECIDING.iter().filter(|_| asked >= DEFAULT_LOGS) {
        assert!(deciders.contains_key(rule), "{rule} decided nothing");
    }
}
