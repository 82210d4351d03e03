//! Wire types of people, tokens and projects.

use jiff::Timestamp;
use nightshift_domain::access::Role;
use nightshift_domain::config::{Agent, ConfigError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The server's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// `ok`, or what is wrong.
    pub status: String,
    /// The server's version.
    pub version: String,
}

/// Who a token belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Me {
    /// The person's name.
    pub name: String,
    /// Whether they administer the server.
    pub is_admin: bool,
}

/// A person to be known to the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// 1 to 40 letters, digits, `-`, `_` or `.`.
    pub name: String,
    /// Whether they administer the server.
    #[serde(default)]
    pub is_admin: bool,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct User {
    /// Their name.
    pub name: String,
    /// Whether they administer the server.
    pub is_admin: bool,
    /// Since when they are known.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
}

/// A token to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is for, in your words.
    pub label: String,
    /// Whose it shall be: absent for your own; an administrator may name another person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// For a runner of this name instead of a person; administrators only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<String>,
    /// When it stops working, in days from now; absent for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_days: Option<u16>,
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Token {
    /// Its id.
    pub id: Uuid,
    /// What it is for.
    pub label: String,
    /// When it was made.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// When it last opened something, to the hour.
    #[schemars(with = "Option<String>")]
    pub used_at: Option<Timestamp>,
    /// When it stops working.
    #[schemars(with = "Option<String>")]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[schemars(with = "Option<String>")]
    pub revoked_at: Option<Timestamp>,
}

/// A new token; the only time its secret is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreatedToken {
    /// The token.
    pub token: Token,
    /// What to send as `Authorization: Bearer <secret>`, or as a git password.
    pub secret: String,
}

/// A sign-in link to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLink {
    /// Whom it shall sign in: absent for yourself; an administrator may name another person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// A new sign-in link; the only time it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Link {
    /// What signs in, once.
    pub code: String,
    /// Where to open it, relative to the server's address.
    pub path: String,
    /// When it stops working.
    #[schemars(with = "String")]
    pub expires_at: Timestamp,
}

/// The name of a person in a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserPath {
    /// The person's name.
    pub user: String,
}

/// An identity of a person in a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdentityPath {
    /// The person's name.
    pub user: String,
    /// The identity's id.
    pub identity: Uuid,
}

/// What a provider vouches for, linked to a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Identity {
    /// Its id.
    pub id: Uuid,
    /// The provider's name on this server.
    pub provider: String,
    /// Who vouches.
    pub issuer: String,
    /// For whom, in the issuer's words.
    pub subject: String,
    /// The address that the provider named last.
    pub email: Option<String>,
    /// When it was linked.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// When it last let the person in.
    #[schemars(with = "String")]
    pub used_at: Timestamp,
}

/// The id of a token in a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenPath {
    /// The token's id.
    pub token: Uuid,
}

/// A project to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProject {
    /// Its name: 1 to 40 letters, digits, `-`, `_` or `.`.
    pub name: String,
    /// Its default branch; `main` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_branch: Option<String>,
}

/// A project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// Its default branch.
    pub default_branch: String,
    /// The commit of the default branch; absent while the repository has none.
    pub head: Option<String>,
    /// Where to clone from and push to, relative to the server's address.
    pub git_path: String,
    /// Names and commands of the required checks.
    pub checks: Vec<CheckName>,
    /// Agents that can be named in an issue.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub agents: Vec<Agent>,
    /// What is wrong with `.nightshift/config.toml`; the last good one is in force meanwhile.
    #[schemars(with = "Option<serde_json::Value>")]
    pub config_error: Option<ConfigError>,
    /// How many issues are in each phase.
    pub issues: Vec<PhaseCount>,
    /// When it was made.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
}

/// A required check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckName {
    /// Its name.
    pub name: String,
    /// Its command line.
    pub run: String,
}

/// How many issues are in a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseCount {
    /// The phase.
    pub phase: String,
    /// How many.
    pub count: i64,
}

/// The name of a project in a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectPath {
    /// The project's name.
    pub project: String,
}

/// A member in a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberPath {
    /// The project's name.
    pub project: String,
    /// The person's name.
    pub user: String,
}

/// A role to be given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetMember {
    /// `reader`, `writer` or `maintainer`.
    #[schemars(with = "String")]
    pub role: Role,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// The person's name.
    pub user: String,
    /// Their role.
    #[schemars(with = "String")]
    pub role: Role,
}

/// A thing that waits for a person, or that they wanted to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notification {
    /// Its id.
    pub id: Uuid,
    /// The project's name.
    pub project: String,
    /// The issue's number.
    pub number: i64,
    /// `review-wanted`, `input-wanted`, `failed` or `landed`.
    pub notice: String,
    /// One line.
    pub text: String,
    /// When.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// When it was marked read.
    #[schemars(with = "Option<String>")]
    pub read_at: Option<Timestamp>,
}

/// Which notifications.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotificationQuery {
    /// Whether to leave out those marked read.
    #[serde(default)]
    pub unread: bool,
}

/// The id of a notification in a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotificationPath {
    /// The notification's id.
    pub notification: Uuid,
}

/// Something that happened; the log of all of them is append-only and hash-chained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Its place in the log, without gaps.
    pub seq: i64,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What: `issue.filed`, `run.started`, `pull.landed`, …
    pub kind: String,
    /// The project's name.
    pub project: Option<String>,
    /// The issue's id.
    pub issue: Option<Uuid>,
    /// The issue's number.
    pub number: Option<i64>,
    /// The run's id.
    pub run: Option<Uuid>,
    /// Who did it.
    pub actor: String,
    /// What else is known.
    pub data: serde_json::Value,
}

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventQuery {
    /// Only those after this place in the log.
    #[serde(default)]
    pub after: i64,
    /// Only those of this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// How many, 1 to 500; 100 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
}
