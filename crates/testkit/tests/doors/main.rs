//! The doors: who gets which answer where, and what an answer looks like, at the level of HTTP.

mod ask;
mod once;
mod shape;
mod stream;
mod table;
