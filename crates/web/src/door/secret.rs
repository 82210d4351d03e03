//! Secrets of a project.

use nightshift_api::operations as op;
use nightshift_api::secret::Secret;
use nightshift_api::{Nothing, Page};

use super::whole;
use crate::error::Failure;
use crate::operation::Call;
use crate::view;

pub(crate) async fn list(call: Call<op::SecretList>) -> Result<Page<Secret>, Failure> {
    let found = call
        .app
        .secret_list(&call.caller, &call.path.project)
        .await?;
    Ok(whole(found.into_iter().map(view::secret::secret).collect()))
}

pub(crate) async fn set(call: Call<op::SecretSet>) -> Result<Secret, Failure> {
    let (path, value) = (&call.path, &call.input.value);
    let set = call
        .app
        .secret_set(&call.caller, &path.project, &path.secret, value)
        .await?;
    Ok(view::secret::secret(set))
}

pub(crate) async fn remove(call: Call<op::SecretRemove>) -> Result<Nothing, Failure> {
    let path = &call.path;
    call.app
        .secret_remove(&call.caller, &path.project, &path.secret)
        .await?;
    Ok(Nothing {})
}
