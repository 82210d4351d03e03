//! What is versioned: bare repositories, refs, trees, diffs, trial merges, smart HTTP transport.
//!
//! Everything is done by the `git` program, started in one module (`command`) with a
//! cleared environment and a fixed configuration, on object ids and checked names only. Refs move
//! in one function, by compare-and-swap. Deliberately absent: worktrees, hooks, remotes kept in a
//! configuration file, any rule about who may push (a [`PushPolicy`] is passed in).

mod blob;
mod command;
mod commit;
mod diff;
mod diff_facts;
mod error;
mod import;
mod merge;
mod patch;
mod path;
mod pkt_line;
mod push;
mod push_check;
mod quarantine;
mod receive;
mod refs;
mod repository;
mod touched;
mod tree;
mod upload;

pub use blob::{Blob, TreeEntry};
pub use command::{Git, Limits, Settings};
pub use commit::{CommitInfo, NewCommit, Person};
pub use diff::{Diff, DiffOptions, FileDiff, Side, Status};
pub use diff_facts::{FileFacts, TextFacts};
pub use error::{GitError, RefMoved};
pub use import::{ImportSource, Imported};
pub use merge::Merge;
pub use patch::{FilePatch, Hunk, Line, LineKind, Patch};
pub use path::{GitPath, Mode};
pub use push::{Command as PushCommand, PushRequest};
pub use receive::{Movement, PushPolicy, Received};
pub use refs::{Ref, RefUpdate};
pub use repository::{Repository, Upkeep};
pub use tree::{FileChange, FileContent};
pub use upload::{ByteStream, Protocol, Service};
