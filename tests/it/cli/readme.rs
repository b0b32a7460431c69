//! The tour in the README, word by word: two people, and a shell for each of them.
//!
//! In a block marked `console`, `ana$ …` and `ben$ …` are what the two type, and the lines that follow
//! are all that their terminal prints until they type again; an empty prompt waits for something that
//! was started earlier. A block marked `console mount` is left out where nothing can be mounted. Five
//! things differ from one run to the next, and nothing else may:
//!
//! - ids (words of eight and more hexadecimal digits) and tickets: whatever stands in the place of the
//!   one on the page stands for it from then on, also in what is typed, also shortened;
//! - addresses with a port, as many as a machine has; a port that is typed is exchanged for a free one;
//! - dates and times of the clock;
//! - home directories;
//! - how long news take: a command that only looks is repeated for some seconds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::fuse::can_mount;

/// Read when the test runs: a change of the page needs no build.
const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
/// How long something may take until it is on the other machine, in a debug build on a busy one.
const PATIENCE: Duration = Duration::from_secs(20);
/// What a shell prints when a command has ended.
const ENDED: &str = "\u{4}";
/// Verbs that only look: asking again changes nothing.
const LOOKING: [&str; 8] =
    ["cat", "conflicts", "explain", "keys", "ls", "members", "tree", "versions"];

/// Something that is typed, and what is printed before the same person types again.
#[derive(Debug)]
struct Step<'a> {
    line: usize,
    who: &'a str,
    command: &'a str,
    expected: Vec<&'a str>,
    mounts: bool,
}

/// The person and the command, if the line is a prompt.
fn prompt(line: &str) -> Option<(&str, &str)> {
    let (who, command) = line.split_once('$')?;
    ["ana", "ben"].contains(&who).then(|| (who, command.trim()))
}

/// What is typed in the `console` blocks of a page, in order.
fn steps(page: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    let mut block = None;
    for (at, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), block) {
            (Some(_), Some(_)) => block = None,
            (Some(kind), None) => block = Some(kind),
            (None, Some(kind @ ("console" | "console mount"))) => match prompt(line) {
                Some((who, command)) => {
                    let mounts = kind.ends_with("mount");
                    steps.push(Step { line: at + 1, who, command, expected: vec![], mounts });
                }
                None => steps.last_mut().expect("a prompt comes first").expected.push(line),
            },
            _ => {}
        }
    }
    steps
}

/// What stands here for the ids, tickets and ports of the page.
#[derive(Clone, Debug, Default)]
struct Stand(BTreeMap<String, String>);

fn is_id(word: &str) -> bool {
    word.starts_with("basefs1")
        || word.len() >= 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A text cut where letters and digits begin and end.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let other = |c: char| c.is_alphanumeric() != first.is_alphanumeric();
        let (word, more) = rest.split_at(rest.find(other).unwrap_or(rest.len()));
        words.push(word);
        rest = more;
    }
    words
}

/// A line without what differs, and the ids that were in it.
fn masked(line: &str) -> (String, Vec<&str>) {
    let (mut masked, mut ids) = (Vec::new(), Vec::new());
    for part in line.split(' ') {
        let is_date = |form: &str| {
            part.len() == form.len()
                && part.bytes().zip(form.bytes()).all(|(byte, form)| match form {
                    b'0' => byte.is_ascii_digit(),
                    _ => byte == form,
                })
        };
        if part.trim_end_matches(',').parse::<SocketAddr>().is_ok() {
            // One or many: that is the machine's.
            if masked.last().is_none_or(|last| last != "ADDRESS") {
                masked.push("ADDRESS".to_owned());
            }
        } else if is_date("0000-00-00") || is_date("00:00") {
            masked.push("TIME".to_owned());
        } else {
            let mask = |word| if is_id(word) { (ids.push(word), "ID").1 } else { word };
            masked.push(words(part).into_iter().map(mask).collect());
        }
    }
    (masked.join(" "), ids)
}

impl Stand {
    /// What stands for an id of the page, if that is known.
    fn known(&self, id: &str) -> Option<&str> {
        let is_same = |page: &&String| page.starts_with(id);
        let page = self.0.keys().find(is_same)?;
        self.0[page].get(..id.len())
    }

    /// Whether the lines say the same; learns what the new ids are.
    fn is_equal(&mut self, page: &[&str], said: &[String]) -> bool {
        page.len() == said.len()
            && page.iter().zip(said).all(|(page, said)| {
                let ((page, ids), (said, those)) = (masked(page), masked(said));
                page == said && ids.iter().zip(&those).all(|(id, that)| self.is_for(id, that))
            })
    }

    fn is_for(&mut self, id: &str, that: &str) -> bool {
        if let Some(known) = self.known(id) {
            return known == that;
        }
        self.0.insert(id.to_owned(), that.to_owned());
        true
    }

    /// What has to be typed here.
    fn command(&mut self, typed: &str) -> String {
        let exchange = |part: &str| match part.parse::<SocketAddr>() {
            Ok(address) => self.port(address).to_string(),
            Err(_) => {
                let word = |word: &str| match is_id(word) {
                    true => self.known(word).expect("what is typed was printed").to_owned(),
                    false => word.to_owned(),
                };
                words(part).into_iter().map(word).collect()
            }
        };
        let parts: Vec<String> = typed.split(' ').map(exchange).collect();
        parts.join(" ")
    }

