//! What is wrong with the files of a replica.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::process::{Child, Command, Stdio};

use basefs::entry::Rule;
use basefs::fs::{AUTHOR_KEY_FILE, NODE_KEY_FILE, READ_SECRET_FILE};
use basefs::id::EntryId;
use basefs::net::Ticket;
use basefs::store::{RedbStore, Store, StoreError, Table};
use basefs::{Fs, OpenError};

use super::world::{Failure, INFO, World};
use super::{Row, nothing};

const STORE: &str = "store.redb";
const PACK: &str = "packs/0001.pack";
const DIR: &str = "BASEFS_TEST_DIR";

pub(super) const ROWS: &[Row] = &[
    // --- The file of the store. ---
    Row {
        name: "a file of another program",
        prepare: |world| fs::write(world.path(STORE), "Dear diary").unwrap(),
        meet: World::refused,
        expected: is_foreign,
        words: &["not a basefs store", "Dear diary", "not touched"],
    },
    Row {
        name: "an empty file",
        prepare: |world| fs::write(world.path(STORE), "").unwrap(),
        meet: World::refused,
        expected: is_foreign,
        words: &["not a basefs store", "not touched"],
    },
    Row {
        name: "a file of a newer format",
        prepare: |world| {
            world.patch(STORE, |bytes| {
                bytes[16..24].copy_from_slice(&2u64.to_be_bytes());
                let hash = blake3::hash(&bytes[..24]);
                bytes[24..56].copy_from_slice(hash.as_bytes());
            });
        },
        meet: World::refused,
        expected: is_newer,
        words: &["format 2", "up to 1", "not touched"],
    },
    Row {
        name: "a flipped bit in the header",
        prepare: |world| world.patch(STORE, |bytes| bytes[20] ^= 1),
        meet: World::refused,
        expected: is_corrupt,
        words: &["damaged", "header"],
    },
    Row {
        name: "a file cut after its header",
        prepare: |world| world.patch(STORE, |bytes| bytes.truncate(4_096)),
        meet: World::refused,
        expected: is_corrupt,
        words: &["damaged", "ends after its header"],
    },
    Row {
        name: "a file cut in the middle",
        prepare: |world| world.patch(STORE, |bytes| bytes.truncate(bytes.len() / 2)),
        meet: World::refused,
        expected: is_corrupt,
        words: &["damaged by its disk or by another program"],
    },
    Row {
        name: "pages of zeros",
        prepare: |world| world.patch(STORE, |bytes| bytes[8_192..].fill(0)),
        meet: World::refused,
        expected: is_corrupt,
        words: &["damaged by its disk or by another program"],
    },
    Row {
        name: "a flipped bit in an entry on the disk",
        prepare: |world| {
            world.patch(STORE, |bytes| {
                let mut found = 0;
                for at in 0..bytes.len() - INFO.len() {
                    if bytes[at..].starts_with(INFO.as_bytes()) {
                        bytes[at] ^= 1;
                        found += 1;
                    }
                }
                assert!(found > 0);
            });
        },
        meet: World::refused,
        expected: is_corrupt,
        words: &["damaged", "checksum"],
    },
    // --- The tables, with all checksums in order. ---
    Row {
        name: "tables of a newer layout",
        prepare: |world| put(world, Table::Meta, b"format", &2u64.to_be_bytes()),
        meet: World::refused,
        expected: is_newer,
        words: &["format 2", "up to 1", "not touched"],
    },
    Row {
        name: "a layout that is no number",
        prepare: |world| put(world, Table::Meta, b"format", b"one"),
        meet: World::refused,
        expected: is_corrupt,
        words: &["format", "unreadable"],
    },
    Row {
        name: "no layout",
        prepare: |world| delete(world, Table::Meta, b"format"),
        meet: World::refused,
        expected: is_corrupt,
        words: &["does not say which format"],
    },
    Row {
        name: "no hierarchy",
        prepare: |world| delete(world, Table::Meta, b"hierarchy"),
        meet: World::refused,
        expected: is_corrupt,
        words: &["does not say which hierarchy"],
    },
    Row {
        name: "a missing entry",
        prepare: |world| delete(world, Table::Entries, &2u64.to_be_bytes()),
        meet: World::refused,
        expected: is_corrupt,
        words: &["entry 2 is missing"],
    },
    Row {
        name: "an entry of noise",
        prepare: |world| put(world, Table::Entries, &2u64.to_be_bytes(), b"noise"),
        meet: World::refused,
        expected: is_corrupt,
        words: &["damaged", "entry 2"],
    },
    Row {
        name: "entries in another order",
        prepare: |world| {
            world.edit(|store, batch| {
                let key = |number: u64| number.to_be_bytes().to_vec();
                let entry = |number| store.get(Table::Entries, &key(number)).unwrap().unwrap();
                batch.put(Table::Entries, key(2), entry(3));
                batch.put(Table::Entries, key(3), entry(2));
            });
        },
        meet: World::refused,
        expected: is_corrupt,
        words: &["does not fit those stored before it"],
    },
    Row {
        name: "a winner of a slot that is not there",
        prepare: |world| {
            put(world, Table::Winners, &9_999u32.to_be_bytes(), &1u32.to_be_bytes());
        },
        meet: World::refused,
        expected: is_corrupt,
        words: &["about nothing that is stored"],
    },
    Row {
        name: "a winner that is no number",
        prepare: |world| put(world, Table::Winners, b"slot", b"winner"),
        meet: World::refused,
        expected: is_corrupt,
        words: &["unreadable winner"],
    },
    Row {
        name: "a cut entry that is no number",
        prepare: |world| put(world, Table::Cut, b"entry", b""),
        meet: World::refused,
        expected: is_corrupt,
        words: &["unreadable entry number"],
    },
    Row {
        name: "a content that is none",
        prepare: |world| put(world, Table::Contents, b"content", b""),
        meet: World::refused,
        expected: is_corrupt,
        words: &["unreadable content"],
    },
    // --- Blocks, which are looked at only when they are read. ---
    Row {
        name: "a flipped bit in a block",
        prepare: |world| world.patch(PACK, |bytes| bytes[1_000] ^= 1),
        meet: |world| world.unreadable("/large"),
        expected: is_corrupt,
        words: &["damaged", "0001.pack", "checksum"],
    },
    Row {
        name: "a truncated block",
        prepare: |world| world.patch(PACK, |bytes| bytes.truncate(bytes.len() - 1)),
        meet: |world| world.unreadable("/large"),
        expected: is_corrupt,
        words: &["damaged", "a block ends at"],
    },
    Row {
        name: "a missing pack",
        prepare: |world| fs::remove_file(world.path(PACK)).unwrap(),
        meet: |world| world.unreadable("/large"),
        expected: is_corrupt,
        words: &["damaged", "0001.pack is missing"],
    },
    Row {
        name: "another block under the id of one",
        prepare: |world| {
            world.edit(|store, batch| {
                store
                    .scan(Table::Blocks, &[], &mut |id, _| {
                        batch.put(Table::Blocks, id.to_vec(), "not that block");
                        true
                    })
                    .unwrap();
            });
        },
        meet: |world| world.unreadable("/large"),
        expected: is_corrupt,
        words: &["damaged", "other bytes are stored as"],
    },
    // --- Somebody else. ---
    Row {
        name: "another process",
        prepare: nothing,
        meet: |world| {
            let mut child = hold(world);
            let failure = world.refused();
            let pid = child.id().to_string();
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(failure.to_string().contains(&pid), "{failure} does not name {pid}");
            failure
        },
        expected: is_locked,
        words: &["open in another process", "(process ", "nothing was changed"],
    },
    Row {
        name: "another handle",
        prepare: nothing,
        meet: |world| {
            let _fs = world.fs();
            world.refused()
        },
        expected: is_locked,
        words: &["this one", "nothing was changed"],
    },
    Row {
        name: "a ticket of another hierarchy",
        prepare: nothing,
        meet: |world| {
            let ticket = Ticket::new(
                EntryId::from_bytes([9; 32]),
                Some(basefs::net::ReadSecret::from_bytes([9; 32])),
                vec![],
            );
            Failure::Open(Fs::join(world.dir(), &ticket).unwrap_err())
        },
        expected: |failure| matches!(failure, Failure::Open(OpenError::OtherHierarchy)),
        words: &["another hierarchy", "nothing was changed"],
    },
    // --- Keys. ---
    Row {
        name: "a key that others may read",
        prepare: |world| chmod(world, AUTHOR_KEY_FILE, 0o644),
        meet: World::refused,
        expected: is_key,
        words: &["author.key", "others may read", "644", "chmod 600", "nothing was changed"],
    },
    Row {
        name: "a read secret that the group may read",
        prepare: |world| chmod(world, READ_SECRET_FILE, 0o640),
        meet: World::refused,
        expected: is_key,
        words: &["read.secret", "640"],
    },
    Row {
        name: "an empty key file",
        prepare: |world| fs::write(world.path(AUTHOR_KEY_FILE), "").unwrap(),
        meet: World::refused,
        expected: is_key,
        words: &["author.key", "64 hexadecimal digits", "nothing was changed"],
    },
    Row {
        name: "a key file of noise",
        prepare: |world| fs::write(world.path(NODE_KEY_FILE), [0xff; 64]).unwrap(),
        meet: World::refused,
        expected: is_key,
        words: &["node.key", "not a key file"],
    },
    Row {
        name: "a key with one digit too many",
        prepare: |world| world.patch(NODE_KEY_FILE, |bytes| bytes.insert(0, b'a')),
        meet: World::refused,
        expected: is_key,
        words: &["node.key", "not a key file"],
    },
    Row {
        name: "a lost read secret",
        prepare: |world| fs::remove_file(world.path(READ_SECRET_FILE)).unwrap(),
        meet: World::refused,
        expected: is_key,
        words: &["read.secret", "missing", "ticket"],
    },
    Row {
        name: "a directory in the place of a key",
        prepare: |world| {
            fs::remove_file(world.path(NODE_KEY_FILE)).unwrap();
            fs::create_dir(world.path(NODE_KEY_FILE)).unwrap();
            chmod(world, NODE_KEY_FILE, 0o700);
        },
        meet: World::refused,
        expected: |failure| {
            matches!(failure, Failure::Open(OpenError::Io { error, .. })
                if error.kind() == ErrorKind::IsADirectory)
        },
        words: &["node.key", "the system refused", "directory"],
    },
    // --- The place. ---
    Row {
        name: "a file in the place of the directory",
        prepare: nothing,
        meet: |world| Failure::Open(Fs::open(world.path(AUTHOR_KEY_FILE)).unwrap_err()),
        expected: is_refused,
        words: &["the system refused", "Not a directory"],
    },
    Row {
        name: "a hierarchy with a name that is too long",
        prepare: nothing,
        meet: |world| {
            let fs = Fs::builder().dir(world.path("new")).name("x".repeat(65));
            Failure::Open(fs.open().unwrap_err())
        },
        expected: |failure| matches!(failure, Failure::Open(OpenError::Name(error)) if error.rule == Rule::Name2),
        words: &["the name given to the hierarchy", "none was made"],
    },
];

