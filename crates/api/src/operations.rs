//! Every operation of the server, in the order of the document.

use crate::desk::{Desk, Park, Unpark};
use crate::issue::{
    DecideHost, EditIssue, Finding, Issue, IssueLine, IssuePath, IssueQuery, NewIssue, Tryout,
    Words,
};
use crate::operation::RawOperation;
use crate::project::{
    CreatedToken, Event, EventQuery, Health, Identity, IdentityPath, Link, Me, Member, MemberPath,
    NewLink, NewProject, NewToken, NewUser, Notification, NotificationPath, NotificationQuery,
    Project, ProjectPath, SetMember, Token, TokenPath, User, UserPath,
};
use crate::pull::{ApplySuggestions, NewReview, Pull, PullLine, QueueLine};
use crate::run::{
    DecideProposal, NewHostAsk, NewProposal, NewSplit, NewSteer, Proposal, Run, RunPath, RunQuery,
    SplitOff, Steer,
};
use crate::runner::{
    ClaimAnswer, ClaimRequest, Complete, Completed, Heartbeat, HeartbeatAnswer, Revoked,
    RunnerLine, RunnerPath,
};
use crate::secret::{Secret, SecretPath, SetSecret};
use crate::server::Server;
use crate::settings::{EditSettings, SavedSettings, Settings};
use crate::view::{SaveView, View, ViewPath};
use crate::{Method, Needs, Nothing, Page, PageQuery};