    /// The same address with a port that is free on this machine.
    fn port(&self, address: SocketAddr) -> SocketAddr {
        let free = UdpSocket::bind((address.ip(), 0)).and_then(|socket| socket.local_addr());
        free.expect("a free port")
    }
}

/// The terminal of a person.
struct Shell {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    home: String,
    who: &'static str,
}

impl Shell {
    fn start(who: &'static str, dir: &Path) -> Self {
        let home = dir.join(who);
        std::fs::create_dir(&home).unwrap();
        let bin = Path::new(env!("CARGO_BIN_EXE_basefs")).parent().unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("bash");
        // What is typed is no standard input of the commands.
        let read = format!(
            "exec 3<&0 2>&1 </dev/null; while IFS= read -r -u 3 line; do \
             eval \"$line\" 3<&-; echo '{ENDED}'; done"
        );
        shell.args(["-c", &read]).env("HOME", &home).env("PATH", path).current_dir(&home);
        shell.env_remove("XDG_DATA_HOME").env_remove("XDG_RUNTIME_DIR").process_group(0);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = shell.spawn().expect("bash starts");
        let (stdin, out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).all(|line| send.send(line).is_ok())
        });
        Self { child, stdin, lines, home: home.to_str().unwrap().to_owned(), who }
    }

    /// Types a command; what was printed until it ended and there were that many lines.
    fn types(&mut self, command: &str, lines: usize) -> Vec<String> {
        writeln!(self.stdin, "{command}").expect("the shell lives");
        let (mut said, mut ended) = (Vec::new(), false);
        let deadline = Instant::now() + PATIENCE;
        while !ended || said.len() < lines {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line == ENDED => ended = true,
                Ok(line) => said.push(line.replace(&self.home, &format!("/home/{}", self.who))),
                Err(RecvTimeoutError::Timeout) if ended => break,
                Err(_) => panic!("{}$ {command}: does not end; it said {said:#?}", self.who),
            }
        }
        said
    }

    fn signal(&self, signal: &str) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args([signal, "--", &group]).stderr(Stdio::null()).status();
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Whoever still has something mounted unmounts it.
        self.signal("-TERM");
        let deadline = Instant::now() + Duration::from_secs(2);
        while !matches!(self.child.try_wait(), Ok(Some(_))) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.signal("-KILL");
        let _ = self.child.wait();
    }
}

/// Goes one step; the difference, if there is one.
fn go(step: &Step<'_>, shell: &mut Shell, stand: &mut Stand) -> Result<(), String> {
    let command = stand.command(step.command);
    let mut words = step.command.split(' ');
    let looks = words.next() == Some("basefs")
        && words.next().is_some_and(|verb| LOOKING.contains(&verb))
        && !step.command.contains(['|', '&', ';', '>']);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let said = shell.types(&command, if looks { 0 } else { step.expected.len() });
        let mut learnt = stand.clone();
        if learnt.is_equal(&step.expected, &said) {
            *stand = learnt;
            return Ok(());
        }
        if !looks || Instant::now() > deadline {
            let mut told = format!("README.md:{}: {}$ {}\n", step.line, step.who, step.command);
            for line in &step.expected {
                let _ = writeln!(told, "-{line}");
            }
            for line in &said {
                let _ = writeln!(told, "+{line}");
            }
            return Err(told);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_tour_of_the_readme_prints_what_the_page_says() {
    let page = std::fs::read_to_string(README).unwrap();
    let steps = steps(&page);
    assert!(steps.len() > 20, "the tour is there");
    let dir = tempfile::tempdir().unwrap();
    let mut shells = ["ana", "ben"].map(|who| Shell::start(who, dir.path()));
    let mut stand = Stand::default();
    for step in steps.iter().filter(|step| !step.mounts || can_mount()) {
        let shell = shells.iter_mut().find(|shell| shell.who == step.who).unwrap();
        if let Err(told) = go(step, shell, &mut stand) {
            panic!("the page (-) and what was said (+) differ\n{told}");
        }
    }
    for shell in &mut shells {
        assert_eq!(shell.types("", 0), [""; 0], "{} was told nothing more", shell.who);
    }
}

#[test]
fn what_differs_between_runs_is_learnt_and_all_else_counts() {
    let mut stand = Stand::default();
    let said = |line: &str| vec![line.to_owned()];
    assert!(stand.is_equal(
        &["key  0123456789abcdef at 10.0.0.1:4711, [::1]:4711"],
        &said("key  fedcba9876543210 at 192.0.2.1:40000")
    ));
    assert_eq!(stand.command("grant 01234567 --to 0123456789abcdef"), {
        "grant fedcba98 --to fedcba9876543210"
    });
    assert!(
        stand
            .is_equal(&["01234567  2026-01-02 03:04  12"], &said("fedcba98  2027-11-12 13:14  12"))
    );
    assert!(!stand.is_equal(&["01234567"], &said("fedcba99")), "another id");
    assert!(!stand.is_equal(&["12 bytes"], &said("13 bytes")), "another size");
    assert!(!stand.is_equal(&["a  b"], &said("a b")), "another space");
    assert!(!stand.is_equal(&["a"], &[]), "nothing");
    let page = "```sh\nana$ no\n```\n```console\nana$ one\nsaid\n\nben$\n```\n```console mount\nana$ two\n```\n";
    let found = steps(page);
    assert_eq!(found.len(), 3);
    assert_eq!((found[0].command, &found[0].expected[..]), ("one", &["said", ""][..]));
    assert_eq!((found[1].command, found[1].line, found[2].mounts), ("", 8, true));
}
