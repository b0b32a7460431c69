//! The command `basefs`, as people and scripts run it.

mod both_ways;
mod cloud;
mod files;
mod handlers;
mod inspect;
mod mount;
mod node;
mod readme;
mod transfer;
mod world;
