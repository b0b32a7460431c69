//! Secrets in files: created exclusively, readable by their owner alone, wiped from memory.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::fs::error::OpenError;
use crate::fs::{OLD_SECRETS_FILE, READ_SECRET_FILE};
use crate::wire::ReadSecret;

/// Longest secret file that is read: 64 digits and a line end, with room for an editor's habits.
const MAX_FILE: usize = 256;
/// Old read secrets that may be accepted at a time; each costs a hash for every hello, and a
/// connection for every dial to a peer that knows none.
pub const MAX_OLD_SECRETS: usize = 7;
/// Longest file of old secrets that is read: more than are ever written.
const MAX_OLD_FILE: usize = 1_024;
/// Bytes of a secret in a file: 64 digits and a line end.
const LINE: usize = 65;

const _: () = assert!((MAX_OLD_SECRETS + 1) * LINE < MAX_OLD_FILE);

/// Reads a secret of 32 bytes, or makes one and its file.
pub(super) fn load_or_create(path: &Path) -> Result<Zeroizing<[u8; 32]>, OpenError> {
    if let Some(secret) = load(path)? {
        return Ok(secret);
    }
    let secret = random()?;
    save(path, &secret)?;
    Ok(secret)
}

/// Reads a secret, or says that there is no such file.
pub(super) fn load(path: &Path) -> Result<Option<Zeroizing<[u8; 32]>>, OpenError> {
    let Some(text) = read(path, MAX_FILE)? else { return Ok(None) };
    parse(path, text.trim_ascii()).map(Some)
}

/// The text of a file of secrets, as far as it is looked at.
fn read(path: &Path, most: usize) -> Result<Option<Zeroizing<Vec<u8>>>, OpenError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::Io { path: path.into(), error }),
    };
    check_mode(path, &file)?;
    // At its full size from the start: growing would leave copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(most));
    file.take(most as u64)
        .read_to_end(&mut text)
        .map_err(|error| OpenError::Io { path: path.into(), error })?;
    Ok(Some(text))
}

fn parse(path: &Path, digits: &[u8]) -> Result<Zeroizing<[u8; 32]>, OpenError> {
    let mut secret = Zeroizing::new([0; 32]);
    let is_key = digits.len() == 64
        && data_encoding::HEXLOWER_PERMISSIVE.decode_mut(digits, secret.as_mut()).is_ok();
    if !is_key {
        let what = String::from("not a key file: 64 hexadecimal digits are expected");
        return Err(OpenError::Key { path: path.into(), what });
    }
    Ok(secret)
}

/// What to say when a file lists more old secrets than are accepted, or would.
pub(super) const TOO_MANY: &str = "more old read secrets than are accepted; drop them first";

/// The read secrets of a replica.
#[derive(Debug)]
pub(super) struct Secrets {
    /// The one it dials with, and hands on.
    pub(super) current: ReadSecret,
    /// Those before, the newest first: others are still let in with them.
    pub(super) old: Vec<ReadSecret>,
}

impl Secrets {
    /// Reads what is in a directory, or says that there is no current one.
    pub(super) fn load(dir: &Path) -> Result<Option<Self>, OpenError> {
        let Some(current) = load(&dir.join(READ_SECRET_FILE))? else { return Ok(None) };
        let current = ReadSecret::from_bytes(*current);
        let path = dir.join(OLD_SECRETS_FILE);
        let text = read(&path, MAX_OLD_FILE)?.unwrap_or_default();
        let lines = text.split(u8::is_ascii_whitespace).filter(|line| !line.is_empty());
        let mut old = Vec::new();
        for line in lines {
            let secret = ReadSecret::from_bytes(*parse(&path, line)?);
            // A crash may have come between the two files.
            if secret != current {
                old.push(secret);
            }
        }
        if old.len() > MAX_OLD_SECRETS {
            return Err(OpenError::Key { path, what: TOO_MANY.into() });
        }
        Ok(Some(Self { current, old }))
    }

    /// Makes a secret the current one, and the current one an old one.
    pub(super) fn adopt(&mut self, secret: ReadSecret) {
        if secret != self.current {
            self.old.retain(|old| *old != secret);
            self.old.insert(0, core::mem::replace(&mut self.current, secret));
        }
    }

    /// Writes all to a directory. The old ones first: a crash between leaves the one that was
    /// current, which is then among the old ones as well.
    pub(super) fn save(&self, dir: &Path) -> Result<(), (PathBuf, io::Error)> {
        let path = dir.join(OLD_SECRETS_FILE);
        if !self.old.is_empty() {
            let old: Vec<&[u8; 32]> = self.old.iter().map(ReadSecret::as_bytes).collect();
            replace(&path, &old).map_err(|error| (path, error))?;
        }
        let path = dir.join(READ_SECRET_FILE);
        replace(&path, &[self.current.as_bytes()]).map_err(|error| (path, error))
    }
}

/// Writes a secret to a file that does not exist yet, and makes it durable. The file has its name
/// only once it is whole: neither a crash nor a full disk leaves one that is no key.
pub(super) fn save(path: &Path, secret: &[u8; 32]) -> Result<(), OpenError> {
    let io = |error| OpenError::Io { path: path.into(), error };
    let beside = write_beside(path, &[secret]).map_err(io)?;
    // Unlike renaming, linking fails if the name is taken.
    let linked = std::fs::hard_link(&beside, path);
    std::fs::remove_file(&beside).map_err(io)?;
    linked.and_then(|()| sync_parent(path)).map_err(io)
}

/// Puts other secrets in the place of those in a file, each in a line: written beside it and
/// renamed, so that a crash leaves the old or the new.
fn replace(path: &Path, secrets: &[&[u8; 32]]) -> io::Result<()> {
    let beside = write_beside(path, secrets)?;
    std::fs::rename(&beside, path).and_then(|()| sync_parent(path))
}

/// Removes a file of secrets, if it is there.
#[cfg(feature = "quic")]
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| sync_parent(path)),
    }
}

/// Writes secrets to a new file with the ending `new`, in place of what a crash left there, and
/// syncs it.
fn write_beside(path: &Path, secrets: &[&[u8; 32]]) -> io::Result<PathBuf> {
    let beside = path.with_extension("new");
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    let mut text = Zeroizing::new(alloc::vec![b'\n'; LINE * secrets.len()]);
    for (line, secret) in text.chunks_mut(LINE).zip(secrets) {
        data_encoding::HEXLOWER.encode_mut(*secret, &mut line[..LINE - 1]);
    }
    let written = file.write_all(&text).and_then(|()| file.sync_all());
    if let Err(error) = written {
        let _ = std::fs::remove_file(&beside);
        return Err(error);
    }
    Ok(beside)
}

/// 32 random bytes from the operating system.
pub(super) fn random() -> Result<Zeroizing<[u8; 32]>, OpenError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut()).map_err(|_| OpenError::NoRandomness)?;
    Ok(bytes)
}

/// A secret that others can read is none.
#[cfg(unix)]
fn check_mode(path: &Path, file: &File) -> Result<(), OpenError> {
    use std::os::unix::fs::MetadataExt;
    let metadata = file.metadata().map_err(|error| OpenError::Io { path: path.into(), error })?;
    if metadata.mode() & 0o077 == 0 {
        return Ok(());
    }
    let what = format!(
        "others may read this secret (mode {:o}); if nobody did, chmod 600 it",
        metadata.mode() & 0o7777
    );
    Err(OpenError::Key { path: path.into(), what })
}

#[cfg(not(unix))]
fn check_mode(_path: &Path, _file: &File) -> Result<(), OpenError> {
    Ok(())
}

/// A name is durable when its directory is.
fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
