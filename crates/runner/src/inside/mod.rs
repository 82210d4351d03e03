//! What our own program does inside of a sandbox, beside starting the command: hidden commands of its own.
//!
//! Invariant: nothing here has more than the agent has; a captured agent may run it as it likes.
//! Deliberately absent: secrets, and the runner's side.

pub mod acp;
mod rpc;
