//! The stories, and the kit that they are told with.

mod document;
mod kit;
mod local;
mod people;
mod repository;
