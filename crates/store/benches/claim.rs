//! How fast the queue is: claim and complete, one at a time, against hand-written SQL of the same
//! durability in the same run; and how the first page of issues behaves when there are many.
//!
//! Prints rows of the table that `cargo xtask bench` puts together: measure, ours, reference,
//! ratio, bar. Absolute figures are this machine's. Deliberately absent: a verdict.
#![expect(clippy::unwrap_used, reason = "a benchmark ends at the first surprise")]

#[path = "../../testkit/src/postgres.rs"]
pub mod postgres;

use std::io::Write as _;
use std::time::Instant;

use jiff::Timestamp;
use nightshift_domain::config::Config;
use nightshift_domain::id::{IssueId, JobId, ProjectId, RunId, RunnerId, UserId};
use nightshift_domain::job::{self, Event as JobEvent, Kind, Outcome};
use nightshift_domain::route::Runner as Able;
use nightshift_domain::trust::Trust;
use nightshift_store::*;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, PgPool, SqlitePool};
use uuid::Uuid;

/// Rounds of each side, taken in turn so that both see the same machine.
const ROUNDS: usize = 7;
/// Claims and completions in a round.
const EACH: u32 = 60;
/// How many issues are few, and how many are many.
const FEW: u32 = 1_000;
const MANY: u32 = 200_000;

enum Raw {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    // With fsync, as in production.
    let server = postgres::Server::start(&[]).unwrap();
    let mut out = std::io::stdout();
    for engine in ["sqlite", "postgres"] {
        runtime.block_on(async {
            let location = if engine == "sqlite" {
                Location::Sqlite(folder.path().join("n.db"))
            } else {
                Location::parse(&server.database("n").unwrap()).unwrap()
            };
            let raw = open_raw(&location, folder.path()).await;
            let w = World::open(&location).await;
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                ours.push(w.claim_and_complete().await);
                theirs.push(raw.claim_and_complete().await);
            }
            let (ours, theirs) = (median(ours), median(theirs));
            writeln!(
                out,
                "| claim + complete, one at a time, {engine} | {ours:.0} /s | {theirs:.0} /s | {:.2} | ≥ 0.8 |",
                ours / theirs
            )
            .unwrap();
            let few = w.first_page().await;
            raw.file(w.project, w.user, FEW, MANY).await;
            let many = w.first_page().await;
            writeln!(
                out,
                "| first page of {MANY} issues against {FEW}, {engine} | {many:.2} ms | {few:.2} ms | {:.2} | ≤ 1.5 |",
                many / few
            )
            .unwrap();
        });
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

struct World {
    db: Db,
    project: Uuid,
    user: Uuid,
    issue: Issue,
    runner: RunnerId,
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark is its own composition root"
)]
fn id() -> Uuid {
    Uuid::now_v7()
}

impl World {
    async fn open(location: &Location) -> Self {
        let db = Db::open(location).await.unwrap();
        let project = Project {
            id: ProjectId(id()),
            name: "p".to_owned(),
            default_branch: "main".parse().unwrap(),
            config: Config::default(),
            config_commit: None,
            config_error: None,
            created_at: now(),
        };
        let user = User {
            id: UserId(id()),
            name: "alice".to_owned(),
            is_admin: false,
            created_at: now(),
        };
        let runner = Runner {
            id: RunnerId(id()),
            name: "r".to_owned(),
            slots: 1,
            version: String::new(),
            kinds: None,
            harnesses: None,
            images: false,
            draining: false,
            last_seen_at: now(),
            created_at: now(),
        };
        let mut tx = db.write().await.unwrap();
        project_insert(&mut tx, &project).await.unwrap();
        user_insert(&mut tx, &user).await.unwrap();
        runner_insert(&mut tx, &runner).await.unwrap();
        let mut issues = Vec::new();
        for number in 1..=i64::from(FEW) {
            let issue = Issue {
                id: IssueId(id()),
                project: project.id,
                number,
                title: "a title".to_owned(),
                body: "a body".repeat(50),
                labels: Vec::new(),
                priority: 2,
                assignee: None,
                agent: "script".to_owned(),
                requester: user.id,
                state: nightshift_domain::issue::Issue::filed(true).next,
                trust: Trust::Collaborator,
                has_acceptance: false,
                budget: nightshift_domain::budget::Budget::default(),
                version: 1,
                created_at: now(),
                updated_at: now(),
            };
            issue_insert(&mut tx, &issue).await.unwrap();
            issues.push(issue);
        }
        tx.commit().await.unwrap();
        Self {
            db,
            project: project.id.0,
            user: user.id.0,
            issue: issues.remove(0),
            runner: runner.id,
        }
    }

