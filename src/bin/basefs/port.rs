//! The port of a node, which stays from one run to the next: others look for it where it was.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;

use basefs::Fs;
use basefs::fs::{ServeError, Serving};
use basefs::net::{BindError, QuicConfig};

use crate::failure::Failure;

/// Where the port is remembered, in the directory of the replica: its number, in a line.
const REMEMBERED: &str = "port";
/// Its name until it is whole.
const UNFINISHED: &str = "port.new";
/// Longest file that is read: a port has at most five digits.
const MAX_FILE: usize = 16;

/// Starts the node where `listen` says, or where it was the last time.
pub(crate) async fn serve(
    fs: &Fs,
    dir: &Path,
    listen: Option<SocketAddr>,
    mut config: QuicConfig,
) -> Result<Serving, Failure> {
    let last = remembered(dir);
    let port = last.unwrap_or_default();
    config.listen = listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
    choose(&mut config);
    let has_choice = listen.is_none() && last.is_some();
    let node = match fs.serve(config.clone()).await {
        Err(ServeError::Bind(BindError::Address { what })) if has_choice => {
            config.listen.set_port(0);
            choose(&mut config);
            let node = fs.serve(config.clone()).await.map_err(refused)?;
            say(&format!(
                "port {port}, where this node was before, is not to be had ({what})\n  it listens \
                 on another, where peers find it as soon as it has found one of them"
            ));
            node
        }
        served => served.map_err(refused)?,
    };
    let now = match config.listen.port() {
        0 => node.address().addresses.first().map(SocketAddr::port),
        port => Some(port),
    };
    if let Some(now) = now.filter(|now| Some(*now) != last) {
        remember(dir, now);
    }
    Ok(node)
}

/// Chooses a free port, where the addresses that are told to others do not say which one it is.
fn choose(config: &mut QuicConfig) {
    if config.listen.port() != 0 || config.advertised.is_empty() {
        return;
    }
    // What is wrong with the address, the node says when it binds it.
    let free = UdpSocket::bind(config.listen).and_then(|socket| socket.local_addr());
    config.listen.set_port(free.map_or(0, |address| address.port()));
}

#[allow(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn refused(error: ServeError) -> Failure {
    Failure::unavailable(format!("{error}\n  choose another address with --listen"))
}

/// The port of the last run; nothing if there was none, or if what is there is no port.
fn remembered(dir: &Path) -> Option<u16> {
    let text = std::fs::read(dir.join(REMEMBERED)).ok().filter(|text| text.len() <= MAX_FILE)?;
    let port = std::str::from_utf8(&text).ok()?.trim().parse().ok()?;
    (port != 0).then_some(port)
}

/// Remembers a port. A node that cannot do that runs all the same.
fn remember(dir: &Path, port: u16) {
    let beside = dir.join(UNFINISHED);
    let write = || {
        let mut file = std::fs::File::create(&beside)?;
        writeln!(file, "{port}")?;
        file.sync_all()?;
        std::fs::rename(&beside, dir.join(REMEMBERED))
    };
    if let Err(error) = write() {
        let place = dir.join(REMEMBERED);
        let place = place.display();
        say(&format!("{place}: {error}\n  the next run will be on another port than {port}"));
    }
}

/// Tells whoever started the node.
fn say(what: &str) {
    // Where that cannot be said, it runs all the same.
    let _ = writeln!(std::io::stderr(), "basefs: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_remembered_and_what_is_none_is_not() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(remembered(dir.path()), None);
        remember(dir.path(), 4_711);
        assert_eq!(remembered(dir.path()), Some(4_711));
        assert!(!dir.path().join(UNFINISHED).exists());
        for wrong in ["", "0", "65536", "x", "1\n2", "1                 "] {
            std::fs::write(dir.path().join(REMEMBERED), wrong).unwrap();
            assert_eq!(remembered(dir.path()), None, "{wrong:?}");
        }
    }
}
