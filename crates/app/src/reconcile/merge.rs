//! Merge: carries out the plan of each project's merge queue.
//!
//! Theory: `domain::merge` plans from the queue and the tip of the default branch. A candidate is
//! the intent, kept in the database before the branch moves; the branch moves by compare-and-swap
//! from the base it was built on; recovery reads git: a candidate that is reachable from the
//! branch has landed, whatever the database knew. The lock only saves work; the swap decides.

use nightshift_domain::check::Colour;
use nightshift_domain::config::Method;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{IssueId, ProjectId};
use nightshift_domain::issue::Event;
use nightshift_domain::job::Kind;
use nightshift_domain::merge::{Candidate, Entry, Snapshot, Step, Trial, plan, without_result};
use nightshift_domain::sentence::Sentence;
use nightshift_domain::told::note as say;
use nightshift_domain::waiting;
use nightshift_git::{GitError, Merge, NewCommit, Person, RefUpdate, Repository};
use nightshift_store::issue::Issue;
use nightshift_store::project::Project;
use nightshift_store::queue::QueueEntry;
use nightshift_store::{issue, job as jobs, message, pull, queue, user, verdict};

use super::Report;
use crate::change::{Context, Order};
use crate::order::platform;
use crate::use_case::account::SYSTEM;
use crate::{App, Error};

/// Steps a project may take in one tick before the others get their turn.
const STEPS: usize = 20;

pub(super) async fn tick(app: &App) -> Result<Report, Error> {
    let mut tx = app.db().read().await?;
    let projects = queue::queue_projects(&mut tx).await?;
    drop(tx);
    let mut report = Report::default();
    for id in projects {
        for _ in 0..STEPS {
            let moved = step_project(app, id).await;
            let again = matches!(moved, Ok(true));
            report.count("merge", moved);
            if !again {
                break;
            }
        }
    }
    Ok(report)
}

/// Takes the next step of a project's queue; says whether anything moved.
async fn step_project(app: &App, id: ProjectId) -> Result<bool, Error> {
    let _held = app.0.syncing.lock(id).await;
    let home = app.refresh_config(id).await?;
    let mut tx = app.db().read().await?;
    let entries = queue::queue_list(&mut tx, id).await?;
    drop(tx);
    if let Some(entry) = landed_already(app, &home, &entries).await? {
        record_landing(app, &home, &entry).await?;
        return Ok(true);
    }
    if trial_ended(app, &entries).await? {
        return Ok(true);
    }
    let Some(snapshot) = app.queue_snapshot(&home, &entries).await? else {
        return Ok(false);
    };
    let Some(step) = plan(&snapshot).steps.into_iter().next() else {
        return Ok(false);
    };
    match step {
        Step::Build { issue, base, head } => {
            let seen = entries
                .into_iter()
                .find(|entry| entry.issue == issue)
                .and_then(|entry| entry.candidate);
            build(app, &home, issue, base, head, seen).await
        }
        Step::Try { issue, commit } => queue_trial(app, issue, &commit).await,
        Step::Land { issue, .. } => {
            let entry = entries.into_iter().find(|entry| entry.issue == issue);
            match entry {
                Some(entry) => land(app, &home, &entry).await,
                None => Ok(false),
            }
        }
        Step::Return { issue, reason } => give_back(app, issue, reason).await,
    }
}

impl App {
    /// The queue as the planner sees it; `None` while the default branch has no commit.
    pub(crate) async fn queue_snapshot(
        &self,
        home: &Project,
        entries: &[QueueEntry],
    ) -> Result<Option<Snapshot>, Error> {
        let Some(base) = self.base_tip(home).await? else {
            return Ok(None);
        };
        let now = self.now();
        let mut tx = self.db().read().await?;
        let mut seen = Vec::new();
        for entry in entries {
            let head = pull::pull_get(&mut tx, entry.issue)
                .await?
                .map_or_else(|| entry.approved.clone(), |known| known.head);
            seen.push(Entry {
                issue: entry.issue,
                number: entry.number,
                head,
                approved: entry.approved.clone(),
                held: entry.entered_at > now,
                asks: match entry.asks {
                    true => issue::issue_get(&mut tx, entry.issue)
                        .await?
                        .and_then(|row| row.state.failed)
                        .map(|failure| waiting::stands(&failure)),
                    false => None,
                },
                candidate: entry.candidate.clone(),
            });
        }
        Ok(Some(Snapshot {
            base,
            entries: seen,
        }))
    }
}

