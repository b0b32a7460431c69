//! `basefs mount`: the hierarchy as a folder, for as long as the node runs.

use std::path::Path;
use std::time::Duration;

use basefs::Fs;
use basefs::fuse::{Mount, MountOptions};

use crate::args::Mounted;
use crate::failure::Failure;

/// How often it is looked at whether somebody unmounted it.
const LOOK: Duration = Duration::from_millis(200);

/// Mounts what was asked for.
pub(crate) fn start(fs: &Fs, data: &Path, wanted: &Mounted) -> Result<Mount, Failure> {
    let mut options = MountOptions::default();
    options.read_only = wanted.read_only;
    options.confine_symlinks = wanted.confine_symlinks;
    options.allow_other = wanted.allow_other;
    options.data_dir = Some(data.to_owned());
    if let Some(version) = &wanted.at {
        let unknown = |error: &dyn std::fmt::Display| {
            Failure::usage(format!(
                "{version}: {error}\n  `basefs at NAME --full` prints versions that can be mounted"
            ))
        };
        let version = version.parse().map_err(|error| unknown(&error))?;
        options.at = Some(fs.at(&version).map_err(|error| unknown(&error))?);
    }
    Mount::spawn(fs, &wanted.dir, &options).map_err(|error| Failure::failed(error.to_string()))
}

/// Waits until somebody else unmounts it; forever if nothing is mounted.
pub(crate) async fn ended(mount: Option<&Mount>) {
    let Some(mount) = mount else { return std::future::pending().await };
    while mount.is_mounted() {
        tokio::time::sleep(LOOK).await;
    }
}

/// Unmounts it.
pub(crate) fn end(mount: Option<Mount>) -> Result<(), Failure> {
    let unmounted = mount.map_or(Ok(()), Mount::unmount);
    unmounted.map_err(|error| Failure::failed(error.to_string()))
}
