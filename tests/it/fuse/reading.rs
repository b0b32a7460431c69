//! Reading a mounted hierarchy.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use basefs::Fs;
use basefs::fuse::{Mount, MountError, MountOptions};

use super::{World, errno};

#[test]
fn a_mounted_hierarchy_reads_like_a_folder() {
    let Some(world) = World::new() else { return };
    let (hierarchy, large) = (&world.fs, vec![7; 700_000]);
    hierarchy.write("/etc/hosts", "localhost").unwrap();
    hierarchy.write("/etc/large", &large).unwrap();
    hierarchy.symlink("hosts", "/etc/link").unwrap();
    hierarchy.link("/etc", "/deep/er/conf").unwrap();
    hierarchy.write("/bin/run", "#!/bin/sh\n").unwrap();
    hierarchy.set_executable("/bin/run", true).unwrap();

    assert_eq!(fs::read_to_string(world.at("/etc/hosts")).unwrap(), "localhost");
    assert_eq!(fs::read_to_string(world.at("/etc/link")).unwrap(), "localhost");
    assert_eq!(fs::read(world.at("/deep/er/conf/large")).unwrap(), large);
    let names = |path| {
        let entries = fs::read_dir(world.at(path)).unwrap().map(Result::unwrap);
        let kind = |entry: &fs::DirEntry| entry.file_type().unwrap().is_dir();
        entries
            .map(|entry| (entry.file_name().into_string().unwrap(), kind(&entry)))
            .collect::<BTreeMap<_, _>>()
    };
    let root = BTreeMap::from(["etc", "deep", "bin"].map(|name| (name.to_owned(), true)));
    assert_eq!(names("/"), root, "what is special is not listed");
    assert_eq!(names("/etc").len(), 3);

    let about = fs::metadata(world.at("/etc/hosts")).unwrap();
    assert_eq!((about.len(), about.mode() & 0o7777, about.nlink()), (9, 0o644, 1));
    let links = |path: &str| fs::metadata(world.at(path)).unwrap().nlink();
    assert_eq!(links("/"), 1, "two would say that there is no directory in it");
    assert_eq!(about.ino(), fs::metadata(world.at("/etc/link")).unwrap().ino());
    assert_eq!(fs::metadata(world.at("/bin/run")).unwrap().mode() & 0o7777, 0o755);
    let written = hierarchy.versions("/etc/hosts").unwrap()[0].time.as_millis();
    let modified = about.mtime() * 1_000 + about.mtime_nsec() / 1_000_000;
    assert_eq!(u64::try_from(modified).unwrap(), written);

    assert_eq!(errno(fs::read(world.at("/nothing"))), Some(2));
    assert_eq!(errno(fs::read(world.at("/etc/hosts/x"))), Some(20));
    assert_eq!(errno(fs::metadata(world.at(&"x".repeat(256)))), Some(36));
    assert_eq!(errno(fs::metadata(world.at("/a\nb"))), Some(2), "such a name is not there");
}

#[test]
fn many_names_are_listed_each_once() {
    let Some(world) = World::new() else { return };
    let mut batch = world.fs.batch();
    for n in 0..3_000 {
        batch.write(format!("/many/a rather long name, number {n}"), "x").unwrap();
    }
    batch.commit().unwrap();
    let names: Vec<_> = fs::read_dir(world.at("/many")).unwrap().map(Result::unwrap).collect();
    assert_eq!(names.len(), 3_000);
    let distinct: std::collections::BTreeSet<_> = names.iter().map(|e| e.file_name()).collect();
    assert_eq!(distinct.len(), 3_000);
}

#[test]
fn a_mount_point_is_an_empty_directory() {
    let Some(world) = World::new() else { return };
    let spawn = |dir: &std::path::Path| Mount::spawn(&world.fs, dir, &MountOptions::default());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(spawn(dir.path()), Err(MountError::NotEmpty { .. })));
    assert!(matches!(spawn(&file), Err(MountError::NotADirectory { .. })));
    let Err(MountError::Io { error, .. }) = spawn(&dir.path().join("nothing")) else {
        panic!("there is no such directory")
    };
    assert_eq!(error.raw_os_error(), Some(2));
    let again = spawn(world.dir.path()).unwrap_err();
    assert!(matches!(again, MountError::AlreadyMounted { .. }), "{again}");
    let place = world.dir.path().display();
    let words = format!("{place}: something is mounted there; `fusermount3 -u {place}` ends that");
    assert_eq!(again.to_string(), words);
    // An empty directory in a mount is one like any other.
    fs::create_dir(world.at("/inner")).unwrap();
    let inner = spawn(&world.at("/inner")).unwrap();
    assert!(world.at("/inner/inner").is_dir());
    inner.unmount().unwrap();
}

#[test]
fn the_past_is_mounted_as_it_was() {
    let hierarchy = Fs::in_memory().unwrap();
    hierarchy.write("/motd", "hello").unwrap();
    let version = hierarchy.version().unwrap();
    hierarchy.write("/motd", "good morning").unwrap();
    hierarchy.write("/new", "").unwrap();
    let mut options = MountOptions::default();
    options.at = Some(hierarchy.at(&version).unwrap());
    let Some(world) = World::mount(hierarchy, &options) else { return };
    assert_eq!(fs::read_to_string(world.at("/motd")).unwrap(), "hello");
    assert!(!world.at("/new").exists());
    assert_eq!(errno(fs::write(world.at("/motd"), "x")), Some(30), "the past is read-only");
    assert_eq!(fs::metadata(world.at("/motd")).unwrap().mode() & 0o777, 0o444);
}
