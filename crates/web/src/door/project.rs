//! Projects, their settings and their members.

use nightshift_api::operations as op;
use nightshift_api::project::{Member, Project};
use nightshift_api::settings::{SavedSettings, Settings};
use nightshift_api::{Nothing, Page};

use super::whole;
use crate::error::Failure;
use crate::operation::Call;
use crate::view;

pub(crate) async fn create(call: Call<op::ProjectCreate>) -> Result<Project, Failure> {
    let new = &call.input;
    let made = call
        .app
        .project_create(&call.caller, &new.name, new.default_branch.as_deref())
        .await?;
    Ok(view::project::project(made))
}

pub(crate) async fn list(call: Call<op::ProjectList>) -> Result<Page<Project>, Failure> {
    let found = call.app.project_list(&call.caller).await?;
    Ok(whole(
        found.into_iter().map(view::project::project).collect(),
    ))
}

pub(crate) async fn get(call: Call<op::ProjectGet>) -> Result<Project, Failure> {
    let found = call
        .app
        .project_get(&call.caller, &call.path.project)
        .await?;
    Ok(view::project::project(found))
}

pub(crate) async fn settings_get(call: Call<op::SettingsGet>) -> Result<Settings, Failure> {
    let found = call
        .app
        .settings_get(&call.caller, &call.path.project)
        .await?;
    Ok(view::settings::settings(found))
}

pub(crate) async fn settings_save(call: Call<op::SettingsSave>) -> Result<SavedSettings, Failure> {
    let save = view::settings::save(call.input)?;
    let saved = call
        .app
        .settings_save(&call.caller, &call.path.project, &save)
        .await?;
    Ok(view::settings::saved(saved))
}

pub(crate) async fn member_list(call: Call<op::MemberList>) -> Result<Page<Member>, Failure> {
    let found = call
        .app
        .member_list(&call.caller, &call.path.project)
        .await?;
    let items = found
        .into_iter()
        .map(|(user, role)| Member {
            user: user.name,
            role,
        })
        .collect();
    Ok(whole(items))
}

pub(crate) async fn member_set(call: Call<op::MemberSet>) -> Result<Member, Failure> {
    let (path, role) = (call.path, call.input.role);
    call.app
        .member_set(&call.caller, &path.project, &path.user, Some(role))
        .await?;
    Ok(Member {
        user: path.user,
        role,
    })
}

pub(crate) async fn member_remove(call: Call<op::MemberRemove>) -> Result<Nothing, Failure> {
    let path = call.path;
    call.app
        .member_set(&call.caller, &path.project, &path.user, None)
        .await?;
    Ok(Nothing {})
}