crate::operations! {
    /// Says whether the server is well.
    HealthGet = "health.get" Get "/api/v1/health" Nobody (Nothing, Nothing, Nothing) -> Health;
    /// Says whose token this is.
    MeGet = "me.get" Get "/api/v1/me" Person (Nothing, Nothing, Nothing) -> Me;
    /// Makes a person known to the server.
    UserCreate = "user.create" Post "/api/v1/users" Person (Nothing, Nothing, NewUser) -> User;
    /// Lists people.
    UserList = "user.list" Get "/api/v1/users" Person (Nothing, Nothing, Nothing) -> Page<User>;
    /// Makes a token; its secret is shown this once.
    TokenCreate = "token.create" Post "/api/v1/tokens" Person (Nothing, Nothing, NewToken) -> CreatedToken;
    /// Lists one's own tokens.
    TokenList = "token.list" Get "/api/v1/tokens" Person (Nothing, Nothing, Nothing) -> Page<Token>;
    /// Revokes one of one's own tokens.
    TokenRevoke = "token.revoke" Delete "/api/v1/tokens/{token}" Person (TokenPath, Nothing, Nothing) -> Nothing;
    /// Makes a one-time link that signs a browser in; it is shown this once, and works once.
    SessionLink = "session.link" Post "/api/v1/sign-in-links" Person (Nothing, Nothing, NewLink) -> Link;
    /// Invites a person to link an identity at a provider to their account; the invitation is shown this once.
    IdentityInvite = "identity.invite" Post "/api/v1/users/{user}/invitations" Person (UserPath, Nothing, Nothing) -> Link;
    /// Lists a person's identities at providers.
    IdentityList = "identity.list" Get "/api/v1/users/{user}/identities" Person (UserPath, Nothing, Nothing) -> Page<Identity>;
    /// Unlinks an identity, and ends every session of its person.
    IdentityRemove = "identity.remove" Delete "/api/v1/users/{user}/identities/{identity}" Person (IdentityPath, Nothing, Nothing) -> Nothing;
    /// Makes a project with an empty repository.
    ProjectCreate = "project.create" Post "/api/v1/projects" Person (Nothing, Nothing, NewProject) -> Project;
    /// Lists the projects one may see, by name.
    ProjectList = "project.list" Get "/api/v1/projects" Person (Nothing, Nothing, Nothing) -> Page<Project>;
    /// Shows a project.
    ProjectGet = "project.get" Get "/api/v1/projects/{project}" Person (ProjectPath, Nothing, Nothing) -> Project;
    /// Shows a project's settings: the file, what is wrong with it, and what holds.
    SettingsGet = "settings.get" Get "/api/v1/projects/{project}/settings" Person (ProjectPath, Nothing, Nothing) -> Settings;
    /// Changes a project's settings by a commit on its default branch.
    SettingsSave = "settings.save" Patch "/api/v1/projects/{project}/settings" Person (ProjectPath, Nothing, EditSettings) -> SavedSettings;
    /// Lists the secrets of a project, without their values.
    SecretList = "secret.list" Get "/api/v1/projects/{project}/secrets" Person (ProjectPath, Nothing, Nothing) -> Page<Secret>;
    /// Sets the value of a secret; it is sealed, and shown to nobody.
    SecretSet = "secret.set" Put "/api/v1/projects/{project}/secrets/{secret}" Person (SecretPath, Nothing, SetSecret) -> Secret;
    /// Removes the value of a secret.
    SecretRemove = "secret.remove" Delete "/api/v1/projects/{project}/secrets/{secret}" Person (SecretPath, Nothing, Nothing) -> Nothing;
    /// Lists a project's members.
    MemberList = "member.list" Get "/api/v1/projects/{project}/members" Person (ProjectPath, Nothing, Nothing) -> Page<Member>;
    /// Gives a person a role in a project.
    MemberSet = "member.set" Put "/api/v1/projects/{project}/members/{user}" Person (MemberPath, Nothing, SetMember) -> Member;
    /// Takes a person out of a project.
    MemberRemove = "member.remove" Delete "/api/v1/projects/{project}/members/{user}" Person (MemberPath, Nothing, Nothing) -> Nothing;
    /// Files an issue.
    IssueCreate = "issue.create" Post "/api/v1/projects/{project}/issues" Person (ProjectPath, Nothing, NewIssue) -> Issue;
    /// Says what would stop an issue that is about to be filed; files nothing.
    IssueCheck = "issue.check" Post "/api/v1/projects/{project}/issue-checks" Person (ProjectPath, Nothing, NewIssue) -> Page<Finding>;
    /// Lists a project's issues, newest first.
    IssueList = "issue.list" Get "/api/v1/projects/{project}/issues" Person (ProjectPath, IssueQuery, Nothing) -> Page<IssueLine>;
    /// Shows an issue.
    IssueGet = "issue.get" Get "/api/v1/projects/{project}/issues/{number}" Person (IssuePath, Nothing, Nothing) -> Issue;
    /// Changes an issue that no agent works on.
    IssueEdit = "issue.edit" Patch "/api/v1/projects/{project}/issues/{number}" Person (IssuePath, Nothing, EditIssue) -> Issue;
    /// Says that an issue may start.
    IssueReady = "issue.ready" Post "/api/v1/projects/{project}/issues/{number}/ready" Person (IssuePath, Nothing, Nothing) -> Issue;
    /// Takes an issue back to draft before its agent starts.
    IssueDraft = "issue.draft" Post "/api/v1/projects/{project}/issues/{number}/draft" Person (IssuePath, Nothing, Nothing) -> Issue;
    /// Tries the sealed tests on the base; what was tried there already is not tried again.
    IssueTry = "issue.try" Post "/api/v1/projects/{project}/issues/{number}/try" Person (IssuePath, Nothing, Nothing) -> Tryout;
    /// Answers the agent's question.
    IssueAnswer = "issue.answer" Post "/api/v1/projects/{project}/issues/{number}/answer" Person (IssuePath, Nothing, Words) -> Issue;
    /// Says whether runs may reach a host: those of the issue, all of the project (maintainers), or none. Where nothing else is open, the work goes on.
    IssueHost = "issue.host" Post "/api/v1/projects/{project}/issues/{number}/hosts" Person (IssuePath, Nothing, DecideHost) -> Issue;
    /// Adds a note for people.
    IssueNote = "issue.note" Post "/api/v1/projects/{project}/issues/{number}/notes" Person (IssuePath, Nothing, Words) -> Issue;
    /// Tries again after a failure.
    IssueRetry = "issue.retry" Post "/api/v1/projects/{project}/issues/{number}/retry" Person (IssuePath, Nothing, Nothing) -> Issue;
    /// Ends an issue without a change; stops what runs for it.
    IssueClose = "issue.close" Post "/api/v1/projects/{project}/issues/{number}/close" Person (IssuePath, Nothing, Words) -> Issue;
    /// Takes a closed issue up again, as a draft.
    IssueReopen = "issue.reopen" Post "/api/v1/projects/{project}/issues/{number}/reopen" Person (IssuePath, Nothing, Nothing) -> Issue;
    /// Lists a project's pull requests, newest first.
    PullList = "pull.list" Get "/api/v1/projects/{project}/pulls" Person (ProjectPath, PageQuery, Nothing) -> Page<PullLine>;
    /// Shows a pull request.
    PullGet = "pull.get" Get "/api/v1/projects/{project}/pulls/{number}" Person (IssuePath, Nothing, Nothing) -> Pull;
    /// Decides on a head: approve, or send back.
    PullReview = "pull.review" Post "/api/v1/projects/{project}/pulls/{number}/reviews" Person (IssuePath, Nothing, NewReview) -> Pull;
    /// Takes one's last decision back, before anything came of it.
    PullWithdraw = "pull.withdraw" Post "/api/v1/projects/{project}/pulls/{number}/withdraw" Person (IssuePath, Nothing, Nothing) -> Pull;
    /// Applies suggestions of reviewers as one commit of the caller's on the branch, which is proved.
    PullApply = "pull.apply" Post "/api/v1/projects/{project}/pulls/{number}/apply" Person (IssuePath, Nothing, ApplySuggestions) -> Pull;
    /// Takes a guideline that an agent proposed into the project's, by a commit on the default branch, or dismisses it (maintainers).
    PullGuideline = "pull.guideline" Post "/api/v1/projects/{project}/pulls/{number}/guidelines" Person (IssuePath, Nothing, DecideProposal) -> Proposal;
    /// Shows a project's merge queue, first to land first.
    QueueGet = "queue.get" Get "/api/v1/projects/{project}/queue" Person (ProjectPath, Nothing, Nothing) -> Page<QueueLine>;
    /// Lists runs, newest first.
    RunList = "run.list" Get "/api/v1/runs" Person (Nothing, RunQuery, Nothing) -> Page<Run>;
    /// Shows a run.
    RunGet = "run.get" Get "/api/v1/runs/{run}" Person (RunPath, Nothing, Nothing) -> Run;
    /// Stops a run.
    RunCancel = "run.cancel" Post "/api/v1/runs/{run}/cancel" Person (RunPath, Nothing, Nothing) -> Run;
    /// Says something to a run that goes on; what comes too late for it, the next run gets.
    RunSteer = "run.steer" Post "/api/v1/runs/{run}/steer" Person (RunPath, Nothing, NewSteer) -> Steer;
    /// Lists what happened, oldest first.
    EventList = "event.list" Get "/api/v1/events" Person (Nothing, EventQuery, Nothing) -> Page<Event>;
    /// Shows one's desk: what waits for a decision, in ranked order, with what is needed to decide.
    DeskList = "desk.list" Get "/api/v1/desk" Person (Nothing, Nothing, Nothing) -> Desk;
    /// Hides a card from one's own desk for a while.
    DeskPark = "desk.park" Post "/api/v1/desk/park" Person (Nothing, Nothing, Park) -> Nothing;
    /// Brings a parked card back, or all of them.
    DeskUnpark = "desk.unpark" Post "/api/v1/desk/unpark" Person (Nothing, Nothing, Unpark) -> Nothing;
    /// Lists one's saved views of the board.
    ViewList = "view.list" Get "/api/v1/views" Person (Nothing, Nothing, Nothing) -> Page<View>;
    /// Saves a view of the board under a name, or changes the one that has it.
    ViewSave = "view.save" Put "/api/v1/views/{view}" Person (ViewPath, Nothing, SaveView) -> View;
    /// Removes a saved view.
    ViewRemove = "view.remove" Delete "/api/v1/views/{view}" Person (ViewPath, Nothing, Nothing) -> Nothing;
    /// Lists what waits for one, newest first.
    NotificationList = "notification.list" Get "/api/v1/notifications" Person (Nothing, NotificationQuery, Nothing) -> Page<Notification>;
    /// Marks a notification read.
    NotificationRead = "notification.read" Post "/api/v1/notifications/{notification}/read" Person (NotificationPath, Nothing, Nothing) -> Nothing;
    /// Shows whether the server is well, and how much room it takes; administrators only.
    ServerGet = "server.get" Get "/api/v1/server" Person (Nothing, Nothing, Nothing) -> Server;
    /// Makes every token of a runner stop working; administrators only.
    RunnerRevoke = "runner.revoke" Post "/api/v1/runners/{runner}/revoke" Person (RunnerPath, Nothing, Nothing) -> Revoked;
    /// Hands a runner no new jobs; what it works on goes on. Administrators only.
    RunnerDrain = "runner.drain" Post "/api/v1/runners/{runner}/drain" Person (RunnerPath, Nothing, Nothing) -> RunnerLine;
    /// Hands a runner jobs again that was draining; administrators only.
    RunnerResume = "runner.resume" Post "/api/v1/runners/{runner}/resume" Person (RunnerPath, Nothing, Nothing) -> RunnerLine;
    /// Lists runners.
    RunnerList = "runner.list" Get "/api/v1/runners" Person (Nothing, Nothing, Nothing) -> Page<RunnerLine>;
    /// An agent asks the person; the run ends and is resumed with the answer.
    RunAsk = "run.ask" Post "/api/v1/runs/{run}/ask" Run (RunPath, Nothing, Words) -> Nothing;
    /// An agent says how far it is.
    RunProgress = "run.progress" Post "/api/v1/runs/{run}/progress" Run (RunPath, Nothing, Words) -> Nothing;
    /// An agent asks for hosts of the network; the run ends and is resumed with the answer.
    RunHosts = "run.hosts" Post "/api/v1/runs/{run}/hosts" Run (RunPath, Nothing, NewHostAsk) -> Nothing;
    /// An agent proposes a guideline, for the person who looks at its change.
    RunPropose = "run.propose" Post "/api/v1/runs/{run}/guidelines" Run (RunPath, Nothing, NewProposal) -> Proposal;
    /// An agent splits work off: a draft in the same project, which starts only when a person lets it.
    RunSplit = "run.split" Post "/api/v1/runs/{run}/issues" Run (RunPath, Nothing, NewSplit) -> SplitOff;
    /// A runner asks for work, and waits for it.
    RunnerClaim = "runner.claim" Post "/api/v1/runner/claim" Runner (Nothing, Nothing, ClaimRequest) -> ClaimAnswer;
    /// A runner says that a run is alive.
    RunnerHeartbeat = "runner.heartbeat" Post "/api/v1/runner/runs/{run}/heartbeat" Runner (RunPath, Nothing, Heartbeat) -> HeartbeatAnswer;
    /// A runner brings the end of a run; twice gives the same answer.
    RunnerComplete = "runner.complete" Post "/api/v1/runner/runs/{run}/complete" Runner (RunPath, Nothing, Complete) -> Completed;
}

