//! Who may do what: one pure function over a closed table.
//!
//! Everything not listed is refused. The whole table is a snapshot in `tests`, so that a stranger
//! can audit it. Deliberately absent: how an actor proved who it is (that is a door's business).

use serde::{Deserialize, Serialize};

use crate::id::{ProjectId, RunId, RunnerId, UserId};

/// A person's role in one project. Later ones include the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Sees everything in the project, changes nothing.
    Reader,
    /// Files issues, decides on results, pushes branches.
    Writer,
    /// Manages members and the project's settings.
    Maintainer,
}

impl Role {
    /// The word used in tables, on the wire and in the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Writer => "writer",
            Self::Maintainer => "maintainer",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Reader, Self::Writer, Self::Maintainer]
            .into_iter()
            .find(|role| role.as_str() == word)
    }
}

/// Who acts. Recorded with every event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "actor", rename_all = "kebab-case")]
pub enum Actor {
    /// A signed-in person.
    Person {
        /// Their id.
        user: UserId,
        /// Their name when they acted.
        name: String,
    },
    /// An agent inside a run, by the run's own token.
    Run {
        /// Its run.
        run: RunId,
        /// The project of the run.
        project: ProjectId,
    },
    /// A runner process.
    Runner {
        /// Its id.
        runner: RunnerId,
    },
    /// The platform itself (a reconciler).
    System,
}

impl Actor {
    /// A short name for logs and tables.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Person { name, .. } => name.clone(),
            Self::Run { run, .. } => format!("run {run}"),
            Self::Runner { runner } => format!("runner {runner}"),
            Self::System => "nightshift".to_owned(),
        }
    }
}

/// How an actor stands towards the thing it wants to touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Known, but not a member of this project.
    Outsider,
    /// A member with a role.
    Member(Role),
    /// An administrator of the server: may do whatever a maintainer may, and server matters.
    Admin,
    /// The agent of a run in this project, while the run lives.
    Run,
    /// A runner process.
    Runner,
    /// The platform itself.
    System,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// What can be done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $name),+
        }

        impl Action {
            /// Every action, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
        }
    };
}

actions! {
    /// See a project, its issues, pull requests, runs and logs; clone it.
    ProjectRead,
    /// Create a project.
    ProjectCreate,
    /// Change a project's settings, or remove it.
    ProjectConfigure,
    /// Add and remove members.
    MemberManage,
    /// File, edit, block, mark ready, cancel an issue.
    IssueWrite,
    /// Answer an agent's question.
    IssueAnswer,
    /// Say whether the runs of an issue may reach a host.
    HostDecide,
    /// Approve or send back.
    PullReview,
    /// Cancel or retry a run.
    RunControl,
    /// Push branches other than protected ones; push to an issue's branch (take over).
    PushBranch,
    /// Push to the default branch where the project allows it, or while it has no commit.
    PushDefault,
    /// Push the run's own attempt ref.
    PushAttempt,
    /// Ask a question, report progress: from inside a run.
    RunSpeak,
    /// Claim jobs, beat, append logs, complete.
    RunnerWork,
    /// Make and revoke one's own tokens.
    TokenOwn,
    /// Make runner tokens, see runners, users and the audit log.
    ServerAdmin,
}

/// Whether `standing` may do `action`.
#[must_use]
pub fn allowed(standing: Standing, action: Action) -> bool {
    use Action as A;
    let least_role = match action {
        A::ProjectRead => Some(Role::Reader),
        A::IssueWrite
        | A::IssueAnswer
        | A::HostDecide
        | A::PullReview
        | A::RunControl
        | A::PushBranch => Some(Role::Writer),
        A::ProjectConfigure | A::MemberManage | A::PushDefault => Some(Role::Maintainer),
        A::ProjectCreate
        | A::PushAttempt
        | A::RunSpeak
        | A::RunnerWork
        | A::TokenOwn
        | A::ServerAdmin => None,
    };
    match standing {
        Standing::Outsider => matches!(action, A::TokenOwn),
        Standing::Member(role) => {
            least_role.is_some_and(|least| role >= least) || matches!(action, A::TokenOwn)
        }
        Standing::Admin => {
            least_role.is_some()
                || matches!(action, A::ProjectCreate | A::TokenOwn | A::ServerAdmin)
        }
        Standing::Run => matches!(action, A::ProjectRead | A::PushAttempt | A::RunSpeak),
        Standing::Runner => matches!(action, A::RunnerWork | A::ProjectRead),
        Standing::System => true,
    }
}

