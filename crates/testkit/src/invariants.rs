//! What must be true of a settled world, whatever happened in it: the checker of fault tests.
//!
//! It reads the database and the repositories, never the answers of the server. Run it after
//! `settle`: in between, git and the database may differ by one unfinished step. Deliberately absent:
//! what takes time to become true (leases, retention).

use std::collections::{BTreeMap, BTreeSet};

use nightshift_domain::desk::{self, Card, Wanted};
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{IssueId, RunId};
use nightshift_domain::issue::Phase;
use nightshift_domain::job::{self, Kind, MAX_STARTS};
use nightshift_git::Repository;
use nightshift_store::issue::{Issue, IssueFilter};
use nightshift_store::job::Job;
use nightshift_store::project::Project;
use nightshift_store::queue::QueueEntry;
use nightshift_store::run::{Run, RunState};
use nightshift_store::{
    Tx, block, event, issue, job as jobs, project, pull, pull_head, queue, run, standing, verdict,
};

use crate::world::World;

/// More than any test makes.
const ALL: i64 = 100_000;

/// Fails with everything that is not as it must be.
///
/// # Panics
/// When an invariant is broken.
pub async fn hold(world: &World, story: &str) {
    let broken = broken(world).await;
    assert!(broken.is_empty(), "{story}: broken:\n{}", broken.join("\n"));
}

/// Everything that is not as it must be.
pub async fn broken(world: &World) -> Vec<String> {
    let mut look = Look {
        tx: world.db().read().await.expect("a transaction"),
        found: Vec::new(),
    };
    if let Err(error) = event::event_verify_chain(&mut look.tx).await {
        look.found.push(format!("the event log: {error}"));
    }
    let mut accepted: BTreeMap<String, i64> = BTreeMap::new();
    for home in project::project_list(&mut look.tx).await.expect("projects") {
        look.project(world, &home, &mut accepted).await;
    }
    let counted: BTreeMap<String, i64> = jobs::job_count_by_phase(&mut look.tx)
        .await
        .expect("counts")
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .collect();
    if counted != accepted {
        look.say(format!("jobs: {accepted:?} of issues, {counted:?} in all"));
    }
    look.found
}

struct Look {
    tx: Tx,
    found: Vec<String>,
}

impl Look {
    fn say(&mut self, what: String) {
        self.found.push(what);
    }

    async fn project(
        &mut self,
        world: &World,
        home: &Project,
        accepted: &mut BTreeMap<String, i64>,
    ) {
        let filter = IssueFilter {
            project: Some(home.id),
            ..IssueFilter::default()
        };
        let mut issues = issue::issue_list(&mut self.tx, &filter, None, ALL)
            .await
            .expect("issues");
        issues.sort_by_key(|issue| issue.number);
        for (n, row) in (1..).zip(&issues) {
            if row.number != n {
                self.say(format!("{}: #{n} is missing", home.name));
                break;
            }
        }
        let repository = world.repository(home.id);
        let tip = repository
            .resolve(&home.default_branch.to_ref())
            .await
            .expect("the default branch");
        let line = match &tip {
            Some(tip) => first_parents(&repository, tip).await,
            None => Vec::new(),
        };
        let entries = queue::queue_list(&mut self.tx, home.id)
            .await
            .expect("the queue");
        let mut landed = BTreeSet::new();
        for row in &issues {
            let name = format!("{}#{}", home.name, row.number);
            let all = jobs::job_list_of_issue(&mut self.tx, row.id)
                .await
                .expect("jobs");
            for job in &all {
                let word = job.state.phase.as_str().to_owned();
                *accepted.entry(word).or_default() += 1;
            }
            self.desk(&name, row).await;
            self.jobs(&name, row, &all).await;
            self.rest(&name, row, &all).await;
            self.queue(&name, row, &entries).await;
            if let Some(commit) = self.branch(&name, row, &repository, &line).await {
                landed.insert(commit);
            }
        }
        for entry in &entries {
            if !issues.iter().any(|row| row.id == entry.issue) {
                self.say(format!("{}: an entry without an issue", home.name));
            }
        }
        self.history(home, &line, &landed).await;
        let damage = repository.fsck().await.expect("fsck");
        if !damage.is_empty() {
            self.say(format!("{}: fsck: {}", home.name, damage.join("; ")));
        }
    }

