//! A person with verbs. Each verb is one call through the public API.

use nightshift_api::client::{CallError, Client};
use nightshift_api::issue::{EditIssue, Issue, IssuePath, NewIssue, Words};
use nightshift_api::operations as op;
use nightshift_api::project::{
    MemberPath, NewProject, NewToken, NewUser, Project, ProjectPath, SetMember,
};
use nightshift_api::pull::{Decision, NewReview, Pull};
use nightshift_api::run::{Run, RunPath, RunQuery};
use nightshift_api::{Nothing, Operation};
use nightshift_domain::access::Role;
use nightshift_domain::check::{Acceptance, SealedFile};
use nightshift_domain::id::RunId;

/// A person with a token.
#[derive(Debug, Clone)]
pub struct Person {
    name: String,
    token: String,
    url: String,
    client: Client,
}

/// A plain HTTP client for tests, with the one TLS provider of the workspace.
#[must_use]
pub fn http() -> reqwest::Client {
    // Another test of this process may have installed it.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client")
}

impl Person {
    /// Somebody who holds this token.
    #[must_use]
    pub fn new(name: &str, url: &str, token: &str) -> Self {
        Self {
            name: name.to_owned(),
            token: token.to_owned(),
            url: url.to_owned(),
            client: Client::new(http(), url, Some(token.to_owned())),
        }
    }

    /// Their token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Their name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Their client, for operations without a verb.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Calls any operation.
    ///
    /// # Errors
    /// As the client says.
    pub async fn call<O: Operation>(
        &self,
        path: O::Path,
        input: O::Input,
    ) -> Result<O::Output, CallError> {
        self.client
            .call::<O>(&path, &O::Query::default(), &input)
            .await
    }

    /// Makes a project.
    pub async fn makes_project(&self, name: &str) -> Project {
        let new = NewProject {
            name: name.to_owned(),
            default_branch: None,
        };
        self.call::<op::ProjectCreate>(Nothing {}, new)
            .await
            .expect("a project")
    }

    /// Makes a person with roles in projects.
    pub async fn makes_person(&self, name: &str, roles: &[(&str, Role)]) -> Self {
        let new = NewUser {
            name: name.to_owned(),
            is_admin: false,
        };
        self.call::<op::UserCreate>(Nothing {}, new)
            .await
            .expect("a person");
        for (project, role) in roles {
            let path = MemberPath {
                project: (*project).to_owned(),
                user: name.to_owned(),
            };
            self.call::<op::MemberSet>(path, SetMember { role: *role })
                .await
                .expect("a member");
        }
        let new = NewToken {
            label: "tests".to_owned(),
            user: Some(name.to_owned()),
            runner: None,
            expires_in_days: None,
        };
        let made = self
            .call::<op::TokenCreate>(Nothing {}, new)
            .await
            .expect("a token");
        Self::new(name, &self.url, &made.secret)
    }

    /// Files an issue.
    ///
    /// # Errors
    /// As the server says.
    pub async fn files(&self, project: &str, new: NewIssue) -> Result<Issue, CallError> {
        self.call::<op::IssueCreate>(home(project), new).await
    }

    /// Files an issue of this title and marks it ready; returns its number.
    pub async fn files_ready(&self, project: &str, title: &str) -> i64 {
        let new = NewIssue {
            title: title.to_owned(),
            ready: true,
            ..NewIssue::default()
        };
        self.files(project, new)
            .await
            .expect("an issue")
            .line
            .number
    }

    /// Shows an issue.
    pub async fn sees(&self, project: &str, number: i64) -> Issue {
        let path = place(project, number);
        self.call::<op::IssueGet>(path, Nothing {})
            .await
            .expect("an issue")
    }

    /// Where an issue stands.
    pub async fn phase(&self, project: &str, number: i64) -> String {
        self.sees(project, number).await.line.phase
    }

    /// Edits an issue.
    ///
    /// # Errors
    /// As the server says.
    pub async fn edits(
        &self,
        project: &str,
        number: i64,
        edit: EditIssue,
    ) -> Result<Issue, CallError> {
        self.call::<op::IssueEdit>(place(project, number), edit)
            .await
    }

    /// Answers the agent's question.
    ///
    /// # Errors
    /// As the server says.
    pub async fn answers(
        &self,
        project: &str,
        number: i64,
        text: &str,
    ) -> Result<Issue, CallError> {
        let words = Words {
            text: text.to_owned(),
        };
        self.call::<op::IssueAnswer>(place(project, number), words)
            .await
    }

    /// Shows a pull request.
    pub async fn pull(&self, project: &str, number: i64) -> Pull {
        let path = place(project, number);
        self.call::<op::PullGet>(path, Nothing {})
            .await
            .expect("a pull request")
    }

    /// Approves the current head.
    ///
    /// # Errors
    /// As the server says.
    pub async fn approves(&self, project: &str, number: i64) -> Result<Pull, CallError> {
        let head = self.pull(project, number).await.line.head;
        self.approves_head(project, number, &head).await
    }

    /// Approves this very head.
    ///
    /// # Errors
    /// As the server says.
    pub async fn approves_head(
        &self,
        project: &str,
        number: i64,
        head: &str,
    ) -> Result<Pull, CallError> {
        let review = NewReview {
            head: head.to_owned(),
            decision: Decision::Approve,
            body: String::new(),
            comments: Vec::new(),
            accept_unproven: false,
            hold_s: 0,
        };
        self.call::<op::PullReview>(place(project, number), review)
            .await
    }

    /// Sends the current head back.
    ///
    /// # Errors
    /// As the server says.
    pub async fn sends_back(
        &self,
        project: &str,
        number: i64,
        words: &str,
    ) -> Result<Pull, CallError> {
        let review = NewReview {
            head: self.pull(project, number).await.line.head,
            decision: Decision::SendBack,
            body: words.to_owned(),
            comments: Vec::new(),
            accept_unproven: false,
            hold_s: 0,
        };
        self.call::<op::PullReview>(place(project, number), review)
            .await
    }

    /// The runs of an issue, newest first.
    pub async fn runs(&self, project: &str, number: i64) -> Vec<Run> {
        let query = RunQuery {
            project: Some(project.to_owned()),
            number: Some(number),
            ..RunQuery::default()
        };
        let page = self
            .client
            .call::<op::RunList>(&Nothing {}, &query, &Nothing {})
            .await;
        page.expect("runs").items
    }

    /// Stops a run.
    ///
    /// # Errors
    /// As the server says.
    pub async fn cancels(&self, run: RunId) -> Result<Run, CallError> {
        self.call::<op::RunCancel>(RunPath { run: run.0 }, Nothing {})
            .await
    }
}

/// The path of a project.
#[must_use]
pub fn home(project: &str) -> ProjectPath {
    ProjectPath {
        project: project.to_owned(),
    }
}

/// The path of an issue.
#[must_use]
pub fn place(project: &str, number: i64) -> IssuePath {
    IssuePath {
        project: project.to_owned(),
        number,
    }
}

/// Sealed tests of one file.
#[must_use]
pub fn sealed(path: &str, text: &str, run: &str) -> Acceptance {
    use base64::Engine as _;
    Acceptance {
        run: run.to_owned(),
        already_green: false,
        timeout_s: 60,
        files: vec![SealedFile {
            path: path.to_owned(),
            executable: false,
            content_base64: base64::engine::general_purpose::STANDARD.encode(text),
        }],
    }
}
