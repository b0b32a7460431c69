//! The command `basefs`, as people and scripts run it.

mod both_ways;
mod cloud;
mod files;
mod handlers;
mod inspect;
mod mount;
mod node;
mod people;
mod port;
mod readme;
mod terminal;
mod transfer;
mod trouble;
mod unit;
mod world;