/// A runner appends to a run's log: newline-delimited JSON, from a byte offset.
pub const LOG_APPEND: RawOperation = RawOperation {
    id: "runner.log.append",
    method: Method::Post,
    path: "/api/v1/runner/runs/{run}/log",
    needs: Needs::Runner,
    summary: "Appends to a run's log; answers where it stands.",
    query: &["epoch", "offset"],
    answers: "application/json",
};

/// A window of a run's log.
pub const LOG_READ: RawOperation = RawOperation {
    id: "run.log",
    method: Method::Get,
    path: "/api/v1/runs/{run}/log",
    needs: Needs::Person,
    summary: "Reads a window of a run's log: newline-delimited JSON from a byte offset.",
    query: &["offset", "limit"],
    answers: "application/x-ndjson",
};

/// A run's log as it grows; event ids are byte offsets, so that a reader can go on.
pub const LOG_STREAM: RawOperation = RawOperation {
    id: "run.log.stream",
    method: Method::Get,
    path: "/api/v1/runs/{run}/log/stream",
    needs: Needs::Person,
    summary: "Streams a run's log; resumes at Last-Event-ID, a byte offset.",
    query: &["offset"],
    answers: "text/event-stream",
};

/// What happens, as it happens; event ids are places in the event log.
pub const EVENT_STREAM: RawOperation = RawOperation {
    id: "event.stream",
    method: Method::Get,
    path: "/api/v1/events/stream",
    needs: Needs::Person,
    summary: "Streams what happens; resumes at Last-Event-ID.",
    query: &["project", "after"],
    answers: "text/event-stream",
};

