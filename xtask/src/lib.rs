//! The workspace's own tools: `tidy` proves the walls of `docs/ARCHITECTURE.md`, `generate` writes
//! the generated files, `ci` does what CI does, `bench` puts the figures of speed together,
//! `agents` the table of real agent programs.
//!
//! Invariant: nothing here is built into the product, and `tidy` reads only (files that git knows,
//! and `cargo metadata`), so it answers the same on every machine, with and without a network.
//! Deliberately absent: what rustc, clippy and rustfmt check already.

pub mod agents;
pub mod bench;
pub mod checkout;
pub mod ci;
pub mod generate;
pub mod program;
pub mod rust;
pub mod scratch;
pub mod tidy;
