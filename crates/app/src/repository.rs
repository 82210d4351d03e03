//! Where a project's repository is, and how its branches follow the database.
//!
//! Git wins for refs, the database wins for intent: an adopted head is written to the database
//! first and then to the branch; [`App::sync_branch`] finishes what a crash interrupted, and tells
//! a person's push from an unfinished adoption by the list of known heads.

use nightshift_domain::access::Actor;
use nightshift_domain::config::{self, Config, ConfigError};
use nightshift_domain::git_name::{ObjectId, RefName};
use nightshift_domain::id::{IssueId, ProjectId};
use nightshift_domain::issue::Event;
use nightshift_domain::sentence::Sentence;
use nightshift_domain::told::settings as wrong;
use nightshift_git::{GitError, Mode, RefUpdate, Repository};
use nightshift_store::Tx;
use nightshift_store::project::Project;
use nightshift_store::pull_head::Head;
use nightshift_store::{issue, project, pull, pull_head};
use serde_json::json;

use crate::change::Context;
use crate::say::project as say;
use crate::{App, Error};

/// The largest settings file that is read, in bytes.
pub(crate) const MAX_CONFIG: u64 = 256 << 10;

/// What stands at the place of a settings file.
pub(crate) enum SettingsFile {
    /// Nothing: all is default.
    Absent,
    /// A file that can be read, good or not.
    Text {
        /// Its object.
        blob: ObjectId,
        /// Its mode.
        mode: Mode,
        /// Its content.
        text: String,
    },
    /// Something that is never read as settings.
    Unusable(ConfigError),
}

impl App {
    /// The repository of a project.
    pub(crate) fn repository(&self, project: ProjectId) -> Result<Repository, Error> {
        let path = self
            .settings()
            .repositories()
            .join(format!("{project}.git"));
        Ok(Repository::open(&self.settings().git, &path)?)
    }

    /// The tip of a project's default branch; `None` while it has no commit.
    pub(crate) async fn base_tip(&self, project: &Project) -> Result<Option<ObjectId>, Error> {
        let repository = self.repository(project.id)?;
        Ok(repository.resolve(&project.default_branch.to_ref()).await?)
    }

    /// Reads the settings file again if the default branch moved. A broken file keeps the last
    /// good settings in force and says where it is broken.
    pub(crate) async fn refresh_config(&self, id: ProjectId) -> Result<Project, Error> {
        let mut tx = self.db().read().await?;
        let found = project::project_get(&mut tx, id)
            .await?
            .ok_or_else(|| Error::not_found(say::gone()))?;
        drop(tx);
        let tip = self.base_tip(&found).await?;
        if tip == found.config_commit {
            return Ok(found);
        }
        let read = match &tip {
            None => Ok(Config::default()),
            Some(tip) => self.read_config(id, tip).await?,
        };
        let (good, error) = match read {
            Ok(config) => (config, None),
            Err(error) => (found.config.clone(), Some(error)),
        };
        let mut tx = self.db().write().await?;
        project::project_set_config(&mut tx, id, &good, error.as_ref(), tip.as_ref()).await?;
        // A record of before has the text alone; that it says the same is no news.
        let text = |error: &Option<ConfigError>| error.as_ref().map(ToString::to_string);
        if text(&found.config_error) != text(&error) {
            let new = nightshift_store::event::NewEvent {
                project: Some(id),
                issue: None,
                run: None,
                kind: match error {
                    Some(_) => "project.config-broken",
                    None => "project.config-mended",
                }
                .to_owned(),
                actor: Actor::System,
                data: json!({ "error": text(&error) }),
            };
            nightshift_store::event::event_append(&mut tx, &new, self.now()).await?;
        }
        self.commit_plain(tx).await?;
        Ok(Project {
            config: good,
            config_error: error,
            config_commit: tip,
            ..found
        })
    }

    async fn read_config(
        &self,
        id: ProjectId,
        tip: &ObjectId,
    ) -> Result<Result<Config, ConfigError>, Error> {
        Ok(match self.settings_file(id, tip).await? {
            SettingsFile::Absent => Ok(Config::default()),
            SettingsFile::Text { text, .. } => Config::parse(&text),
            SettingsFile::Unusable(error) => Err(error),
        })
    }

    /// What stands at the settings file's place in a commit.
    pub(crate) async fn settings_file(
        &self,
        id: ProjectId,
        tip: &ObjectId,
    ) -> Result<SettingsFile, Error> {
        self.text_file(id, tip, config::PATH, MAX_CONFIG).await
    }