/// An entry whose candidate is on the default branch already.
async fn landed_already(
    app: &App,
    home: &Project,
    entries: &[QueueEntry],
) -> Result<Option<QueueEntry>, Error> {
    let Some(base) = app.base_tip(home).await? else {
        return Ok(None);
    };
    let repository = app.repository(home.id)?;
    for entry in entries {
        if let Some(candidate) = &entry.candidate
            && repository.is_ancestor(&candidate.commit, &base).await?
        {
            return Ok(Some(entry.clone()));
        }
    }
    Ok(None)
}

/// Takes note of a trial whose job ended without a result.
async fn trial_ended(app: &App, entries: &[QueueEntry]) -> Result<bool, Error> {
    for entry in entries {
        let (Some(id), Some(candidate)) = (entry.trial_job, &entry.candidate) else {
            continue;
        };
        if !matches!(candidate.trial, Trial::Running { .. }) {
            continue;
        }
        let mut tx = app.db().write().await?;
        // Its result may have come in since the queue was read.
        issue::issue_lock(&mut tx, entry.issue).await?;
        let current = queue::queue_get(&mut tx, entry.issue).await?;
        let same = current.is_some_and(|current| {
            current.trial_job == Some(id) && current.candidate.as_ref() == Some(candidate)
        });
        if !same {
            return Ok(true);
        }
        let job = jobs::job_get(&mut tx, id).await?;
        let Some(trial) = without_result(job.as_ref().map(|job| &job.state.phase)) else {
            continue;
        };
        let unknown = Candidate {
            trial,
            ..candidate.clone()
        };
        queue::queue_set_candidate(&mut tx, entry.issue, Some(&unknown), None).await?;
        app.commit_plain(tx).await?;
        return Ok(true);
    }
    Ok(false)
}

/// Builds the commit that shall land, and keeps it as the intent.
async fn build(
    app: &App,
    home: &Project,
    id: IssueId,
    base: ObjectId,
    head: ObjectId,
    seen: Option<Candidate>,
) -> Result<bool, Error> {
    let repository = app.repository(home.id)?;
    let mut tx = app.db().read().await?;
    let Some(row) = issue::issue_get(&mut tx, id).await? else {
        return Ok(false);
    };
    let requester = user::user_get(&mut tx, row.requester).await?;
    let entry = queue::queue_get(&mut tx, id).await?;
    let approver = match &entry {
        Some(entry) => user::user_get(&mut tx, entry.by).await?,
        None => return Ok(false),
    };
    let proved = verdict::verdict_of(&mut tx, id, &head).await?;
    drop(tx);
    let tree = match repository.merge(&base, &head, None).await? {
        Merge::Merged { tree } => tree,
        Merge::Conflicted { paths, .. } => {
            let paths = paths
                .iter()
                .map(|path| path.to_text().into_owned())
                .collect();
            return conflicted(app, id, paths).await;
        }
    };
    if tree == repository.commit(&base).await?.tree {
        return give_back(app, id, say::holds_it()).await;
    }
    let names = [
        requester.map(|person| ("Co-authored-by", person.name)),
        approver.map(|person| ("Approved-by", person.name)),
    ];
    let message = message_of(home, &row, &names);
    let made = match home.config.merge.method {
        Method::Squash => {
            one_commit(
                app,
                &repository,
                &row,
                &tree,
                std::slice::from_ref(&base),
                &message,
            )
            .await?
        }
        Method::Merge => {
            let parents = [base.clone(), head.clone()];
            one_commit(app, &repository, &row, &tree, &parents, &message).await?
        }
        Method::Rebase => match rebase(app, &repository, &base, &head).await? {
            Some(commit) if repository.commit(&commit).await?.tree == tree => commit,
            _ => {
                return give_back(app, id, say::not_rebased()).await;
            }
        },
    };
    let same_tree = match &proved {
        Some(proved) => {
            proved.colour != Colour::Red
                && proved.base == base
                && repository.commit(&head).await?.tree == tree
        }
        None => false,
    };
    app.set_ref(&repository, &format!("refs/candidates/{id}"), &made)
        .await?;
    let candidate = Candidate {
        commit: made,
        base,
        head,
        trial: if same_tree {
            Trial::SameTree
        } else {
            Trial::Wanted
        },
    };
    let mut tx = app.db().write().await?;
    let Some(row) = issue::issue_lock(&mut tx, id).await? else {
        return Ok(false);
    };
    let Some(entry) = queue::queue_get(&mut tx, id).await? else {
        return Ok(false);
    };
    // Another server may have built, or landed, meanwhile: its intent is not overwritten unseen.
    if entry.approved != candidate.head || entry.candidate != seen {
        return Ok(true);
    }
    if let Some(old) = entry.trial_job {
        app.cancel_job(&mut tx, old, app.now()).await?;
    }
    queue::queue_set_candidate(&mut tx, row.id, Some(&candidate), None).await?;
    app.commit_plain(tx).await?;
    Ok(true)
}

