#![no_main]
// What the tests need besides.
#![allow(dead_code, unused_imports)]

#[path = "../../tests/law/compare.rs"]
mod compare;
#[path = "../../tests/law/generate/mod.rs"]
mod generate;
#[path = "../merge.rs"]
mod merge;
#[path = "../../tests/law/naive/mod.rs"]
mod naive;
#[path = "../../tests/law/replay.rs"]
mod replay;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| drop(merge::merge(bytes)));
