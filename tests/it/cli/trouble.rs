//! What goes wrong around a replica: a full disk, somebody else who has it open, a cursor from
//! elsewhere, a file that is too long, and readers who have had enough.

use std::fs::{File, remove_file};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::world::World;
use crate::bad_input::full_disk::{Tmpfs, fill_up};

#[test]
fn a_full_disk_is_said_to_be_full_and_takes_nothing_away() {
    let Some(disk) = Tmpfs::mount(12) else { return };
    let world = World::new();
    let name = disk.path().join("team").display().to_string();
    world.ok(&["new", &name]);
    assert_eq!(world.feed(&["put", &name, "/before"], b"is there").code, 0);
    fill_up(&disk.path().join("ballast"));
    let big = vec![7; 3_000_000];
    let said = world.feed(&["put", &name, "/big"], &big);
    assert_eq!(said.code, 6, "{said:?}");
    assert!(said.err.contains("no space is left") && said.err.contains("make room"), "{said:?}");
    std::fs::create_dir(world.path("tree")).unwrap();
    std::fs::write(world.path("tree/big"), &big).unwrap();
    let said = world.fails(&["import", &name, "tree", "/tree"], 6);
    assert!(said.contains("no space is left") && said.contains("import again"), "{said}");
    // What was there can be read while the disk is full.
    assert_eq!(world.ok(&["cat", &name, "/before"]), "is there");
    remove_file(disk.path().join("ballast")).unwrap();
    assert_eq!(world.ok(&["ls", "-R", &name]), "before\n");
    world.ok(&["import", &name, "tree", "/tree"]);
    assert_eq!(world.ok(&["ls", "-R", &name]), "before\ntree\ntree/big\n");
    assert!(world.ok(&["doctor", &name]).contains("nothing is damaged"));
}

#[test]
fn a_node_on_a_full_disk_says_so_and_goes_on_after_a_new_start() {
    let Some(disk) = Tmpfs::mount(12) else { return };
    let world = World::new();
    let name = disk.path().join("team").display().to_string();
    world.ok(&["new", &name]);
    let run = || {
        let mut command = world.command(&["run", &name, "--listen", "127.0.0.1:0", "--json"]);
        command.stderr(Stdio::null());
        world.launch(&name, command)
    };
    let node = run();
    fill_up(&disk.path().join("ballast"));
    let big = vec![7; 3_000_000];
    let said = world.feed(&["put", &name, "/big"], &big);
    assert_eq!(said.code, 6, "{said:?}");
    remove_file(disk.path().join("ballast")).unwrap();
    let said = world.feed(&["put", &name, "/big"], &big);
    assert!(said.code == 5 && said.err.contains("start the node again"), "{said:?}");
    node.stop("-TERM");
    let _node = run();
    assert_eq!(world.feed(&["put", &name, "/big"], &big).code, 0);
}

#[test]
fn who_has_the_store_open_is_named() {
    let world = World::with_team();
    // Somebody who takes his time.
    let mut command = world.command(&["run", "team", "--listen", "127.0.0.1:0", "--json"]);
    let mut holder = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
    // Without its socket, it cannot be asked.
    remove_file(world.home("team").join("node.sock")).unwrap();
    let said = world.fails(&["ls", "team"], 5);
    holder.kill().unwrap();
    holder.wait().unwrap();
    let who = format!("process {}", holder.id());
    assert!(said.contains(&who) && said.contains("run team --listen"), "{said}");
    assert!(said.contains("answers others: basefs run team"), "{said}");
}

#[test]
fn a_missing_key_is_named_with_what_to_do() {
    let world = World::with_team();
    let home = world.home("team");
    for (file, advice) in
        [("author.key", "basefs genkey"), ("node.key", "join once more under another name")]
    {
        let (there, away) = (home.join(file), world.path("away"));
        std::fs::rename(&there, &away).unwrap();
        for verb in ["ls", "ticket"] {
            let said = world.fails(&[verb, "team"], 1);
            assert!(said.contains(file) && said.contains(advice), "{said}");
            assert!(!there.exists(), "none is made in its place");
        }
        assert!(world.fails(&["new", "team"], 1).contains("exists already"));
        assert!(!there.exists(), "and it is not made anew around the rest");
        std::fs::rename(&away, &there).unwrap();
    }
    // Somebody new can read everything, and may write nothing.
    std::fs::remove_file(home.join("author.key")).unwrap();
    world.ok(&["genkey", &home.join("author.key").display().to_string()]);
    world.ok(&["ls", "team"]);
    assert_eq!(world.feed(&["put", "team", "/motd"], b"x").code, 3);
}

/// What is said may end in a log: a ticket opens everything.
#[test]
fn who_has_the_store_open_is_named_without_the_ticket_it_was_given() {
    let world = World::with_team();
    let ticket = world.run(&["ticket", "team"]).out;
    let mut args = vec!["run", "team", "--join", ticket.trim()];
    args.extend(["--listen", "127.0.0.1:0"]);
    let _holder = world.launch("team", world.command(&args));
    remove_file(world.home("team").join("node.sock")).unwrap();
    let said = world.fails(&["ls", "team"], 5);
    assert!(said.contains("run team --join basefs1…"), "{said}");
    assert!(!said.contains(&ticket[..16]), "{said}");
}

