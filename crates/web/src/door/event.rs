//! Events: what happened in a project, since a cursor.

use nightshift_api::Page;
use nightshift_api::operations as op;
use nightshift_api::project::Event;

use crate::error::Failure;
use crate::operation::Call;
use crate::view;

pub(crate) async fn list(call: Call<op::EventList>) -> Result<Page<Event>, Failure> {
    let limit = call.query.limit.unwrap_or(100);
    if !(1..=500).contains(&limit) {
        return Err(Failure::invalid(format!(
            "`limit` is {limit}: give 1 to 500"
        )));
    }
    let project = call.query.project.as_deref();
    let found = call
        .app
        .event_list(&call.caller, project, call.query.after, limit)
        .await?;
    let full = i64::try_from(found.len()).unwrap_or(i64::MAX) == limit;
    let next = found
        .last()
        .filter(|_| full)
        .map(|last| last.event.seq.to_string());
    Ok(Page {
        items: found.into_iter().map(view::account::event).collect(),
        next,
    })
}
