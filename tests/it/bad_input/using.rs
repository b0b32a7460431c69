//! Paths, writes and tickets that cannot be.

use basefs::entry::{Body, FileData, Payload, Rights, Rule};
use basefs::fs::Builder;
use basefs::id::{BlockId, Content, EntryId};
use basefs::limits::{MAX_FILE, MAX_NAME};
use basefs::log::Source;
use basefs::net::{ReadSecret, Ticket, TicketError};
use basefs::node::Effects;
use basefs::store::{Store, Table, layout};
use basefs::time::WallTime;
use basefs::wire::SecretKey;
use basefs::{Fs, ReadError, WriteError};

use super::world::{Failure, World};
use super::{Row, nothing};

pub(super) const PATHS: &[Row] = &[
    Row {
        name: "reading above the root",
        prepare: nothing,
        meet: |world| world.unreadable("/users/../../etc/passwd"),
        expected: |failure| matches!(failure, Failure::Read(ReadError::Path(_))),
        words: &["is not a path", "reserved"],
    },
    Row {
        name: "a name with a newline",
        prepare: nothing,
        meet: |world| world.fs().write("/users/a\nb", "x").unwrap_err().into(),
        expected: |failure| matches!(failure, Failure::Write(WriteError::Path(_))),
        // rule: NAME-1
        words: &[r#""/users/a\nb" is not a path"#, "control character", "nothing was written"],
    },
    Row {
        name: "a name that is reserved",
        prepare: nothing,
        meet: |world| world.fs().write("/.basefs/x", "x").unwrap_err().into(),
        expected: |failure| matches!(failure, Failure::Write(WriteError::Path(_))),
        words: &["is not a path", "reserved", "nothing was written"],
    },
    Row {
        name: "a name of 256 bytes",
        prepare: nothing,
        meet: |world| world.fs().write("x".repeat(MAX_NAME + 1), "x").unwrap_err().into(),
        expected: |failure| matches!(failure, Failure::Write(WriteError::Path(_))),
        words: &["1 to 255 bytes", "nothing was written"],
    },
    Row {
        name: "reading what is not there",
        prepare: nothing,
        meet: |world| world.unreadable("/users/ben"),
        expected: |failure| matches!(failure, Failure::Read(ReadError::NotFound { .. })),
        words: &["/users/ben", "nothing is there"],
    },
    Row {
        name: "reading a directory",
        prepare: nothing,
        meet: |world| world.unreadable("/users"),
        expected: |failure| matches!(failure, Failure::Read(ReadError::IsADirectory { .. })),
        words: &["/users", "is a directory"],
    },
    Row {
        name: "reading below a file",
        prepare: nothing,
        meet: |world| world.unreadable("/users/ana/info/more"),
        expected: |failure| {
            matches!(failure, Failure::Read(ReadError::NotADirectory { path })
                if path == "/users/ana/info")
        },
        words: &["/users/ana/info: not a directory"],
    },
    Row {
        name: "reading a symbolic link",
        prepare: nothing,
        meet: |world| world.unreadable("/link"),
        expected: |failure| matches!(failure, Failure::Read(ReadError::IsASymlink { .. })),
        words: &["/link", r#""users/ana""#],
    },
    Row {
        name: "following a file",
        prepare: nothing,
        meet: |world| world.fs().read_link("/large").unwrap_err().into(),
        expected: |failure| matches!(failure, Failure::Read(ReadError::NotASymlink { .. })),
        words: &["/large", "not a symbolic link"],
    },
    Row {
        name: "blocks that are not here",
        prepare: |world| {
            world.edit(|store, batch| {
                store
                    .scan(Table::Blocks, &[], &mut |id, _| {
                        batch.delete(Table::Blocks, id.to_vec());
                        true
                    })
                    .unwrap();
            });
        },
        meet: |world| world.unreadable("/large"),
        expected: |failure| matches!(failure, Failure::Read(ReadError::NotHere { .. })),
        words: &["/large", "block", "not on this replica"],
    },
    Row {
        name: "a file larger than memory",
        prepare: write_a_huge_file,
        meet: |world| world.unreadable("/huge"),
        expected: |failure| {
            matches!(failure, Failure::Read(ReadError::TooLarge { size, limit: MAX_FILE })
                if *size == MAX_FILE + 1)
        },
        words: &["1073741825 bytes", "1073741824"],
    },
];

pub(super) const WRITES: &[Row] = &[
    Row {
        name: "a key without permission",
        prepare: nothing,
        meet: |world| stranger(world).write("/users/ana/info", "x").unwrap_err().into(),
        expected: |failure| {
            matches!(failure, Failure::Write(WriteError::Denied { path, key })
                if path == "/users/ana/info" && *key == somebody().public())
        },
        words: &["/users/ana/info", "has no permission", "nothing was written"],
    },
    Row {
        name: "a grant without permission",
        prepare: nothing,
        meet: |world| stranger(world).grant("/", somebody().public()).unwrap_err().into(),
        expected: |failure| matches!(failure, Failure::Write(WriteError::Denied { .. })),
        words: &["has no permission", "nothing was written"],
    },
    Row {
        name: "a batch of which the last is not allowed",
        prepare: |world| {
            let fs = world.fs();
            fs.grant("/users/ana", somebody().public()).unwrap();
        },
        meet: |world| {
            let mut batch = stranger(world).batch();
            batch.write("/users/ana/info", "x").unwrap();
            batch.write("/elsewhere", "x").unwrap();
            batch.commit().unwrap_err().into()
        },
        expected: |failure| {
            matches!(failure, Failure::Write(WriteError::Denied { path, .. })
                if path == "/elsewhere")
        },
        words: &["/elsewhere", "nothing was written"],
    },
    Row {
        name: "a replica that has heard from nobody",
        prepare: |world| {
            std::fs::remove_file(world.path("store.redb")).unwrap();
            join(world).open().unwrap();
        },
        meet: |world| join(world).open().unwrap().write("/x", "x").unwrap_err().into(),
        expected: |failure| matches!(failure, Failure::Write(WriteError::NotSynced)),
        words: &["not heard from a peer", "connect it", "nothing was written"],
    },
    Row {
        name: "removing what is not there",
        prepare: nothing,
        meet: |world| world.fs().remove("/users/ben").unwrap_err().into(),
        expected: |failure| matches!(failure, Failure::Write(WriteError::NotFound { .. })),
        words: &["/users/ben", "nothing was written"],
    },
    Row {
        name: "writing over a directory",
        prepare: nothing,
        meet: |world| world.fs().write("/users", "x").unwrap_err().into(),
        expected: |failure| matches!(failure, Failure::Write(WriteError::IsADirectory { .. })),
        words: &["/users", "is a directory", "nothing was written"],
    },
    Row {
        name: "writing below a file",
        prepare: nothing,
        meet: |world| world.fs().write("/large/x", "x").unwrap_err().into(),
        expected: |failure| matches!(failure, Failure::Write(WriteError::NotADirectory { .. })),
        words: &["/large", "not a directory", "nothing was written"],
    },
    Row {
        name: "removing a directory with something in it",
        prepare: nothing,
        meet: |world| world.fs().remove("/users").unwrap_err().into(),
        expected: |failure| matches!(failure, Failure::Write(WriteError::NotEmpty { .. })),
        words: &["/users", "not empty", "nothing was written"],
    },
    Row {
        name: "writing the root",
        prepare: nothing,
        meet: |world| world.fs().write("/", "x").unwrap_err().into(),
        expected: |failure| matches!(failure, Failure::Write(WriteError::Root)),
        words: &["root directory", "nothing was written"],
    },
    Row {
        name: "a file bigger than the limit",
        prepare: nothing,
        meet: |world| {
            // Never touched, so it takes no memory.
            let content = vec![0; usize::try_from(MAX_FILE).unwrap() + 1];
            world.fs().write("/huge", content).unwrap_err().into()
        },
        expected: |failure| {
            matches!(failure, Failure::Write(WriteError::TooLarge { size, limit: MAX_FILE })
                if *size == MAX_FILE + 1)
        },
        words: &["1073741825 bytes", "1073741824", "nothing was written"],
    },
    Row {
        name: "a directory that is too deep",
        prepare: nothing,
        meet: |world| world.fs().create_dir_all("/d".repeat(65)).unwrap_err().into(),
        expected: |failure| matches!(failure, Failure::Write(WriteError::TooDeep { .. })),
        words: &["too deep", "nothing was written"],
    },
    Row {
        name: "a path that is too long",
        prepare: nothing,
        meet: |world| {
            let path = format!("/{}", "d".repeat(MAX_NAME)).repeat(17);
            world.fs().create_dir_all(path).unwrap_err().into()
        },
        expected: |failure| matches!(failure, Failure::Write(WriteError::TooDeep { .. })),
        words: &["too long", "nothing was written"],
    },
    Row {
        name: "a symbolic link without text",
        prepare: nothing,
        meet: |world| world.fs().symlink("", "/new").unwrap_err().into(),
        expected: |failure| {
            matches!(failure, Failure::Write(WriteError::Invalid(error))
                if error.rule == Rule::Entry6)
        },
        words: &["symbolic link is empty", "ENTRY-6", "nothing was written"],
    },
    Row {
        name: "a label that is too long",
        prepare: nothing,
        meet: |world| {
            let label = "x".repeat(65);
            let granted = world.fs().grant_with("/", somebody().public(), Rights::Write, &label);
            granted.unwrap_err().into()
        },
        expected: |failure| {
            matches!(failure, Failure::Write(WriteError::Invalid(error))
                if error.rule == Rule::Name2)
        },
        words: &["NAME-2", "nothing was written"],
    },
];

pub(super) const TICKETS: &[Row] = &[
    Row {
        name: "a text that is no ticket",
        prepare: nothing,
        meet: |_| mistyped(|_| String::from("https://example.org")),
        expected: |failure| matches!(failure, Failure::Ticket(TicketError::NotATicket)),
        words: &["a ticket begins with basefs1"],
    },
    Row {
        name: "a ticket of a newer version",
        prepare: nothing,
        meet: |_| mistyped(|ticket| ticket.replacen("basefs1", "basefs2", 1)),
        expected: |failure| matches!(failure, Failure::Ticket(TicketError::OtherVersion)),
        words: &["newer version"],
    },
    Row {
        name: "a ticket with a character that stands in none",
        prepare: nothing,
        meet: |_| {
            mistyped(|mut ticket| {
                ticket.replace_range(9..10, "!");
                ticket
            })
        },
        expected: |failure| {
            matches!(failure, Failure::Ticket(TicketError::BadLetter { position: 9 }))
        },
        words: &["character 10 cannot be part of a ticket"],
    },
    Row {
        name: "a ticket with one wrong letter, whichever",
        prepare: nothing,
        meet: |_| {
            let length = ticket().to_string().len();
            let wrong = |position: usize| {
                mistyped(|mut ticket| {
                    let other = if ticket.as_bytes()[position] == b'a' { "b" } else { "a" };
                    ticket.replace_range(position..=position, other);
                    ticket
                })
            };
            let mut failures: Vec<Failure> = (7..length).map(wrong).collect();
            let is_mistyped =
                |failure: &Failure| matches!(failure, Failure::Ticket(TicketError::Mistyped));
            assert!(failures.iter().all(is_mistyped), "{failures:?}");
            failures.pop().unwrap()
        },
        expected: |failure| matches!(failure, Failure::Ticket(TicketError::Mistyped)),
        words: &["a letter of the ticket is wrong or missing"],
    },
    Row {
        name: "a ticket without its last letter",
        prepare: nothing,
        meet: |_| {
            mistyped(|mut ticket| {
                ticket.pop();
                ticket
            })
        },
        expected: |failure| matches!(failure, Failure::Ticket(TicketError::Mistyped)),
        words: &["wrong or missing"],
    },
    Row {
        name: "a ticket that says nothing",
        prepare: nothing,
        meet: |_| {
            mistyped(|_| {
                let context = "basefs v1 ticket checksum";
                let hash = blake3::Hasher::new_derive_key(context).update(b"\x80").finalize();
                let sealed = [b"\x80", &hash.as_bytes()[..6]].concat();
                format!("basefs1{}", data_encoding::BASE32_NOPAD.encode(&sealed))
            })
        },
        expected: |failure| matches!(failure, Failure::Ticket(TicketError::Malformed)),
        words: &["not made by this program"],
    },
    Row {
        name: "an entry with a flipped bit, whichever",
        prepare: nothing,
        meet: |world| {
            let fs = world.fs();
            let before = fs.entries();
            let entry = sign(&somebody(), FileData::Inline(b"hi"[..].into()));
            let mut failures: Vec<Failure> = Vec::new();
            for bit in 0..entry.len() * 8 {
                let mut bytes = entry.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                failures.push(fs.admit(&bytes).unwrap_err().into());
            }
            assert_eq!(fs.entries(), before);
            failures.pop().unwrap()
        },
        // The last bit belongs to the signature.
        // rule: SIG-1
        expected: |failure| {
            matches!(failure, Failure::Write(WriteError::Invalid(error))
                if error.rule == Rule::Sig1)
        },
        words: &["invalid entry", "signature does not hold", "SIG-1", "nothing was written"],
    },
];

pub(super) fn somebody() -> SecretKey {
    SecretKey::from_seed([77; 32])
}

/// A handle whose author nobody has granted anything.
fn stranger(world: &World) -> Fs {
    Fs::builder().dir(world.dir()).key(somebody()).open().unwrap()
}

fn ticket() -> Ticket {
    let secret = ReadSecret::from_bytes([3; 32]);
    Ticket::new(EntryId::from_bytes([4; 32]), Some(secret), vec![])
}

fn join(world: &World) -> Builder {
    Fs::builder().dir(world.dir()).join(&ticket())
}

/// What becomes of a ticket that was changed so.
fn mistyped(change: impl FnOnce(String) -> String) -> Failure {
    Failure::Ticket(change(ticket().to_string()).parse::<Ticket>().unwrap_err())
}

pub(super) fn sign(key: &SecretKey, data: FileData) -> Vec<u8> {
    let body = Body {
        dir: basefs::log::root_dir(&EntryId::from_bytes([4; 32])),
        name: "greeting".into(),
        prev: vec![],
        cap: EntryId::from_bytes([4; 32]),
        key: key.public(),
        seq: 0,
        aprev: None,
        ts: WallTime::from_millis(1),
        payload: Payload::Write { executable: false, data },
    };
    body.sign(key).unwrap().bytes().to_vec()
}

/// Takes in a file that only streams could carry: an entry of the author's with a content whose
/// blocks were verified.
fn write_a_huge_file(world: &World) {
    let text = std::fs::read_to_string(world.path("author.key")).unwrap();
    let seed = data_encoding::HEXLOWER.decode(text.trim().as_bytes()).unwrap();
    let author = SecretKey::from_seed(seed.try_into().unwrap());
    world.edit(|store, batch| {
        let hierarchy = layout::hierarchy(store).unwrap().unwrap();
        let mut replica = layout::load(store, hierarchy, 1).unwrap();
        let content = Content { root: BlockId::from_bytes([5; 32]), size: MAX_FILE + 1, levels: 2 };
        let body = Body {
            dir: basefs::log::root_dir(&hierarchy),
            name: "huge".into(),
            prev: vec![],
            cap: hierarchy,
            key: author.public(),
            seq: 0,
            aprev: None,
            ts: WallTime::from_millis(1),
            payload: Payload::Write { executable: false, data: FileData::Blocks(content) },
        };
        let mut effects = Effects::default();
        replica.offer(body.sign(&author).unwrap(), Source::Local, &mut effects);
        replica.complete(&content, &mut effects);
        layout::record(batch, &effects);
    });
}