async fn one_commit(
    app: &App,
    repository: &Repository,
    row: &Issue,
    tree: &ObjectId,
    parents: &[ObjectId],
    message: &str,
) -> Result<ObjectId, Error> {
    let author = Person {
        name: row.agent.clone(),
        email: format!("{}@agents.nightshift.invalid", row.agent),
    };
    Ok(repository
        .commit_tree(NewCommit {
            tree,
            parents,
            author: &author,
            committer: &platform(),
            message,
            time: app.now().as_second(),
        })
        .await?)
}

/// Replays the change's own commits on the base, each against its own parent. `None` on conflict.
async fn rebase(
    app: &App,
    repository: &Repository,
    base: &ObjectId,
    head: &ObjectId,
) -> Result<Option<ObjectId>, Error> {
    let mut commits = repository.commits_between(Some(base), head, 1_000).await?;
    commits.reverse();
    let mut tip = base.clone();
    for commit in commits {
        let [parent] = commit.parents.as_slice() else {
            // Merges of the base into the branch carry nothing of their own.
            continue;
        };
        let tree = match repository.merge(&tip, &commit.id, Some(parent)).await? {
            Merge::Merged { tree } => tree,
            Merge::Conflicted { .. } => return Ok(None),
        };
        if tree == repository.commit(&tip).await?.tree {
            continue;
        }
        tip = repository
            .commit_tree(NewCommit {
                tree: &tree,
                parents: &[tip],
                author: &commit.author,
                committer: &platform(),
                message: &commit.message,
                time: app.now().as_second(),
            })
            .await?;
    }
    Ok((tip != *base).then_some(tip))
}

fn message_of(home: &Project, row: &Issue, names: &[Option<(&str, String)>]) -> String {
    let mut message = format!("{} (#{})\n\n", row.title, row.number);
    for (trailer, name) in names.iter().flatten() {
        message.push_str(&format!(
            "{trailer}: {name} <{name}@users.nightshift.invalid>\n"
        ));
    }
    message.push_str(&format!("Nightshift-Issue: {}#{}\n", home.name, row.number));
    message
}

async fn queue_trial(app: &App, id: IssueId, commit: &ObjectId) -> Result<bool, Error> {
    let now = app.now();
    let mut tx = app.db().write().await?;
    let Some(row) = issue::issue_lock(&mut tx, id).await? else {
        return Ok(false);
    };
    let Some(entry) = queue::queue_get(&mut tx, id).await? else {
        return Ok(false);
    };
    let Some(candidate) = entry.candidate.filter(|c| c.commit == *commit) else {
        return Ok(true);
    };
    let after_red = match candidate.trial {
        Trial::Wanted => false,
        Trial::RedOnce => true,
        _ => return Ok(true),
    };
    let context = Context::new(&SYSTEM, now);
    let order = Order::Trial {
        commit: commit.clone(),
        asked: None,
    };
    let job = app
        .queue_job(&mut tx, &row, Kind::Trial, &order, &context)
        .await?;
    let running = Candidate {
        trial: Trial::Running { after_red },
        ..candidate
    };
    queue::queue_set_candidate(&mut tx, id, Some(&running), Some(job)).await?;
    app.commit_plain(tx).await?;
    Ok(true)
}

