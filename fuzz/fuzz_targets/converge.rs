#![no_main]
// What the tests need besides.
#![allow(dead_code, unused_imports)]

#[path = "../../tests/law/compare.rs"]
mod compare;
#[path = "../converge.rs"]
mod converge;
#[path = "../../tests/law/exchange.rs"]
mod exchange;
#[path = "../../tests/law/generate/mod.rs"]
mod generate;
#[path = "../../tests/law/naive/mod.rs"]
mod naive;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| converge::converge(bytes));
