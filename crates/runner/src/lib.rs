//! Where agents work: the loop that claims jobs, the harness that drives an agent program, the
//! workspace it works on, the sandbox around it, what of ours runs in it, and the broker that is its only way out.
//!
//! Invariant: the runner reaches the server over HTTP only, also on one machine; nothing of a
//! project's tree decides which walls a sandbox has. Deliberately absent: the database, and rules
//! about what may happen next.

pub mod broker;
pub mod config;
pub mod harness;
pub mod inside;
pub mod registry;
pub mod sandbox;
pub mod secret;
mod supervisor;
mod work;
pub mod workspace;

pub use supervisor::run;
pub use work::Clock;
