//! Vectors about single values: constants, hashes, encodings, signatures, order keys.

use basefs::entry::{Body, FileData, InvalidEntry, Payload, Rights, Rule, SignedEntry};
use basefs::id::{BlockId, Content, DirId, EntryId, PublicKey};
use basefs::limits;
use basefs::time::WallTime;
use basefs::wire::{SecretKey, key};
use serde_json::Value;

use crate::file::{array, beside, hex, list, read, text};

fn vectors() -> Value {
    read(&beside("vectors.json"))
}

#[test]
fn constants_are_those_of_the_format() {
    let file = vectors();
    let ours: &[(&str, u64)] = &[
        ("MAX_ENTRY", limits::MAX_ENTRY as u64),
        ("MAX_INLINE", limits::MAX_INLINE as u64),
        ("MAX_PATH", limits::MAX_PATH as u64),
        ("MAX_CLOSURE", limits::MAX_CLOSURE as u64),
        ("MAX_NAME", limits::MAX_NAME as u64),
        ("MAX_LABEL", limits::MAX_LABEL as u64),
        ("MAX_PREV", limits::MAX_PREV as u64),
        ("MAX_AMEND", limits::MAX_AMEND as u64),
        ("MAX_KEEP", limits::MAX_KEEP as u64),
        ("MAX_AFTER", limits::MAX_AFTER as u64),
        ("MAX_CHAIN", u64::from(limits::MAX_DELEGATION)),
        ("MAX_DEPTH", u64::from(limits::MAX_DEPTH)),
        ("MAX_ROOTS", limits::MAX_ROOTS as u64),
        ("MAX_LEVELS", u64::from(limits::MAX_LEVELS)),
        ("MAX_SIZE", limits::MAX_SIZE),
        ("W", u64::from(Rights::Write.code())),
        ("G", u64::from(Rights::Grant.code())),
    ];
    let theirs = file["constants"].as_object().expect("an object");
    assert_eq!(theirs.len(), ours.len());
    for (name, value) in ours {
        assert_eq!(theirs[*name].as_u64(), Some(*value), "{name}");
    }
}

#[test]
fn hashes_are_domain_separated() {
    // rule: DIR-1
    let file = vectors();
    for vector in list(&file["hashes"]) {
        let (input, data) = (text(&vector["input"]), hex(&vector["data"]));
        let output: [u8; 32] = array(&vector["output"]);
        let (context, rest) = input.split_once(':').expect("a context");
        let ours = match context {
            "content" => *blake3::hash(&data).as_bytes(),
            context => blake3::derive_key(context, &data),
        };
        assert_eq!(ours, output, "{input}");
        // The functions of the crate agree with the hash by its definition.
        match rest.trim() {
            "genesis id" => {
                let genesis = EntryId::from_slice(&data).expect("an id");
                assert_eq!(basefs::log::root_dir(&genesis).as_bytes(), &output);
            }
            "parent, zero, name" => {
                let parent = DirId::from_slice(&data[..32]).expect("an id");
                let name = std::str::from_utf8(&data[64..]).expect("text");
                assert_eq!(basefs::log::child_dir(&parent, None, name).as_bytes(), &output);
            }
            _ => {}
        }
    }
}

fn id(value: &Value) -> EntryId {
    EntryId::from_bytes(array(value))
}

fn ids(value: &Value) -> Vec<EntryId> {
    list(value).iter().map(id).collect()
}

fn optional_id(value: &Value) -> Option<EntryId> {
    (!value.is_null()).then(|| id(value))
}

fn public(value: &Value) -> PublicKey {
    PublicKey::from_bytes(array(value))
}

fn payload(action: &str, fields: &Value) -> Payload {
    match action {
        "genesis" => Payload::Genesis {
            roots: list(&fields["roots"]).iter().map(public).collect(),
            nonce: array(&fields["nonce"]),
        },
        "mkdir" => Payload::Mkdir,
        "write" => Payload::Write {
            executable: fields["flags"] == 1,
            data: if fields["inline"].is_string() {
                FileData::Inline(hex(&fields["inline"]).into())
            } else {
                FileData::Blocks(Content {
                    root: BlockId::from_bytes(array(&fields["root"])),
                    size: fields["size"].as_u64().expect("a size"),
                    levels: u8::try_from(fields["levels"].as_u64().expect("levels")).expect("u8"),
                })
            },
        },
        "delete" => Payload::Delete { moved_to: optional_id(&fields["moved_to"]) },
        "link" => Payload::Link { target: id(&fields["target"]) },
        "slink" => Payload::Slink { text: text(&fields["text"]).into() },
        "grant" => Payload::Grant {
            who: public(&fields["who"]),
            rights: match fields["rights"].as_u64() {
                Some(1) => Rights::Write,
                Some(2) => Rights::Grant,
                _ => Rights::All,
            },
            after: ids(&fields["after"]),
        },
        "revoke" => Payload::Revoke { who: public(&fields["who"]), keep: ids(&fields["keep"]) },
        other => panic!("unknown action {other}"),
    }
}

fn body(fields: &Value) -> Body {
    Body {
        dir: DirId::from_bytes(array(&fields["dir"])),
        name: text(&fields["name"]).into(),
        prev: ids(&fields["prev"]),
        cap: id(&fields["cap"]),
        key: public(&fields["key"]),
        seq: fields["seq"].as_u64().expect("seq"),
        aprev: optional_id(&fields["aprev"]),
        ts: WallTime::from_millis(fields["ts"].as_u64().expect("ts")),
        payload: payload(text(&fields["action"]), &fields["payload"]),
    }
}

