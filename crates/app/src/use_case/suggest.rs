//! Suggestions of reviewers: where they stand by now, and applied as one commit by the person who
//! applies them.
//!
//! A suggestion means the lines of the commit it was written on. It is carried over what changed
//! since then as long as its own lines did not change. Applying moves the branch by compare-and-swap
//! and goes on as any push of a person does: the approval is void, the new head is proved, no agent
//! starts. Deliberately absent: suggestions of agents.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use nightshift_domain::access::Action;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::{Number, ReviewId};
use nightshift_domain::issue::Phase;
use nightshift_domain::job::Kind;
use nightshift_domain::sentence::Sentence;
use nightshift_domain::suggestion::{self, Edit, Lines, Moved};
use nightshift_git::{
    DiffOptions, FileChange, FileContent, GitError, GitPath, Mode, NewCommit, Person, RefUpdate,
    Repository,
};
use nightshift_store::event::NewEvent;
use nightshift_store::issue::Issue;
use nightshift_store::project::Project;
use nightshift_store::pull::Pull;
use nightshift_store::review::{LineComment, Review};
use nightshift_store::review_draft::DraftComment;
use nightshift_store::{acceptance, event, job as jobs, pull, review, review_draft};
use serde_json::json;
use uuid::Uuid;

use super::pull::PullView;
use crate::change::stopping;
use crate::say::change as say;
use crate::{App, Caller, Error};

/// The largest file that a suggestion changes, in bytes.
const MAX_FILE: u64 = 4 << 20;
/// The most of a patch that is read to follow lines, in bytes.
const MAX_PATCH: u64 = 8 << 20;

/// Which comment holds a suggestion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// One the caller has not said yet.
    Draft(Uuid),
    /// One of a review.
    Review {
        /// The review.
        review: ReviewId,
        /// Its place among the review's suggestions, from 1.
        number: usize,
    },
}

/// A suggestion, and where it stands.
#[derive(Debug, Clone)]
pub struct Suggestion {
    /// Where it is from.
    pub source: Source,
    /// Who made it.
    pub by: String,
    /// The file.
    pub path: String,
    /// The lines as they were when it was written.
    pub lines: Lines,
    /// Their text; empty where it cannot be shown.
    pub old: Vec<String>,
    /// What they shall say.
    pub new: Vec<String>,
    /// Where it stands by now.
    pub fit: Fit,
}

/// Where a suggestion stands on the present head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// Its lines are here, unchanged.
    Here(Lines),
    /// The lines say so already.
    Done,
    /// It cannot be applied, and why.
    Not(Sentence),
}

/// Which suggestions are to be applied.
#[derive(Debug, Clone)]
pub struct Apply {
    /// The head that was looked at.
    pub head: ObjectId,
    /// Which.
    pub which: Which,
}

/// Which suggestions.
#[derive(Debug, Clone)]
pub enum Which {
    /// Those of the caller that are not said yet; all, or these.
    Drafts(Vec<Uuid>),
    /// Those of a review.
    Review {
        /// The review; without it the newest one that has suggestions.
        review: Option<ReviewId>,
        /// Only these, by their place among its suggestions, from 1; empty: all.
        only: Vec<usize>,
    },
}

/// A suggestion as it was written.
#[derive(Debug, Clone)]
struct Written {
    source: Source,
    by: String,
    path: String,
    lines: Lines,
    head: ObjectId,
    new: Vec<String>,
}

/// Refuses a comment whose suggestion could never be applied.
pub(super) fn check_comment(comment: &LineComment) -> Result<(), Error> {
    let parts = suggestion::read(&comment.body).map_err(|error| Error::invalid(error.said()))?;
    let range = lines_of(comment.first, comment.line);
    if parts.suggested.is_some() && range.is_none() {
        return Err(Error::invalid(say::range_without_lines()));
    }
    if comment.first.is_some() && range.is_none() {
        return Err(Error::invalid(say::range_order()));
    }
    Ok(())
}

/// The lines that a comment is about.
pub(crate) fn lines_of(first: Option<i64>, line: Option<i64>) -> Option<Lines> {
    let line = line?;
    Lines::new(first.unwrap_or(line), line)
}

