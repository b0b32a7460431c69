//! The socket at which a node answers: in the directory of its replica, for its owner alone.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// A connection to a node.
pub(crate) type Stream = UnixStream;

/// The socket in the directory of a replica.
pub(crate) const SOCKET: &str = "node.sock";
/// Its name until it is ready: it appears whole, and in place of what a crash left there.
const UNFINISHED: &str = "node.new";
/// Longest path of a socket that every system takes.
const MAX_PATH: usize = 100;

/// Connects to the node of a replica; nothing if none runs.
pub(crate) fn connect(dir: &Path) -> Result<Option<Stream>, Failure> {
    let connected = reach(dir, SOCKET).and_then(|place| UnixStream::connect(&place.path));
    match connected {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
            _ => Err(Failure::io(dir.join(SOCKET).display(), &error)),
        },
    }
}

/// Opens the socket of the node that has the replica open; whatever was there is of one that ended.
pub(crate) fn listen(dir: &Path) -> Result<UnixListener, Failure> {
    let failed = |error: io::Error| Failure::io(dir.join(SOCKET).display(), &error);
    match std::fs::remove_file(dir.join(UNFINISHED)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let place = reach(dir, UNFINISHED).map_err(failed)?;
    let listener = UnixListener::bind(&place.path).map_err(failed)?;
    let owner_only = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(dir.join(UNFINISHED), owner_only).map_err(failed)?;
    std::fs::rename(dir.join(UNFINISHED), dir.join(SOCKET)).map_err(failed)?;
    Ok(listener)
}

/// Takes the socket away.
pub(crate) fn remove(dir: &Path) {
    // It may be gone, and a stale one does no harm.
    let _ = std::fs::remove_file(dir.join(SOCKET));
}

/// A path to a socket that is short enough for the system.
struct Reach {
    path: PathBuf,
    /// Held open while the path leads through it.
    _dir: Option<std::fs::File>,
}

#[cfg(target_os = "linux")]
fn reach(dir: &Path, name: &str) -> io::Result<Reach> {
    use std::os::fd::AsRawFd;

    let path = dir.join(name);
    if path.as_os_str().len() <= MAX_PATH {
        return Ok(Reach { path, _dir: None });
    }
    let open = std::fs::File::open(dir)?;
    let path = Path::new("/proc/self/fd").join(open.as_raw_fd().to_string()).join(name);
    Ok(Reach { path, _dir: Some(open) })
}

#[cfg(not(target_os = "linux"))]
fn reach(dir: &Path, name: &str) -> io::Result<Reach> {
    let path = dir.join(name);
    if path.as_os_str().len() > MAX_PATH {
        let what = format!("the path of the socket is too long (at most {MAX_PATH} bytes)");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    Ok(Reach { path, _dir: None })
}
