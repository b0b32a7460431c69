//! What people type for versions and keys: the first digits, or a label.

use std::collections::BTreeSet;

use basefs::Fs;
use basefs::fs::{Serving, Snapshot};
use basefs::id::{EntryId, NodeId, PublicKey, VersionId};
use basefs::log::Frontier;

use crate::failure::Failure;
use crate::render::{plain, word};

/// Fewest digits that are taken for an id: with fewer it would be a guess.
const MIN_DIGITS: usize = 4;

/// The version of a path, or of what it was before it was renamed, with these first digits.
pub(super) fn version_of(fs: &Fs, path: &str, text: &str) -> Result<EntryId, Failure> {
    let before = fs.history(path).unwrap_or_default();
    let versions = fs.versions(path)?;
    let ids: BTreeSet<EntryId> = versions.iter().chain(&before).map(|version| version.id).collect();
    let advice = format!("see which there are with `basefs versions NAME {}`", word(path));
    one_of(&ids, text, &format!("version of {}", plain(path)), &advice)
}

/// The key with these first digits or this label.
pub(super) fn key(fs: &Fs, text: &str) -> Result<PublicKey, Failure> {
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    let known = fs.keys()?;
    let named: BTreeSet<PublicKey> =
        known.iter().filter(|info| info.label == text).map(|info| info.key).collect();
    let advice = "see whose there are with `basefs keys NAME`, or give all 64 digits";
    // A label may look like the first digits of somebody else's key; whoever gave it may mean it to.
    let begins = |key: &PublicKey| is_enough(text) && begins_with(&key.to_string(), text);
    let meant: BTreeSet<PublicKey> =
        named.iter().copied().chain(known.iter().map(|info| info.key).filter(begins)).collect();
    let text = plain(text);
    let why = match (meant.first(), meant.len(), named.len()) {
        (Some(key), 1, _) => return Ok(*key),
        (_, 0, _) => {
            format!("no key is called {text}, or begins so with {MIN_DIGITS} digits or more")
        }
        (_, many, 0) => format!("{many} keys begin with {text}"),
        (_, many, _) => format!("{many} keys are called {text}, or begin so"),
    };
    Err(Failure::failed(format!("{why}\n  {advice}")))
}

/// The entry of a key, or of somebody it let in, with these first digits.
pub(super) fn entry_of(fs: &Fs, key: &PublicKey, text: &str) -> Result<EntryId, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let audit = fs.audit(key)?;
    let cut = audit.cut.iter().map(|cut| cut.version.id);
    let ids = audit.wrote.iter().map(|version| version.id).chain(cut).collect();
    let advice = format!("see which there are with `basefs audit NAME {key:.8}`");
    one_of(&ids, text, &format!("version by {key:.8}"), &advice)
}

/// The node with these first digits, of those known here.
pub(super) fn node(fs: &Fs, node: Option<&Serving>, text: &str) -> Result<NodeId, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let mut known: BTreeSet<NodeId> = fs.expelled().into_iter().collect();
    if let Some(node) = node {
        known.extend(node.members().iter().map(|member| member.node));
        known.extend(node.peers().iter().map(|peer| peer.node));
    }
    let advice = "see which there are with `basefs members NAME` and `basefs expelled NAME`, or \
                  give all 64 digits";
    one_of(&known, text, "node", advice)
}

/// Whether an id begins so, in digits of either case.
fn begins_with(id: &str, text: &str) -> bool {
    id.starts_with(&text.to_ascii_lowercase())
}

/// Whether these are enough digits not to be a guess.
fn is_enough(text: &str) -> bool {
    text.len() >= MIN_DIGITS
}

/// The only one whose text begins so.
fn one_of<Id: Copy + Ord + ToString>(
    ids: &BTreeSet<Id>,
    text: &str,
    what: &str,
    advice: &str,
) -> Result<Id, Failure> {
    let mut fitting = ids.iter().filter(|id| begins_with(&id.to_string(), text));
    let is_enough = is_enough(text);
    let text = plain(text);
    match (fitting.next(), fitting.next()) {
        _ if !is_enough => {
            Err(Failure::usage(format!("{text}: at least {MIN_DIGITS} digits are needed")))
        }
        (Some(id), None) => Ok(*id),
        (None, _) => Err(Failure::failed(format!("no {what} begins with {text}\n  {advice}"))),
        (Some(_), Some(_)) => {
            Err(Failure::failed(format!("more than one {what} begins with {text}\n  {advice}")))
        }
    }
}

/// A version of the hierarchy: its id, or in full.
pub(super) fn frontier(fs: &Fs, text: &str) -> Result<Frontier, Failure> {
    if let Ok(id) = text.parse::<VersionId>() {
        return Ok(fs.find_version(&id)?);
    }
    text.parse().map_err(|_| {
        Failure::usage(format!(
            "{text} is no version of the hierarchy\n  `basefs at NAME` prints the present one"
        ))
    })
}

/// The hierarchy as it was.
pub(super) fn snapshot(fs: &Fs, text: &str) -> Result<Snapshot, Failure> {
    Ok(fs.at(&frontier(fs, text)?)?)
}