impl App {
    /// All suggestions on a change that the caller can see, and where each stands on its head.
    pub(super) async fn suggestions(
        &self,
        known: &Pull,
        reviews: &[Review],
        drafts: &[DraftComment],
    ) -> Result<Vec<Suggestion>, Error> {
        let mut all = of_drafts(drafts, "", &known.head);
        for review in reviews {
            all.extend(of_review(review));
        }
        if all.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = self.db().read().await?;
        let sealed = sealed_paths(&mut tx, known).await?;
        drop(tx);
        let mut places = Places::new(self.repository(known.project)?, known.head.clone());
        let mut out = Vec::new();
        for one in all {
            let old = match places.content(&one.head, &one.path).await? {
                Ok(content) => suggestion::shown(&content.bytes, one.lines).unwrap_or_default(),
                Err(_) => Vec::new(),
            };
            let fit = places.fit(&one, &sealed).await?;
            out.push(Suggestion {
                source: one.source,
                by: one.by,
                path: one.path,
                lines: one.lines,
                old,
                new: one.new,
                fit,
            });
        }
        Ok(out)
    }

    /// Some lines of a file of a change as they are, to begin a suggestion with.
    ///
    /// # Errors
    /// `NotFound` where there is no such file, `Invalid` where its lines cannot be shown.
    pub async fn suggestion_begin(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
        commit: &ObjectId,
        path: &str,
        lines: Lines,
    ) -> Result<Vec<String>, Error> {
        let bytes = self.change_file(caller, name, number, commit, path).await?;
        suggestion::shown(&bytes, lines)
            .map_err(|refused| Error::invalid(say::at_path(path, refused.said())))
    }

    /// Applies suggestions as one commit on the change's branch, made by the caller.
    ///
    /// # Errors
    /// `StaleHead` when the head moved, saying where the lines are now; `Refused` where a rule of
    /// suggestions forbids one of them, or an agent is at work: then none is applied.
    pub async fn suggestions_apply(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
        apply: &Apply,
    ) -> Result<PullView, Error> {
        let (own, own_name) = caller.person()?;
        let mut tx = self.db().read().await?;
        let (home, _) = self
            .project_for(&mut tx, caller, name, Action::PushBranch)
            .await?;
        let row = self.issue_row(&mut tx, &home, number).await?;
        let known = pull::pull_get(&mut tx, row.id)
            .await?
            .ok_or_else(|| Error::not_found(say::no_change(number, name)))?;
        self.check_at_rest(&mut tx, &row).await?;
        let wanted = match &apply.which {
            Which::Drafts(ids) => {
                let drafts = review_draft::draft_list(&mut tx, own, row.id).await?;
                pick_drafts(&drafts, ids, own_name, &known.head)?
            }
            Which::Review { review, only } => {
                let reviews = review::review_list(&mut tx, row.id).await?;
                pick_review(&reviews, *review, only)?
            }
        };
        let sealed = sealed_paths(&mut tx, &known).await?;
        drop(tx);
        let repository = self.repository(home.id)?;
        let mut places = Places::new(repository.clone(), known.head.clone());
        if known.head != apply.head {
            let found = places.tell(&wanted, &sealed).await?;
            return Err(stale(number, &apply.head, &known.head, found));
        }
        let changes = places.changes(&wanted, &sealed).await?;
        let commit = self
            .suggestions_commit(
                &repository,
                &home,
                &row,
                own_name,
                &wanted,
                &known,
                &changes,
            )
            .await?;
        let update = RefUpdate {
            name: known.branch.clone(),
            old: known.head.clone(),
            new: commit.clone(),
        };
        match repository
            .update_refs(std::slice::from_ref(&update), "suggestions")
            .await
        {
            Ok(()) => {}
            Err(GitError::RefMoved(_)) => {
                return Err(Error::stale_head(say::branch_moved(number)));
            }
            Err(other) => return Err(other.into()),
        }
        // From here on it is a push like any other.
        self.pushed(caller, &home, &[update]).await?;
        let mut tx = self.db().write().await?;
        for one in &wanted {
            if let Source::Draft(id) = one.source {
                review_draft::draft_delete(&mut tx, own, id).await?;
            }
        }
        let new = NewEvent {
            project: Some(home.id),
            issue: Some(row.id),
            run: None,
            kind: "pull.suggestions-applied".to_owned(),
            actor: caller.actor(),
            data: json!({ "number": number, "commit": commit, "count": wanted.len() }),
        };
        event::event_append(&mut tx, &new, self.now()).await?;
        self.commit(tx, caller).await?;
        self.pull_get(caller, name, number).await
    }