fn is_foreign(failure: &Failure) -> bool {
    matches!(failure.store(), Some(StoreError::Foreign { .. }))
}

fn is_newer(failure: &Failure) -> bool {
    failure.store() == Some(&StoreError::NewerFormat { found: 2, supported: 1 })
}

fn is_corrupt(failure: &Failure) -> bool {
    matches!(failure.store(), Some(StoreError::Corrupt { .. }))
}

fn is_locked(failure: &Failure) -> bool {
    matches!(failure.store(), Some(StoreError::Locked { .. }))
}

fn is_refused(failure: &Failure) -> bool {
    matches!(failure.store(), Some(StoreError::Io { .. }))
}

fn is_key(failure: &Failure) -> bool {
    matches!(failure, Failure::Open(OpenError::Key { .. }))
}

fn put(world: &World, table: Table, key: &[u8], value: &[u8]) {
    world.edit(|_, batch| batch.put(table, key.to_vec(), value.to_vec()));
}

fn delete(world: &World, table: Table, key: &[u8]) {
    world.edit(|_, batch| batch.delete(table, key.to_vec()));
}

fn chmod(world: &World, name: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(world.path(name), fs::Permissions::from_mode(mode)).unwrap();
}

/// A process that has the store open.
fn hold(world: &World) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "bad_input::opening::child_holds", "--ignored", "--nocapture"])
        .env(DIR, world.dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().contains("holding")).unwrap().unwrap();
    child
}

#[test]
#[ignore = "the other process of a test"]
fn child_holds() {
    let dir = std::env::var_os(DIR).expect("runs only as a child of another test");
    let _store = RedbStore::open(dir.as_ref()).unwrap();
    println!("holding");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}
