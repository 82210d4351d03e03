//! The whole loop with the real program: servers and runners as processes, real sandboxes, stock
//! git.
//!
//! What is claimed is looked up in git and at the API, never in logs.

mod faults;
mod git;
mod house;
mod ten;
