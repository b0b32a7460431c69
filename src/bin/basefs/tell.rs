//! From the command line to requests.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use basefs::WriteError;
use bytes::Bytes;
use clap::CommandFactory;

use crate::args::{Adopt, Amend, Cli, Mount, Path as At, Put, Revoke, Settle, Status, Verb};
use crate::failure::Failure;
use crate::inspect;
use crate::local;
use crate::node;
use crate::place::Place;
use crate::render::{self, Listing, Style, plain};
use crate::request::{CheckItem, Expected, Keep, Message, Request, Response};
use crate::resources;
use crate::session::Session;
use crate::socket::SOCKET;
use crate::transfer;

/// Does what the command line says.
pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    let style = Style::new(cli.json, cli.color);
    match cli.verb {
        Verb::New(new) => local::found(&new, style),
        Verb::Join(join) => local::join(&join, style),
        Verb::Genkey(genkey) => local::genkey(&genkey, style),
        Verb::Completions(wanted) => {
            let mut script = Vec::new();
            let shell = wanted.shell;
            clap_complete::generate(shell, &mut Cli::command(), "basefs", &mut script);
            output(&script)
        }
        Verb::Man(man) => local::man(man.dir.as_deref()),
        Verb::Run(run) => node::run(&run, None, style).map_err(|failure| failure.about(&run.name)),
        Verb::Mount(Mount { run, mounted }) => {
            let ended = node::run(&run, Some(&mounted), style);
            ended.map_err(|failure| failure.about(&run.name))
        }
        Verb::Systemd(run) => node::unit(&run),
        Verb::Inspect(wanted) => inspect::run(&wanted),
        Verb::Import(import) => {
            transfer::import(&import, style).map_err(|failure| failure.about(&import.name))
        }
        Verb::Export(export) => {
            transfer::export(&export, style).map_err(|failure| failure.about(&export.name))
        }
        Verb::Status(Status { name, every: Some(seconds) }) => {
            resources::follow_status(&name, seconds, style)
        }
        Verb::Resources(wanted) => resources::run(&wanted, style),
        Verb::Put(put) => write(&put, style),
        Verb::Resolve(Settle { at, with: Some(file), .. }) => {
            let head = Request::ResolveWith { path: at.path.clone() };
            send(&at, head, &file, style)
        }
        other => ask(other, style),
    }
}

/// Prints bytes.
pub(crate) fn output(bytes: &[u8]) -> Result<(), Failure> {
    let mut to = std::io::stdout().lock();
    to.write_all(bytes).and_then(|()| to.flush()).map_err(|error| Failure::output(&error))
}

/// Prints an answer.
pub(crate) fn show(answer: &Message<Response>, style: Style) -> Result<(), Failure> {
    render::print(&mut std::io::stdout().lock(), style, answer)
}

fn write(put: &Put, style: Style) -> Result<(), Failure> {
    let expected = match &put.over {
        Some(version) => Some(Expected::Version(version.clone())),
        None => put.new.then_some(Expected::Absent),
    };
    let executable = put.executable.then_some(true);
    let head = Request::Write { path: put.at.path.clone(), executable, expected };
    send(&put.at, head, &put.file, style)
}

/// Sends a request with the content of a file, and prints the answer.
fn send(at: &At, head: Request, file: &Path, style: Style) -> Result<(), Failure> {
    // It is there before the replica is opened, which may keep others waiting.
    let body = content(file)?;
    let session = Session::open(&at.name)?;
    let answer = session.call(Message { head, body });
    show(&answer.map_err(|failure| failure.about(&at.name))?, style)
}