/// Moves the default branch, then takes note of it.
async fn land(app: &App, home: &Project, entry: &QueueEntry) -> Result<bool, Error> {
    let Some(candidate) = &entry.candidate else {
        return Ok(false);
    };
    // The approval must still stand at the moment of landing.
    let mut tx = app.db().read().await?;
    let known = pull::pull_get(&mut tx, entry.issue).await?;
    let current = queue::queue_get(&mut tx, entry.issue).await?;
    drop(tx);
    let stands = known.is_some_and(|known| known.head == candidate.head)
        && current.is_some_and(|current| current.candidate.as_ref() == Some(candidate));
    if !stands {
        return Ok(true);
    }
    let repository = app.repository(home.id)?;
    let update = RefUpdate {
        name: home.default_branch.to_ref(),
        old: candidate.base.clone(),
        new: candidate.commit.clone(),
    };
    match repository
        .update_refs(&[update], &format!("land #{}", entry.number))
        .await
    {
        Ok(()) => {}
        // Somebody else moved it: the next tick builds and tests on the new tip.
        Err(GitError::RefMoved(_)) => return Ok(true),
        Err(other) => return Err(other.into()),
    }
    record_landing(app, home, entry).await?;
    Ok(true)
}

async fn record_landing(app: &App, home: &Project, entry: &QueueEntry) -> Result<(), Error> {
    let Some(candidate) = &entry.candidate else {
        return Ok(());
    };
    let now = app.now();
    let mut tx = app.db().write().await?;
    let Some(row) = issue::issue_lock(&mut tx, entry.issue).await? else {
        return Ok(());
    };
    if let Some(mut known) = pull::pull_get(&mut tx, entry.issue).await? {
        known.landed = Some(candidate.commit.clone());
        known.updated_at = now;
        pull::pull_upsert(&mut tx, &known).await?;
    }
    let context = Context::new(&SYSTEM, now);
    let event = Event::Landed {
        commit: candidate.commit.clone(),
    };
    match app.change(&mut tx, row, event, &context).await {
        Ok(_) => {}
        Err(Error::Refused { .. }) => {
            queue::queue_leave(&mut tx, entry.issue).await?;
        }
        Err(other) => return Err(other),
    }
    app.commit_plain(tx).await?;
    app.refresh_config(home.id).await?;
    Ok(())
}

async fn conflicted(app: &App, id: IssueId, paths: Vec<String>) -> Result<bool, Error> {
    move_issue(app, id, Event::Conflicted { paths }, None).await
}

async fn give_back(app: &App, id: IssueId, why: Sentence) -> Result<bool, Error> {
    move_issue(app, id, Event::Unlanded, Some(say::taken_out(why))).await
}

async fn move_issue(
    app: &App,
    id: IssueId,
    event: Event,
    note: Option<Sentence>,
) -> Result<bool, Error> {
    let now = app.now();
    let mut tx = app.db().write().await?;
    let Some(row) = issue::issue_lock(&mut tx, id).await? else {
        return Ok(false);
    };
    if let Some(note) = note {
        let said = message::Message {
            id: app.ids().uuid(),
            issue: id,
            round: row.state.round,
            kind: message::MessageKind::Note,
            author: SYSTEM,
            trust: nightshift_domain::trust::Trust::Operator,
            body: note.into(),
            created_at: now,
        };
        message::message_insert(&mut tx, &said).await?;
    }
    let context = Context::new(&SYSTEM, now);
    match app.change(&mut tx, row, event, &context).await {
        Ok(_) => {}
        Err(Error::Refused { .. }) => {
            queue::queue_leave(&mut tx, id).await?;
        }
        Err(other) => return Err(other),
    }
    app.commit_plain(tx).await?;
    Ok(true)
}
