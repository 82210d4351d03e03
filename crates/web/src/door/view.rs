//! Saved views of the board.

use nightshift_api::operations as op;
use nightshift_api::view::View;
use nightshift_api::{Nothing, Page};
use nightshift_app::use_case::view::SaveView;

use super::whole;
use crate::error::Failure;
use crate::operation::Call;
use crate::view::saved;

pub(crate) async fn list(call: Call<op::ViewList>) -> Result<Page<View>, Failure> {
    let found = call.app.view_list(&call.caller).await?;
    Ok(whole(found.into_iter().map(saved::view).collect()))
}

pub(crate) async fn save(call: Call<op::ViewSave>) -> Result<View, Failure> {
    let save = SaveView {
        rename: call.input.name,
        filter: call.input.filter.map(saved::filter),
        is_default: call.input.is_default,
    };
    let kept = call
        .app
        .view_save(&call.caller, &call.path.view, &save)
        .await?;
    Ok(saved::view(kept))
}

pub(crate) async fn remove(call: Call<op::ViewRemove>) -> Result<Nothing, Failure> {
    call.app.view_remove(&call.caller, &call.path.view).await?;
    Ok(Nothing {})
}
