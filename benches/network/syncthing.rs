//! Two instances of syncthing on loopback: no relays, no discovery, no reports.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::PATIENCE;
use crate::etc::{Running, free_port};

const API_KEY: &str = "measured-by-a-bench";

/// See the module.
pub(crate) struct Syncthing {
    /// The directory that is shared, at one and at the other.
    pub(crate) here: PathBuf,
    pub(crate) there: PathBuf,
    nodes: [Instance; 2],
}

/// One of the two.
struct Instance {
    device: String,
    home: PathBuf,
    shared: PathBuf,
    /// Of its API.
    port: u16,
    /// Where the other connects to.
    listen: u16,
    running: Option<Running>,
}

impl Syncthing {
    /// Starts both with an empty directory each, and waits until they are connected.
    pub(crate) fn start(root: &Path) -> Self {
        let mut nodes = [Instance::new(root, "a"), Instance::new(root, "b")];
        let config: Vec<String> =
            nodes.iter().map(|node| config(node, &nodes[0], &nodes[1])).collect();
        for (node, config) in nodes.iter_mut().zip(config) {
            fs::write(node.home.join("config.xml"), config).unwrap();
            node.start();
        }
        let begun = Instant::now();
        while !nodes[0].request("GET", "/rest/system/connections").contains("\"connected\": true") {
            assert!(begun.elapsed() < PATIENCE, "the two do not connect");
            std::thread::sleep(Duration::from_millis(100));
        }
        // What starting sets off.
        std::thread::sleep(Duration::from_secs(2));
        Self { here: nodes[0].shared.clone(), there: nodes[1].shared.clone(), nodes }
    }

    /// Has the first look what is new, and waits until so much is so at the second.
    pub(crate) fn scan_until(&mut self, is_so: impl Fn(&Path, &Path) -> bool) {
        self.nodes[0].request("POST", "/rest/db/scan?folder=shared");
        let begun = Instant::now();
        while !is_so(&self.here, &self.there) {
            assert!(begun.elapsed() < PATIENCE, "what was changed does not arrive");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Instance {
    fn new(root: &Path, name: &str) -> Self {
        let (home, shared) = (root.join(format!("{name}-home")), root.join(name));
        fs::create_dir_all(&home).unwrap();
        fs::create_dir_all(shared.join(".stfolder")).unwrap();
        let mut command = Command::new("syncthing");
        command.args(["generate", "--no-default-folder", "--home"]).arg(&home);
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        let device = text.split("Device ID: ").nth(1).expect("an id");
        let device = device.split_whitespace().next().unwrap().to_owned();
        Self { device, home, shared, port: free_port(), listen: free_port(), running: None }
    }

    fn start(&mut self) {
        let mut command = Command::new("syncthing");
        command.args(["serve", "--no-browser", "--no-restart", "--no-upgrade", "--home"]);
        self.running = Some(Running::start(command.arg(&self.home), self.port));
    }

    /// A request to its API; gives the answer.
    fn request(&self, method: &str, path: &str) -> String {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            socket,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {API_KEY}\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if self.running.is_some() {
            // It has a process of its own besides the one that was started.
            self.request("POST", "/rest/system/shutdown");
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}

fn config(own: &Instance, a: &Instance, b: &Instance) -> String {
    let device = |node: &Instance| {
        format!(
            "<device id=\"{}\" compression=\"metadata\"><address>tcp://127.0.0.1:{}</address></device>",
            node.device, node.listen
        )
    };
    format!(
        "<configuration version=\"36\">\
         <folder id=\"shared\" path=\"{}\" type=\"sendreceive\" rescanIntervalS=\"3600\" \
         fsWatcherEnabled=\"false\"><device id=\"{}\"></device><device id=\"{}\"></device></folder>\
         {}{}<gui enabled=\"true\" tls=\"false\"><address>127.0.0.1:{}</address>\
         <apikey>{API_KEY}</apikey></gui><options><listenAddress>tcp://127.0.0.1:{}</listenAddress>\
         <globalAnnounceEnabled>false</globalAnnounceEnabled>\
         <localAnnounceEnabled>false</localAnnounceEnabled><relaysEnabled>false</relaysEnabled>\
         <natEnabled>false</natEnabled><startBrowser>false</startBrowser>\
         <urAccepted>-1</urAccepted><crashReportingEnabled>false</crashReportingEnabled>\
         <reconnectionIntervalS>1</reconnectionIntervalS><setLowPriority>false</setLowPriority>\
         </options></configuration>",
        own.shared.display(),
        a.device,
        b.device,
        device(a),
        device(b),
        own.port,
        own.listen,
    )
}
