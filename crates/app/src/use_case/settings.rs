//! A project's settings file: read as it stands at the tip, changed by a commit of the person's.
//!
//! A save names the object that its form was read at; where another stands there by now, nothing is
//! written. The file's text is judged before a commit is made, and the branch moves by
//! compare-and-swap, so that the merge queue builds anew on it as on any other commit. Only git's
//! objects are written: a link in the tree is refused, never followed. Deliberately absent: what a
//! good file is (`domain::config`).

use nightshift_domain::access::{Action, allowed};
use nightshift_domain::config::edit::{Edit, apply};
use nightshift_domain::config::{self, Config, ConfigError};
use nightshift_domain::git_name::ObjectId;
use nightshift_domain::sentence::{Sentence, text};
use nightshift_git::{
    CommitInfo, FileChange, FileContent, GitError, GitPath, Mode, NewCommit, Person, RefUpdate,
    Repository,
};
use nightshift_store::event;
use nightshift_store::event::NewEvent;
use nightshift_store::project::Project;
use serde_json::json;

use crate::order::platform;
use crate::repository::{MAX_CONFIG, SettingsFile};
use crate::say::{project as say, server};
use crate::{App, Caller, Error};

/// How often a save is tried on a branch that moves meanwhile.
const TRIES: usize = 8;
/// The longest message of a commit, in bytes.
const LONGEST_MESSAGE: usize = 2_000;
/// The most keys that the message of a commit names.
const NAMED_KEYS: usize = 3;

/// A project's settings.
#[derive(Debug, Clone)]
pub struct SettingsView {
    /// The project, with the settings in force.
    pub project: Project,
    /// The commit that the file was read at; `None` while the default branch has none.
    pub tip: Option<ObjectId>,
    /// The file there; `None` where there is no file, and all is default.
    pub blob: Option<ObjectId>,
    /// Its text; empty where there is none.
    pub text: String,
    /// Everything that is wrong with it.
    pub problems: Vec<ConfigError>,
    /// Why it cannot be changed here, whoever asks.
    pub locked: Option<Sentence>,
    /// Whether the caller may change it.
    pub may_edit: bool,
}

/// Settings to be saved.
#[derive(Debug, Clone)]
pub struct SaveSettings {
    /// The file that the change was made on; `None` for no file.
    pub blob: Option<ObjectId>,
    /// What changes.
    pub change: SettingsChange,
    /// The message of the commit; otherwise it names the keys.
    pub message: Option<String>,
    /// Whether only to look at what would be.
    pub dry: bool,
}

/// What changes in the file.
#[derive(Debug, Clone)]
pub enum SettingsChange {
    /// Keys.
    Edits(Vec<Edit>),
    /// The whole text.
    Text(String),
}

/// What a save did, or would do.
#[derive(Debug, Clone)]
pub struct SavedSettings {
    /// The commit that was made; `None` where nothing was to be changed, or only looked at.
    pub commit: Option<ObjectId>,
    /// The file before.
    pub before: String,
    /// The file after.
    pub after: String,
    /// The file's object after; `None` where there is no file.
    pub blob: Option<ObjectId>,
}

/// A commit, and what it did to the file.
#[derive(Debug, Clone)]
pub struct SettingsCommit {
    /// The commit.
    pub commit: CommitInfo,
    /// The file before.
    pub before: String,
    /// The file after.
    pub after: String,
}

impl App {
    /// Shows a project's settings.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see the project.
    pub async fn settings_get(&self, caller: &Caller, name: &str) -> Result<SettingsView, Error> {
        let mut tx = self.db().read().await?;
        let (found, standing) = self
            .project_for(&mut tx, caller, name, Action::ProjectRead)
            .await?;
        drop(tx);
        let project = self.refresh_config(found.id).await?;
        let mut view = SettingsView {
            tip: self.base_tip(&project).await?,
            blob: None,
            text: String::new(),
            problems: Vec::new(),
            locked: None,
            may_edit: allowed(standing, Action::ProjectConfigure),
            project,
        };
        let Some(tip) = &view.tip else {
            view.locked = Some(unborn(&view.project));
            return Ok(view);
        };
        match self.settings_file(view.project.id, tip).await? {
            SettingsFile::Absent => {}
            SettingsFile::Text { blob, text, .. } => {
                view.problems = Config::problems(&text);
                (view.blob, view.text) = (Some(blob), text);
            }
            SettingsFile::Unusable(error) => {
                view.locked = Some(unusable(&error));
                view.problems = vec![error];
            }
        }
        Ok(view)
    }