    /// Refuses while an agent is at work, or is about to be: its result, or the decision that it
    /// works on, would be lost.
    async fn check_at_rest(&self, tx: &mut nightshift_store::Tx, row: &Issue) -> Result<(), Error> {
        let number = row.number;
        match &row.state.phase {
            Phase::Done { .. } | Phase::Closed { .. } => {
                return Err(Error::refused(say::ended(number)));
            }
            Phase::NeedsInput { .. } => {
                return Err(Error::refused(say::answer_first(number)));
            }
            Phase::Draft | Phase::Ready | Phase::Working | Phase::InReview | Phase::Landing => {}
        }
        let live = jobs::job_list_live_of_issue(tx, row.id).await?;
        if live
            .iter()
            .any(|job| job.kind == Kind::Author && !stopping(job))
        {
            return Err(Error::refused(say::agent_at_work(number, row.state.round)));
        }
        Ok(())
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "all of it is named in the commit"
    )]
    async fn suggestions_commit(
        &self,
        repository: &Repository,
        home: &Project,
        row: &Issue,
        own_name: &str,
        wanted: &[Written],
        known: &Pull,
        changes: &[FileChange],
    ) -> Result<ObjectId, Error> {
        let tree = repository
            .write_tree_with(Some(&known.head), changes)
            .await?;
        let person = Person {
            name: own_name.to_owned(),
            email: address(own_name),
        };
        let number = row.number;
        let subject = match wanted.len() {
            1 => format!("Apply a suggestion to #{number}"),
            count => format!("Apply {count} suggestions to #{number}"),
        };
        let mut message = format!("{subject}\n\n{}\n\n", row.title);
        let others: BTreeSet<&str> = wanted
            .iter()
            .map(|one| one.by.as_str())
            .filter(|by| *by != own_name)
            .collect();
        for other in others {
            message.push_str(&format!("Co-authored-by: {other} <{}>\n", address(other)));
        }
        message.push_str(&format!("Nightshift-Issue: {}#{number}\n", home.name));
        let made = NewCommit {
            tree: &tree,
            parents: std::slice::from_ref(&known.head),
            author: &person,
            committer: &person,
            message: &message,
            time: self.now().as_second(),
        };
        Ok(repository.commit_tree(made).await?)
    }
}

fn address(name: &str) -> String {
    format!("{name}@users.nightshift.invalid")
}

async fn sealed_paths(
    tx: &mut nightshift_store::Tx,
    known: &Pull,
) -> Result<BTreeSet<String>, Error> {
    let sealed = acceptance::acceptance_get(tx, known.issue).await?;
    Ok(sealed
        .into_iter()
        .flat_map(|sealed| sealed.files)
        .map(|file| file.path)
        .collect())
}

fn of_drafts(drafts: &[DraftComment], by: &str, head: &ObjectId) -> Vec<Written> {
    drafts
        .iter()
        .filter_map(|draft| {
            Some(Written {
                source: Source::Draft(draft.id),
                by: by.to_owned(),
                path: draft.path.clone(),
                lines: lines_of(draft.first, draft.line)?,
                head: draft.head.clone().unwrap_or_else(|| head.clone()),
                new: suggestion::read(&draft.body).ok()?.suggested?,
            })
        })
        .collect()
}

fn of_review(review: &Review) -> Vec<Written> {
    let mut out = Vec::new();
    for comment in &review.comments {
        let Some(new) = suggestion::read(&comment.body)
            .ok()
            .and_then(|parts| parts.suggested)
        else {
            continue;
        };
        let Some(lines) = lines_of(comment.first, comment.line) else {
            continue;
        };
        out.push(Written {
            source: Source::Review {
                review: review.id,
                number: out.len() + 1,
            },
            by: review.by_name.clone(),
            path: comment.path.clone(),
            lines,
            head: comment.head.clone().unwrap_or_else(|| review.head.clone()),
            new,
        });
    }
    out
}

