//! Replicas in memory whose entries are carried by hand.

use basefs::Fs;
use basefs::wire::SecretKey;

/// A founder and two who may write in `/team`, with all entries everywhere.
pub(crate) fn team() -> [Fs; 3] {
    let founder = Fs::in_memory().unwrap();
    let (one, two) = (join(&founder), join(&founder));
    founder.create_dir_all("/team").unwrap();
    for member in [&one, &two] {
        founder.grant("/team", member.author()).unwrap();
    }
    let team = [founder, one, two];
    exchange(&team);
    team
}

/// A replica with a key of its own, and nothing in it yet.
pub(super) fn join(founder: &Fs) -> Fs {
    Fs::builder().join(&founder.ticket(vec![])).open().unwrap()
}

/// A replica that writes with this key, and has all entries of the other.
pub(super) fn join_as(founder: &Fs, key: &SecretKey) -> Fs {
    let fs = Fs::builder().join(&founder.ticket(vec![])).key(key.clone()).open().unwrap();
    send(founder, &fs);
    fs
}

/// Brings every entry of one replica to another; content in blocks is not part of entries.
pub(crate) fn send(from: &Fs, to: &Fs) {
    for entry in from.export() {
        to.admit(&entry.unwrap()).unwrap();
    }
}

/// Brings every entry to everybody.
pub(super) fn exchange(all: &[Fs]) {
    for from in all {
        for to in all {
            send(from, to);
        }
    }
}