#[test]
fn golden_entries_encode_sign_and_decode_to_the_byte() {
    // rule: ID-1
    // rule: ENTRY-2
    // rule: SIG-1
    let file = vectors();
    for golden in list(&file["goldens"]) {
        let name = text(&golden["name"]);
        let body = body(&golden["fields"]);
        assert_eq!(body.encode(), hex(&golden["body"]), "{name}: body");
        let key = SecretKey::from_seed(array(&golden["seed"]));
        assert_eq!(
            key.sign(&hex(&golden["signing_input"])),
            array(&golden["signature"]),
            "{name}: signature"
        );
        let entry = body.clone().sign(&key).expect("a valid body");
        assert_eq!(&entry.bytes()[..], hex(&golden["entry"]), "{name}: entry");
        assert_eq!(entry.id(), id(&golden["id"]), "{name}: id");
        let decoded = SignedEntry::decode(&hex(&golden["entry"])).expect("a valid entry");
        assert_eq!(decoded.body(), &body, "{name}: decoded");
        assert_eq!(decoded.verify().expect("a good signature").id(), entry.id());
    }
}

#[test]
fn malformed_entries_name_the_rule_they_fail() {
    // rule: ENTRY-1
    // rule: ENTRY-3
    // rule: ENTRY-4
    // rule: ENTRY-5
    // rule: ENTRY-6
    // rule: NAME-1
    // rule: NAME-2
    // rule: WRITE-1
    // rule: WRITE-2
    let file = vectors();
    for vector in list(&file["malformed"]) {
        let decoded = SignedEntry::decode(&hex(&vector["hex"])).and_then(SignedEntry::verify);
        let rule = decoded.err().map(|error| error.rule.name());
        assert_eq!(rule, vector["rule"].as_str(), "{}", vector["name"]);
    }
}

#[test]
fn signatures_are_strict() {
    // rule: SIG-1
    let file = vectors();
    for vector in list(&file["signatures"]) {
        let valid = key::verify(
            &public(&vector["key"]),
            &hex(&vector["message"]),
            &array(&vector["signature"]),
        );
        assert_eq!(valid.is_ok(), vector["valid"] == true, "{}", vector["name"]);
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let file = vectors();
    for golden in list(&file["goldens"]) {
        let bytes = hex(&golden["entry"]);
        let original = id(&golden["id"]);
        // All bits of the head and the tail, every seventh between: each costs a signature check.
        for bit in (0..bytes.len() * 8).filter(|bit| *bit < 64 || bit % 7 == 0) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match SignedEntry::decode(&flipped) {
                Ok(entry) => {
                    assert_ne!(entry.id(), original);
                    let InvalidEntry { rule, .. } = entry.verify().expect_err("a flipped bit");
                    assert_eq!(rule, Rule::Sig1, "bit {bit} of {}", golden["name"]);
                }
                Err(error) => assert_ne!(error.rule, Rule::Sig1),
            }
        }
    }
}

#[test]
fn prefixes_and_suffixes_are_not_entries() {
    let file = vectors();
    for golden in list(&file["goldens"]) {
        let bytes = hex(&golden["entry"]);
        for length in 0..bytes.len() {
            assert!(SignedEntry::decode(&bytes[..length]).is_err());
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(SignedEntry::decode(&longer).map_err(|e| e.rule), Err(Rule::Entry1));
    }
}

#[test]
fn order_keys_sort_as_paths_do() {
    // rule: ORDER-1
    let file = vectors();
    let mut last: Option<(Vec<String>, Vec<u8>, Vec<u8>)> = None;
    for vector in list(&file["order_keys"]) {
        let path: Vec<String> =
            list(&vector["path"]).iter().map(|name| text(name).to_owned()).collect();
        let (id, key) = (hex(&vector["id"]), hex(&vector["key"]));
        let mut built: Vec<u8> = Vec::new();
        for name in &path {
            built.extend_from_slice(name.as_bytes());
            built.push(0);
        }
        built.push(0);
        built.extend_from_slice(&id);
        assert_eq!(built, key);
        if let Some((last_path, last_id, last_key)) = &last {
            assert!(*last_key < key);
            assert!((last_path, last_id) < (&path, &id));
        }
        last = Some((path, id, key));
    }
}

#[test]
fn golden_entries_have_their_order_keys() {
    // rule: ORDER-1
    let file = vectors();
    let goldens = list(&file["goldens"]);
    let mut replica = basefs::node::Replica::new(id(&goldens[0]["id"]), 1);
    for golden in goldens {
        let entry = SignedEntry::decode(&hex(&golden["entry"])).expect("valid");
        let entry = entry.verify().expect("a good signature");
        replica.offer(entry, basefs::log::Source::Local, &mut Default::default());
    }
    let mut checked = 0;
    for vector in list(&file["golden_order_keys"]) {
        let golden = goldens.iter().find(|golden| golden["name"] == vector["entry"]);
        let Some(no) = replica.log().number(&id(&golden.expect("a golden")["id"])) else {
            continue;
        };
        let key = hex(&vector["order_key"]);
        assert_eq!(replica.log().order_key(no), key);
        assert!(replica.log().compare_key(no, &key).is_eq());
        assert!(replica.log().compare_key(no, &key[..key.len() - 1]).is_gt());
        assert!(replica.log().compare_key(no, &[&key[..], &[0]].concat()).is_lt());
        checked += 1;
    }
    assert!(checked > 0);
}
