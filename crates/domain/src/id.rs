//! Identities, one type each, so that an issue's id can never stand where a job's is meant.
//!
//! All are UUIDs (version 7 when made by the platform, so they sort by age). Making one is the
//! business of the composition root; this file only names and parses them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::from_str(text).map(Self)
            }
        }
    )+};
}

ids! {
    /// A person with an account.
    UserId,
    /// A bearer token (its record, never its secret).
    TokenId,
    /// What a provider vouches for: one issuer, one subject.
    IdentityId,
    /// A project: one repository with its issues and its queue.
    ProjectId,
    /// An issue; its pull request shares the id, since there is exactly one per issue.
    IssueId,
    /// An agent: an identity with a harness.
    AgentId,
    /// A unit of queued work.
    JobId,
    /// One execution of a job by a runner.
    RunId,
    /// A process that claims jobs.
    RunnerId,
    /// A person's decision on a head commit.
    ReviewId,
    /// A comment on a line of a change.
    CommentId,
}

/// The number of an issue and of its pull request, counted from 1 within a project.
pub type Number = i64;

/// The fence of a job: rises by one at each claim. A write with a smaller one changes nothing.
pub type Epoch = i64;
