//! N5: a copy of `/etc`, or of the directory given with `--dir`, appears on a second machine; then
//! one edit does. Beside it what else is installed that does this: syncthing, git, rsync.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use basefs::fs::Serving;
use basefs::{Fs, WatchEvent, WatchFrom};
use tokio::runtime::Runtime;

use crate::clock::{median, timed};
use crate::report::{Options, Reference, Report, Row, Target};
use crate::syncthing::Syncthing;
use crate::trees::{copy, import_tree, run};
use crate::{PATIENCE, serve};

const ROUNDS: usize = 5;
const EDITS: usize = 20;

/// Times of one contender: of the copy and of one edit, in seconds.
struct Times {
    name: &'static str,
    copy: f64,
    edit: f64,
}

pub(crate) fn measure(root: &Path, runtime: &Runtime, options: &Options, report: &Report) {
    let source = root.join("source");
    let things = copy(options.dir.as_deref().unwrap_or(Path::new("/etc")), &source);
    // Before and after anybody else, the file exists.
    edit(&source, 0);
    let ours = Ours::measure(root, &source, runtime);
    let contenders: [(&str, Measure); 3] =
        [("git", git), ("rsync", rsync), ("syncthing", syncthing)];
    let mut others = Vec::new();
    for (name, measure) in contenders {
        if is_installed(name) {
            others.push(measure(&root.join(name), &source));
        } else {
            report.skip("N5", &format!("there is no {name} to compare with"));
        }
    }
    rows(report, things, &ours, &others);
}

/// Measures a contender in a directory.
type Measure = fn(&Path, &Path) -> Times;

fn rows(report: &Report, things: usize, ours: &Ours, others: &[Times]) {
    let row = |what: String, value: f64, unit, peer, target| {
        report.row(&Row { id: "N5", what, value, unit, limit: None, peer, target });
    };
    for (what, value) in [("joined", ours.joined), ("imported", ours.imported)] {
        for other in others {
            let peer = Reference::new(other.name, other.copy);
            row(format!("{things} files, {what}"), value, "s", Some(peer), Target::TimesPeer(0.5));
        }
    }
    for other in others {
        let peer = Some(Reference::new(other.name, other.edit * 1e3));
        row("one edit".to_owned(), ours.edit * 1e3, "ms", peer, Target::AtMost(2.0));
    }
    if others.is_empty() {
        row("one edit".to_owned(), ours.edit * 1e3, "ms", None, Target::AtMost(2.0));
    }
}

struct Ours {
    /// An empty replica joins one that has everything: all is readable there and durable.
    joined: f64,
    /// Two are connected, a directory tree is imported at one: all is readable at the other.
    imported: f64,
    edit: f64,
}

impl Ours {
    fn measure(root: &Path, source: &Path, runtime: &Runtime) -> Self {
        let (mut joined, mut imported, mut edits) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let dir = |name: &str| root.join(format!("{name}{round}"));
            let first = Fs::open(dir("first")).unwrap();
            let serving = runtime.block_on(serve(&first));
            let second = Fs::join(dir("second"), &serving.ticket()).unwrap();
            let peer = runtime.block_on(serve(&second));
            runtime.block_on(peer.wait_synced(PATIENCE)).unwrap();
            imported.push(timed(|| {
                import_tree(&first, source);
                runtime.block_on(has_all(&second, &peer, first.entries()));
            }));
            let third = Fs::join(dir("third"), &serving.ticket()).unwrap();
            joined.push(timed(|| {
                let peer = runtime.block_on(serve(&third));
                runtime.block_on(has_all(&third, &peer, first.entries()));
                drop(peer);
            }));
            edits.extend((0..EDITS).map(|n| our_edit(&first, &second, n)));
            assert_eq!(first.walk("/").unwrap().count(), second.walk("/").unwrap().count());
            assert!(second.walk("/").unwrap().all(|entry| entry.metadata().is_here()));
            runtime.block_on(peer.shutdown()).unwrap();
            runtime.block_on(serving.shutdown()).unwrap();
        }
        let seconds = |times: &mut [Duration]| median(times).as_secs_f64();
        let (joined, imported) = (seconds(&mut joined), seconds(&mut imported));
        Self { joined, imported, edit: seconds(&mut edits) }
    }
}

