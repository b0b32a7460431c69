//! What is planned on a replica while entries of others arrive there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use basefs::Fs;
use basefs::fs::Keep;
use basefs::wire::SecretKey;
use bytes::Bytes;

use super::tools::{exchange, founder_and};

/// Takes in entries one by one, and does something else again and again meanwhile.
fn meanwhile(fs: &Fs, arriving: &[Bytes], again: impl Fn()) {
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for entry in arriving {
                fs.admit(entry).unwrap();
            }
            is_done.store(true, Ordering::Release);
        });
        while !is_done.load(Ordering::Acquire) {
            again();
        }
    });
}

/// The entries that one replica has more than another had.
fn news(fs: &Fs, known: usize) -> Vec<Bytes> {
    fs.export().skip(known).map(Result::unwrap).collect()
}

#[test]
fn a_revoke_is_planned_while_grants_arrive() {
    let all = founder_and(2);
    let [founder, chief, _] = &all[..] else { panic!("three") };
    founder.create_dir_all("/office").unwrap();
    founder.grant_all("/office", chief.author());
    exchange(&all);
    let known = chief.entries();
    for n in 0..100 {
        chief.grant("/office", SecretKey::from_seed([n + 100; 32]).public()).unwrap();
        chief.write("/office/f", n.to_string()).unwrap();
    }
    meanwhile(founder, &news(chief, known), || {
        let plan = founder.revoke_plan("/office", chief.author(), Keep::Nothing).unwrap();
        assert!(plan.left().is_empty());
    });
}

#[test]
fn making_a_file_a_program_keeps_what_somebody_else_writes_meanwhile() {
    // rule: CLIENT-3
    let fs = Fs::in_memory().unwrap();
    fs.write("/f", "0").unwrap();
    thread::scope(|scope| {
        let toggling = fs.clone();
        let writer = scope.spawn(|| {
            for n in 1..200_usize {
                fs.write("/f", n.to_string()).unwrap();
            }
        });
        let mut is_program = false;
        while !writer.is_finished() {
            is_program = !is_program;
            toggling.set_executable("/f", is_program).unwrap();
        }
    });
    let texts: Vec<usize> = fs
        .history("/f")
        .unwrap()
        .iter()
        .rev()
        .map(|version| {
            std::str::from_utf8(&fs.read_version(&version.id).unwrap()).unwrap().parse().unwrap()
        })
        .collect();
    assert!(texts.is_sorted(), "a write was undone: {texts:?}");
}
