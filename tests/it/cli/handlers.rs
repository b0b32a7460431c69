//! Commands that a node runs when something changes.

use std::time::{Duration, Instant};

use super::world::World;

#[test]
fn a_node_runs_a_command_for_what_changes_and_goes_on_after_a_restart() {
    let world = World::with_team();
    let log = world.path("log");
    let command = format!("/jobs=echo $BASEFS_EVENT_TYPE $BASEFS_EVENT_PATH >> {}", log.display());
    let logged = |line: &str| {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            if text.lines().any(|logged| logged == line) {
                return text;
            }
            assert!(Instant::now() < deadline, "no {line:?} in {text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let node = world.start("team", &["--handler", &command]);
    world.put("/jobs/first", "1");
    logged("created /jobs/first");
    // That it was handled is known when the command has ended, and written down within a second.
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(node.stop("-TERM"), Some(0));
    world.put("/jobs/second", "2");
    let _node = world.start("team", &["--handler", &command]);
    let text = logged("present /jobs/second");
    assert_eq!(text.matches("/jobs/first").count(), 1, "{text}");
    // What it is not is said before anything starts.
    let said = world.fails(&["run", "team", "--handler", "jobs"], 2);
    assert!(said.contains("PATH=COMMAND"), "{said}");
}
