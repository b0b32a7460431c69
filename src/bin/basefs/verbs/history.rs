//! Versions, conflicts, and why a path shows what it shows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use basefs::Fs;
use basefs::entry::SignedEntry;
use basefs::fs::Version;
use basefs::id::PublicKey;

use super::{ids, items};
use crate::failure::Failure;
use crate::request::{ReasonItem, Response};

pub(super) fn version(fs: &Fs) -> Result<Response, Failure> {
    let version = fs.version()?;
    Ok(Response::Version { id: version.id().to_string(), text: version.to_string() })
}

/// How what a path shows came to be; of a directory, all that was ever written at or below it.
pub(super) fn log(fs: &Fs, path: &str, limit: usize) -> Result<Response, Failure> {
    let is_dir = fs.read_dir(path).is_ok();
    let mut versions = if is_dir { written_below(fs, path)? } else { fs.history(path)? };
    versions.truncate(limit);
    items_of(fs, &versions)
}

/// All that was written in a subtree, the latest first by the clocks of the authors.
fn written_below(fs: &Fs, path: &str) -> Result<Vec<Version>, Failure> {
    let keys: BTreeSet<PublicKey> = fs.keys()?.iter().map(|info| info.key).collect();
    let mut versions = Vec::new();
    for key in keys {
        let wrote = fs.audit(&key)?.wrote;
        versions.extend(wrote.into_iter().filter(|version| is_below(path, &version.path)));
    }
    versions.sort_by_key(|version| Reverse((version.time, version.id)));
    Ok(versions)
}

/// Whether a path is another or below it.
fn is_below(top: &str, path: &str) -> bool {
    let names = |path: &'_ str| -> Vec<String> {
        path.split('/').filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect()
    };
    names(path).starts_with(&names(top))
}

pub(super) fn versions(fs: &Fs, path: &str) -> Result<Response, Failure> {
    items_of(fs, &fs.versions(path)?)
}

/// The versions of a path with what each was built on, which only the entries themselves say.
pub(super) fn show(fs: &Fs, path: &str) -> Result<Response, Failure> {
    let labels = items::Labels::of(fs)?;
    let mut versions: Vec<_> = fs.versions(path)?.iter().map(|one| labels.version(one)).collect();
    versions.sort_by(|a, b| (b.time, &b.id).cmp(&(a.time, &a.id)));
    let numbers: BTreeMap<String, usize> =
        versions.iter().enumerate().map(|(number, one)| (one.id.clone(), number)).collect();
    for entry in fs.export() {
        let Ok(entry) = SignedEntry::decode(&entry?) else { continue };
        if let Some(number) = numbers.get(&entry.id().to_string()) {
            versions[*number].prev = entry.body().prev.iter().map(ToString::to_string).collect();
        }
    }
    Ok(Response::Graph { versions })
}

fn items_of(fs: &Fs, versions: &[Version]) -> Result<Response, Failure> {
    let labels = items::Labels::of(fs)?;
    let versions = versions.iter().map(|version| labels.version(version)).collect();
    Ok(Response::Versions { versions })
}

pub(super) fn diff(
    fs: &Fs,
    before: &str,
    after: Option<&str>,
    path: &str,
) -> Result<Response, Failure> {
    let before = ids::frontier(fs, before)?;
    let after = match after {
        Some(text) => ids::frontier(fs, text)?,
        None => fs.version()?,
    };
    let differences = fs.diff(&before, &after, path)?;
    Ok(Response::Differences { differences: differences.iter().map(items::difference).collect() })
}

pub(super) fn explain(fs: &Fs, path: &str, at: Option<&str>) -> Result<Response, Failure> {
    let explanation = match at {
        None => fs.explain(path)?,
        Some(text) => ids::snapshot(fs, text)?.explain(path)?,
    };
    let reason =
        |reason: basefs::fs::Reason| ReasonItem { rule: reason.rule.to_owned(), text: reason.text };
    Ok(Response::Explanation {
        path: explanation.path.clone(),
        rule: explanation.rule().to_owned(),
        reasons: explanation.reasons().into_iter().map(reason).collect(),
        lines: explanation.lines(),
    })
}

pub(super) fn revert(fs: &Fs, path: String, version: &str) -> Result<Response, Failure> {
    let version = ids::version_of(fs, &path, version)?;
    let version = fs.revert(&path, version)?.to_string();
    Ok(Response::Shows { path, version })
}

pub(super) fn conflicts(fs: &Fs, path: &str) -> Result<Response, Failure> {
    let labels = items::Labels::of(fs)?;
    let conflicts = fs.conflicts(path)?.iter().map(|found| labels.conflict(found)).collect();
    Ok(Response::Conflicts { conflicts })
}

pub(super) fn resolve(fs: &Fs, path: String, version: &str) -> Result<Response, Failure> {
    let version = ids::version_of(fs, &path, version)?;
    let version = fs.resolve(&path, version)?.to_string();
    Ok(Response::Shows { path, version })
}

/// Settles a conflict with new content.
pub(super) fn resolve_with(fs: &Fs, path: String, content: &[u8]) -> Result<Response, Failure> {
    let version = fs.resolve_with(&path, content)?.to_string();
    Ok(Response::Shows { path, version })
}

/// What was written at a path and below and is shown nowhere, and does not lose a conflict.
pub(super) fn hidden(fs: &Fs, path: &str) -> Result<Response, Failure> {
    let labels = items::Labels::of(fs)?;
    let pending = fs.pending(path)?;
    let cut = fs.cut(path)?;
    let orphans = fs.orphans()?;
    let lost = orphans.iter().filter(|orphan| is_below(path, &orphan.version.path));
    Ok(Response::Hidden {
        incomplete: pending.iter().map(|one| labels.version(&one.version)).collect(),
        cut: cut.iter().map(|one| labels.version(&one.version)).collect(),
        lost: lost.map(|one| labels.version(&one.version)).collect(),
    })
}