/// What is in a file, or comes from standard input. What is too long is refused before it is read.
fn content(file: &Path) -> Result<Bytes, Failure> {
    let limit = basefs::limits::MAX_FILE;
    let check = |size: u64| match size {
        size if size > limit => Err(Failure::from(WriteError::TooLarge { size, limit })),
        _ => Ok(()),
    };
    let failed = |error| Failure::io(plain(&file.display().to_string()), &error);
    let mut content = Vec::new();
    if file == Path::new("-") {
        let read = std::io::stdin().lock().take(limit + 1).read_to_end(&mut content);
        read.map_err(|error| Failure::io("standard input", &error))?;
    } else {
        let open = std::fs::File::open(file).map_err(failed)?;
        let length = open.metadata().map_err(failed)?.len();
        check(length)?;
        // A file may grow meanwhile; one that says 0 may be a pipe.
        content.reserve_exact(usize::try_from(length).unwrap_or_default());
        open.take(limit + 1).read_to_end(&mut content).map_err(failed)?;
    }
    check(content.len() as u64)?;
    Ok(content.into())
}

/// Sends one request and prints the answer.
fn ask(verb: Verb, style: Style) -> Result<(), Failure> {
    let (place, request, style) = request(verb, style)?;
    let session = Session::open(&place)?;
    let about = |failure: Failure| failure.about(&place);
    match request {
        Request::Watch { .. } => {
            session.follow(request, |event| show(&Message::bare(event), style)).map_err(about)
        }
        request => {
            let mut answer = session.ask(request).map_err(about)?;
            if let Response::Check(check) = &mut answer.head {
                look_around(&session, &place.existing()?, check)?;
            }
            show(&answer, style)?;
            verdict(&answer.head)
        }
    }
}

/// What a check finds outside of the replica: in its directory.
fn look_around(session: &Session, dir: &Path, check: &mut CheckItem) -> Result<(), Failure> {
    let metadata = dir.metadata().map_err(|error| Failure::io(dir.display(), &error))?;
    let mode = metadata.permissions().mode() & 0o7777;
    let has_socket = dir.join(SOCKET).exists();
    let dir = dir.display();
    if mode & 0o077 != 0 {
        check.notes.push(format!("others can enter {dir} (mode {mode:o}); chmod 700 {dir}"));
    }
    if matches!(session, Session::Here(_)) && has_socket {
        check.notes.push(
            "the last node did not end in order; its socket is harmless, and the next takes it away"
                .into(),
        );
    }
    Ok(())
}

/// Whether what came is a failure in itself.
fn verdict(answer: &Response) -> Result<(), Failure> {
    match answer {
        Response::Ticket { peers: 0, .. } => {
            // Where that cannot be said, the ticket is as good.
            let _ = writeln!(
                std::io::stderr(),
                "basefs: no node runs here, so this ticket names nobody to connect to\n  \
                 start the node with `basefs run`, then print it again"
            );
            Ok(())
        }
        Response::Check(check) if !check.problems.is_empty() => Err(Failure::failed(
            "damage was found\n  `basefs export` what can be read, then join again with a ticket of \
             another node",
        )),
        _ => Ok(()),
    }
}

/// What a verb asks, of which hierarchy, and how the answer is shown.
fn request(verb: Verb, style: Style) -> Result<(Place, Request, Style), Failure> {
    use Request as R;

    let plain = |place: Place, request: Request| Ok((place, request, style));
    match verb {
        Verb::Ls(ls) => {
            let request = R::List { path: ls.at.path, recursive: ls.recursive, at: ls.version };
            let listing = if ls.long { Listing::Long } else { Listing::Short };
            Ok((ls.at.name, request, Style { listing, ..style }))
        }
        Verb::Tree(tree) => {
            let request = R::List { path: tree.at.path, recursive: true, at: tree.version };
            Ok((tree.at.name, request, Style { listing: Listing::Tree, ..style }))
        }
        Verb::Cat(cat) => plain(cat.at.name, R::Read { path: cat.at.path, at: cat.version }),
        Verb::Rm(rm) => plain(rm.at.name, R::Remove { path: rm.at.path, recursive: rm.recursive }),
        Verb::Mv(mv) => plain(mv.name, R::Rename { from: mv.from, to: mv.to, across: mv.across }),
        Verb::Ln(ln) if ln.symbolic => {
            plain(ln.name, R::Symlink { target: ln.target, path: ln.path })
        }
        Verb::Ln(ln) => plain(ln.name, R::Link { original: ln.target, path: ln.path }),
        Verb::Mkdir(at) => plain(at.name, R::MakeDir { path: at.path }),
        Verb::Watch(watch) => {
            plain(watch.at.name, R::Watch { path: watch.at.path, from: watch.from })
        }
        Verb::At(at) => Ok((at.name, R::Version, Style { full: at.full, ..style })),
        other => request_of_people(other, style),
    }
}

