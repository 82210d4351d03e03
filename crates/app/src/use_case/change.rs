//! A change as its reviewer sees it: the diff, what they looked at, what they are about to say, and
//! which other open changes it would collide with.

use nightshift_domain::access::Action;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::id::Number;
use nightshift_domain::sentence::text;
use nightshift_git::{DiffOptions, GitPath, Patch};
use nightshift_store::review::LineComment;
use nightshift_store::review_draft::DraftComment;
use nightshift_store::run::Run;
use nightshift_store::{acceptance, issue, pull_head, review_draft, run, viewed_file};
use uuid::Uuid;

use super::collide::Collisions;
use super::picture::{self, Picture};
use super::pull::{NewReview, PullView};
use super::suggest::{self, Suggestion};
use crate::say::{change as say, issue as issue_say, quoted, server};
use crate::{App, Caller, Error};

/// The most of a patch that one page holds, in bytes.
const MAX_PATCH: u64 = 16 << 20;

/// What is asked of a change.
#[derive(Debug, Clone, Default)]
pub struct ChangeQuery {
    /// From this head of it (or its base) instead of the base.
    pub from: Option<ObjectId>,
    /// To this head of it instead of the latest.
    pub to: Option<ObjectId>,
    /// Whether white space counts.
    pub ignore_whitespace: bool,
    /// Lines around a change; 3 unless said.
    pub context: Option<u32>,
}

/// A change with its diff.
#[derive(Debug)]
pub struct ChangeView {
    /// The pull request.
    pub pull: PullView,
    /// Compared from here.
    pub old: ObjectId,
    /// To here.
    pub new: ObjectId,
    /// The diff.
    pub patch: Patch,
    /// Files the caller marked as viewed, and whose content is still that one.
    pub viewed: Vec<String>,
    /// Comments the caller has not said yet.
    pub drafts: Vec<DraftComment>,
    /// Pictures among the files.
    pub pictures: Vec<Picture>,
    /// Suggestions among the comments, of drafts and of reviews.
    pub suggestions: Vec<Suggestion>,
    /// Other open changes that touch the same lines.
    pub collisions: Collisions,
    /// The sealed tests: command, and each file's path and text.
    pub sealed: Option<(String, Vec<(String, String)>)>,
    /// Runs of the issue, newest first.
    pub runs: Vec<Run>,
}

impl App {
    /// Shows a change.
    ///
    /// # Errors
    /// `NotFound` where there is none; `Invalid` for commits that are no heads of it.
    pub async fn change_get(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
        query: &ChangeQuery,
    ) -> Result<ChangeView, Error> {
        let (own, _) = caller.person()?;
        let view = self.pull_known(caller, name, number).await?;
        let known = &view.line.pull;
        let its_own = |id: &ObjectId| {
            *id == known.base || view.heads.iter().any(|h| h.head == *id || h.base == *id)
        };
        for id in query.from.iter().chain(&query.to) {
            if !its_own(id) {
                return Err(Error::invalid(say::no_round(id.to_string(), number)));
            }
        }
        let old = query.from.clone().unwrap_or_else(|| known.base.clone());
        let new = query.to.clone().unwrap_or_else(|| known.head.clone());
        let repository = self.repository(known.project)?;
        let options = DiffOptions {
            context: query.context.unwrap_or(3).min(10_000),
            ignore_whitespace: query.ignore_whitespace,
            ..DiffOptions::default()
        };
        let whole = DiffOptions::default();
        let is_whole = (&old, &new) == (&known.base, &known.head) && !query.ignore_whitespace;
        // What git is asked is asked at once.
        let (patch, collisions, files) = tokio::try_join!(
            async { Ok(repository.patch(&old, &new, &options, MAX_PATCH).await?) },
            self.collisions(&view.line),
            async {
                match is_whole {
                    true => Ok(Vec::new()),
                    false => Ok(repository
                        .diff(&known.base, &known.head, &whole)
                        .await?
                        .files),
                }
            },
        )?;
        let files = match is_whole {
            true => patch.files.iter().map(|file| file.file.clone()).collect(),
            false => files,
        };
        let mut tx = self.db().read().await?;
        let seen = viewed_file::viewed_list(&mut tx, own, known.issue).await?;
        let drafts = review_draft::draft_list(&mut tx, own, known.issue).await?;
        let sealed = acceptance::acceptance_get(&mut tx, known.issue).await?;
        let runs = run::run_list(&mut tx, Some(known.issue), None, None, 50).await?;
        drop(tx);
        let viewed = patch
            .files
            .iter()
            .filter_map(|file| {
                let path = file.file.path().to_text().into_owned();
                let blob = file
                    .file
                    .new
                    .as_ref()
                    .map_or_else(ObjectId::zero, |side| side.id.clone());
                seen.iter()
                    .any(|(known, id)| *known == path && *id == blob)
                    .then_some(path)
            })
            .collect();
        let pictures = picture::of_patch(&repository, &patch).await?;
        let suggestions = self
            .suggestions(&view.line.pull, &view.reviews, &drafts)
            .await?;
        Ok(ChangeView {
            old,
            new,
            patch,
            viewed,
            drafts,
            suggestions,
            pictures,
            collisions,
            sealed: sealed.map(|sealed| (sealed.run.clone(), texts(&sealed))),
            runs,
            pull: view.with(files),
        })
    }