    /// The desk: what waits for a person stands there, with the weight that its facts give it.
    async fn desk(&mut self, name: &str, row: &Issue) {
        let found = standing::standing_get(&mut self.tx, row.id)
            .await
            .expect("a standing");
        let Some(wanted) = Wanted::of(&row.state) else {
            if found.is_some() {
                self.say(format!("{name}: on the desk, and wants nothing"));
            }
            return;
        };
        let Some(found) = found else {
            self.say(format!("{name}: wants {wanted:?} and is not on the desk"));
            return;
        };
        let known = pull::pull_get(&mut self.tx, row.id).await.expect("a pull");
        let (mut made, mut size) = (None, None);
        if let Some(known) = &known {
            let (tx, head) = (&mut self.tx, &known.head);
            made = verdict::verdict_of(tx, row.id, head)
                .await
                .expect("a verdict");
            size = pull_head::head_size(tx, row.id, head)
                .await
                .expect("a size");
            if size.is_none() {
                self.say(format!("{name}: its change was not measured"));
            }
        }
        let mut blocks = 0;
        for id in block::blocked_by_me(&mut self.tx, row.id)
            .await
            .expect("blocks")
        {
            let other = issue::issue_get(&mut self.tx, id).await.expect("an issue");
            blocks += usize::from(other.is_some_and(|other| !other.state.phase.is_final()));
        }
        let card = Card {
            wanted,
            colour: made.as_ref().map(|made| made.colour),
            worst: made.and_then(|made| made.findings.iter().map(|one| one.severity).max()),
            lines: size.map(|size| size.lines()),
            blocks,
            priority: row.priority,
            since: row.updated_at,
        };
        if (found.weight, found.since) != (desk::weight(&card), row.updated_at) || found.stale {
            self.say(format!("{name}: stands as {found:?}, and is {card:?}"));
        }
    }

    /// Leases: at most one run of a job is live, and epochs rise by one.
    async fn jobs(&mut self, name: &str, row: &Issue, all: &[Job]) {
        let runs = run::run_list(&mut self.tx, Some(row.id), None, None, ALL)
            .await
            .expect("runs");
        for job in all {
            let own: Vec<&Run> = runs.iter().filter(|run| run.job == job.id).collect();
            let mut epochs: Vec<i64> = own.iter().map(|run| run.epoch).collect();
            epochs.sort_unstable();
            if !epochs.iter().copied().eq(1..=job.state.epoch) {
                self.say(format!(
                    "{name}: a {} job at epoch {} has runs {epochs:?}",
                    job.kind.as_str(),
                    job.state.epoch
                ));
            }
            if job.state.starts > MAX_STARTS {
                self.say(format!("{name}: started {} times", job.state.starts));
            }
            let live: Vec<RunId> = own
                .iter()
                .filter(|run| run.state == RunState::Running)
                .map(|run| run.id)
                .collect();
            let leased: Vec<RunId> = match job.state.phase {
                job::Phase::Leased { run, .. } => vec![run],
                _ => Vec::new(),
            };
            if live != leased {
                self.say(format!("{name}: live runs {live:?}, leased {leased:?}"));
            }
        }
    }

    /// Nothing rests without something that will move it, or a person who can.
    async fn rest(&mut self, name: &str, row: &Issue, all: &[Job]) {
        let live: Vec<Kind> = all
            .iter()
            .filter(|job| !job.state.phase.is_final() && !stopping(job))
            .map(|job| job.kind)
            .collect();
        let blocked = block::blockers(&mut self.tx, row.id)
            .await
            .expect("blockers")
            .iter()
            .any(|other| !other.state.phase.is_final());
        let failed = row.state.failed.is_some();
        // A person may try tests whatever else goes on.
        let work: Vec<Kind> = live
            .iter()
            .copied()
            .filter(|kind| *kind != Kind::Tryout)
            .collect();
        let fits = match &row.state.phase {
            Phase::Ready => {
                let ending = all.iter().any(|job| !job.state.phase.is_final());
                failed
                    || blocked
                    || work == [Kind::Author]
                    // Its sealed tests are tried first.
                    || live == [Kind::Tryout]
                    || (live.is_empty() && ending)
            }
            Phase::Working => live.len() == 1 || (live.is_empty() && all.iter().any(stopping)),
            Phase::Landing => live.iter().all(|kind| *kind == Kind::Trial) && live.len() <= 1,
            Phase::Draft => work.is_empty(),
            Phase::NeedsInput { .. }
            | Phase::InReview
            | Phase::Done { .. }
            | Phase::Closed { .. } => live.is_empty(),
        };
        if !fits {
            let phase = row.state.phase.as_str();
            self.say(format!(
                "{name} is {phase} (failed: {failed}, blocked: {blocked}) with jobs {live:?}"
            ));
        }
    }

