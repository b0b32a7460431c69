//! `basefs run`: a replica on the network, that answers the other verbs over its socket.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use basefs::Fs;
use basefs::fs::Serving;
use basefs::gossip::Profile as Network;
use basefs::net::QuicConfig;
use parking_lot::RwLock;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Mounted, Profile, Run};
use crate::failure::Failure;
use crate::frames;
use crate::handlers;
use crate::local;
use crate::mount;
use crate::port;
use crate::render::{Style, plain};
use crate::request::{From, Message, Request, Response};
use crate::session::{Answer, Session};
use crate::socket::{self, Stream};
use crate::tell::output;
use crate::verbs;

/// Verbs that are answered at a time, each by a thread; more are turned away.
const MAX_CALLERS: usize = 256;
/// How long a caller may keep a thread waiting for the next piece of its request.
const SLOW_CALLER: Duration = Duration::from_secs(30);
/// How long a look takes whether somebody who watches is still there.
const GLANCE: Duration = Duration::from_millis(1);
/// How long verbs under way may take when the node ends.
const FAREWELL: Duration = Duration::from_secs(5);
/// How often it is looked at whether they are done.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What the threads of a node share.
#[derive(Debug)]
struct Shared {
    fs: Fs,
    /// Nothing once it has left.
    node: RwLock<Option<Serving>>,
    runtime: Handle,
    is_ending: AtomicBool,
    callers: AtomicUsize,
}

/// Runs a node until it is told to end, or what it is to mount is unmounted.
pub(crate) fn run(run: &Run, mounted: Option<&Mounted>, style: Style) -> Result<(), Failure> {
    let dir = run.name.existing()?;
    let tickets: Result<Vec<_>, _> = run.join.iter().map(|text| local::ticket(text)).collect();
    let tickets = tickets?;
    check_private(&dir)?;
    if socket::connect(&dir)?.is_some() {
        return Err(runs_already(run, mounted.is_some(), dir));
    }
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::io("the threads of the node", &error))?;
    runtime.block_on(async {
        // Before anything else: a signal that comes while it starts is not lost.
        let ended = signals().map_err(|error| Failure::io("signals", &error))?;
        let fs = Fs::open(&dir)?;
        let node = port::serve(&fs, &dir, run.listen, config(run)).await?;
        for ticket in &tickets {
            node.join(ticket).map_err(|error| Failure::failed(error.to_string()))?;
        }
        let mount = mounted.map(|mounted| mount::start(&fs, &dir, mounted)).transpose()?;
        let handlers = handlers::start(&fs, &dir, &run.handler)?;
        let listener = socket::listen(&dir)?;
        // Whether or not anybody reads it.
        let _ = announce(&node, style);
        let (is_ending, callers) = (AtomicBool::new(false), AtomicUsize::new(0));
        let node = RwLock::new(Some(node));
        let runtime = Handle::current();
        let shared = Arc::new(Shared { fs, node, runtime, is_ending, callers });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &accepting));
        tokio::select! {
            () = ended => {}
            () = mount::ended(mount.as_ref()) => {}
        }
        // Ends what they run, and waits for that.
        let unmounted = tokio::task::spawn_blocking(|| {
            drop(handlers);
            mount::end(mount)
        })
        .await
        .map_err(|error| Failure::failed(error.to_string()))?;
        end(&shared, &dir).await.and(unmounted)
    })
}

/// Says which process is the node.
fn runs_already(run: &Run, is_mount: bool, dir: PathBuf) -> Failure {
    let answer = Session::Node(dir).ask(Request::Status).map(|answer| answer.head);
    let running = match answer {
        Ok(Response::Status(status)) => status.running,
        _ => None,
    };
    let pid = running.map_or_else(String::new, |running| format!(" {}", running.pid));
    let advice = match is_mount {
        true => "what mounts is a node; end that one, then `basefs mount NAME`".to_owned(),
        false => format!("see how it is with `basefs status NAME`, or end it: kill{pid}"),
    };
    Failure::unavailable(format!(
        "the node of {} runs already, in another process{pid}\n  {advice}",
        run.name
    ))
}