fn pick_drafts(
    drafts: &[DraftComment],
    ids: &[Uuid],
    by: &str,
    head: &ObjectId,
) -> Result<Vec<Written>, Error> {
    let mut all = of_drafts(drafts, by, head);
    for id in ids {
        if !all.iter().any(|one| one.source == Source::Draft(*id)) {
            return Err(Error::not_found(say::no_draft_suggestion()));
        }
    }
    all.retain(|one| ids.is_empty() || ids.iter().any(|id| one.source == Source::Draft(*id)));
    if all.is_empty() {
        return Err(Error::invalid(say::nothing_of_yours()));
    }
    Ok(all)
}

fn pick_review(
    reviews: &[Review],
    wanted: Option<ReviewId>,
    only: &[usize],
) -> Result<Vec<Written>, Error> {
    let mut standing = reviews
        .iter()
        .rev()
        .filter(|review| review.withdrawn_at.is_none());
    let found = match wanted {
        Some(id) => standing.find(|review| review.id == id).map(of_review),
        None => standing.map(of_review).find(|all| !all.is_empty()),
    };
    let all = found.ok_or_else(|| Error::not_found(say::no_review()))?;
    let count = all.len();
    if let Some(number) = only.iter().find(|number| !(1..=count).contains(*number)) {
        return Err(Error::not_found(say::no_suggestion(count, *number)));
    }
    let picked: Vec<Written> = all
        .into_iter()
        .zip(1..)
        .filter(|(_, number)| only.is_empty() || only.contains(number))
        .map(|(one, _)| one)
        .collect();
    if picked.is_empty() {
        return Err(Error::invalid(say::review_without()));
    }
    Ok(picked)
}

fn stale(number: Number, seen: &ObjectId, now: &ObjectId, found: Vec<Sentence>) -> Error {
    let found = found.into_iter().reduce(say::then);
    let found = found.unwrap_or_else(say::look_again);
    Error::stale_head(say::looked_at_old(number, now.short(), seen.short(), found))
}

/// The content of a file that has lines.
struct Content {
    bytes: Vec<u8>,
    mode: Mode,
}

/// Why a file has no lines to replace.
type NoLines = Sentence;

/// Looks up where lines are by now; each thing once.
struct Places {
    repository: Repository,
    head: ObjectId,
    contents: HashMap<(ObjectId, String), Result<Arc<Content>, NoLines>>,
    moves: HashMap<(ObjectId, String), Option<Vec<Moved>>>,
}

impl Places {
    fn new(repository: Repository, head: ObjectId) -> Self {
        Self {
            repository,
            head,
            contents: HashMap::new(),
            moves: HashMap::new(),
        }
    }

    async fn content(
        &mut self,
        commit: &ObjectId,
        path: &str,
    ) -> Result<Result<Arc<Content>, NoLines>, Error> {
        let key = (commit.clone(), path.to_owned());
        if let Some(known) = self.contents.get(&key) {
            return Ok(known.clone());
        }
        let found = match self.repository.read_blob(commit, path, MAX_FILE).await? {
            None => Err(say::not_a_file()),
            Some(blob) if blob.mode == Mode::Symlink => Err(say::a_link()),
            Some(blob) if blob.truncated => Err(say::over_four()),
            Some(blob) => Ok(Arc::new(Content {
                bytes: blob.bytes,
                mode: blob.mode,
            })),
        };
        self.contents.insert(key, found.clone());
        Ok(found)
    }

