//! Files that a program maps into its memory.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::process::{Command, Stdio};

use basefs::fuse::MountOptions;

use super::World;
use crate::fs::team;

/// Maps a file and says what is in it, once for each line that it reads; opens it again for "open".
const PROGRAM: &str = "
import mmap, sys
def opened():
    file = open(sys.argv[1], 'rb')
    return mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
mapped = opened()
print(mapped[:].decode(), flush=True)
for line in sys.stdin:
    if line.strip() == 'open':
        mapped = opened()
    print(mapped[:].decode(), flush=True)
";

#[test]
fn a_mapped_file_stays_what_it_was_and_is_new_when_it_is_mapped_again() {
    let [_, member, other] = team::team();
    other.write("/team/plan", "one").unwrap();
    team::send(&other, &member);
    let Some(world) = World::mount(member, &MountOptions::default()) else { return };
    let mut program = Command::new("python3");
    program.arg("-c").arg(PROGRAM).arg(world.at("/team/plan"));
    let mut program = match program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: there is no python3, which maps files here");
            return;
        }
        program => program.unwrap(),
    };
    let mut ask = program.stdin.take().unwrap();
    let mut answers = BufReader::new(program.stdout.take().unwrap()).lines();
    assert_eq!(answers.next().unwrap().unwrap(), "one");
    other.write("/team/plan", "one and two").unwrap();
    team::send(&other, &world.fs);
    // Who opens it now reads the new version, so the kernel was told.
    assert_eq!(fs::read_to_string(world.at("/team/plan")).unwrap(), "one and two");
    ask.write_all(b"again\n").unwrap();
    assert_eq!(answers.next().unwrap().unwrap(), "one", "no half of each");
    ask.write_all(b"open\n").unwrap();
    assert_eq!(answers.next().unwrap().unwrap(), "one and two");
    drop(ask);
    assert!(program.wait().unwrap().success());
}
