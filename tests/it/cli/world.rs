//! The real binary, with hierarchies in a directory of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// Where the hierarchies of one test are.
pub(super) struct World {
    dir: tempfile::TempDir,
}

/// What a verb printed and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let code = output.status.code().expect("it ended by itself");
        Self { code, out: text(output.stdout), err: text(output.stderr) }
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a directory") }
    }

    /// A world with a hierarchy `team`.
    pub(super) fn with_team() -> Self {
        let world = Self::new();
        world.ok(&["new", "team"]);
        world
    }

    /// A path that belongs to the test.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The directory of a hierarchy.
    pub(super) fn home(&self, name: &str) -> PathBuf {
        self.path("data").join("basefs").join(name)
    }

    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_basefs"));
        command.args(args).env("XDG_DATA_HOME", self.path("data")).env_remove("NO_COLOR");
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    pub(super) fn run(&self, args: &[&str]) -> Said {
        self.command(args).output().expect("it starts").into()
    }

    /// Runs a verb that reads this from standard input.
    pub(super) fn feed(&self, args: &[&str], input: &[u8]) -> Said {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        child.stdin.take().expect("a pipe").write_all(input).expect("it reads");
        child.wait_with_output().expect("it ends").into()
    }

    /// Runs a verb that must succeed; what it printed.
    pub(super) fn ok(&self, args: &[&str]) -> String {
        let said = self.run(args);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{args:?}: {}", said.out);
        said.out
    }

    /// Runs a verb that must fail so; what it said.
    pub(super) fn fails(&self, args: &[&str], code: i32) -> String {
        let said = self.run(args);
        assert_eq!((said.code, said.out.as_str()), (code, ""), "{args:?}: {}", said.err);
        assert!(said.err.starts_with("basefs: "), "{args:?}: {}", said.err);
        said.err
    }

    pub(super) fn put(&self, path: &str, content: &str) {
        let said = self.feed(&["put", "team", path], content.as_bytes());
        assert_eq!(said, Said { code: 0, out: String::new(), err: String::new() });
    }

    /// Starts the node of a hierarchy, and waits until it answers.
    pub(super) fn start(&self, name: &str, more: &[&str]) -> Node {
        let mut args = vec!["run", name, "--listen", "127.0.0.1:0", "--json"];
        args.extend(more);
        let node = self.launch(name, self.command(&args));
        assert!(node.said.contains("127.0.0.1:"), "{}", node.said);
        node
    }

    /// Starts the node of a hierarchy with a command, and waits until it answers.
    pub(super) fn launch(&self, name: &str, mut command: Command) -> Node {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut said = String::new();
        out.read_line(&mut said).expect("it says that it runs");
        let ticket = self.ok(&["ticket", name]).trim().to_owned();
        Node { child, _out: out, said, ticket, socket: self.home(name).join("node.sock") }
    }
}

/// A running node; it is killed when the test is through with it.
pub(super) struct Node {
    child: Child,
    /// Kept open: nobody writes to a pipe that nobody reads.
    _out: BufReader<ChildStdout>,
    /// What it said first.
    pub(super) said: String,
    pub(super) ticket: String,
    socket: PathBuf,
}

impl Node {
    /// Where it answers.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// The port that it listens on.
    pub(super) fn port(&self) -> u16 {
        let said: serde_json::Value = serde_json::from_str(&self.said).expect("JSON");
        let address = said["addresses"][0].as_str().expect("an address").to_owned();
        address.rsplit(':').next().expect("a port").parse().expect("a number")
    }

    /// What it printed on standard error, if that was a pipe, after it ended.
    pub(super) fn complaints(mut self) -> String {
        let _ = self.child.kill();
        let mut text = String::new();
        let mut err = self.child.stderr.take().expect("a pipe");
        err.read_to_string(&mut text).expect("UTF-8");
        text
    }

    /// Sends it a signal; its exit code.
    pub(super) fn stop(mut self, signal: &str) -> Option<i32> {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().expect("kill runs");
        assert!(sent.success());
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
