//! A hierarchy as a folder.
//!
//! ```sh
//! cargo run --features fuse --example mount -- DATA_DIR MOUNTPOINT
//! ```
//!
//! Ends, and unmounts, when it is interrupted or when somebody else unmounts it. With
//! `--at VERSION` the past is mounted, with `--confine-symlinks` no link leads out of the mount.
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use basefs::Fs;
use basefs::fuse::{Mount, MountOptions};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "mount [--at VERSION] [--confine-symlinks] [--read-only] DATA_DIR MOUNTPOINT";
/// How often the example looks whether it is still mounted.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut options = MountOptions::default();
    let (mut at, mut places) = (None, Vec::new());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--at" => at = Some(args.next().ok_or(USAGE)?),
            "--confine-symlinks" => options.confine_symlinks = true,
            "--read-only" => options.read_only = true,
            _ => places.push(PathBuf::from(arg)),
        }
    }
    let [data, dir] = places.as_slice() else { return Err(USAGE.into()) };
    let fs = Fs::open(data)?;
    options.data_dir = Some(data.clone());
    if let Some(version) = at {
        options.at = Some(fs.at(&version.parse()?)?);
    }
    // Listened to before there is something to unmount.
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mount = Mount::spawn(&fs, dir, &options)?;
    println!("{} is mounted; interrupt to unmount it", mount.dir().display());
    while mount.is_mounted() {
        tokio::select! {
            _ = interrupted.recv() => break,
            _ = terminated.recv() => break,
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
    Ok(mount.unmount()?)
}
