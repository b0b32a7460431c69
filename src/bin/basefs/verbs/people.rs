//! Who may write where.

use basefs::Fs;
use basefs::fs::Keep as Kept;

use super::{ids, items};
use crate::failure::Failure;
use crate::request::{AuditItem, Keep, Response, RevokeItem, Rights};

pub(super) fn keys(fs: &Fs) -> Result<Response, Failure> {
    let own = fs.author();
    Ok(Response::Keys { keys: fs.keys()?.iter().map(|info| items::key(info, &own)).collect() })
}

pub(super) fn grant(
    fs: &Fs,
    path: String,
    key: &str,
    rights: Rights,
    label: &str,
) -> Result<Response, Failure> {
    let key = ids::key(fs, key)?;
    let granted = match rights {
        Rights::Write => basefs::entry::Rights::Write,
        Rights::Grant => basefs::entry::Rights::Grant,
        Rights::All => basefs::entry::Rights::All,
    };
    let grant = fs.grant_with(&path, key, granted, label)?.to_string();
    Ok(Response::Granted { path, key: key.to_string(), rights, grant })
}

/// Says what a revoke would do, and does it if asked to.
pub(super) fn revoke(
    fs: &Fs,
    path: &str,
    key: &str,
    keep: Keep,
    apply: bool,
) -> Result<Response, Failure> {
    let key = ids::key(fs, key)?;
    let keep = match keep {
        Keep::Seen => Kept::Seen,
        Keep::Nothing => Kept::Nothing,
    };
    let plan = fs.revoke_plan(path, key, keep)?;
    let revoke = if apply { Some(plan.apply()?.to_string()) } else { None };
    Ok(Response::Revoke(RevokeItem {
        path: plan.path().to_owned(),
        key: key.to_string(),
        cut: plan.cut().iter().map(ToString::to_string).collect(),
        paths: plan.paths().iter().map(|effect| effect.path.clone()).collect(),
        revoke,
        text: plan.to_string(),
    }))
}

pub(super) fn audit(fs: &Fs, key: &str) -> Result<Response, Failure> {
    let key = ids::key(fs, key)?;
    let (audit, labels) = (fs.audit(&key)?, items::Labels::of(fs)?);
    Ok(Response::Audit(AuditItem {
        key: key.to_string(),
        holds: audit.holds.iter().map(|info| items::key(info, &fs.author())).collect(),
        wrote: audit.wrote.iter().map(|version| labels.version(version)).collect(),
        cut: audit.cut.iter().map(|cut| cut.version.id.to_string()).collect(),
        equivocations: audit.equivocations.len(),
    }))
}