/// The same for history, people and nodes.
fn request_of_people(verb: Verb, style: Style) -> Result<(Place, Request, Style), Failure> {
    use Request as R;

    let (place, request) = match verb {
        Verb::Log(log) => (log.at.name, R::Log { path: log.at.path, limit: log.limit }),
        Verb::Show(at) => (at.name, R::Show { path: at.path }),
        Verb::Versions(at) => (at.name, R::Versions { path: at.path }),
        Verb::Diff(diff) => {
            (diff.name, R::Diff { before: diff.before, after: diff.after, path: diff.path })
        }
        Verb::Revert(to) => (to.at.name, R::Revert { path: to.at.path, version: to.version }),
        Verb::Conflicts(at) => (at.name, R::Conflicts { path: at.path }),
        Verb::Explain(of) => (of.at.name, R::Explain { path: of.at.path, at: of.version }),
        Verb::Resolve(to) => {
            let version = to.version.unwrap_or_default();
            (to.at.name, R::Resolve { path: to.at.path, version })
        }
        Verb::Hidden(at) => (at.name, R::Hidden { path: at.path }),
        Verb::Dismiss(at) => (at.name, R::Dismiss { path: at.path }),
        Verb::Ack(at) => (at.name, R::Ack { path: at.path }),
        Verb::Revive(at) => (at.name, R::Revive { path: at.path }),
        Verb::Keys(name) => (name.name, R::Keys),
        Verb::Grant(grant) => {
            let (key, rights, label) = (grant.key, grant.rights, grant.label);
            (grant.at.name, R::Grant { path: grant.at.path, key, rights, label })
        }
        Verb::Revoke(revoke) => {
            let keep = if revoke.discard { Keep::Nothing } else { Keep::Seen };
            let Revoke { name, key, path, yes: apply, adopt, regrant, .. } = revoke;
            (name, R::Revoke { path, key, keep, apply, adopt, regrant })
        }
        Verb::Audit(audit) => (audit.name, R::Audit { key: audit.key }),
        Verb::Amend(Amend { name, key, versions, path }) => {
            (name, R::Amend { path, key, versions })
        }
        Verb::Adopt(Adopt { name, key, path }) => (name, R::Adopt { path, key }),
        other => return request_of_node(other, style),
    };
    Ok((place, request, style))
}

/// The same for whom a replica talks to.
fn request_of_node(verb: Verb, style: Style) -> Result<(Place, Request, Style), Failure> {
    use Request as R;

    let (place, request) = match verb {
        Verb::Rotate(rotate) => match rotate.ticket {
            Some(text) => {
                let ticket = local::ticket(&text)?.to_string();
                (rotate.name, R::AdoptTicket { ticket })
            }
            None if rotate.drop_old => (rotate.name, R::DropSecrets),
            None => (rotate.name, R::Rotate),
        },
        Verb::Expel(other) => (other.name, R::Expel { node: other.node, readmit: false }),
        Verb::Readmit(other) => (other.name, R::Expel { node: other.node, readmit: true }),
        Verb::Sync(sync) => {
            let (replicated, timeout) = (sync.replicated.map(usize::from), sync.timeout);
            (sync.name, R::Sync { replicated, timeout })
        }
        Verb::Expelled(name) => (name.name, R::Expelled),
        Verb::Ticket(name) => (name.name, R::Ticket),
        Verb::Status(status) => (status.name, R::Status),
        Verb::Members(name) => (name.name, R::Members),
        Verb::Doctor(name) => (name.name, R::Check),
        other => return Err(Failure::usage(format!("{other:?} asks nothing of a replica"))),
    };
    Ok((place, request, style))
}
