//! Statements and the values bound to them.
//!
//! Every statement is declared once, in a `sql!` block of its table's module, and is thereby in the
//! registry that `Db::check` prepares on the engine at hand. Placeholders are `$1`, `$2`, … for
//! both engines. Deliberately absent: SQL put together at run time.

use jiff::Timestamp;
use nightshift_domain::access::Role;
use nightshift_domain::git_name::{BranchName, ObjectId, RefName};
use nightshift_domain::id::{
    IdentityId, IssueId, JobId, ProjectId, ReviewId, RunId, RunnerId, TokenId, UserId,
};
use uuid::Uuid;

/// One statement in the words of both engines.
#[derive(Debug)]
pub(crate) struct Statement {
    /// The noun of its table, for errors.
    pub(crate) noun: &'static str,
    /// Its name in the module.
    pub(crate) name: &'static str,
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

impl Statement {
    pub(crate) const fn new(noun: &'static str, name: &'static str) -> Self {
        Self {
            noun,
            name,
            sqlite: "",
            postgres: "",
        }
    }

    /// One text for both.
    pub(crate) const fn both(mut self, text: &'static str) -> Self {
        self.sqlite = text;
        self.postgres = text;
        self
    }

    pub(crate) const fn sqlite(mut self, text: &'static str) -> Self {
        self.sqlite = text;
        self
    }

    pub(crate) const fn postgres(mut self, text: &'static str) -> Self {
        self.postgres = text;
        self
    }
}

/// Declares and registers the statements of a table: `NAME = both("…");`, or
/// `NAME = sqlite("…"), postgres("…");` with a comment that says why they differ.
macro_rules! sql {
    ($noun:literal; $($name:ident = $($engine:ident($text:expr)),+;)+) => {
        $(
            static $name: $crate::statement::Statement =
                $crate::statement::Statement::new($noun, stringify!($name))$(.$engine($text))+;
        )+
        /// Every statement of this table.
        pub(crate) static STATEMENTS: &[&$crate::statement::Statement] = &[$(&$name),+];
    };
}
pub(crate) use sql;

/// A list of values to bind, in the order of the placeholders.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::statement::Value::from($value)),*] };
}
pub(crate) use values;

/// A value to bind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(Option<String>),
    Int(Option<i64>),
    Id(Option<Uuid>),
    Bytes(Vec<u8>),
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(Some(text.clone()))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}

impl From<&Option<String>> for Value {
    fn from(text: &Option<String>) -> Self {
        Self::Text(text.clone())
    }
}

impl From<Option<&ObjectId>> for Value {
    fn from(id: Option<&ObjectId>) -> Self {
        Self::Text(id.map(ToString::to_string))
    }
}

impl From<&ObjectId> for Value {
    fn from(id: &ObjectId) -> Self {
        Self::from(id.as_str())
    }
}

impl From<&RefName> for Value {
    fn from(name: &RefName) -> Self {
        Self::from(name.as_str())
    }
}

impl From<&BranchName> for Value {
    fn from(name: &BranchName) -> Self {
        Self::from(name.as_str())
    }
}

impl From<Role> for Value {
    fn from(role: Role) -> Self {
        Self::from(role.as_str())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Int(Some(i64::from(flag)))
    }
}

impl From<Timestamp> for Value {
    fn from(time: Timestamp) -> Self {
        Self::Int(Some(time.as_millisecond()))
    }
}

impl From<Option<Timestamp>> for Value {
    fn from(time: Option<Timestamp>) -> Self {
        Self::Int(time.map(Timestamp::as_millisecond))
    }
}

impl From<Uuid> for Value {
    fn from(id: Uuid) -> Self {
        Self::Id(Some(id))
    }
}

impl From<Option<Uuid>> for Value {
    fn from(id: Option<Uuid>) -> Self {
        Self::Id(id)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&[u8; 32]> for Value {
    fn from(hash: &[u8; 32]) -> Self {
        Self::Bytes(hash.to_vec())
    }
}

macro_rules! ids {
    ($($id:ident),+) => {$(
        impl From<$id> for Value {
            fn from(id: $id) -> Self {
                Self::Id(Some(id.0))
            }
        }

        impl From<Option<$id>> for Value {
            fn from(id: Option<$id>) -> Self {
                Self::Id(id.map(|id| id.0))
            }
        }
    )+};
}
ids!(
    UserId, TokenId, IdentityId, ProjectId, IssueId, JobId, RunId, RunnerId, ReviewId
);