    /// What stands at a path of a commit, as text.
    pub(crate) async fn text_file(
        &self,
        id: ProjectId,
        tip: &ObjectId,
        path: &str,
        most: u64,
    ) -> Result<SettingsFile, Error> {
        let repository = self.repository(id)?;
        let Some(blob) = repository.read_blob(tip, path, most).await? else {
            return Ok(SettingsFile::Absent);
        };
        let unusable = |said: Sentence| {
            Ok(SettingsFile::Unusable(ConfigError {
                field: None,
                line: None,
                message: said.into(),
            }))
        };
        if blob.mode == Mode::Symlink {
            return unusable(wrong::symlink());
        }
        if blob.truncated {
            return unusable(wrong::large(most));
        }
        match String::from_utf8(blob.bytes) {
            Ok(text) => Ok(SettingsFile::Text {
                blob: blob.id,
                mode: blob.mode,
                text,
            }),
            Err(_) => unusable(wrong::not_utf8()),
        }
    }

    /// Makes an issue's branch and the database agree: finishes an adoption that a crash
    /// interrupted, and takes up what a person pushed.
    pub(crate) async fn sync_branch(&self, id: IssueId) -> Result<(), Error> {
        let mut tx = self.db().read().await?;
        let Some(known) = pull::pull_get(&mut tx, id).await? else {
            return Ok(());
        };
        let heads = pull_head::head_list(&mut tx, id).await?;
        drop(tx);
        let repository = self.repository(known.project)?;
        let found = repository.resolve(&known.branch).await?;
        if found.as_ref() == Some(&known.head) {
            return Ok(());
        }
        let unfinished = match &found {
            None => true,
            Some(found) => heads.iter().any(|head| head.head == *found),
        };
        if unfinished {
            let update = RefUpdate {
                name: known.branch.clone(),
                old: found.unwrap_or_else(ObjectId::zero),
                new: known.head.clone(),
            };
            return match repository.update_refs(&[update], "adopt").await {
                Ok(()) | Err(GitError::RefMoved(_)) => Ok(()),
                Err(other) => Err(other.into()),
            };
        }
        let Some(pushed) = found else {
            return Ok(());
        };
        self.take_up_push(id, &pushed, &Actor::System).await
    }

    /// A person moved an issue's branch: the new head voids any approval and is proved.
    pub(crate) async fn take_up_push(
        &self,
        id: IssueId,
        pushed: &ObjectId,
        by: &Actor,
    ) -> Result<(), Error> {
        let now = self.now();
        let mut tx = self.db().write().await?;
        let Some(row) = issue::issue_lock(&mut tx, id).await? else {
            return Ok(());
        };
        if row.state.phase.is_final() {
            return Ok(());
        }
        let Some(mut known) = pull::pull_get(&mut tx, id).await? else {
            return Ok(());
        };
        if known.head == *pushed {
            return Ok(());
        }
        known.head = pushed.clone();
        if let Some(base) = self.merge_base(&row, &mut tx, pushed).await? {
            known.base = base;
        }
        known.updated_at = now;
        pull::pull_upsert(&mut tx, &known).await?;
        let head = Head {
            issue: id,
            head: pushed.clone(),
            base: known.base.clone(),
            round: row.state.round,
            run: None,
            by: by.clone(),
            created_at: now,
        };
        pull_head::head_insert(&mut tx, &head).await?;
        let context = Context::new(by, now);
        self.change(&mut tx, row, Event::HeadPushed, &context)
            .await?;
        self.commit_plain(tx).await
    }

    async fn merge_base(
        &self,
        row: &issue::Issue,
        tx: &mut Tx,
        head: &ObjectId,
    ) -> Result<Option<ObjectId>, Error> {
        let Some(found) = project::project_get(tx, row.project).await? else {
            return Ok(None);
        };
        let Some(tip) = self.base_tip(&found).await? else {
            return Ok(None);
        };
        Ok(self.repository(row.project)?.merge_base(&tip, head).await?)
    }

    /// Sets a ref of the platform's own, whatever it was.
    pub(crate) async fn set_ref(
        &self,
        repository: &Repository,
        name: &str,
        to: &ObjectId,
    ) -> Result<(), Error> {
        let name: RefName = name.parse().map_err(Error::internal)?;
        let old = repository
            .resolve(&name)
            .await?
            .unwrap_or_else(ObjectId::zero);
        if old == *to {
            return Ok(());
        }
        let update = RefUpdate {
            name,
            old,
            new: to.clone(),
        };
        Ok(repository.update_refs(&[update], "platform").await?)
    }
}
