//! Projects and their members.

use nightshift_domain::access::{Action, Role, keeps_maintainer};
use nightshift_domain::config::Config;
use nightshift_domain::git_name::{BadName, BranchName, ISSUE_BRANCHES, ObjectId};
use nightshift_domain::id::ProjectId;
use nightshift_git::Repository;
use nightshift_store::event::NewEvent;
use nightshift_store::project::Project;
use nightshift_store::user::User;
use nightshift_store::{event, issue, member, project, user};
use serde_json::json;

use super::account::check_name;
use crate::say::{account, project as say, quoted};
use crate::{App, Caller, Error};

/// A project as a person sees it.
#[derive(Debug, Clone)]
pub struct ProjectView {
    /// The project.
    pub project: Project,
    /// The tip of its default branch.
    pub head: Option<ObjectId>,
    /// How many issues are in each phase.
    pub counts: Vec<(String, i64)>,
}

impl App {
    /// Makes a project with an empty repository.
    ///
    /// # Errors
    /// `Forbidden` without administration, `Conflict` for a taken name, `Invalid` for bad names.
    pub async fn project_create(
        &self,
        caller: &Caller,
        name: &str,
        default_branch: Option<&str>,
    ) -> Result<ProjectView, Error> {
        self.admin(caller)?;
        let (own, _) = caller.person()?;
        check_name(name)?;
        if name.ends_with(".git") {
            return Err(Error::invalid(say::git_suffix(quoted(name))));
        }
        let branch: BranchName = default_branch
            .unwrap_or("main")
            .parse()
            .map_err(|error: BadName| Error::invalid(say::bad_branch(error.said())))?;
        if branch.to_ref().as_str().starts_with(ISSUE_BRANCHES) || branch.as_str() == "nightshift" {
            return Err(Error::invalid(say::branch_ours()));
        }
        let now = self.now();
        let made = Project {
            id: ProjectId(self.ids().uuid()),
            name: name.to_owned(),
            default_branch: branch.clone(),
            config: Config::default(),
            config_commit: None,
            config_error: None,
            created_at: now,
        };
        let path = self
            .settings()
            .repositories()
            .join(format!("{}.git", made.id));
        Repository::init_bare(&self.settings().git, &path, &branch).await?;
        let saved = self.project_save(caller, &made, own).await;
        if saved.is_err() {
            // No project knows the directory that was just made, so nothing can be lost with it.
            drop(tokio::fs::remove_dir_all(&path).await);
        }
        saved?;
        Ok(ProjectView {
            project: made,
            head: None,
            counts: Vec::new(),
        })
    }

    async fn project_save(
        &self,
        caller: &Caller,
        made: &Project,
        own: nightshift_domain::id::UserId,
    ) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        if project::project_by_name(&mut tx, &made.name)
            .await?
            .is_some()
        {
            return Err(Error::conflict(say::exists(quoted(&made.name))));
        }
        project::project_insert(&mut tx, made).await?;
        member::member_set(&mut tx, made.id, own, Role::Maintainer).await?;
        let new = NewEvent {
            project: Some(made.id),
            issue: None,
            run: None,
            kind: "project.created".to_owned(),
            actor: caller.actor(),
            data: json!({ "name": made.name }),
        };
        event::event_append(&mut tx, &new, made.created_at).await?;
        self.commit(tx, caller).await
    }

    /// Lists the projects the caller may see, by name.
    ///
    /// # Errors
    /// `Forbidden` for runners and runs.
    pub async fn project_list(&self, caller: &Caller) -> Result<Vec<ProjectView>, Error> {
        let mut tx = self.db().read().await?;
        let found = self.visible(&mut tx, caller).await?;
        let mut views = Vec::new();
        for project in found {
            let counts = issue::issue_count_by_phase(&mut tx, project.id).await?;
            views.push((project, counts));
        }
        drop(tx);
        let mut out = Vec::new();
        for (project, counts) in views {
            out.push(ProjectView {
                head: self.base_tip(&project).await?,
                project,
                counts,
            });
        }
        Ok(out)
    }

    /// Shows a project.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see it.
    pub async fn project_get(&self, caller: &Caller, name: &str) -> Result<ProjectView, Error> {
        let mut tx = self.db().read().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, name, Action::ProjectRead)
            .await?;
        let counts = issue::issue_count_by_phase(&mut tx, found.id).await?;
        drop(tx);
        Ok(ProjectView {
            head: self.base_tip(&found).await?,
            project: found,
            counts,
        })
    }

    /// The projects the caller may see.
    pub(crate) async fn visible(
        &self,
        tx: &mut nightshift_store::Tx,
        caller: &Caller,
    ) -> Result<Vec<Project>, Error> {
        let (own, _) = caller.person()?;
        if caller.is_admin() {
            return Ok(project::project_list(tx).await?);
        }
        Ok(member::member_projects(tx, own).await?)
    }

    /// Lists a project's members.
    ///
    /// # Errors
    /// `NotFound` where the caller may not see the project.
    pub async fn member_list(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<Vec<(User, Role)>, Error> {
        let mut tx = self.db().read().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, name, Action::ProjectRead)
            .await?;
        Ok(member::member_list(&mut tx, found.id).await?)
    }

    /// Gives a person a role, or takes them out with `None`.
    ///
    /// # Errors
    /// `Forbidden` below maintainer, `NotFound` for unknown people, `Refused` where the project would
    /// be left without a maintainer.
    pub async fn member_set(
        &self,
        caller: &Caller,
        name: &str,
        who: &str,
        role: Option<Role>,
    ) -> Result<(), Error> {
        let mut tx = self.db().write().await?;
        let (found, _) = self
            .project_for(&mut tx, caller, name, Action::MemberManage)
            .await?;
        let person = user::user_by_name(&mut tx, who)
            .await?
            .ok_or_else(|| Error::not_found(account::no_person(quoted(who))))?;
        // Two who take each other out at once must not both succeed.
        project::project_lock(&mut tx, found.id).await?;
        let members = member::member_list(&mut tx, found.id).await?;
        let members: Vec<_> = members.iter().map(|(one, role)| (one.id, *role)).collect();
        if !keeps_maintainer(&members, person.id, role) {
            return Err(Error::refused(say::last_maintainer(who, name)));
        }
        match role {
            Some(role) => member::member_set(&mut tx, found.id, person.id, role).await?,
            None => {
                if !member::member_remove(&mut tx, found.id, person.id).await? {
                    return Err(Error::not_found(say::no_member(who, name)));
                }
            }
        }
        let new = NewEvent {
            project: Some(found.id),
            issue: None,
            run: None,
            kind: "project.member".to_owned(),
            actor: caller.actor(),
            data: json!({ "user": who, "role": role.map(Role::as_str) }),
        };
        event::event_append(&mut tx, &new, self.now()).await?;
        self.commit(tx, caller).await
    }
}
