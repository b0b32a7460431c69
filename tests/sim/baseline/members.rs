//! Who is alive: incarnations, suspicions that confirmations shorten, and the local health score,
//! as in memberlist's `state.go`, `suspicion.go` and `awareness.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::config::Config;
use super::message::Message;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Alive,
    Suspect,
    Dead,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) standing: Standing,
    pub(crate) incarnation: u32,
    pub(crate) changed: Duration,
}

#[derive(Debug)]
struct Suspicion {
    from: BTreeSet<usize>,
    wanted: usize,
    min: Duration,
    max: Duration,
    start: Duration,
}

impl Suspicion {
    /// Whether this is news.
    fn confirm(&mut self, from: usize) -> bool {
        self.from.len() <= self.wanted && self.from.insert(from)
    }

    /// `remainingSuspicionTime`. Whoever started it is no confirmation.
    fn due(&self) -> Duration {
        let confirmations = self.from.len() - 1;
        let share = match self.wanted {
            0 => 1.0,
            wanted => ((confirmations + 1) as f64).ln() / ((wanted + 1) as f64).ln(),
        };
        let span = (self.max - self.min).mul_f64(share);
        self.start + (self.max - span).max(self.min)
    }
}

/// What one member believes of all.
#[derive(Debug)]
pub(crate) struct Members {
    me: usize,
    config: Config,
    table: Vec<Member>,
    suspicions: BTreeMap<usize, Suspicion>,
    health: u32,
    /// What is to be broadcast, and about whom.
    pub(crate) news: Vec<(usize, Message)>,
    /// Who became dead here, whoever declared it.
    pub(crate) buried: Vec<usize>,
}

impl Members {
    pub(crate) fn new(config: Config, me: usize, members: usize) -> Self {
        let alive = Member { standing: Standing::Alive, incarnation: 1, changed: Duration::ZERO };
        Self {
            me,
            config,
            table: vec![alive; members],
            suspicions: BTreeMap::new(),
            health: 0,
            news: Vec::new(),
            buried: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn get(&self, member: usize) -> Member {
        self.table[member]
    }

    /// Whether gossip may go to a member.
    pub(crate) fn hears(&self, now: Duration, member: usize) -> bool {
        let Member { standing, changed, .. } = self.table[member];
        let recently = now <= changed + self.config.gossip_to_the_dead;
        member != self.me && (standing != Standing::Dead || recently)
    }

    /// The time to probe somebody in, stretched by bad health.
    pub(crate) fn probe_interval(&self) -> Duration {
        self.config.probe_interval * (self.health + 1)
    }

    pub(crate) fn worsen(&mut self, by: u32) {
        self.health = (self.health + by).min(self.config.awareness_max - 1);
    }

    pub(crate) fn improve(&mut self) {
        self.health = self.health.saturating_sub(1);
    }

    pub(crate) fn alive(&mut self, now: Duration, member: usize, incarnation: u32) {
        if incarnation <= self.table[member].incarnation {
            return;
        }
        if member == self.me {
            self.refute(incarnation);
            return;
        }
        self.suspicions.remove(&member);
        self.news.push((member, Message::Alive { member, incarnation }));
        self.set(now, member, Standing::Alive, incarnation);
    }

    pub(crate) fn suspect(&mut self, now: Duration, member: usize, incarnation: u32, from: usize) {
        let known = self.table[member];
        if incarnation < known.incarnation {
            return;
        }
        let message = Message::Suspect { member, incarnation, from };
        if let Some(suspicion) = self.suspicions.get_mut(&member) {
            if suspicion.confirm(from) {
                self.news.push((member, message));
            }
            return;
        }
        if known.standing != Standing::Alive {
            return;
        }
        if member == self.me {
            self.refute(incarnation);
            return;
        }
        self.news.push((member, message));
        self.set(now, member, Standing::Suspect, incarnation);
        // Of so few members nobody else could confirm it.
        let wanted = usize::try_from(self.config.suspicion_mult - 2).expect("a small number");
        let wanted = if self.len() < wanted + 2 { 0 } else { wanted };
        let min = self.config.suspicion_min(self.len());
        let max = min * self.config.suspicion_max_timeout_mult;
        let from = BTreeSet::from([from]);
        self.suspicions.insert(member, Suspicion { from, wanted, min, max, start: now });
    }

    pub(crate) fn dead(&mut self, now: Duration, member: usize, incarnation: u32, from: usize) {
        let known = self.table[member];
        if incarnation < known.incarnation {
            return;
        }
        self.suspicions.remove(&member);
        if known.standing == Standing::Dead {
            return;
        }
        if member == self.me {
            self.refute(incarnation);
            return;
        }
        self.news.push((member, Message::Dead { member, incarnation, from }));
        self.set(now, member, Standing::Dead, incarnation);
        self.buried.push(member);
    }

    /// Whether suspicion has run out for anybody, and when it does next.
    pub(crate) fn timeout(&mut self, now: Duration) {
        let due: Vec<usize> =
            self.suspicions.iter().filter(|(_, s)| s.due() <= now).map(|(&m, _)| m).collect();
        for member in due {
            let incarnation = self.table[member].incarnation;
            self.dead(now, member, incarnation, self.me);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        self.suspicions.values().map(Suspicion::due).min()
    }

    fn refute(&mut self, accused: u32) {
        let member = self.me;
        let incarnation = self.table[member].incarnation.max(accused) + 1;
        self.table[member].incarnation = incarnation;
        self.worsen(1);
        self.news.push((member, Message::Alive { member, incarnation }));
    }

    fn set(&mut self, now: Duration, member: usize, standing: Standing, incarnation: u32) {
        let known = &mut self.table[member];
        if known.standing != standing {
            known.changed = now;
        }
        known.standing = standing;
        known.incarnation = incarnation;
    }
}
