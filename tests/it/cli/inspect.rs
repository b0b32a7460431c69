//! The page that shows a hierarchy: what it tells, whom it tells it, and what it looks like in a
//! browser.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::world::World;

/// An inspector; it is ended when the test is through with it.
struct Inspector {
    child: Child,
    url: String,
}

impl Inspector {
    fn start(world: &World) -> Self {
        let mut command = world.command(&["inspect", "team"]);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut url = String::new();
        let out = child.stdout.take().expect("a pipe");
        BufReader::new(out).read_line(&mut url).expect("it says where");
        Self { child, url: url.trim_end().to_owned() }
    }

    fn host(&self) -> &str {
        self.url.trim_start_matches("http://").split('/').next().expect("there is a host")
    }

    /// The path of the page, its secret word included.
    fn path(&self) -> &str {
        &self.url["http://".len() + self.host().len()..]
    }

    /// Sends a request by hand; its status, headers and body.
    fn send(&self, method: &str, path: &str, headers: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.host()).expect("it listens");
        write!(stream, "{method} {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).expect("UTF-8");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        (status, head.to_owned(), body.to_owned())
    }

    fn get(&self, what: &str) -> Value {
        let host = format!("Host: {}\r\n", self.host());
        let (status, _, body) = self.send("GET", &format!("{}{what}", self.path()), &host);
        assert_eq!(status, 200, "{what}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_tells_what_the_replica_shows_while_that_changes() {
    let world = World::with_team();
    world.put("/users/ana/info", "Ana, Barcelona");
    let node = world.start("team", &[]);
    let inspector = Inspector::start(&world);
    assert_eq!(inspector.get("status")["running"]["members"], 0);
    world.put("/users/ana/info", "Ana, Girona");
    let versions = inspector.get("versions?path=%2Fusers%2Fana%2Finfo");
    let versions = versions["versions"].as_array().expect("a list");
    assert_eq!(versions.len(), 2);
    assert_eq!(versions[0]["status"], "current");
    let why = inspector.get("explain?path=/users/ana/info");
    assert_eq!(why["rule"], "FORK-5");
    let listing = inspector.get("list?path=/users");
    assert_eq!(listing["items"][0]["path"], "/users/ana");
    assert_eq!(inspector.get("conflicts")["conflicts"], serde_json::json!([]));
    assert_eq!(inspector.get("keys")["keys"][0]["rights"], "all");
    drop(node);
}

#[test]
fn it_answers_nobody_else_and_changes_nothing() {
    let world = World::with_team();
    let inspector = Inspector::start(&world);
    let own = format!("Host: {}\r\n", inspector.host());
    let status = |method, path: &str, headers: &str| inspector.send(method, path, headers).0;
    assert_eq!(status("GET", inspector.path(), &own), 200);
    assert_eq!(status("GET", inspector.path(), "Host: evil.example\r\n"), 403, "rebinding");
    assert_eq!(status("GET", inspector.path(), ""), 403);
    let cross = format!("{own}Sec-Fetch-Site: cross-site\r\n");
    assert_eq!(status("GET", inspector.path(), &cross), 403, "another page");
    assert_eq!(status("GET", "/", &own), 404);
    assert_eq!(status("GET", "/0123456789abcdef0123456789abcdef/status", &own), 404);
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(status(method, inspector.path(), &own), 405, "{method}");
    }
    for verb in ["write", "remove", "grant", "ticket", "read", "../status"] {
        assert_eq!(status("GET", &format!("{}{verb}", inspector.path()), &own), 404, "{verb}");
    }
    let long = format!("{}list?path={}", inspector.path(), "x".repeat(20_000));
    assert_eq!(status("GET", &long, &own), 414);
    let broken = format!("{}list?path=/no/such/thing", inspector.path());
    assert_eq!(status("GET", &broken, &own), 409);
    let (_, head, page) = inspector.send("GET", inspector.path(), &own);
    assert!(head.contains("Content-Security-Policy: default-src 'none'"), "{head}");
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "nothing comes from elsewhere"
    );
}

/// A browser, if this machine has one.
fn browser() -> Option<&'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    names.into_iter().find(|name| {
        let version = Command::new(name).arg("--version").stdout(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    })
}

#[test]
fn a_browser_shows_it() {
    let Some(browser) = browser() else {
        println!("skipped: no Chromium here");
        return;
    };
    let world = World::with_team();
    world.put("/users/ana/info", "Ana, Barcelona");
    world.put("/users/ana/<b>bold</b>", "no markup");
    let inspector = Inspector::start(&world);
    let shown = |path: &str| {
        let dom = Command::new(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
            .arg("--virtual-time-budget=5000")
            .arg(format!("{}#{}", inspector.url, path.replace('/', "%2F")))
            .env("HOME", world.path("home"))
            .stderr(Stdio::null())
            .output()
            .expect("it runs");
        String::from_utf8(dom.stdout).expect("UTF-8")
    };
    let page = shown("/users/ana/info");
    assert!(page.contains("<h2>/users/ana/info</h2>"), "{page}");
    assert!(page.contains("FORK-5") && page.contains("current"), "{page}");
    assert!(page.contains("&lt;b&gt;bold&lt;"), "names are text: {page}");
    assert!(shown("").contains("Nobody disagrees."));
}