/// The socket is as safe as the directory that it is in.
fn check_private(dir: &Path) -> Result<(), Failure> {
    let metadata = dir.metadata().map_err(|error| Failure::io(dir.display(), &error))?;
    let mode = metadata.permissions().mode();
    if mode & 0o022 == 0 {
        return Ok(());
    }
    let dir = dir.display();
    let mode = mode & 0o7777;
    Err(Failure::failed(format!(
        "{dir}: others may change what is in it (mode {mode:o})\n  if nobody did: chmod 700 {dir}"
    )))
}

fn config(run: &Run) -> QuicConfig {
    let mut config = QuicConfig::default();
    config.advertised.clone_from(&run.advertise);
    config.profile = match run.profile {
        Profile::Lan => Network::Lan,
        Profile::Mesh => Network::Mesh,
    };
    config
}

/// Ends with the first signal that asks to end.
fn signals() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

/// Says that the node is there, and how others join.
fn announce(node: &Serving, style: Style) -> Result<(), Failure> {
    let address = node.address();
    let addresses: Vec<String> = address.addresses.iter().map(ToString::to_string).collect();
    // No ticket: what a service prints ends in a log that others read.
    let text = if style.json {
        let value = serde_json::json!({
            "node": address.node.to_string(),
            "addresses": addresses,
        });
        format!("{value}\n")
    } else {
        format!("node {:.8} listens on {}\n", address.node, addresses.join(", "))
    };
    output(text.as_bytes())
}

/// Leaves the group and takes the socket away.
async fn end(shared: &Arc<Shared>, dir: &Path) -> Result<(), Failure> {
    shared.is_ending.store(true, Ordering::Release);
    // Whoever waits in `accept` is woken by a caller.
    let _ = socket::connect(dir);
    socket::remove(dir);
    let mut left = FAREWELL;
    // Whoever still answers a caller has it, and so has whoever waits for callers.
    while Arc::strong_count(shared) > 1 && !left.is_zero() {
        tokio::time::sleep(LOOK_AGAIN).await;
        left = left.saturating_sub(LOOK_AGAIN);
    }
    // A caller who says nothing does not keep the node from leaving.
    let node = shared.node.try_write().and_then(|mut node| node.take());
    match node {
        Some(node) => node.leave().await.map_err(|error| Failure::failed(error.to_string())),
        None => Ok(()),
    }
}

/// Gives every caller a thread.
fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.is_ending.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else {
            // No descriptors are left: some caller will end.
            std::thread::sleep(LOOK_AGAIN);
            continue;
        };
        if shared.callers.fetch_add(1, Ordering::AcqRel) >= MAX_CALLERS {
            shared.callers.fetch_sub(1, Ordering::AcqRel);
            refuse(&stream);
            continue;
        }
        let here = Arc::clone(shared);
        std::thread::spawn(move || {
            // Whoever goes away before the answer has no use for it.
            let _ = answer(&stream, &here);
            here.callers.fetch_sub(1, Ordering::AcqRel);
        });
    }
}

fn refuse(stream: &Stream) {
    let failure = Failure::unavailable("the node answers as many as it can\n  try again later");
    let _ = frames::write(&mut &*stream, &Message::bare(Answer::Err(failure)), frames::MAX_ANSWER);
}

/// Answers one caller.
fn answer(stream: &Stream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(SLOW_CALLER))?;
    let request = match frames::read::<Request>(&mut &*stream, frames::MAX_REQUEST) {
        Ok(Some(request)) => request,
        // Somebody looked whether a node runs.
        Ok(None) => return Ok(()),
        Err(error) => {
            let failure = Failure::usage(format!("the node did not understand: {error}"));
            return send(stream, &Message::bare(Err(failure)));
        }
    };
    if let Request::Watch { path, from } = request.head {
        return watch(stream, shared, &path, &from);
    }
    let node = shared.node.read();
    if let (Request::Sync { replicated, timeout }, Some(node)) = (&request.head, &*node) {
        let waited = synchronise(stream, shared, node, *replicated, *timeout)?;
        return send(stream, &Message::bare(waited));
    }
    let answered = verbs::execute(&shared.fs, node.as_ref(), request);
    // Whoever is slow to read the answer holds nobody up.
    drop(node);
    send(
        stream,
        &match answered {
            Ok(Message { head, body }) => Message { head: Ok(head), body },
            Err(failure) => Message::bare(Err(failure)),
        },
    )
}

