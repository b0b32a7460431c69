//! Keys and secrets: whose they are, and where they never appear.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use basefs::fs::{AUTHOR_KEY_FILE, NODE_KEY_FILE, OLD_SECRETS_FILE, READ_SECRET_FILE};
use basefs::net::{PeerAddress, QuicConfig, ReadSecret, Ticket};
use basefs::store::{Batch, Durability, MemoryStore, Store, StoreError, Table};
use basefs::wire::SecretKey;
use basefs::{Fs, OpenError};

const FILES: [&str; 3] = [AUTHOR_KEY_FILE, NODE_KEY_FILE, READ_SECRET_FILE];

#[test]
fn key_files_are_for_their_owner_alone_and_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let fs = Fs::open(dir.path()).unwrap();
    let (author, node) = (fs.author(), fs.node());
    drop(fs);
    let texts = FILES.map(|name| fs::read_to_string(dir.path().join(name)).unwrap());
    for (name, text) in FILES.iter().zip(&texts) {
        let mode = fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{name}");
        assert_eq!((text.len(), text.trim().len()), (65, 64), "{name}");
    }
    let fs = Fs::open(dir.path()).unwrap();
    assert_eq!((fs.author(), fs.node()), (author, node));
    assert_eq!(FILES.map(|name| fs::read_to_string(dir.path().join(name)).unwrap()), texts);
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".new")), "{names:?}");
}

#[test]
fn a_key_that_is_there_is_never_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(AUTHOR_KEY_FILE);
    // What is no key is left for its owner to look at; so is a link that leads nowhere.
    fs::write(&path, "my only copy").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(Fs::open(dir.path()), Err(OpenError::Key { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), "my only copy");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(dir.path().join("nowhere"), &path).unwrap();
    assert!(matches!(Fs::open(dir.path()), Err(OpenError::Io { .. })));
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
    assert!(!dir.path().join("nowhere").exists());
    // What a crash left beside is in nobody's way.
    fs::remove_file(&path).unwrap();
    fs::write(path.with_extension("new"), "half a k").unwrap();
    Fs::open(dir.path()).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap().trim().len(), 64);
}

#[test]
fn old_secrets_are_for_their_owner_alone_and_a_crash_loses_none() {
    let dir = tempfile::tempdir().unwrap();
    let [current, old] = [READ_SECRET_FILE, OLD_SECRETS_FILE].map(|name| dir.path().join(name));
    let fs = Fs::open(dir.path()).unwrap();
    assert!(!old.exists());
    let [first, second] = [(), ()].map(|()| {
        let secret = fs::read_to_string(&current).unwrap();
        fs.rotate_secret().unwrap();
        secret
    });
    let third = fs::read_to_string(&current).unwrap();
    assert_eq!(fs::read_to_string(&old).unwrap(), [&second[..], &first].concat(), "newest first");
    assert_eq!(fs::metadata(&old).unwrap().permissions().mode() & 0o7777, 0o600);
    drop(fs);

    // As if the last rotation had been cut off between the two files, and then done again.
    fs::write(&current, &second).unwrap();
    let fs = Fs::open(dir.path()).unwrap();
    assert_eq!(fs.old_secrets(), 1, "the current one is not old");
    fs.rotate_secret().unwrap();
    assert_eq!(fs::read_to_string(&old).unwrap(), [second, first].concat());
    assert_ne!(fs::read_to_string(&current).unwrap(), third);
    drop(fs);

    // What cannot be read is not guessed at.
    let text = fs::read_to_string(&old).unwrap();
    for damage in [&text[1..], &text[..70], "old", &[&text[..], "x"].concat()] {
        fs::write(&old, damage).unwrap();
        assert!(matches!(Fs::open(dir.path()), Err(OpenError::Key { .. })), "{damage}");
        assert_eq!(fs::read_to_string(&old).unwrap(), *damage);
    }
    fs::write(&old, text).unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(Fs::open(dir.path()), Err(OpenError::Key { .. })), "others may read it");
    fs::remove_file(&old).unwrap();
    assert_eq!(Fs::open(dir.path()).unwrap().old_secrets(), 0);
}

