//! The runner's loop as a whole: a real runner, real sandboxes and real git against a server that
//! speaks the runner protocol from memory.
//!
//! Invariant: the real engines; where one is missing its tests fail.
#![expect(clippy::unwrap_used, reason = "tests")]

#[macro_use]
#[path = "../kit/on_each.rs"]
mod on_each;

mod acp;
mod author;
mod cache;
mod captured;
mod container;
mod crash;
mod end;
mod host;
mod house;
mod image;
#[path = "../kit/image.rs"]
mod picture;
mod planted;
mod proof;
mod real;
mod registry;
mod server;