/// The audit log, to be kept elsewhere.
pub const EVENT_EXPORT: RawOperation = RawOperation {
    id: "event.export",
    method: Method::Get,
    path: "/api/v1/events/export",
    needs: Needs::Person,
    summary: "Exports the audit log, oldest first: newline-delimited JSON of a project, or to an administrator of all; by person, kind (`pull.approved`, or `pull`) and time (RFC 3339, `until` excluded).",
    query: &["project", "person", "kind", "from", "until", "after"],
    answers: "application/x-ndjson",
};

/// A pull request's diff as text.
pub const PULL_DIFF: RawOperation = RawOperation {
    id: "pull.diff",
    method: Method::Get,
    path: "/api/v1/projects/{project}/pulls/{number}/diff",
    needs: Needs::Person,
    summary: "Shows the change as a unified diff; `from` and `to` choose heads of other rounds.",
    query: &["from", "to"],
    answers: "text/x-diff",
};

/// This document.
pub const OPENAPI_GET: RawOperation = RawOperation {
    id: "openapi.get",
    method: Method::Get,
    path: "/api/v1/openapi.json",
    needs: Needs::Nobody,
    summary: "This document.",
    query: &[],
    answers: "application/json",
};

/// Every operation with bytes or a stream.
pub const RAW: &[RawOperation] = &[
    LOG_APPEND,
    LOG_READ,
    LOG_STREAM,
    EVENT_STREAM,
    EVENT_EXPORT,
    PULL_DIFF,
    OPENAPI_GET,
];
