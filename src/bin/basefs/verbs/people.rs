//! Who may write where.

use basefs::fs::Keep as Kept;
use basefs::id::EntryId;
use basefs::{Fs, WriteError};

use super::{ids, items};
use crate::failure::Failure;
use crate::render::{plain, word};
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
    let grant = fs.grant_with(&path, key, granted, label).map_err(|error| match error {
        WriteError::NotFound { .. } => Failure::failed(format!(
            "{}\n  grants are for directories; make it first: basefs mkdir NAME {}",
            plain(&error.to_string()),
            word(&path)
        )),
        error => error.into(),
    })?;
    let grant = grant.to_string();
    Ok(Response::Granted { path, key: key.to_string(), rights, grant })
}

/// What comes after a plan: that it is carried out, and what else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Then {
    pub(super) apply: bool,
    pub(super) adopt: bool,
    pub(super) regrant: bool,
}

/// Says what a revoke would do, and does it if asked to.
pub(super) fn revoke(
    fs: &Fs,
    path: &str,
    key: &str,
    keep: Keep,
    then: Then,
) -> Result<Response, Failure> {
    let key = ids::key(fs, key)?;
    let keep = match keep {
        Keep::Seen => Kept::Seen,
        Keep::Nothing => Kept::Nothing,
    };
    let plan = fs.revoke_plan(path, key, keep)?;
    let mut item = RevokeItem {
        path: plan.path().to_owned(),
        key: key.to_string(),
        cut: plan.cut().iter().map(ToString::to_string).collect(),
        paths: plan.paths().iter().map(|effect| effect.path.clone()).collect(),
        revoke: None,
        adopted: Vec::new(),
        regranted: Vec::new(),
        text: plan.to_string(),
    };
    if then.apply {
        item.revoke = Some(plan.apply()?.to_string());
        let done = |failure: Failure| Failure {
            message: format!("{}\n  the revoke itself was made", failure.message),
            ..failure
        };
        if then.adopt {
            item.adopted = plan.adopt().map_err(|error| done(error.into()))?;
        }
        if then.regrant {
            let grants = plan.regrant().map_err(|error| done(error.into()))?;
            item.regranted = grants.iter().map(ToString::to_string).collect();
        }
    }
    Ok(Response::Revoke(item))
}

/// Lets versions count again that a revoke cut.
pub(super) fn amend(
    fs: &Fs,
    path: String,
    key: &str,
    versions: &[String],
) -> Result<Response, Failure> {
    let key = ids::key(fs, key)?;
    let keep: Vec<EntryId> = versions
        .iter()
        .map(|text| ids::entry_of(fs, &key, text))
        .collect::<Result<_, Failure>>()?;
    let revoke = fs.amend(&path, key, &keep)?.to_string();
    let versions = keep.iter().map(ToString::to_string).collect();
    Ok(Response::Amended { path, key: key.to_string(), versions, revoke })
}

/// Takes over what a revoked key wrote and does not count any more.
pub(super) fn adopt(fs: &Fs, path: &str, key: &str) -> Result<Response, Failure> {
    let key = ids::key(fs, key)?;
    let paths = fs.adopt(path, key)?;
    Ok(Response::Adopted { key: key.to_string(), paths })
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
