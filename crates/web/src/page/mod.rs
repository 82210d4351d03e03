//! Pages: rendered on the server, one file each; complete without scripts.
//!
//! A page asks use cases and renders; a form posts to the page's own address, is answered with a
//! redirect, and calls the same use case as the API. Deliberately absent: rules, inline scripts and
//! styles (the content policy forbids them), and anything untrusted that is not escaped text or
//! sanitised Markdown.

pub(crate) mod account;
pub(crate) mod asset;
pub(crate) mod audit;
pub(crate) mod board;
pub(crate) mod change;
pub(crate) mod change_form;
pub(crate) mod desk;
pub(crate) mod follow;
pub(crate) mod host;
pub(crate) mod issue;
pub(crate) mod issue_form;
pub(crate) mod layout;
pub(crate) mod live;
pub(crate) mod markdown;
pub(crate) mod parts;
pub(crate) mod people;
pub(crate) mod picture;
pub(crate) mod plain;
pub(crate) mod preflight;
pub(crate) mod project;
pub(crate) mod proposal;
pub(crate) mod record;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod said;
pub(crate) mod saved_view;
mod say;
pub(crate) mod secret;
pub(crate) mod server;
pub(crate) mod settings;
pub(crate) mod sign_in;
pub(crate) mod sign_in_with;
pub(crate) mod timeline;
pub(crate) mod tryout;
pub(crate) mod visit;
pub(crate) mod words;

pub(crate) use layout::Page;
pub(crate) use visit::{Posted, Visit};