    /// Reads a file of one of the change's commits, for files that have no lines to show.
    ///
    /// # Errors
    /// `NotFound` where there is no such file or commit.
    pub async fn change_file(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
        commit: &ObjectId,
        path: &str,
    ) -> Result<Vec<u8>, Error> {
        let missing = || Error::not_found(say::no_file(quoted(path), commit.to_string(), number));
        let mut tx = self.db().read().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, name, Action::ProjectRead)
            .await?;
        let row = issue::issue_by_number(&mut tx, found.id, number)
            .await?
            .ok_or_else(missing)?;
        let heads = pull_head::head_list(&mut tx, row.id).await?;
        drop(tx);
        if !heads.iter().any(|h| h.head == *commit || h.base == *commit) {
            return Err(missing());
        }
        let blob = self
            .repository(found.id)?
            .read_blob(commit, path, MAX_PATCH)
            .await?
            .ok_or_else(missing)?;
        if blob.truncated {
            return Err(Error::invalid(say::file_large(
                path.to_string(),
                text(MAX_PATCH),
            )));
        }
        Ok(blob.bytes)
    }

    /// Marks a file of a change as viewed, at this content; or takes the mark away.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see the change.
    pub async fn viewed_mark(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
        path: &str,
        blob: Option<&ObjectId>,
    ) -> Result<(), Error> {
        let (own, _) = caller.person()?;
        let now = self.now();
        let mut tx = self.db().write().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, name, Action::ProjectRead)
            .await?;
        let row = self.issue_row(&mut tx, &found, number).await?;
        match blob {
            Some(blob) => viewed_file::viewed_set(&mut tx, own, row.id, path, blob, now).await?,
            None => {
                viewed_file::viewed_clear(&mut tx, own, row.id, path).await?;
            }
        }
        self.commit(tx, caller).await
    }

    /// Keeps a comment until the review is sent.
    ///
    /// # Errors
    /// `Invalid` when empty or too long; `Forbidden` below writer.
    pub async fn draft_add(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
        comment: LineComment,
    ) -> Result<(), Error> {
        let (own, _) = caller.person()?;
        if comment.body.trim().is_empty() || comment.body.len() > 16 << 10 {
            return Err(Error::invalid(say::comment_size()));
        }
        let path = GitPath::from(comment.path.as_bytes());
        path.check()
            .map_err(|error| Error::invalid(server::as_said(error.to_string())))?;
        suggest::check_comment(&comment)?;
        let now = self.now();
        let mut tx = self.db().write().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, name, Action::PullReview)
            .await?;
        let row = self.issue_row(&mut tx, &found, number).await?;
        if let Some(head) = &comment.head {
            let heads = pull_head::head_list(&mut tx, row.id).await?;
            if !heads.iter().any(|known| known.head == *head) {
                return Err(Error::invalid(say::no_head(head.to_string(), number)));
            }
        }
        let draft = DraftComment {
            id: self.ids().uuid(),
            user: own,
            issue: row.id,
            path: comment.path,
            line: comment.line,
            first: comment.first,
            head: comment.head,
            body: comment.body,
            created_at: now,
        };
        review_draft::draft_insert(&mut tx, &draft).await?;
        self.commit(tx, caller).await
    }

    /// Drops a comment that was not said yet.
    ///
    /// # Errors
    /// `NotFound` for one that is not the caller's.
    pub async fn draft_drop(&self, caller: &Caller, id: Uuid) -> Result<(), Error> {
        let (own, _) = caller.person()?;
        let mut tx = self.db().write().await?;
        if !review_draft::draft_delete(&mut tx, own, id).await? {
            return Err(Error::not_found(say::no_comment()));
        }
        self.commit(tx, caller).await
    }

    /// Sends a review with every comment the caller kept: one review, one round.
    ///
    /// # Errors
    /// As [`App::pull_review`]; the comments are kept then.
    pub async fn review_send(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
        mut new: NewReview,
    ) -> Result<(), Error> {
        let (own, _) = caller.person()?;
        let mut tx = self.db().read().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, name, Action::PullReview)
            .await?;
        let row = issue::issue_by_number(&mut tx, found.id, number)
            .await?
            .ok_or_else(|| Error::not_found(issue_say::no_issue(number, name)))?;
        let drafts = review_draft::draft_list(&mut tx, own, row.id).await?;
        drop(tx);
        new.comments
            .extend(drafts.into_iter().map(|draft| LineComment {
                path: draft.path,
                line: draft.line,
                first: draft.first,
                head: draft.head,
                body: draft.body,
            }));
        self.pull_review(caller, name, number, new).await?;
        let mut tx = self.db().write().await?;
        review_draft::draft_clear(&mut tx, own, row.id).await?;
        self.commit_plain(tx).await
    }
}

/// The sealed files as texts; one that is no text is named only.
fn texts(sealed: &nightshift_domain::check::Acceptance) -> Vec<(String, String)> {
    use base64::Engine as _;
    sealed
        .files
        .iter()
        .map(|file| {
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(&file.content_base64)
                .unwrap_or_default();
            let text = String::from_utf8(bytes).unwrap_or_default();
            (file.path.clone(), text)
        })
        .collect()
}
