//! Whom a replica lets read: the secret in its tickets, and the nodes that it talks to.

use basefs::Fs;
use basefs::fs::Serving;
use basefs::net::Ticket;

use super::ids;
use crate::failure::Failure;
use crate::request::Response;

pub(super) fn rotate(fs: &Fs) -> Result<Response, Failure> {
    fs.rotate_secret()?;
    Ok(secrets(fs, 0))
}

/// Takes over the secret of a ticket, and connects to whom it names if a node runs.
pub(super) fn adopt(fs: &Fs, node: Option<&Serving>, ticket: &str) -> Result<Response, Failure> {
    let ticket: Ticket =
        ticket.parse().map_err(|error| Failure::usage(format!("that is no ticket: {error}")))?;
    fs.adopt_ticket(&ticket)?;
    if let Some(node) = node {
        node.join(&ticket)?;
    }
    Ok(secrets(fs, 0))
}

pub(super) fn drop_old(fs: &Fs) -> Result<Response, Failure> {
    let dropped = fs.drop_old_secrets()?;
    Ok(secrets(fs, dropped))
}

fn secrets(fs: &Fs, dropped: usize) -> Response {
    Response::Secrets { old: fs.old_secrets(), dropped }
}

/// Neither accepts nor dials a node any more, or lets it in again.
pub(super) fn expel(
    fs: &Fs,
    serving: Option<&Serving>,
    text: &str,
    readmit: bool,
) -> Result<Response, Failure> {
    let id = ids::node(fs, serving, text)?;
    let is_news = if readmit { fs.readmit(id)? } else { fs.expel(id)? };
    let (node, expelled) = (id.to_string(), !readmit);
    Ok(Response::Expulsion { node, expelled, before: expelled != is_news })
}

pub(super) fn expelled(fs: &Fs) -> Response {
    Response::Expelled { nodes: fs.expelled().iter().map(ToString::to_string).collect() }
}