#[test]
fn a_damaged_list_of_expelled_nodes_is_not_taken_for_none() {
    let store = Arc::new(MemoryStore::new());
    let builder = || Fs::builder().store(store.clone()).key(SecretKey::from_seed([7; 32]));
    let fs = builder().open().unwrap();
    let nodes = [[3; 32], [1; 32], [2; 32]].map(basefs::id::NodeId::from_bytes);
    nodes.iter().for_each(|node| assert!(fs.expel(*node).unwrap()));
    drop(fs);
    let kept = store.get(Table::Meta, b"expelled").unwrap().unwrap();
    assert_eq!(kept[..], [[1; 32], [2; 32], [3; 32]].concat());
    assert_eq!(builder().open().unwrap().expelled(), [nodes[1], nodes[2], nodes[0]]);
    let mut batch = Batch::new();
    batch.put(Table::Meta, "expelled", kept.slice(1..));
    store.commit(&batch, Durability::Durable).unwrap();
    let opened = builder().open();
    assert!(matches!(opened, Err(OpenError::Store(StoreError::Corrupt { .. }))), "{opened:?}");
}

/// The ways in which 32 bytes could be printed.
fn spellings(secret: &[u8; 32]) -> Vec<String> {
    let base32 = data_encoding::BASE32_NOPAD.encode(secret).to_lowercase();
    vec![
        data_encoding::HEXLOWER.encode(&secret[..8]),
        base32[..12].to_owned(),
        data_encoding::BASE64.encode(&secret[..9]),
        secret[..6].iter().map(u8::to_string).collect::<Vec<_>>().join(", "),
    ]
}

#[tokio::test]
async fn nothing_prints_a_secret() {
    let (author, node, secret) = ([0xa7; 32], [0xb9; 32], [0xc3; 32]);
    let (author_key, node_key) = (SecretKey::from_seed(author), SecretKey::from_seed(node));
    let read_secret = ReadSecret::from_bytes(secret);
    let hierarchy = Fs::in_memory().unwrap().hierarchy();
    let at = PeerAddress { node: basefs::id::NodeId::from_bytes([1; 32]), addresses: vec![] };
    let ticket = Ticket::new(hierarchy, Some(read_secret.clone()), vec![at]);
    let store = Arc::new(MemoryStore::new());
    let builder = || {
        Fs::builder()
            .store(store.clone())
            .key(author_key.clone())
            .node_key(node_key.clone())
            .join(&ticket)
    };
    let fs = builder().open().unwrap();
    // Also when it is an old one, for others and for this replica.
    fs.rotate_secret().unwrap();
    let mut config = QuicConfig::default();
    config.listen = "127.0.0.1:0".parse().unwrap();
    let serving = fs.serve(config).await.unwrap();
    let printed = [
        format!("{author_key:?} {node_key:#?}"),
        format!("{read_secret:?} {read_secret:#?}"),
        format!("{ticket:?} {ticket:#?} {:?}", ticket.admission()),
        format!("{:?} {:#?}", builder(), builder()),
        format!("{fs:?} {fs:#?}"),
        format!("{:?} {:#?}", fs.batch(), fs.watch("/", basefs::WatchFrom::Now).unwrap()),
        format!("{serving:?} {serving:#?} {:?}", serving.status()),
    ];
    let (flat, text) = (printed.join("\n").replace(['\n', ' '], ""), printed.join("\n"));
    for spelling in [author, node, secret].iter().flat_map(spellings) {
        assert!(!text.to_lowercase().contains(&spelling), "{spelling} in {text}");
        assert!(!flat.contains(&spelling.replace(' ', "")), "{spelling} in {text}");
    }
    // The spellings are able to find something: a ticket is meant to be shown whole.
    let bytes = data_encoding::BASE32_NOPAD
        .decode(ticket.to_string()["basefs1".len()..].to_uppercase().as_bytes())
        .unwrap();
    assert!(bytes.windows(32).any(|window| window == secret));
    assert!(format!("{secret:?}").contains(&spellings(&secret)[3]));
    // Nor is a secret in the store, which people copy and mail.
    for table in Table::ALL {
        store
            .scan(table, &[], &mut |_, value| {
                let clear = |secret: &[u8; 32]| value.windows(32).any(|part| part == secret);
                assert!(![author, node, secret].iter().any(clear), "{table:?}");
                true
            })
            .unwrap();
    }
    let kept = store.get(Table::Meta, b"peers").unwrap().unwrap();
    let kept: Ticket = std::str::from_utf8(&kept).unwrap().parse().unwrap();
    assert_eq!((kept.secret(), kept.peers().len()), (None, 1));
    serving.shutdown().await.unwrap();
}
