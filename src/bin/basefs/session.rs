//! Where requests go: to the running node, or to the replica opened here.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use basefs::Fs;
use basefs::fs::OpenError;
use basefs::store::StoreError;

use crate::failure::{Cause, Failure};
use crate::frames;
use crate::place::Place;
use crate::request::{Message, Request, Response};
use crate::socket::{self, Stream};
use crate::verbs;

/// How long a replica that somebody else has open is waited for: another verb, or a node that
/// starts and does not answer yet.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked at meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What comes back for a request, in a frame.
pub(crate) type Answer = Result<Response, Failure>;

/// A replica that can be asked.
#[derive(Debug)]
pub(crate) enum Session {
    /// Opened here.
    Here(Fs),
    /// In a running node: the directory of its socket.
    Node(PathBuf),
}

impl Session {
    /// Finds the node of a hierarchy, or opens the replica if none runs.
    pub(crate) fn open(place: &Place) -> Result<Self, Failure> {
        let dir = place.existing()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if socket::connect(&dir)?.is_some() {
                return Ok(Session::Node(dir));
            }
            match Fs::open(&dir) {
                Ok(fs) => return Ok(Session::Here(fs)),
                Err(OpenError::Store(StoreError::Locked { .. })) if Instant::now() < deadline => {
                    std::thread::sleep(LOOK_AGAIN);
                }
                Err(error) => return Err(Failure::from(error).about(place)),
            }
        }
    }

    /// Asks for something that needs no bytes beside.
    pub(crate) fn ask(&self, request: Request) -> Result<Message<Response>, Failure> {
        self.call(Message::bare(request))
    }

    /// Asks for something.
    pub(crate) fn call(&self, request: Message<Request>) -> Result<Message<Response>, Failure> {
        match self {
            Session::Here(fs) => verbs::execute(fs, None, request),
            Session::Node(dir) => receive(&mut send(dir, &request)?),
        }
    }

    /// Asks for something that is told of bit by bit, until the receiver has enough or the node
    /// ends.
    pub(crate) fn follow(
        &self,
        request: Request,
        mut each: impl FnMut(Response) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match self {
            Session::Here(fs) => {
                // Nobody else can change what this process has open.
                verbs::execute(fs, None, Message::bare(request)).map(drop)
            }
            Session::Node(dir) => {
                let mut stream = send(dir, &Message::bare(request))?;
                loop {
                    each(receive(&mut stream)?.head)?;
                }
            }
        }
    }
}

fn send(dir: &Path, request: &Message<Request>) -> Result<Stream, Failure> {
    let gone = || Failure::unavailable("the node has just ended\n  try again");
    let mut stream = socket::connect(dir)?.ok_or_else(gone)?;
    match frames::write(&mut stream, request, frames::MAX_REQUEST) {
        // A node that turns callers away answers before it has read, and hangs up.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(broken(&error)),
        _ => Ok(stream),
    }
}

fn receive(stream: &mut Stream) -> Result<Message<Response>, Failure> {
    let answer = frames::read::<Answer>(stream, frames::MAX_ANSWER);
    let ended = || broken(&io::ErrorKind::UnexpectedEof.into());
    let Message { head, body } = answer.map_err(|error| broken(&error))?.ok_or_else(ended)?;
    Ok(Message { head: head?, body })
}

/// The node went away, or speaks otherwise.
fn broken(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::InvalidData => Failure::new(
            Cause::Conflict,
            format!(
                "the node and this command do not understand each other: {error}\n  are both \
                     of the same version? start the node again"
            ),
        ),
        _ => Failure::unavailable(format!(
            "the node ended before it answered ({error})\n  whether it was done is not known: look, \
             and try again"
        )),
    }
}
