//! The desk: what waits for a person, ranked, and what they put off.
//!
//! The same list as the page has. Deliberately absent: the order (that is `domain`).

use nightshift_api::Nothing;
use nightshift_api::desk::Desk;
use nightshift_api::operations as op;

use crate::error::Failure;
use crate::operation::Call;
use crate::view;

pub(crate) async fn list(call: Call<op::DeskList>) -> Result<Desk, Failure> {
    let found = call.app.desk(&call.caller).await?;
    Ok(view::desk::whole(found))
}

pub(crate) async fn park(call: Call<op::DeskPark>) -> Result<Nothing, Failure> {
    let park = &call.input;
    call.app
        .desk_park_until(&call.caller, &park.project, park.number, park.until)
        .await?;
    Ok(Nothing {})
}

pub(crate) async fn unpark(call: Call<op::DeskUnpark>) -> Result<Nothing, Failure> {
    match (call.input.project, call.input.number) {
        (Some(project), Some(number)) => {
            call.app
                .desk_park(&call.caller, &project, number, None)
                .await?;
        }
        (None, None) => call.app.desk_unpark_all(&call.caller).await?,
        (Some(_), None) | (None, Some(_)) => {
            return Err(Failure::invalid(
                "give `project` and `number` for one card, or neither for all of them",
            ));
        }
    }
    Ok(Nothing {})
}