/// Without a node, a page that is open in a browser keeps nobody waiting.
#[test]
fn the_inspector_holds_nobody_up() {
    let world = World::with_team();
    let mut command = world.command(&["inspect", "team"]);
    let mut inspector =
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut url = String::new();
    BufReader::new(inspector.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let began = Instant::now();
    world.put("/motd", "hello");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    inspector.kill().unwrap();
    inspector.wait().unwrap();
}

/// The first lines of a watch, which is ended then.
fn first_lines(world: &World, args: &[&str], count: usize) -> Vec<String> {
    let mut watch = world.command(args).stdout(Stdio::piped()).spawn().expect("it starts");
    let lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let lines = lines.take(count).map(Result::unwrap).collect();
    watch.kill().unwrap();
    watch.wait().unwrap();
    lines
}

#[test]
fn a_cursor_of_another_replica_is_recognised() {
    let world = World::with_team();
    world.put("/motd", "hello");
    let node = world.start("team", &[]);
    let told = first_lines(&world, &["watch", "team", "--from", "snapshot", "--json"], 3);
    let told: serde_json::Value = serde_json::from_str(&told[2]).unwrap();
    let cursor = told["cursor"].as_str().unwrap();
    world.ok(&["join", "other", &node.ticket]);
    let _other = world.start("other", &[]);
    let deadline = Instant::now() + Duration::from_secs(30);
    while world.run(&["cat", "other", "/motd"]).out != "hello" {
        assert!(Instant::now() < deadline, "{}", world.ok(&["status", "other"]));
    }
    let told = first_lines(&world, &["watch", "other", "--from", cursor], 2);
    assert_eq!(told[0], "the cursor is of another replica: this is all that is there");
    assert!(told[1].contains("present") && told[1].contains("/motd"), "{told:?}");
    let said = world.fails(&["watch", "other", "--from", "nonsense"], 2);
    assert!(said.contains("cursor"), "{said}");
}

/// It is refused for what its length says, and not after a gigabyte was read.
#[test]
fn a_file_that_is_too_long_is_not_read() {
    let world = World::with_team();
    let long = File::create(world.path("long")).unwrap();
    long.set_len((1 << 30) + 1).unwrap();
    let began = Instant::now();
    let said = world.fails(&["put", "team", "/long", "long"], 1);
    assert!(said.contains("1073741825") && said.contains("1073741824"), "{said}");
    let said = world.fails(&["resolve", "team", "/long", "--with", "long"], 1);
    assert!(said.contains("1073741825"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

/// The most memory that a verb had at a time, in bytes.
fn peak(child: &mut Child) -> u64 {
    let id = child.id();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or_default() << 10);
        std::thread::sleep(Duration::from_millis(1));
    }
    peak
}

/// A long file is in memory at most twice, in what is asked and in what asks.
#[test]
fn long_files_are_not_copied_again_and_again() {
    let world = World::with_team();
    let length = 64 << 20;
    std::fs::write(world.path("long"), crate::store::noise(1, length)).unwrap();
    let node = world.start("team", &[]);
    let most = 2 * length as u64 + (24 << 20);
    for verb in [vec!["put", "team", "/long", "long"], vec!["cat", "team", "/long", "--json"]] {
        let mut child = world.command(&verb).stdout(Stdio::null()).spawn().unwrap();
        let peak = peak(&mut child);
        assert!(child.wait().unwrap().success());
        println!("{verb:?}: {peak} bytes at most");
        assert!(peak < most, "{verb:?}: {peak}");
    }
    let out = world.command(&["cat", "team", "/long"]).output().unwrap().stdout;
    assert!(out == std::fs::read(world.path("long")).unwrap());
    drop(node);
}

/// Runs a verb whose reader goes away after the first line; how it ended and what it complained of.
fn cut_short(world: &World, args: &[&str], after: impl FnOnce()) -> (Option<i32>, String) {
    let mut command = world.command(args);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0]).unwrap();
    drop(out);
    after();
    let said = child.wait_with_output().unwrap();
    (said.status.code(), String::from_utf8(said.stderr).unwrap())
}

/// `basefs log team | head -1` is no failure.
#[test]
fn readers_who_have_had_enough_end_every_verb_quietly() {
    let world = World::with_team();
    std::fs::create_dir(world.path("tree")).unwrap();
    let name = |number| format!("tree/{number:0>200}");
    (0..600).for_each(|number| std::fs::write(world.path(&name(number)), "x").unwrap());
    world.ok(&["import", "team", "tree", "/"]);
    let quiet = (Some(0), String::new());
    let long = [
        vec!["ls", "team"],
        vec!["ls", "-l", "team", "--json"],
        vec!["tree", "team"],
        vec!["log", "team", "-n", "1000"],
        vec!["export", "team", "/", "there", "--dry-run"],
    ];
    for verb in long {
        assert_eq!(cut_short(&world, &verb, || {}), quiet, "{verb:?}");
    }
    let _node = world.start("team", &[]);
    let change = || {
        let deadline = Instant::now() + Duration::from_secs(1);
        while Instant::now() < deadline {
            world.put("/motd", "x");
        }
    };
    assert_eq!(cut_short(&world, &["watch", "team", "--from", "snapshot"], change), quiet);
    assert_eq!(cut_short(&world, &["resources", "team", "--every", "1"], || {}), quiet);
    assert_eq!(cut_short(&world, &["status", "team", "--every", "1"], || {}), quiet);
}
