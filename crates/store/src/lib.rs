//! What is remembered: all SQL, for SQLite and PostgreSQL, one module per table.
//!
//! Every function takes a transaction and does one thing; `now` and ids come in as values. Times are
//! kept to the millisecond; what a column cannot hold exactly is cut off.
//! Functions are named noun_verb and are found here as well as in their module. Deliberately
//! absent: rules of the business, retries, and anything that outlives a transaction.

mod column;
mod engine;
mod error;
mod lock;
mod migration;
mod statement;

pub mod acceptance;
pub mod block;
pub mod desk_park;
pub mod event;
pub mod host_ask;
pub mod idempotency;
pub mod identity;
pub mod issue;
pub mod job;
pub mod member;
pub mod message;
pub mod notification;
pub mod outbox;
pub mod password;
pub mod project;
pub mod proposal;
pub mod pull;
pub mod pull_head;
pub mod queue;
pub mod review;
pub mod review_draft;
pub mod run;
pub mod runner;
pub mod secret;
pub mod sign_in;
pub mod size;
pub mod speech;
pub mod split;
pub mod standing;
pub mod steer;
pub mod token;
pub mod tryout;
pub mod user;
pub mod verdict;
pub mod view;
pub mod viewed_file;

pub use acceptance::*;
pub use block::*;
pub use desk_park::*;
pub use engine::{Db, Engine, Location, Tx};
pub use error::Error;
pub use event::*;
pub use host_ask::*;
pub use idempotency::*;
pub use identity::*;
pub use issue::*;
pub use job::*;
pub use member::*;
pub use message::*;
pub use notification::*;
pub use outbox::*;
pub use password::*;
pub use project::*;
pub use proposal::*;
pub use pull::*;
pub use pull_head::*;
pub use queue::*;
pub use review::*;
pub use review_draft::*;
pub use run::*;
pub use runner::*;
pub use secret::*;
pub use sign_in::*;
pub use size::*;
pub use speech::*;
pub use split::*;
pub use standing::*;
pub use steer::*;
pub use token::*;
pub use tryout::*;
pub use user::*;
pub use verdict::*;
pub use view::*;
pub use viewed_file::*;

/// Every statement of every table, for the check that they fit the schema.
fn statements() -> impl Iterator<Item = &'static statement::Statement> {
    REGISTRY.iter().flat_map(|table| table.iter().copied())
}

static REGISTRY: &[&[&statement::Statement]] = &[
    acceptance::STATEMENTS,
    block::STATEMENTS,
    desk_park::STATEMENTS,
    event::STATEMENTS,
    host_ask::STATEMENTS,
    idempotency::STATEMENTS,
    identity::STATEMENTS,
    issue::STATEMENTS,
    job::STATEMENTS,
    member::STATEMENTS,
    message::STATEMENTS,
    migration::STATEMENTS,
    notification::STATEMENTS,
    outbox::STATEMENTS,
    password::STATEMENTS,
    project::STATEMENTS,
    proposal::STATEMENTS,
    pull::STATEMENTS,
    pull_head::STATEMENTS,
    queue::STATEMENTS,
    review::STATEMENTS,
    review_draft::STATEMENTS,
    run::STATEMENTS,
    runner::STATEMENTS,
    secret::STATEMENTS,
    sign_in::STATEMENTS,
    size::STATEMENTS,
    speech::STATEMENTS,
    split::STATEMENTS,
    standing::STATEMENTS,
    steer::STATEMENTS,
    token::STATEMENTS,
    tryout::STATEMENTS,
    user::STATEMENTS,
    verdict::STATEMENTS,
    view::STATEMENTS,
    viewed_file::STATEMENTS,
];

#[cfg(test)]
mod tests {
    #[test]
    fn every_module_with_statements_is_registered() {
        let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut seen = 0;
        for entry in std::fs::read_dir(source).expect("the sources") {
            let path = entry.expect("an entry").path();
            let text = std::fs::read_to_string(&path).expect("a source file");
            if text.contains("\nsql! {") {
                let name = path.file_stem().expect("a name").to_string_lossy();
                let line = format!("    {name}::STATEMENTS,");
                assert!(
                    include_str!("lib.rs").contains(&line),
                    "{name} is not registered"
                );
                seen += 1;
            }
        }
        assert_eq!(seen, super::REGISTRY.len());
        let empty: Vec<_> = super::statements()
            .filter(|s| s.sqlite.is_empty() || s.postgres.is_empty())
            .collect();
        assert!(empty.is_empty(), "{empty:?}");
    }
}