    /// Per second, each with its run, in two transactions as a runner makes them.
    async fn claim_and_complete(&self) -> f64 {
        let mut tx = self.db.write().await.unwrap();
        for _ in 0..EACH {
            let job = Job {
                id: JobId(id()),
                project: self.issue.project,
                issue: self.issue.id,
                kind: Kind::Author,
                state: job::Job::queued(),
                order: serde_json::json!({"cause": "first"}),
                priority: 2,
                version: 1,
                created_at: now(),
                updated_at: now(),
            };
            job_insert(&mut tx, &job).await.unwrap();
        }
        tx.commit().await.unwrap();
        let begin = Instant::now();
        for _ in 0..EACH {
            let mut tx = self.db.write().await.unwrap();
            let next = job_claim_next(&mut tx, &[Kind::Author], &Able::default(), now())
                .await
                .unwrap();
            let mut job = next.unwrap();
            let mut run = self.begin(&job);
            let claim = JobEvent::Claim {
                runner: self.runner,
                run: run.id,
            };
            job.state = job.state.apply(claim, now()).unwrap();
            job_save(&mut tx, &job, now()).await.unwrap();
            run_insert(&mut tx, &run).await.unwrap();
            tx.commit().await.unwrap();

            let mut tx = self.db.write().await.unwrap();
            let mut job = job_lock(&mut tx, job.id).await.unwrap().unwrap();
            let finish = JobEvent::Finish {
                epoch: run.epoch,
                outcome: Outcome::Succeeded,
            };
            job.state = job.state.apply(finish, now()).unwrap();
            job_save(&mut tx, &job, now()).await.unwrap();
            run.state = RunState::Succeeded;
            run.ended_at = Some(now());
            run_save(&mut tx, &run).await.unwrap();
            tx.commit().await.unwrap();
        }
        f64::from(EACH) / begin.elapsed().as_secs_f64()
    }

    fn begin(&self, job: &Job) -> Run {
        Run {
            id: RunId(id()),
            job: job.id,
            project: job.project,
            issue: job.issue,
            number: 1,
            kind: job.kind,
            epoch: job.state.epoch + 1,
            round: 1,
            agent: "script".to_owned(),
            runner: self.runner,
            state: RunState::Running,
            start: nightshift_domain::git_name::ObjectId::zero(),
            attempt: None,
            usage: None,
            traffic: None,
            session: None,
            progress: None,
            log_bytes: 0,
            log_closed: false,
            started_at: now(),
            ended_at: None,
        }
    }

    /// Milliseconds for the first fifty issues of everything a person may see.
    async fn first_page(&self) -> f64 {
        let filter = IssueFilter {
            projects: Some(vec![ProjectId(self.project)]),
            ..IssueFilter::default()
        };
        let mut took = Vec::new();
        for _ in 0..21 {
            let begin = Instant::now();
            let mut tx = self.db.read().await.unwrap();
            let page = issue_list(&mut tx, &filter, None, 50).await.unwrap();
            assert_eq!(page.len(), 50);
            took.push(begin.elapsed().as_secs_f64() * 1000.0);
        }
        median(took)
    }
}

const RAW_TABLES: &str = "CREATE TABLE raw_jobs (id BIGINT PRIMARY KEY, phase TEXT NOT NULL, payload TEXT NOT NULL, runner TEXT, lease_until BIGINT); CREATE INDEX raw_queued ON raw_jobs (id) WHERE phase = 'queued'; CREATE TABLE raw_runs (id BIGINT PRIMARY KEY, phase TEXT NOT NULL)";

async fn open_raw(location: &Location, folder: &std::path::Path) -> Raw {
    match location {
        Location::Sqlite(path) => {
            let options = SqliteConnectOptions::new()
                .filename(folder.join("raw.db"))
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full);
            let pool = SqlitePoolOptions::new()
                .max_connections(1)
                .connect_with(options)
                .await
                .unwrap();
            sqlx::raw_sql(RAW_TABLES).execute(&pool).await.unwrap();
            let attach = AssertSqlSafe(format!("ATTACH '{}' AS n", path.display()));
            sqlx::raw_sql(attach).execute(&pool).await.unwrap();
            Raw::Sqlite(pool)
        }
        Location::Postgres(url) => {
            let pool = PgPoolOptions::new()
                .max_connections(1)
                .connect(url)
                .await
                .unwrap();
            sqlx::raw_sql(RAW_TABLES).execute(&pool).await.unwrap();
            Raw::Postgres(pool)
        }
    }
}

