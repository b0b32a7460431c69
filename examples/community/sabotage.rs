//! Damage to one file of one replica, to see the comparison find it.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use basefs::Fs;

use crate::import::{list, place};
use crate::{Error, Replica};

/// Bytes of a file that are searched for in the store.
const PATTERN: usize = 64;

/// Stops the last replica, flips a byte of one of its files where the store keeps it, and opens it
/// again.
pub(crate) async fn damage_last(
    mut replicas: Vec<Replica>,
    source: &Path,
) -> Result<Vec<Replica>, Error> {
    let mut last = replicas.pop().ok_or("no replica")?;
    last.disconnect().await?;
    let Replica { name, dir, fs, wire, .. } = last;
    drop(fs);
    let place = flip(&dir, source)?;
    println!("sabotage: a byte of {place} was flipped in the store of {name}");
    replicas.push(Replica { name, fs: Fs::open(&dir)?, dir, node: None, wire });
    Ok(replicas)
}

/// Flips a byte of the first file that is found in the store; gives its path in the hierarchy.
fn flip(dir: &Path, source: &Path) -> Result<String, Error> {
    let mut stores: Vec<PathBuf> = vec![dir.join("store.redb")];
    stores.extend(fs::read_dir(dir.join("packs"))?.filter_map(Result::ok).map(|file| file.path()));
    for path in list(source, &mut Vec::new()) {
        let is_file = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
        let Some(content) = is_file.then(|| fs::read(&path).ok()).flatten() else { continue };
        let (Some(place), true) = (place(source, &path), content.len() > 4 * PATTERN) else {
            continue;
        };
        for store in &stores {
            let held = fs::read(store)?;
            let found = held.windows(PATTERN).position(|window| window == &content[..PATTERN]);
            let Some(at) = found else { continue };
            let file = fs::OpenOptions::new().write(true).open(store)?;
            file.write_all_at(&[held[at] ^ 1], at as u64)?;
            return Ok(place);
        }
    }
    Err("no file of the directory was found in the store".into())
}
