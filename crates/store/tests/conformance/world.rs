//! What the cases stand on: an open database, ids that rise, and rows to begin with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use nightshift_domain::access::Actor;
use nightshift_domain::budget::Budget;
use nightshift_domain::config::Config;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{IssueId, JobId, ProjectId, RunId, RunnerId, UserId};
use nightshift_domain::job::{self, Event, Kind};
use nightshift_domain::trust::Trust;
use nightshift_store::*;
use sqlx::{AssertSqlSafe, Connection as _};
use uuid::Uuid;

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) db: Db,
    pub(crate) location: Location,
    last: Arc<AtomicU64>,
}

/// A time, in seconds after an arbitrary one.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// A commit.
pub(crate) fn commit(number: u64) -> ObjectId {
    format!("{number:040x}").parse().unwrap()
}

/// Runs SQL past the store, on a connection of its own.
pub(crate) async fn raw(location: &Location, sql: &str) -> Result<(), sqlx::Error> {
    let sql = AssertSqlSafe(sql.to_owned());
    match location {
        Location::Sqlite(path) => {
            let options = sqlx::sqlite::SqliteConnectOptions::new()
                .filename(path)
                .create_if_missing(true);
            let mut raw = sqlx::SqliteConnection::connect_with(&options).await?;
            sqlx::raw_sql(sql).execute(&mut raw).await?;
            raw.close().await
        }
        Location::Postgres(url) => {
            let mut raw = sqlx::PgConnection::connect(url).await?;
            sqlx::raw_sql(sql).execute(&mut raw).await?;
            raw.close().await
        }
    }
}

impl World {
    pub(crate) async fn open(location: Location) -> Self {
        Self {
            db: Db::open(&location).await.unwrap(),
            location,
            last: Arc::default(),
        }
    }

    /// The next id; later ones are greater, as those of the platform are.
    pub(crate) fn id(&self) -> Uuid {
        let next = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + u128::from(next))
    }

    /// Runs SQL past the store, on a connection of its own.
    pub(crate) async fn raw(&self, sql: &str) -> Result<(), sqlx::Error> {
        raw(&self.location, sql).await
    }

    pub(crate) async fn user(&self, name: &str) -> User {
        let user = User {
            id: UserId(self.id()),
            name: name.to_owned(),
            is_admin: false,
            created_at: at(0),
        };
        let mut tx = self.db.write().await.unwrap();
        user_insert(&mut tx, &user).await.unwrap();
        tx.commit().await.unwrap();
        user
    }

    pub(crate) async fn runner(&self, name: &str) -> Runner {
        let runner = Runner {
            id: RunnerId(self.id()),
            name: name.to_owned(),
            slots: 2,
            version: "0.1.0".to_owned(),
            kinds: None,
            harnesses: None,
            images: false,
            draining: false,
            last_seen_at: at(0),
            created_at: at(0),
        };
        let mut tx = self.db.write().await.unwrap();
        runner_insert(&mut tx, &runner).await.unwrap();
        tx.commit().await.unwrap();
        runner
    }

    pub(crate) async fn project(&self, name: &str) -> Project {
        let project = Project {
            id: ProjectId(self.id()),
            name: name.to_owned(),
            default_branch: "main".parse().unwrap(),
            config: Config::default(),
            config_commit: None,
            config_error: None,
            created_at: at(0),
        };
        let mut tx = self.db.write().await.unwrap();
        project_insert(&mut tx, &project).await.unwrap();
        tx.commit().await.unwrap();
        project
    }

    /// An issue, not yet in the database.
    pub(crate) fn draft(&self, project: &Project, requester: &User, number: i64) -> Issue {
        Issue {
            id: IssueId(self.id()),
            project: project.id,
            number,
            title: format!("Größe {number}"),
            body: "Do it.".to_owned(),
            labels: vec!["bug".to_owned(), "it's \"odd\"".to_owned()],
            priority: 2,
            assignee: Some("alice".to_owned()),
            agent: "script".to_owned(),
            requester: requester.id,
            state: nightshift_domain::issue::Issue::filed(true).next,
            trust: Trust::Collaborator,
            has_acceptance: false,
            budget: Budget::default(),
            version: 1,
            created_at: at(number),
            updated_at: at(number),
        }
    }

    pub(crate) async fn file(&self, issue: &Issue) {
        let mut tx = self.db.write().await.unwrap();
        issue_insert(&mut tx, issue).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn issue(&self, project: &Project, requester: &User, number: i64) -> Issue {
        let issue = self.draft(project, requester, number);
        self.file(&issue).await;
        issue
    }

    /// A project `p` with one issue by `alice`.
    pub(crate) async fn one_issue(&self) -> (Project, User, Issue) {
        let project = self.project("p").await;
        let user = self.user("alice").await;
        let issue = self.issue(&project, &user, 1).await;
        (project, user, issue)
    }

    /// A queued job, not yet in the database.
    pub(crate) fn order(&self, issue: &Issue, created: i64) -> Job {
        Job {
            id: JobId(self.id()),
            project: issue.project,
            issue: issue.id,
            kind: Kind::Author,
            state: job::Job::queued(),
            order: serde_json::json!({"cause": "first"}),
            priority: 2,
            version: 1,
            created_at: at(created),
            updated_at: at(created),
        }
    }

    pub(crate) async fn queue(&self, job: &Job) {
        let mut tx = self.db.write().await.unwrap();
        job_insert(&mut tx, job).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// The run that a claim of this job begins.
    pub(crate) fn begin(&self, job: &Job, runner: RunnerId, id: RunId) -> Run {
        Run {
            id,
            job: job.id,
            project: job.project,
            issue: job.issue,
            number: 1,
            kind: job.kind,
            epoch: job.state.epoch + 1,
            round: 1,
            agent: "script".to_owned(),
            runner,
            state: RunState::Running,
            start: commit(1),
            attempt: None,
            usage: None,
            traffic: None,
            session: None,
            progress: None,
            log_bytes: 0,
            log_closed: false,
            started_at: at(100),
            ended_at: None,
        }
    }

    /// Claims this very job, as a runner would, and returns it as saved with its run.
    pub(crate) async fn claim(&self, job: &Job, runner: &Runner, now: i64) -> (Job, Run) {
        let mut tx = self.db.write().await.unwrap();
        let claimed = self
            .claim_in(&mut tx, job.clone(), runner.id, at(now))
            .await;
        tx.commit().await.unwrap();
        claimed
    }

    pub(crate) async fn claim_in(
        &self,
        tx: &mut Tx,
        mut job: Job,
        runner: RunnerId,
        now: Timestamp,
    ) -> (Job, Run) {
        let run = self.begin(&job, runner, RunId(self.id()));
        job.state = job
            .state
            .apply(
                Event::Claim {
                    runner,
                    run: run.id,
                },
                now,
            )
            .unwrap();
        job_save(tx, &job, now).await.unwrap();
        run_insert(tx, &run).await.unwrap();
        job.version += 1;
        job.updated_at = now;
        (job, run)
    }

    pub(crate) fn happened(&self, kind: &str, issue: Option<&Issue>) -> NewEvent {
        NewEvent {
            project: issue.map(|issue| issue.project),
            issue: issue.map(|issue| issue.id),
            run: None,
            kind: kind.to_owned(),
            actor: Actor::System,
            data: serde_json::json!({"why": "because", "n": [1, 2]}),
        }
    }
}
