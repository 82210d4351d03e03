//! Guidelines that agents proposed: a maintainer takes one into the project's file, or dismisses it.
//!
//! Accepting is a commit of the maintainer's on the default branch, which moves by compare-and-swap as
//! a save of the settings does; git is what counts: where the server ends between the commit and its
//! note, accepting again finds the guideline there and only takes note of it. Deliberately absent: a
//! change of the words; whoever wants others edits the file.

use nightshift_domain::access::Action;
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::guideline;
use nightshift_domain::id::Number;
use nightshift_git::{GitError, Mode, RefUpdate};
use nightshift_store::issue::Issue;
use nightshift_store::project::Project;
use nightshift_store::proposal::{self, Proposal, Taken};
use serde_json::json;
use uuid::Uuid;

use crate::change::Context;
use crate::repository::SettingsFile;
use crate::say::{change as say, project as project_say, server};
use crate::{App, Caller, Error};

/// How often a commit is tried on a branch that moves meanwhile.
const TRIES: usize = 8;
/// The largest file that is read, in bytes: one that has outgrown prompts can still be shortened.
const MOST: u64 = 256 << 10;

impl App {
    /// Decides about a proposal; the same decision once more changes nothing.
    ///
    /// # Errors
    /// `Forbidden` below maintainer; `NotFound` for a proposal that is none of the issue's; `Conflict`
    /// for a no to what was accepted; `Refused` where the words or the file do not allow it.
    pub async fn guideline_decide(
        &self,
        caller: &Caller,
        name: &str,
        number: Number,
        id: Uuid,
        taken: Taken,
    ) -> Result<Proposal, Error> {
        caller.person()?;
        let mut tx = self.db().read().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, name, Action::ProjectConfigure)
            .await?;
        let missing = || Error::not_found(say::no_proposal(number, name, id.to_string()));
        let known = proposal::proposal_get(&mut tx, id)
            .await?
            .ok_or_else(missing)?;
        let row = nightshift_store::issue::issue_get(&mut tx, known.issue)
            .await?
            .filter(|row| row.project == found.id && row.number == number)
            .ok_or_else(missing)?;
        drop(tx);
        match (&known.decided, taken) {
            (Some((before, ..)), taken) if *before == taken => return Ok(known),
            (Some((Taken::Accepted, by, _)), Taken::Dismissed) => {
                return Err(Error::conflict(say::proposal_taken(
                    by.label(),
                    guideline::PATH,
                )));
            }
            (Some((Taken::Dismissed, ..)) | None, _) => {}
            (Some((Taken::Accepted, ..)), Taken::Accepted) => return Ok(known),
        }
        let update = match taken {
            Taken::Accepted => self.guideline_commit(caller, &found, &row, &known).await?,
            Taken::Dismissed => None,
        };
        self.guideline_note(caller, &row, &known, taken, update)
            .await?;
        let mut tx = self.db().read().await?;
        proposal::proposal_get(&mut tx, id)
            .await?
            .ok_or_else(missing)
    }

    /// The commit that takes it in; none where the file has it already.
    async fn guideline_commit(
        &self,
        caller: &Caller,
        found: &Project,
        row: &Issue,
        known: &Proposal,
    ) -> Result<Option<RefUpdate>, Error> {
        let message = format!(
            "guidelines: take in what #{number} taught\n\nNightshift-Issue: {project}#{number}\nNightshift-Run: {run}\n",
            number = row.number,
            project = found.name,
            run = known.run,
        );
        let repository = self.repository(found.id)?;
        for _ in 0..TRIES {
            let tip = self.base_tip(found).await?.ok_or_else(|| {
                Error::refused(say::unborn_guidelines(
                    &found.name,
                    found.default_branch.as_str(),
                ))
            })?;
            let (mode, before) = self.guideline_file(found, &tip).await?;
            let after = guideline::with(&before, &known.body)
                .map_err(|rule| Error::refused(rule.said()))?;
            if after == before {
                return Ok(None);
            }
            let place = (guideline::PATH, mode);
            let made = self
                .file_commit(caller, &repository, &tip, place, &after, &message)
                .await?;
            let update = RefUpdate {
                name: found.default_branch.to_ref(),
                old: tip,
                new: made,
            };
            match repository
                .update_refs(std::slice::from_ref(&update), "guideline")
                .await
            {
                // Something else landed: the same entry on top of it.
                Err(GitError::RefMoved(_)) => {}
                moved => {
                    moved?;
                    return Ok(Some(update));
                }
            }
        }
        Err(Error::unavailable(server::branch_moves()))
    }

    async fn guideline_file(
        &self,
        found: &Project,
        tip: &ObjectId,
    ) -> Result<(Mode, String), Error> {
        match self.text_file(found.id, tip, guideline::PATH, MOST).await? {
            SettingsFile::Absent => Ok((Mode::File, String::new())),
            SettingsFile::Text { mode, text, .. } => Ok((mode, text)),
            SettingsFile::Unusable(error) => Err(Error::refused(project_say::unusable(
                guideline::PATH,
                &error.message,
            ))),
        }
    }

    async fn guideline_note(
        &self,
        caller: &Caller,
        row: &Issue,
        known: &Proposal,
        taken: Taken,
        update: Option<RefUpdate>,
    ) -> Result<(), Error> {
        let (actor, now) = (caller.actor(), self.now());
        let mut tx = self.db().write().await?;
        let is_new = proposal::proposal_decide(&mut tx, known.id, taken, &actor, now).await?;
        if is_new || update.is_some() {
            let mut data = json!({ "number": row.number, "proposal": known.id, "run": known.run });
            if let Some(update) = update {
                data["ref"] = json!(update.name);
                data["old"] = json!(update.old);
                data["new"] = json!(update.new);
            }
            let kind = match taken {
                Taken::Accepted => "guideline.accepted",
                Taken::Dismissed => "guideline.dismissed",
            };
            self.record(&mut tx, row, kind, &Context::new(&actor, now), data)
                .await?;
        }
        self.commit(tx, caller).await
    }

    /// The guidelines as they stand on this commit, as far as they reach a prompt.
    ///
    /// # Errors
    /// When git does not answer. A file that cannot be read is none.
    pub(crate) async fn guidelines(
        &self,
        found: &Project,
        tip: &ObjectId,
    ) -> Result<Option<String>, Error> {
        let file = self.text_file(found.id, tip, guideline::PATH, MOST).await?;
        Ok(match file {
            SettingsFile::Text { text, .. } => Some(text),
            SettingsFile::Absent | SettingsFile::Unusable(_) => None,
        })
    }
}
