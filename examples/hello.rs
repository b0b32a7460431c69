//! A hierarchy on disk in a few lines: write, read, look back.
//!
//! ```sh
//! cargo run --example hello
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

use basefs::Fs;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let fs = Fs::open(dir.path())?; // a new hierarchy with a new root key

    fs.write("/users/ana/info", "Ana, Barcelona")?; // signed, durable, visible at once
    fs.write("/users/ana/info", "Ana, Girona")?;
    println!("now: {}", String::from_utf8_lossy(&fs.read("/users/ana/info")?));

    for version in fs.versions("/users/ana/info")? {
        println!("{:?}: {version}", version.status);
    }
    println!("{}", fs.explain("/users/ana/info")?);
    Ok(())
}