    /// Changes a project's settings by a commit on its default branch.
    ///
    /// # Errors
    /// `Forbidden` below maintainer; `Unfit` names every key that is wrong; `Conflict` where
    /// somebody else changed the file since it was read; `Refused` where it is no plain file.
    pub async fn settings_save(
        &self,
        caller: &Caller,
        name: &str,
        save: &SaveSettings,
    ) -> Result<SavedSettings, Error> {
        let mut tx = self.db().read().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, name, Action::ProjectConfigure)
            .await?;
        drop(tx);
        let message = message_of(save)?;
        for _ in 0..TRIES {
            let tip = self
                .base_tip(&found)
                .await?
                .ok_or_else(|| Error::refused(unborn(&found)))?;
            let (blob, mode, before) = match self.settings_file(found.id, &tip).await? {
                SettingsFile::Absent => (None, Mode::File, String::new()),
                SettingsFile::Text { blob, mode, text } => (Some(blob), mode, text),
                SettingsFile::Unusable(error) => return Err(Error::refused(unusable(&error))),
            };
            let after = changed(&before, &save.change);
            let same = after.as_ref().is_ok_and(|after| *after == before);
            if blob != save.blob && !same {
                return Err(Error::conflict(say::settings_changed()));
            }
            let mut saved = SavedSettings {
                commit: None,
                after: after?,
                before,
                blob,
            };
            if same || save.dry {
                return Ok(saved);
            }
            let repository = self.repository(found.id)?;
            let made = self
                .file_commit(
                    caller,
                    &repository,
                    &tip,
                    (config::PATH, mode),
                    &saved.after,
                    &message,
                )
                .await?;
            let update = RefUpdate {
                name: found.default_branch.to_ref(),
                old: tip,
                new: made.clone(),
            };
            match repository
                .update_refs(std::slice::from_ref(&update), "settings")
                .await
            {
                // Something else landed: the same change on top of it, if the file is the same.
                Err(GitError::RefMoved(_)) => continue,
                moved => moved?,
            }
            self.settings_record(caller, &found, &update).await?;
            saved.blob = match self.settings_file(found.id, &made).await? {
                SettingsFile::Text { blob, .. } => Some(blob),
                SettingsFile::Absent | SettingsFile::Unusable(_) => None,
            };
            saved.commit = Some(made);
            return Ok(saved);
        }
        Err(Error::unavailable(server::branch_moves()))
    }

    /// Shows what a commit did to a project's settings.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see the project, or there is no such commit on its
    /// default branch.
    pub async fn settings_commit(
        &self,
        caller: &Caller,
        name: &str,
        commit: &ObjectId,
    ) -> Result<SettingsCommit, Error> {
        let mut tx = self.db().read().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, name, Action::ProjectRead)
            .await?;
        drop(tx);
        let missing = || Error::not_found(say::no_commit(name, commit.short()));
        let repository = self.repository(found.id)?;
        let tip = self.base_tip(&found).await?.ok_or_else(missing)?;
        let info = match repository.commit(commit).await {
            Err(GitError::NoObject(_)) => return Err(missing()),
            info => info?,
        };
        if !repository.is_ancestor(commit, &tip).await? {
            return Err(missing());
        }
        let text = async |at: Option<&ObjectId>| -> Result<String, Error> {
            Ok(match at {
                Some(at) => match self.settings_file(found.id, at).await? {
                    SettingsFile::Text { text, .. } => text,
                    SettingsFile::Absent | SettingsFile::Unusable(_) => String::new(),
                },
                None => String::new(),
            })
        };
        Ok(SettingsCommit {
            before: text(info.parents.first()).await?,
            after: text(Some(commit)).await?,
            commit: info,
        })
    }

    /// The text of a version of the settings file that the caller read before, by its object;
    /// empty where there is no such text any more.
    ///
    /// # Errors
    /// `Forbidden` below maintainer.
    pub async fn settings_text(
        &self,
        caller: &Caller,
        name: &str,
        blob: &ObjectId,
    ) -> Result<String, Error> {
        let mut tx = self.db().read().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, name, Action::ProjectConfigure)
            .await?;
        drop(tx);
        let repository = self.repository(found.id)?;
        let bytes = repository.read_object(blob, MAX_CONFIG).await?;
        Ok(String::from_utf8(bytes.unwrap_or_default()).unwrap_or_default())
    }

    /// A commit of the caller's on top of the tip, in which one file has this text.
    pub(crate) async fn file_commit(
        &self,
        caller: &Caller,
        repository: &Repository,
        tip: &ObjectId,
        (path, mode): (&str, Mode),
        text: &str,
        message: &str,
    ) -> Result<ObjectId, Error> {
        let (_, person) = caller.person()?;
        let change = FileChange {
            path: GitPath::from(path),
            content: FileContent::Bytes(mode, text.as_bytes().to_vec()),
        };
        let tree = match repository.write_tree_with(Some(tip), &[change]).await {
            Err(error @ GitError::BadPath { .. }) => {
                return Err(Error::refused(say::bad_tree(error.to_string())));
            }
            tree => tree?,
        };
        let author = Person {
            name: person.to_owned(),
            email: format!("{person}@users.nightshift.invalid"),
        };
        Ok(repository
            .commit_tree(NewCommit {
                tree: &tree,
                parents: std::slice::from_ref(tip),
                author: &author,
                committer: &platform(),
                message,
                time: self.now().as_second(),
            })
            .await?)
    }

    /// Takes note of a save, and of the settings that now hold. Should the server end before, the
    /// settings take effect as those of a push do: a reconciler finds them.
    async fn settings_record(
        &self,
        caller: &Caller,
        found: &Project,
        update: &RefUpdate,
    ) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        let new = NewEvent {
            project: Some(found.id),
            issue: None,
            run: None,
            kind: "project.configured".to_owned(),
            actor: caller.actor(),
            data: json!({ "ref": update.name, "old": update.old, "new": update.new }),
        };
        event::event_append(&mut tx, &new, self.now()).await?;
        self.commit(tx, caller).await?;
        self.refresh_config(found.id).await?;
        Ok(())
    }
}

