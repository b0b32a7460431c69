//! The command `basefs`: hierarchies of files for people and scripts.
//!
//! Every verb that looks at a hierarchy or changes it is a `request::Request`, which is carried out
//! in `verbs` and whose answer is printed in `render`, whether the replica is opened here or a
//! running node is asked over its socket.

#[cfg(not(target_os = "linux"))]
compile_error!("the command line mounts, which is for Linux; the library is not");

mod args;
mod failure;
mod frames;
mod handlers;
mod inspect;
mod local;
#[cfg(target_os = "linux")]
mod mount;
mod node;
mod place;
mod port;
mod render;
mod request;
mod resources;
mod session;
mod socket;
mod tell;
mod transfer;
mod verbs;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use args::{Cli, When};
use failure::{Cause, Failure};
use render::Style;
use render::width::fit;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            let text = error.render().to_string();
            let text = text.trim_end();
            report(&Failure::usage(text.strip_prefix("error: ").unwrap_or(text)));
            return ExitCode::from(Cause::Usage.code());
        }
        Err(help) => {
            // Help that nobody reads to its end is no failure.
            let _ = tell::output(explained(&help).as_bytes());
            return ExitCode::SUCCESS;
        }
    };
    match tell::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report(&failure);
            ExitCode::from(failure.cause.code())
        }
    }
}

/// Help, as wide as there is room.
fn explained(help: &clap::Error) -> String {
    let style = Style::new(false, When::Auto);
    let text = help.render();
    let text = if style.color { text.ansi().to_string() } else { text.to_string() };
    fit(&text, style.columns)
}

/// Says why it failed.
fn report(failure: &Failure) {
    if !failure.message.is_empty() {
        // Where even that cannot be said, the exit code has to do.
        let message: Vec<String> = failure.message.lines().map(render::plain).collect();
        let _ = writeln!(std::io::stderr(), "basefs: {}", message.join("\n"));
    }
}
