//! Secrets in files: created exclusively, readable by their owner alone, wiped from memory.

use alloc::format;
use alloc::string::String;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use zeroize::Zeroizing;

use crate::fs::error::OpenError;

/// Longest secret file that is read: 64 digits and a line end, with room for an editor's habits.
const MAX_FILE: u64 = 256;

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
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::Io { path: path.into(), error }),
    };
    check_mode(path, &file)?;
    let mut text = Zeroizing::new(String::with_capacity(128));
    file.take(MAX_FILE)
        .read_to_string(&mut text)
        .map_err(|error| OpenError::Io { path: path.into(), error })?;
    let mut secret = Zeroizing::new([0; 32]);
    let decoded = data_encoding::HEXLOWER_PERMISSIVE.decode_len(text.trim().len());
    let is_key = decoded == Ok(32)
        && data_encoding::HEXLOWER_PERMISSIVE
            .decode_mut(text.trim().as_bytes(), secret.as_mut())
            .is_ok();
    if !is_key {
        let what = String::from("not a key file: 64 hexadecimal digits are expected");
        return Err(OpenError::Key { path: path.into(), what });
    }
    Ok(Some(secret))
}

/// Writes a secret to a file that does not exist yet, and makes it durable.
pub(super) fn save(path: &Path, secret: &[u8; 32]) -> Result<(), OpenError> {
    let io = |error| OpenError::Io { path: path.into(), error };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(io)?;
    let text = Zeroizing::new(data_encoding::HEXLOWER.encode(secret));
    file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(io)?;
    file.sync_all().map_err(io)?;
    sync_parent(path).map_err(io)
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
    let what = format!("others may read this secret (mode {:o}); chmod 600 it", metadata.mode());
    Err(OpenError::Key { path: path.into(), what })
}

#[cfg(not(unix))]
fn check_mode(_path: &Path, _file: &File) -> Result<(), OpenError> {
    Ok(())
}

/// Puts another secret in the place of one: written beside it and renamed, so that a crash leaves
/// the old or the new.
pub(super) fn replace(path: &Path, secret: &[u8; 32]) -> Result<(), OpenError> {
    let io = |error| OpenError::Io { path: path.into(), error };
    let beside = path.with_extension("new");
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    save(&beside, secret)?;
    std::fs::rename(&beside, path).map_err(io)?;
    sync_parent(path).map_err(io)
}

/// A name is durable when its directory is.
fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
