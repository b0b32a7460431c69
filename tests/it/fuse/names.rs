//! Names: which can be kept, and what is said of the others.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use super::{World, errno};

const EEXIST: i32 = 17;
const EISDIR: i32 = 21;
const EINVAL: i32 = 22;
const ENAMETOOLONG: i32 = 36;
const EILSEQ: i32 = 84;

/// Whatever is UTF-8 and no control character is a name as it is, for both sides.
#[test]
fn names_are_the_same_in_the_mount_and_in_the_hierarchy() {
    let Some(world) = World::new() else { return };
    let long = "ü".repeat(127) + "x";
    // The third and the fourth look the same, and so do the fifth and the sixth.
    let names =
        ["-rf", "a b", "é", "e\u{301}", "I", "Ⅰ", "\\", "*?\"<>|:", "...", "🦀", "\u{feff}", &long];
    for name in names {
        fs::write(world.at("/").join(name), name).unwrap();
        assert_eq!(world.fs.read(format!("/{name}")).unwrap(), name.to_owned());
    }
    let listed: BTreeSet<_> = fs::read_dir(world.at("/"))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            assert_eq!(fs::read(entry.path()).unwrap(), entry.file_name().as_bytes());
            entry.file_name().into_string().unwrap()
        })
        .collect();
    assert_eq!(listed, names.map(String::from).into());
    for name in names {
        fs::rename(world.at("/").join(name), world.at("/moved")).unwrap();
        world.fs.rename("/moved", format!("/{name}")).unwrap();
        assert_eq!(fs::read_to_string(world.at("/").join(name)).unwrap(), name);
    }
}

#[test]
fn what_is_no_name_is_refused_and_not_found() {
    let Some(world) = World::new() else { return };
    let at = |name: &[u8]| world.at("/").join(OsStr::from_bytes(name));
    fs::write(world.at("/f"), "").unwrap();
    let long = [b'x'; 256];
    for (name, expected) in [
        (&b"latin-\xe9"[..], EILSEQ),
        (&b"\xed\xa0\x80"[..], EILSEQ),
        (&b"two\nlines"[..], EINVAL),
        (&b"\x7f"[..], EINVAL),
        (&b".basefs"[..], EISDIR),
        (&long[..], ENAMETOOLONG),
    ] {
        let refused = [
            errno(fs::write(at(name), "")),
            errno(fs::create_dir(at(name))),
            errno(std::os::unix::fs::symlink("f", at(name))),
            errno(fs::rename(at(b"f"), at(name))),
        ];
        let text = String::from_utf8_lossy(name);
        if expected == EISDIR {
            // It is there, as a directory.
            assert_eq!(refused, [Some(EISDIR), Some(EEXIST), Some(EEXIST), Some(EISDIR)], "{text}");
        } else {
            assert_eq!(refused, [Some(expected); 4], "{text:?}");
            let found = errno(fs::metadata(at(name)));
            assert_eq!(found, Some(if name.len() > 255 { ENAMETOOLONG } else { 2 }), "{text:?}");
        }
    }
    let text = OsStr::from_bytes(b"\xff");
    assert_eq!(errno(std::os::unix::fs::symlink(text, at(b"link"))), Some(EILSEQ));
    assert_eq!(
        errno(std::os::unix::fs::symlink("x".repeat(2_000), at(b"link"))),
        Some(ENAMETOOLONG)
    );
    assert_eq!(fs::read_dir(world.at("/")).unwrap().count(), 1, "nothing was made");
}