/// Sends an answer; of one that is too long, that it is.
fn send(stream: &Stream, answer: &Message<Answer>) -> io::Result<()> {
    match frames::write(&mut &*stream, answer, frames::MAX_ANSWER) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            let failure = Failure::failed(error.to_string());
            frames::write(&mut &*stream, &Message::bare(Answer::Err(failure)), frames::MAX_ANSWER)
        }
        sent => sent,
    }
}

/// Waits until the node has what others have, or enough others have what it has; until the caller
/// goes away or the node ends.
fn synchronise(
    stream: &Stream,
    shared: &Shared,
    node: &Serving,
    replicated: Option<usize>,
    timeout: u64,
) -> io::Result<Answer> {
    stream.set_read_timeout(Some(GLANCE))?;
    let timeout = Duration::from_secs(timeout);
    let over = async {
        while !is_over(stream, shared) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    let failed = |error: &dyn std::fmt::Display| {
        Failure::unavailable(format!("{error}\n  see how the others are: basefs status NAME"))
    };
    let wait = async {
        let Some(peers) = replicated else {
            return node.wait_synced(timeout).await.map(|()| None).map_err(|error| failed(&error));
        };
        let holders = node.wait_replicated(None, peers, timeout).await;
        let holders = holders.map_err(|error| failed(&error))?;
        Ok(Some(holders.iter().map(ToString::to_string).collect()))
    };
    let waited = shared.runtime.block_on(async {
        tokio::select! {
            waited = wait => Some(waited),
            () = over => None,
        }
    });
    Ok(match waited {
        Some(Ok(holders)) => Ok(Response::Synced { entries: shared.fs.entries(), holders }),
        Some(Err(failure)) => Err(failure),
        None => Err(Failure::unavailable("the node has ended")),
    })
}

/// Whether a caller has gone, or the node ends.
fn is_over(stream: &Stream, shared: &Shared) -> bool {
    let is_gone = matches!(io::Read::read(&mut &*stream, &mut [0]), Ok(0));
    is_gone || shared.is_ending.load(Ordering::Acquire)
}

/// Tells what changes until the caller goes away or the node ends.
fn watch(stream: &Stream, shared: &Shared, path: &str, from: &From) -> io::Result<()> {
    stream.set_read_timeout(Some(GLANCE))?;
    let each = |event| {
        let sent = send(stream, &Message::bare(Ok(event)));
        sent.map_err(|error| Failure::output(&error))
    };
    match verbs::follow(&shared.fs, path, from, || is_over(stream, shared), each) {
        Ok(()) => send(stream, &Message::bare(Err(Failure::unavailable("the node has ended")))),
        Err(failure) => send(stream, &Message::bare(Err(failure))),
    }
}

/// Prints a unit for systemd.
pub(crate) fn unit(run: &Run) -> Result<(), Failure> {
    if !run.join.is_empty() {
        // A ticket opens everything, and a unit is for everybody to read.
        return Err(Failure::usage(
            "a unit has no tickets in it\n  run the node once by hand with --join: it remembers whom \
             it met",
        ));
    }
    let dir = run.name.existing()?;
    let dir = dir.canonicalize().map_err(|error| Failure::io(dir.display(), &error))?;
    let program = std::env::current_exe().map_err(|error| Failure::io("this program", &error))?;
    let mut command = format!("{} run {}", word(&program), word(&dir));
    if let Some(address) = run.listen {
        command.push_str(&format!(" --listen {address}"));
    }
    for address in &run.advertise {
        command.push_str(&format!(" --advertise {address}"));
    }
    command.push_str(&format!(" --profile {}", run.profile.word()));
    for handler in &run.handler {
        command.push_str(&format!(" --handler {}", word(Path::new(&handler.to_string()))));
    }
    let text = format!(
        "[Unit]
Description=basefs node of {name}
Wants=network-online.target
After=network-online.target

[Service]
ExecStart={command}
Restart=on-failure
RestartSec=5
UMask=0077
NoNewPrivileges=yes
LimitNOFILE=65536

[Install]
WantedBy=default.target
",
        name = plain(&run.name.to_string()).replace('%', "%%"),
    );
    output(text.as_bytes())
}

/// A path as a word of a unit: in quotes, and without the meaning that some characters have there.
fn word(path: &Path) -> String {
    let text = path.display().to_string();
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let escaped = escaped.replace('%', "%%").replace('$', "$$");
    format!("\"{escaped}\"")
}
