//! What others change, told to the kernel, and through it to those who watch with inotify.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread::{Builder, JoinHandle};

use fuser::{INodeNo, Notifier};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_OMIT, utimensat};

use crate::fs::{ChangeKind, PathChange, Watch, WatchEvent};
use crate::fuse::split;
use crate::fuse::volume::Volume;

/// How often the thread looks whether it is to end.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The thread that tells the kernel. Dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Teller {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Teller {
    pub(super) fn spawn(
        volume: Arc<Volume>,
        watch: Watch,
        notifier: Notifier,
        mount: PathBuf,
    ) -> io::Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        let telling = Telling { volume, notifier, mount };
        let thread = Builder::new().name("basefs-fuse-watch".into()).spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                match watch.next_blocking(LOOK_AGAIN) {
                    Some(WatchEvent::Change(change)) => telling.tell(&change),
                    Some(WatchEvent::Resync { .. }) => telling.tell_all(),
                    Some(_) | None => {}
                }
            }
        })?;
        Ok(Self { is_over, thread: Some(thread) })
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that tells the kernel of changes has panicked");
        }
    }
}

struct Telling {
    volume: Arc<Volume>,
    notifier: Notifier,
    mount: PathBuf,
}

/// What the kernel knows of a path that has changed.
struct Known {
    parent: Option<INodeNo>,
    ino: Option<INodeNo>,
    /// What is there has another number than before.
    is_replaced: bool,
}

impl Telling {
    /// No lock is held while the kernel is told: it may wait for an answer to a request.
    fn tell(&self, change: &PathChange) {
        let Some((dir, name)) = split(&change.path) else { return };
        let Some(known) = self.volume.heard(change, dir) else { return };
        let name = OsStr::new(name);
        let is_removed = change.kind == ChangeKind::Removed;
        if let Some(ino) = known.ino {
            ignored(self.notifier.inval_inode(ino, 0, 0));
        }
        if let Some(parent) = known.parent {
            let removed = known.ino.filter(|_| is_removed);
            match removed.map(|ino| self.notifier.delete(parent, ino, name)) {
                Some(Ok(())) => {}
                None if !known.is_replaced => {}
                _ => ignored(self.notifier.inval_entry(parent, name)),
            }
            // Its attributes, not its pages.
            ignored(self.notifier.inval_inode(parent, -1, 0));
        }
        // Who watches a path has made the kernel remember it or its directory.
        if known.parent.is_some() || known.ino.is_some() {
            self.wake(if is_removed { dir } else { &change.path });
        }
    }

    /// Wakes those who watch: the kernel tells them of changes that come through the mount, so a
    /// time is set to what it is.
    fn wake(&self, path: &str) {
        let path = self.mount.join(path.trim_start_matches('/'));
        if let Err(error) = touch(&path) {
            // It is gone again.
            tracing::debug!(%error, path = %path.display(), "not woken");
        }
    }

    /// Changes were missed: the kernel is to ask again for whatever it knows.
    fn tell_all(&self) {
        let all = self.volume.table.lock().at_and_below("/");
        for path in all {
            let ino = self.volume.table.lock().ino(&path);
            if let Some(ino) = ino {
                self.volume.renew(ino, &path);
                ignored(self.notifier.inval_inode(ino, 0, 0));
            }
            if let Some((dir, name)) = split(&path) {
                let parent = self.volume.table.lock().ino(dir);
                if let Some(parent) = parent {
                    ignored(self.notifier.inval_entry(parent, OsStr::new(name)));
                }
            }
        }
    }
}

fn touch(path: &Path) -> io::Result<()> {
    let about = path.symlink_metadata()?;
    let modified = Timespec { tv_sec: about.mtime(), tv_nsec: about.mtime_nsec() };
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: modified,
    };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// What the kernel does not know it need not forget; and what is in use it asks for again soon.
fn ignored(told: io::Result<()>) {
    if let Err(error) = told {
        tracing::debug!(%error, "the kernel did not take a change");
    }
}

impl Volume {
    /// Takes in that a path has changed; what the kernel knows of it, unless this mount did it.
    fn heard(&self, change: &PathChange, dir: &str) -> Option<Known> {
        // Whoever does something through the mount has noted it when this is had.
        let _names = self.names.write();
        let version = change.after.or(change.before)?;
        if self.own.lock().remove(&(change.path.clone(), version)) {
            return None;
        }
        let (parent, ino) = {
            let mut table = self.table.lock();
            if change.kind != ChangeKind::Modified {
                table.touch(dir);
            }
            (table.ino(dir), table.ino(&change.path))
        };
        let mut is_replaced = false;
        if let Some(ino) = ino {
            is_replaced = match change.kind {
                ChangeKind::Removed => {
                    self.gone(ino, change);
                    true
                }
                _ => self.renew(ino, &change.path),
            };
        }
        Some(Known { parent, ino, is_replaced })
    }

    /// Something was removed by a peer. Whoever reads it reads on; who may write to it can, and
    /// what is written is a version when it is closed, in conflict with the removal.
    fn gone(&self, ino: INodeNo, change: &PathChange) {
        if let Ok((file, _)) = self.file(ino) {
            let mut file = file.lock();
            if !file.is_changed && file.load(&self.source).is_err() {
                tracing::debug!(path = change.path, "what was removed cannot be read any more");
            }
        }
        let mut table = self.table.lock();
        if !table.node(ino).is_ok_and(|node| node.is_written) {
            table.part(&change.path);
        }
    }

    /// A path shows another version. Says whether it has another number now: it is a directory
    /// where a file was, or somebody reads the old version.
    fn renew(&self, ino: INodeNo, path: &str) -> bool {
        let Ok(shown) = self.shown(path) else { return false };
        let mut table = self.table.lock();
        if !table.node(ino).is_ok_and(|node| node.kind == shown.kind) {
            table.part(path);
            return true;
        }
        drop(table);
        if let Err(error) = self.part(path, &shown) {
            tracing::debug!(?error, path, "an old version cannot be read any more");
        }
        self.table.lock().ino(path) != Some(ino)
    }
}