async fn has_all(fs: &Fs, serving: &Serving, entries: usize) {
    while fs.entries() < entries {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    serving.wait_synced(PATIENCE).await.unwrap();
    fs.sync().unwrap();
}

fn our_edit(first: &Fs, second: &Fs, n: usize) -> Duration {
    let watch = second.watch(format!("/{EDITED}"), WatchFrom::Now).unwrap();
    std::thread::sleep(Duration::from_millis(5));
    timed(|| {
        first.write(format!("/{EDITED}"), text(n)).unwrap();
        let seen = watch.next_blocking(PATIENCE);
        assert!(matches!(seen, Some(WatchEvent::Change(_))), "{seen:?}");
    })
}

/// The file that is edited.
pub(crate) const EDITED: &str = "edited.conf";

pub(crate) fn text(n: usize) -> String {
    format!("value = {n}\n# as before\n").repeat(10)
}

pub(crate) fn edit(dir: &Path, n: usize) {
    fs::write(dir.join(EDITED), text(n)).unwrap();
}

fn is_installed(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// A repository that has it is cloned from a daemon; an edit is committed and pulled.
fn git(root: &Path, source: &Path) -> Times {
    let origin = root.join("origin");
    fs::create_dir(root).unwrap();
    copy(source, &origin);
    let git = |dir: &Path| {
        let mut command = Command::new("git");
        command.arg("-C").arg(dir);
        command.args(["-c", "user.name=bench", "-c", "user.email=bench@localhost"]);
        command
    };
    run(git(&origin).args(["init", "--quiet"]));
    run(git(&origin).args(["add", "--all", "--force"]));
    run(git(&origin).args(["commit", "--quiet", "--message", "import"]));
    let port = free_port();
    // By itself: `git daemon` would start it as a child, and leave it behind.
    let programs = Command::new("git").arg("--exec-path").output().unwrap().stdout;
    let programs = String::from_utf8(programs).unwrap();
    let mut daemon = Command::new(Path::new(programs.trim()).join("git-daemon"));
    daemon.args(["--export-all", "--listen=127.0.0.1", &format!("--port={port}")]);
    let _daemon = Running::start(daemon.arg(format!("--base-path={}", root.display())), port);
    let url = format!("git://127.0.0.1:{port}/origin");
    let clone = |n| root.join(format!("clone{n}"));
    let copies = (0..ROUNDS)
        .map(|n| timed(|| run(Command::new("git").args(["clone", "--quiet", &url]).arg(clone(n)))));
    let mut copies: Vec<Duration> = copies.collect();
    let edits = (1..=ROUNDS).map(|n| {
        timed(|| {
            edit(&origin, n);
            run(git(&origin).args(["commit", "--quiet", "--all", "--message", "edit"]));
            run(git(&clone(0)).args(["pull", "--quiet", "--ff-only"]));
        })
    });
    let mut edits: Vec<Duration> = edits.collect();
    assert_eq!(fs::read_to_string(clone(0).join(EDITED)).unwrap(), text(ROUNDS));
    times("git clone, pull", &mut copies, &mut edits)
}

/// From a daemon on loopback.
fn rsync(root: &Path, source: &Path) -> Times {
    let origin = root.join("origin");
    fs::create_dir(root).unwrap();
    copy(source, &origin);
    let origin = fs::canonicalize(origin).unwrap();
    let config = root.join("rsyncd.conf");
    // As whoever runs this: what it can read, the daemon can.
    let user = Command::new("id").arg("-u").output().unwrap().stdout;
    let user = String::from_utf8(user).unwrap();
    let settings = format!(
        "use chroot = no\nuid = {user}gid = 0\n[etc]\npath = {}\nread only = yes\n",
        origin.display()
    );
    fs::write(&config, settings).unwrap();
    let port = free_port();
    let mut daemon = Command::new("rsync");
    daemon.args(["--daemon", "--no-detach", "--address=127.0.0.1", &format!("--port={port}")]);
    let _daemon = Running::start(daemon.arg("--config").arg(&config), port);
    let from = format!("rsync://127.0.0.1:{port}/etc/");
    let to = |n| root.join(format!("copy{n}"));
    let sync = |n| run(Command::new("rsync").args(["-a", &from]).arg(to(n)));
    let mut copies: Vec<Duration> = (0..ROUNDS).map(|n| timed(|| sync(n))).collect();
    let edits = (1..=ROUNDS).map(|n| {
        timed(|| {
            edit(&origin, n);
            // Otherwise it may take the file for unchanged: same length, same second.
            run(Command::new("rsync").args(["-a", "--ignore-times", &from]).arg(to(0)));
        })
    });
    let mut edits: Vec<Duration> = edits.collect();
    assert_eq!(fs::read_to_string(to(0).join(EDITED)).unwrap(), text(ROUNDS));
    times("rsync daemon", &mut copies, &mut edits)
}

/// Two of them connected; one is told to scan, so that its own delays are not measured.
fn syncthing(root: &Path, source: &Path) -> Times {
    let (mut copies, mut edits) = (Vec::new(), Vec::new());
    for round in 0..3 {
        let mut pair = Syncthing::start(&root.join(round.to_string()));
        copy_into(source, &pair.here);
        copies.push(timed(|| pair.scan_until(is_all_there)));
        edits.extend((1..=3).map(|n| {
            std::thread::sleep(Duration::from_millis(1_500));
            edit(&pair.here, n);
            timed(|| {
                pair.scan_until(|_, there| {
                    fs::read_to_string(there.join(EDITED)).is_ok_and(|found| found == text(n))
                });
            })
        }));
    }
    times("syncthing", &mut copies, &mut edits)
}

fn copy_into(source: &Path, dir: &Path) {
    for child in fs::read_dir(source).unwrap() {
        run(Command::new("cp").arg("-r").arg(child.unwrap().path()).arg(dir));
    }
}

/// Whether both directories show the same names, but for what syncthing keeps there itself.
fn is_all_there(here: &Path, there: &Path) -> bool {
    let names = |dir: &Path| {
        let mut names: Vec<String> =
            crate::trees::tree(dir).into_iter().map(|(path, ..)| path).collect();
        names.retain(|path| !path.starts_with("/.st") && !path.contains("/.syncthing."));
        names.sort();
        names
    };
    names(here) == names(there)
}

fn times(name: &'static str, copies: &mut [Duration], edits: &mut [Duration]) -> Times {
    Times { name, copy: median(copies).as_secs_f64(), edit: median(edits).as_secs_f64() }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A program in the background, until this is dropped.
pub(crate) struct Running(Child);

impl Running {
    /// Starts it and waits until it listens.
    pub(crate) fn start(command: &mut Command, port: u16) -> Self {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let running = Self(quiet.spawn().unwrap());
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "{command:?} does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
