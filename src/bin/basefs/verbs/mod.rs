//! What each request does to a replica.

mod door;
mod files;
mod group;
mod history;
mod ids;
mod items;
mod people;

use std::time::Duration;

use basefs::fs::Serving;
use basefs::{Fs, WatchFrom};

use crate::failure::Failure;
use crate::request::{From, Message, Request, Response};

pub(crate) use group::RUN_FIRST;

/// How often a watch in which nothing happens looks whether anybody still listens.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

type Answered = Result<Message<Response>, Failure>;

/// Does what is asked.
pub(crate) fn execute(fs: &Fs, node: Option<&Serving>, request: Message<Request>) -> Answered {
    use Request as R;

    let Message { head, body } = request;
    let answer = match head {
        R::Read { path, at } => return files::read(fs, &path, at.as_deref()),
        R::List { path, recursive, at } => files::list(fs, &path, recursive, at.as_deref()),
        R::Write { path, executable, expected } => {
            files::write(fs, &path, body, executable, expected)
        }
        R::Batch { changes } => files::batch(fs, &changes, body),
        R::Remove { path, recursive } => files::remove(fs, &path, recursive),
        R::Rename { from, to, across } => files::rename(fs, &from, &to, across),
        R::Link { original, path } => done(fs.link(original, path)?),
        R::Symlink { target, path } => done(fs.symlink(target, path)?),
        R::MakeDir { path } => {
            fs.create_dir_all(path)?;
            Ok(Response::Done { version: None })
        }
        R::Version => history::version(fs),
        R::Log { path, limit } => history::log(fs, &path, limit),
        R::Versions { path } => history::versions(fs, &path),
        R::Show { path } => history::show(fs, &path),
        R::Diff { before, after, path } => history::diff(fs, &before, after.as_deref(), &path),
        R::Explain { path, at } => history::explain(fs, &path, at.as_deref()),
        R::Revert { path, version } => history::revert(fs, path, &version),
        R::Conflicts { path } => history::conflicts(fs, &path),
        R::Hidden { path } => history::hidden(fs, &path),
        R::Resolve { path, version } => history::resolve(fs, path, &version),
        R::ResolveWith { path } => history::resolve_with(fs, path, &body),
        R::Dismiss { path } => shows(fs.dismiss(&path)?, path),
        R::Ack { path } => shows(fs.ack(&path)?, path),
        R::Revive { path } => shows(fs.revive(&path)?, path),
        other => with_others(fs, node, other),
    };
    Ok(Message::bare(answer?))
}

/// The same for what others may do, and how they are.
fn with_others(fs: &Fs, node: Option<&Serving>, request: Request) -> Result<Response, Failure> {
    use Request as R;

    match request {
        R::Keys => people::keys(fs),
        R::Grant { path, key, rights, label } => people::grant(fs, path, &key, rights, &label),
        R::Revoke { path, key, keep, apply, adopt, regrant } => {
            let then = people::Then { apply, adopt, regrant };
            people::revoke(fs, &path, &key, keep, then)
        }
        R::Audit { key } => people::audit(fs, &key),
        R::Amend { path, key, versions } => people::amend(fs, path, &key, &versions),
        R::Adopt { path, key } => people::adopt(fs, &path, &key),
        R::Rotate => door::rotate(fs),
        R::AdoptTicket { ticket } => door::adopt(fs, node, &ticket),
        R::DropSecrets => door::drop_old(fs),
        R::Expel { node: other, readmit } => door::expel(fs, node, &other, readmit),
        R::Expelled => Ok(door::expelled(fs)),
        R::Ticket => Ok(group::ticket(fs, node)),
        R::Status => group::status(fs, node),
        R::Members => group::members(node),
        R::Check => group::check(fs),
        R::Watch { .. } | R::Sync { .. } => Err(Failure::unavailable(RUN_FIRST)),
        other => Err(Failure::usage(format!("{other:?} is carried out elsewhere"))),
    }
}

/// A path shows something else, or the same as a new version.
fn shows(version: basefs::id::EntryId, path: String) -> Result<Response, Failure> {
    Ok(Response::Shows { path, version: version.to_string() })
}

fn done(version: basefs::id::EntryId) -> Result<Response, Failure> {
    Ok(Response::Done { version: Some(version.to_string()) })
}

/// Tells what changes, until nobody listens.
pub(crate) fn follow(
    fs: &Fs,
    path: &str,
    from: &From,
    is_over: impl Fn() -> bool,
    mut each: impl FnMut(Response) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let from = match from {
        From::Now => WatchFrom::Now,
        From::Snapshot => WatchFrom::Snapshot,
        From::After(cursor) => WatchFrom::After(
            cursor
                .parse()
                .map_err(|error| Failure::usage(format!("{cursor} is no cursor: {error}")))?,
        ),
    };
    let watch = fs.watch(path, from)?;
    while !is_over() {
        if let Some(event) = watch.next_blocking(LOOK_AGAIN) {
            each(Response::Event(items::event(&event)))?;
        }
    }
    Ok(())
}