    /// What changed in a file since a commit; `None` where that cannot be followed.
    async fn moves(&mut self, since: &ObjectId, path: &str) -> Result<Option<Vec<Moved>>, Error> {
        if *since == self.head {
            return Ok(Some(Vec::new()));
        }
        let key = (since.clone(), path.to_owned());
        if let Some(known) = self.moves.get(&key) {
            return Ok(known.clone());
        }
        let options = DiffOptions {
            context: 0,
            paths: vec![GitPath::from(path)],
            ..DiffOptions::default()
        };
        let patch = self
            .repository
            .patch(since, &self.head, &options, MAX_PATCH)
            .await?;
        let mut moves = Some(Vec::new());
        for file in patch.files {
            if file.file.path().as_bytes() != path.as_bytes() {
                continue;
            }
            moves = file.hunks.map(|hunks| {
                let moved = |hunk: &nightshift_git::Hunk| Moved {
                    at: usize::try_from(hunk.old_start).unwrap_or(usize::MAX),
                    gone: usize::try_from(hunk.old_lines).unwrap_or(usize::MAX),
                    came: usize::try_from(hunk.new_lines).unwrap_or(usize::MAX),
                };
                hunks.iter().map(moved).collect()
            });
        }
        self.moves.insert(key, moves.clone());
        Ok(moves)
    }

    /// Where a suggestion stands on the head.
    async fn fit(&mut self, one: &Written, sealed: &BTreeSet<String>) -> Result<Fit, Error> {
        let path = &one.path;
        if sealed.contains(path) {
            return Ok(Fit::Not(say::sealed_test(path)));
        }
        let head = self.head.clone();
        let content = match self.content(&head, path).await? {
            Ok(content) => content,
            Err(why) => return Ok(Fit::Not(say::at_path(path, why))),
        };
        let Some(moves) = self.moves(&one.head, path).await? else {
            return Ok(Fit::Not(say::lost_track(path, one.head.short())));
        };
        let here = suggestion::carry(one.lines, &moves);
        if let Some(lines) = suggestion::begun(one.lines, &moves, one.new.len())
            && suggestion::shown(&content.bytes, lines).is_ok_and(|text| text == one.new)
            && here.is_none_or(|here| here == lines)
        {
            return Ok(Fit::Done);
        }
        let Some(here) = here else {
            return Ok(Fit::Not(say::lines_changed(
                path,
                one.lines.name(),
                one.head.short(),
            )));
        };
        Ok(match suggestion::shown(&content.bytes, here) {
            Ok(_) => Fit::Here(here),
            Err(refused) => Fit::Not(say::at_path(path, refused.said())),
        })
    }

    /// Says of each where it stands.
    async fn tell(
        &mut self,
        wanted: &[Written],
        sealed: &BTreeSet<String>,
    ) -> Result<Vec<Sentence>, Error> {
        let mut said = Vec::new();
        for one in wanted {
            let (path, lines) = (&one.path, one.lines);
            said.push(match self.fit(one, sealed).await? {
                Fit::Here(here) if here == lines => say::lines_same(path, lines.name()),
                Fit::Here(here) => say::lines_moved(path, lines.name(), here.name()),
                Fit::Done => say::lines_done(path, lines.name()),
                Fit::Not(why) => why,
            });
        }
        said.push(say::look_again());
        Ok(said)
    }

    /// The files as they are with all of these applied.
    async fn changes(
        &mut self,
        wanted: &[Written],
        sealed: &BTreeSet<String>,
    ) -> Result<Vec<FileChange>, Error> {
        let mut edits: BTreeMap<&str, Vec<Edit>> = BTreeMap::new();
        for one in wanted {
            match self.fit(one, sealed).await? {
                Fit::Here(lines) => edits.entry(&one.path).or_default().push(Edit {
                    lines,
                    by: one.new.clone(),
                }),
                Fit::Done => {
                    return Err(Error::refused(say::nothing_applied(say::lines_done(
                        &one.path,
                        one.lines.name(),
                    ))));
                }
                Fit::Not(why) => return Err(Error::refused(say::nothing_applied(why))),
            }
        }
        let head = self.head.clone();
        let mut changes = Vec::new();
        for (path, edits) in edits {
            let content = self
                .content(&head, path)
                .await?
                .map_err(|why| Error::refused(say::at_path(path, why)))?;
            let bytes = suggestion::apply(&content.bytes, &edits)
                .map_err(|refused| Error::refused(say::at_path(path, refused.said())))?;
            if bytes != content.bytes {
                changes.push(FileChange {
                    path: GitPath::from(path),
                    content: FileContent::Bytes(content.mode, bytes),
                });
            }
        }
        if changes.is_empty() {
            return Err(Error::refused(say::changes_nothing()));
        }
        Ok(changes)
    }
}
