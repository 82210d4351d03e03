//! The stories, and the kit that they are told with.

mod desk;
mod document;
mod kit;
mod local;
mod people;
mod repository;