/// The text after the change, if it is a good file.
fn changed(before: &str, change: &SettingsChange) -> Result<String, Error> {
    let after = match change {
        SettingsChange::Edits(edits) => apply(before, edits),
        SettingsChange::Text(text) => match Config::problems(text) {
            wrong if wrong.is_empty() => Ok(text.clone()),
            wrong => Err(wrong),
        },
    };
    let after = after.map_err(Error::unfit)?;
    let size = u64::try_from(after.len()).unwrap_or(u64::MAX);
    if size > MAX_CONFIG {
        return Err(Error::invalid(say::settings_large(
            text(size),
            text(MAX_CONFIG),
        )));
    }
    Ok(after)
}

fn message_of(save: &SaveSettings) -> Result<String, Error> {
    if let Some(message) = save.message.as_deref().map(str::trim)
        && !message.is_empty()
    {
        if message.len() > LONGEST_MESSAGE {
            return Err(Error::invalid(say::message_large(
                message.len(),
                LONGEST_MESSAGE,
            )));
        }
        return Ok(format!("{message}\n"));
    }
    let keys: Vec<String> = match &save.change {
        SettingsChange::Edits(edits) => edits.iter().map(ToString::to_string).collect(),
        SettingsChange::Text(_) => Vec::new(),
    };
    Ok(match keys.as_slice() {
        [] => "settings: change the file\n".to_owned(),
        keys if keys.len() <= NAMED_KEYS => format!("settings: change {}\n", keys.join(", ")),
        keys => format!(
            "settings: change {} and {} more\n\n{}\n",
            keys[0],
            keys.len() - 1,
            keys.join("\n")
        ),
    })
}

fn unborn(project: &Project) -> Sentence {
    say::unborn(&project.name, project.default_branch.as_str())
}

fn unusable(error: &ConfigError) -> Sentence {
    say::unusable(config::PATH, &error.message)
}