const PUT: &str = "INSERT INTO raw_jobs (id, phase, payload) SELECT COALESCE(MAX(id), 0) + 1, 'queued', '{}' FROM raw_jobs";
const CLAIM_SQLITE: &str = "UPDATE raw_jobs SET phase = 'leased', runner = 'r', lease_until = 5 WHERE id = (SELECT id FROM raw_jobs WHERE phase = 'queued' ORDER BY id LIMIT 1) RETURNING id";
const CLAIM_POSTGRES: &str = "UPDATE raw_jobs SET phase = 'leased', runner = 'r', lease_until = 5 WHERE id = (SELECT id FROM raw_jobs WHERE phase = 'queued' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id";
const BEGIN_RUN: &str = "INSERT INTO raw_runs (id, phase) VALUES ($1, 'running')";
const COMPLETE: &str =
    "UPDATE raw_jobs SET phase = 'succeeded', runner = NULL, lease_until = NULL WHERE id = $1";
const END_RUN: &str = "UPDATE raw_runs SET phase = 'succeeded' WHERE id = $1";

/// The same two transactions with no more than the rows need.
macro_rules! raw_round {
    ($pool:expr, $begin:expr, $claim:expr) => {{
        for _ in 0..EACH {
            sqlx::query(PUT).execute($pool).await.unwrap();
        }
        let begin = Instant::now();
        for _ in 0..EACH {
            let mut tx = $pool.begin_with($begin).await.unwrap();
            let (id,): (i64,) = sqlx::query_as($claim).fetch_one(&mut *tx).await.unwrap();
            sqlx::query(BEGIN_RUN)
                .bind(id)
                .execute(&mut *tx)
                .await
                .unwrap();
            tx.commit().await.unwrap();
            let mut tx = $pool.begin_with($begin).await.unwrap();
            sqlx::query(COMPLETE)
                .bind(id)
                .execute(&mut *tx)
                .await
                .unwrap();
            sqlx::query(END_RUN)
                .bind(id)
                .execute(&mut *tx)
                .await
                .unwrap();
            tx.commit().await.unwrap();
        }
        f64::from(EACH) / begin.elapsed().as_secs_f64()
    }};
}

impl Raw {
    async fn claim_and_complete(&self) -> f64 {
        match self {
            Self::Sqlite(pool) => raw_round!(pool, "BEGIN IMMEDIATE", CLAIM_SQLITE),
            Self::Postgres(pool) => raw_round!(pool, "BEGIN", CLAIM_POSTGRES),
        }
    }

    /// Files finished issues past the store, in one statement.
    async fn file(&self, project: Uuid, user: Uuid, from: u32, to: u32) {
        const COLUMNS: &str = "INSERT INTO issues (id, project_id, number, title, title_folded, body, labels, priority, agent, requester_id, phase, state, round, repairs, trust, has_acceptance, version, created_at, updated_at)";
        const REST: &str = "'t', 't', 'b', '[]', 2, 'script', $2, 'done', '{\"phase\":\"done\",\"commit\":\"0000000000000000000000000000000000000000\"}', 1, 0, 'collaborator', 0, 1, n, n";
        match self {
            Self::Sqlite(pool) => {
                let sql = format!(
                    "WITH RECURSIVE s (n) AS (VALUES ($3 + 1) UNION ALL SELECT n + 1 FROM s WHERE n < $4) {} SELECT randomblob(16), $1, n, {REST} FROM s",
                    COLUMNS.replace("issues", "n.issues")
                );
                let query = sqlx::query(AssertSqlSafe(sql))
                    .bind(project)
                    .bind(user)
                    .bind(from)
                    .bind(to);
                query.execute(pool).await.unwrap();
            }
            Self::Postgres(pool) => {
                let sql = format!(
                    "{COLUMNS} SELECT gen_random_uuid(), $1, n, {REST} FROM generate_series($3::bigint + 1, $4::bigint) AS s (n)"
                );
                let query = sqlx::query(AssertSqlSafe(sql))
                    .bind(project)
                    .bind(user)
                    .bind(i64::from(from))
                    .bind(i64::from(to));
                query.execute(pool).await.unwrap();
                sqlx::raw_sql("ANALYZE issues").execute(pool).await.unwrap();
            }
        }
    }
}
