//! The whole loop with the real program: servers and runners as processes, real sandboxes, stock
//! git, and the real agent programs.
//!
//! What is claimed is looked up in git and at the API, never in logs.

mod canary;
mod faults;
mod git;
mod house;
mod real;
mod ten;
