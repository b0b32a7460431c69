//! Random operations on a file, compared with a model.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;

use super::World;

/// So many operations; enough to close and open again a hundred times.
const OPERATIONS: usize = 1_000;
const MAX_LENGTH: u64 = 300_000;

/// A generator that is the same everywhere (xorshift).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[test]
fn a_file_is_what_a_thousand_operations_made_of_it() {
    let Some(world) = World::new() else { return };
    let path = world.at("/f");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut model: Vec<u8> = Vec::new();
    let open =
        || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = open().unwrap();
    for step in 0..OPERATIONS {
        let offset = random.below(MAX_LENGTH);
        let length = usize::try_from(random.below(20_000)).unwrap();
        let start = usize::try_from(offset).unwrap();
        match random.below(10) {
            0..=3 => {
                let data = vec![u8::try_from(step % 251).unwrap(); length];
                file.write_all_at(&data, offset).unwrap();
                if length > 0 {
                    let end = start + length;
                    model.resize(model.len().max(end), 0);
                    model[start..end].copy_from_slice(&data);
                }
            }
            4..=6 => {
                let mut data = vec![0; length];
                let read = file.read_at(&mut data, offset).unwrap();
                let from = start.min(model.len());
                let to = (start + length).min(model.len());
                assert_eq!(&data[..read], &model[from..to.max(from)], "step {step}");
            }
            7 => {
                file.set_len(offset).unwrap();
                model.resize(start, 0);
            }
            8 => file.sync_all().unwrap(),
            _ => file = open().unwrap(),
        }
        assert_eq!(file.metadata().unwrap().len(), model.len() as u64, "step {step}");
    }
    file.sync_all().unwrap();
    drop(file);
    assert!(fs::read(&path).unwrap() == model, "read through the mount");
    assert!(world.fs.read("/f").unwrap() == model, "read from the hierarchy");
}