    /// `landing` and an entry in the queue are the same thing, and it is about the approved head.
    async fn queue(&mut self, name: &str, row: &Issue, entries: &[QueueEntry]) {
        let own: Vec<&QueueEntry> = entries
            .iter()
            .filter(|entry| entry.issue == row.id)
            .collect();
        let landing = row.state.phase == Phase::Landing;
        if own.len() != usize::from(landing) {
            self.say(format!("{name}: landing {landing}, entries {}", own.len()));
        }
        let known = pull::pull_get(&mut self.tx, row.id).await.expect("a pull");
        for entry in own {
            if known.as_ref().map(|known| &known.head) != Some(&entry.approved) {
                self.say(format!("{name}: another head than the approved one lands"));
            }
        }
    }

    /// The branch is where the database says; done and landed are the same thing. Returns what
    /// landed.
    async fn branch(
        &mut self,
        name: &str,
        row: &Issue,
        repository: &Repository,
        line: &[ObjectId],
    ) -> Option<ObjectId> {
        let known = pull::pull_get(&mut self.tx, row.id).await.expect("a pull");
        let done = match &row.state.phase {
            Phase::Done { commit } => Some(commit.clone()),
            _ => None,
        };
        let landed = known.as_ref().and_then(|known| known.landed.clone());
        if done != landed {
            self.say(format!("{name}: done {done:?}, landed {landed:?}"));
        }
        if let Some(commit) = &landed
            && !line.contains(commit)
        {
            self.say(format!("{name}: {commit} is not on the default branch"));
        }
        let known = known?;
        let open = !row.state.phase.is_final() && row.state.phase != Phase::Draft;
        let found = repository.resolve(&known.branch).await.expect("a branch");
        if open && found.as_ref() != Some(&known.head) {
            self.say(format!(
                "{name}: the branch is at {found:?}, the pull request at {}",
                known.head
            ));
        }
        if let Some(commit) = &landed {
            self.proved(name, row.id, &known.head).await;
            let entry = repository.commit(commit).await.expect("a commit");
            if !entry.message.contains("Nightshift-Issue:") {
                self.say(format!("{name}: {commit} was not made by the queue"));
            }
        }
        landed
    }

    async fn proved(&mut self, name: &str, issue: IssueId, head: &ObjectId) {
        let made = verdict::verdict_of(&mut self.tx, issue, head)
            .await
            .expect("a verdict");
        let colour = made.map(|made| made.colour.as_str());
        if colour != Some("green") {
            self.say(format!("{name} landed with a head that is {colour:?}"));
        }
    }

    /// The default branch holds what landed and what people pushed, and nothing else.
    async fn history(&mut self, home: &Project, line: &[ObjectId], landed: &BTreeSet<ObjectId>) {
        let events = event::event_list(&mut self.tx, 0, Some(&[home.id]), None, ALL)
            .await
            .expect("events");
        let branch = home.default_branch.to_ref();
        let mut pushed: BTreeMap<String, String> = BTreeMap::new();
        for event in &events {
            let by_hand = ["git.pushed", "project.configured", "guideline.accepted"]
                .contains(&event.kind.as_str());
            if by_hand && event.data["ref"] == branch.as_str() {
                let text = |field: &str| event.data[field].as_str().unwrap_or_default().to_owned();
                pushed.insert(text("new"), text("old"));
            }
        }
        let mut skip_to: Option<String> = None;
        let mut seen = BTreeSet::new();
        for commit in line {
            if skip_to.as_deref() == Some(commit.as_str()) {
                skip_to = None;
            }
            if skip_to.is_some() {
                continue;
            }
            if let Some(old) = pushed.get(commit.as_str()) {
                skip_to = Some(old.clone());
            } else if landed.contains(commit) {
                seen.insert(commit.clone());
            } else {
                self.say(format!(
                    "{}: {commit} is on {branch} and nobody landed or pushed it",
                    home.name
                ));
            }
        }
        if seen.len() != landed.len() {
            self.say(format!("{}: something landed out of line", home.name));
        }
    }
}

fn stopping(job: &Job) -> bool {
    matches!(job.state.phase, job::Phase::Leased { stop: true, .. })
}

async fn first_parents(repository: &Repository, tip: &ObjectId) -> Vec<ObjectId> {
    let mut line = vec![tip.clone()];
    let mut next = tip.clone();
    loop {
        let commit = repository.commit(&next).await.expect("a commit");
        match commit.parents.into_iter().next() {
            Some(parent) => {
                line.push(parent.clone());
                next = parent;
            }
            None => return line,
        }
    }
}
