//! The command `basefs`, as people and scripts run it.

mod both_ways;
mod files;
mod handlers;
mod inspect;
mod mount;
mod node;
mod people;
mod port;
mod terminal;
mod transfer;
mod trouble;
mod unit;
mod world;
