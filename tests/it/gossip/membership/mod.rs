//! Who is there: found out, kept track of, and not got wrong.

mod detection;
mod hostile;
mod joining;
mod overlay;
mod world;
