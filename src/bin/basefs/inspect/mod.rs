//! A page on the loopback device that shows a hierarchy as it lives; it can change nothing.
//!
//! Who knows its address may read everything, so that it carries a random word, and other pages in
//! the same browser are kept out by what the browser says of itself (`Host`, `Sec-Fetch-Site`) and
//! by a policy that lets the page load nothing but its own answers.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::Value;
use tiny_http::{Header, Method, Request as Asked, Response as Sent, Server};

use crate::args::Inspect;
use crate::failure::Failure;
use crate::place::Place;
use crate::request::Request;
use crate::session::Session;
use crate::tell;

/// The page; what is in it comes over the same address.
const PAGE: &str = include_str!("page.html");
/// In the page, where the word goes that lets its own script and style run.
const NONCE: &str = "@NONCE@";
/// Bytes of the word in the address: nobody guesses it.
const WORD: usize = 16;
/// Longest address that is looked at: the longest path, encoded, and what is around it.
const MAX_ADDRESS: usize = 3 * 4_096 + 256;

/// Serves the page until the process is ended.
pub(crate) fn run(inspect: &Inspect) -> Result<(), Failure> {
    // A replica that cannot be opened is said to be so here, and not in a browser.
    drop(Session::open(&inspect.name)?);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, inspect.port));
    let failed = |error| {
        Failure::failed(format!("{address} cannot be used: {error}\n  choose another port"))
    };
    let server = Server::http(address).map_err(failed)?;
    let port = server.server_addr().to_ip().map_or(inspect.port, |address| address.port());
    let site = Site { place: inspect.name.clone(), word: word()?, port };
    tell::output(format!("http://127.0.0.1:{port}/{}/\n", site.word).as_bytes())?;
    // For people; a script needs the address alone.
    let _ = writeln!(
        std::io::stderr(),
        "whoever has this address and an account on this machine can read everything; ^C ends it"
    );
    for asked in server.incoming_requests() {
        let answer = site.answer(&asked);
        // Who does not wait for the answer is not missed.
        let _ = asked.respond(answer);
    }
    Ok(())
}

/// A word that nobody can guess.
fn word() -> Result<String, Failure> {
    let mut bytes = [0; WORD];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::failed(format!("the system has no random numbers: {error}")))?;
    Ok(bytes.iter().fold(String::new(), |mut word, byte| {
        let _ = write!(word, "{byte:02x}");
        word
    }))
}

type Answer = Sent<std::io::Cursor<Vec<u8>>>;

struct Site {
    /// Opened for each request, so that other verbs need not wait where no node runs.
    place: Place,
    word: String,
    port: u16,
}

impl Site {
    fn answer(&self, asked: &Asked) -> Answer {
        if !self.is_own(asked) {
            return text(403, "this address belongs to another page");
        }
        if *asked.method() != Method::Get {
            return text(405, "here is nothing to change");
        }
        let address = asked.url();
        let rest = address.strip_prefix('/').and_then(|rest| rest.strip_prefix(self.word.as_str()));
        let Some(rest) = rest.and_then(|rest| rest.strip_prefix('/')) else {
            return text(
                404,
                "the address is not complete: it was printed when the inspector began",
            );
        };
        if address.len() > MAX_ADDRESS {
            return text(414, "no path is that long");
        }
        match rest.split_once('?').unwrap_or((rest, "")) {
            ("", _) => self.page(),
            (what, query) => self.data(what, query),
        }
    }

    /// Whether the browser means this server, and asks for this page's sake.
    fn is_own(&self, asked: &Asked) -> bool {
        let header = |name: &'static str| {
            let mut headers = asked.headers().iter();
            headers.find(|header| header.field.equiv(name)).map(|header| header.value.as_str())
        };
        let hosts = [format!("127.0.0.1:{}", self.port), format!("localhost:{}", self.port)];
        let is_here = header("Host").is_some_and(|host| hosts.iter().any(|own| own == host));
        let from = header("Sec-Fetch-Site").unwrap_or("none");
        is_here && matches!(from, "none" | "same-origin")
    }

    fn page(&self) -> Answer {
        let Ok(nonce) = word() else { return text(500, "no random numbers") };
        let policy = format!(
            "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
             connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        let page = PAGE.replace(NONCE, &nonce);
        let answer =
            Sent::from_data(page).with_header(header("Content-Type", "text/html; charset=utf-8"));
        guarded(answer).with_header(header("Content-Security-Policy", &policy))
    }

    fn data(&self, what: &str, query: &str) -> Answer {
        let Some(request) = request(what, query) else { return text(404, "nobody knows that") };
        let (status, value) =
            match Session::open(&self.place).and_then(|session| session.ask(request)) {
                Ok(message) => (200, serde_json::to_value(message.head)),
                Err(failure) => (409, Ok(Value::from(failure.message))),
            };
        let Ok(value) = value else { return text(500, "the answer has no form") };
        let answer = Sent::from_string(value.to_string()).with_status_code(status);
        guarded(answer.with_header(header("Content-Type", "application/json")))
    }
}

/// What a part of the page wants to know. Nothing here changes anything.
fn request(what: &str, query: &str) -> Option<Request> {
    let path = parameter(query, "path").unwrap_or_else(|| "/".into());
    let at = parameter(query, "at").filter(|at| !at.is_empty());
    Some(match what {
        "status" => Request::Status,
        "members" => Request::Members,
        "keys" => Request::Keys,
        "list" => Request::List { path, recursive: false, at },
        "versions" => Request::Versions { path },
        "explain" => Request::Explain { path, at },
        "conflicts" => Request::Conflicts { path },
        _ => return None,
    })
}

/// A parameter of an address, decoded.
fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(key, _)| *key == name)?;
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let digits = std::str::from_utf8(&digits).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
            }
            b'+' => bytes.push(b' '),
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

fn text(status: u16, text: &str) -> Answer {
    let answer = Sent::from_string(text).with_status_code(status);
    guarded(answer.with_header(header("Content-Type", "text/plain; charset=utf-8")))
}

/// What goes with every answer: it is nobody else's, and it is not kept.
fn guarded(answer: Answer) -> Answer {
    let headers = [
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    ];
    headers
        .into_iter()
        .fold(answer, |answer, (name, value)| answer.with_header(header(name, value)))
}

fn header(name: &str, value: &str) -> Header {
    Header::from_bytes(name, value).expect("names and values of ours are plain ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = "path=%2Fa%20b%2F%C3%A4&at=&x=1+2";
        assert_eq!(parameter(query, "path").as_deref(), Some("/a b/ä"));
        assert_eq!(parameter(query, "at").as_deref(), Some(""));
        assert_eq!(parameter(query, "x").as_deref(), Some("1 2"));
        for broken in ["path=%", "path=%2", "path=%zz", "path=%ff", "path"] {
            assert_eq!(parameter(broken, "path"), None, "{broken}");
        }
    }

    #[test]
    fn nothing_can_be_changed() {
        assert!(request("status", "").is_some());
        for verb in ["write", "remove", "grant", "revoke", "revert", "resolve", "ticket", "read"] {
            assert!(request(verb, "path=/").is_none(), "{verb}");
        }
    }
}
