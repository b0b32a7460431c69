//! Directory trees as contenders find them, and other programs to run.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use basefs::Fs;

/// Runs a program that must succeed, without its chatter.
pub(crate) fn run(command: &mut Command) {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}");
}

/// Everything below a directory that can be read, parents first, by relative path.
pub(crate) fn tree(top: &Path) -> Vec<(String, fs::FileType, PathBuf)> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), top.to_path_buf())];
    while let Some((prefix, dir)) = open.pop() {
        for child in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let Ok(name) = child.file_name().into_string() else { continue };
            let (path, kind) = (format!("{prefix}/{name}"), child.file_type().unwrap());
            if kind.is_dir() {
                open.push((path.clone(), child.path()));
            }
            found.push((path, kind, child.path()));
        }
    }
    found
}

/// Copies what can be read, so that all contenders find the same, and in the page cache.
pub(crate) fn copy(from: &Path, to: &Path) -> usize {
    fs::create_dir(to).unwrap();
    let mut copied = 0;
    for (path, kind, file) in tree(from) {
        let target = to.join(&path[1..]);
        copied += 1;
        if kind.is_dir() {
            fs::create_dir(target).unwrap();
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(file).unwrap(), target).unwrap();
        } else if !kind.is_file() || fs::copy(file, target).is_err() {
            copied -= 1;
        }
    }
    copied
}

/// Brings a directory tree into a hierarchy, durable at the end.
pub(crate) fn import_tree(hierarchy: &Fs, source: &Path) {
    let mut batch = hierarchy.batch();
    for (path, kind, file) in tree(source) {
        if kind.is_dir() {
            batch.create_dir_all(path);
        } else if kind.is_symlink() {
            let target = fs::read_link(&file).unwrap();
            batch.symlink(target.to_str().unwrap(), path);
        } else {
            let executable = fs::metadata(&file).unwrap().permissions().mode() & 0o100 != 0;
            batch.write_executable(path, fs::read(&file).unwrap(), executable).unwrap();
        }
    }
    batch.commit().unwrap();
}