/// What somebody may do about an issue and its change, for whoever offers it to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct May {
    /// Edit the issue, let it start, end it.
    pub write: bool,
    /// Answer its agent.
    pub answer: bool,
    /// Say which hosts its runs may reach.
    pub hosts: bool,
    /// Approve its change or send it back, with comments.
    pub review: bool,
    /// Stop its runs, and try again what failed.
    pub control: bool,
    /// Move its branch.
    pub push: bool,
    /// Change the settings and the secrets of its project.
    pub configure: bool,
}

impl May {
    /// What somebody with this standing may do.
    #[must_use]
    pub fn of(standing: Standing) -> Self {
        let may = |action| allowed(standing, action);
        Self {
            write: may(Action::IssueWrite),
            answer: may(Action::IssueAnswer),
            hosts: may(Action::HostDecide),
            review: may(Action::PullReview),
            control: may(Action::RunControl),
            push: may(Action::PushBranch),
            configure: may(Action::ProjectConfigure),
        }
    }
}

/// Whether a project keeps a maintainer when this person gets this role, or none. Who has no
/// maintainer anyway loses none.
#[must_use]
pub fn keeps_maintainer(members: &[(UserId, Role)], who: UserId, role: Option<Role>) -> bool {
    let mut maintainers = members.iter().filter(|(_, role)| *role == Role::Maintainer);
    let was = maintainers.clone().any(|(id, _)| *id == who);
    !was || role == Some(Role::Maintainer) || maintainers.any(|(id, _)| *id != who)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_maintainer_stays() {
        let id = |n: u128| UserId(uuid::Uuid::from_u128(n));
        let (ann, ben) = (id(1), id(2));
        use Role::{Maintainer, Reader, Writer};
        let one = [(ann, Maintainer), (ben, Writer)];
        let two = [(ann, Maintainer), (ben, Maintainer)];
        for (members, who, role, keeps) in [
            (&one[..], ann, None, false),
            (&one, ann, Some(Reader), false),
            (&one, ann, Some(Maintainer), true),
            (&one, ben, None, true),
            (&one, ben, Some(Maintainer), true),
            (&one, id(3), Some(Reader), true),
            (&two, ann, None, true),
            (&[(ben, Writer)], ben, None, true),
        ] {
            let said = keeps_maintainer(members, who, role);
            assert_eq!(said, keeps, "{members:?} {who} {role:?}");
        }
    }

    #[test]
    fn the_whole_table() {
        let columns = [
            ("outsider", Standing::Outsider),
            ("reader", Standing::Member(Role::Reader)),
            ("writer", Standing::Member(Role::Writer)),
            ("maintainer", Standing::Member(Role::Maintainer)),
            ("admin", Standing::Admin),
            ("run", Standing::Run),
            ("runner", Standing::Runner),
        ];
        let mut table = String::new();
        for action in Action::ALL {
            let who: Vec<_> = columns
                .iter()
                .filter(|(_, standing)| allowed(*standing, *action))
                .map(|(name, _)| *name)
                .collect();
            table.push_str(&format!("{:<17}{}\n", format!("{action:?}"), who.join(" ")));
        }
        insta::assert_snapshot!(table, @r"
        ProjectRead      reader writer maintainer admin run runner
        ProjectCreate    admin
        ProjectConfigure maintainer admin
        MemberManage     maintainer admin
        IssueWrite       writer maintainer admin
        IssueAnswer      writer maintainer admin
        HostDecide       writer maintainer admin
        PullReview       writer maintainer admin
        RunControl       writer maintainer admin
        PushBranch       writer maintainer admin
        PushDefault      maintainer admin
        PushAttempt      run
        RunSpeak         run
        RunnerWork       runner
        TokenOwn         outsider reader writer maintainer admin
        ServerAdmin      admin
        ");
    }
}
