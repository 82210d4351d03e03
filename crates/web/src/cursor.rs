//! Cursors of lists: where a page ended, as a text that clients pass back unread.

use jiff::Timestamp;
use nightshift_domain::id::IssueId;

use crate::error::Failure;

/// The size of a page.
pub(crate) fn limit(asked: Option<i64>) -> Result<i64, Failure> {
    match asked {
        None => Ok(50),
        Some(limit) if (1..=200).contains(&limit) => Ok(limit),
        Some(limit) => Err(Failure::invalid(format!(
            "`limit` is {limit}: give 1 to 200"
        ))),
    }
}

/// A place in a list by time and id.
pub(crate) fn encode(at: Timestamp, id: IssueId) -> String {
    format!("{}.{id}", at.as_millisecond())
}

pub(crate) fn decode(text: Option<&str>) -> Result<Option<(Timestamp, IssueId)>, Failure> {
    let Some(text) = text else {
        return Ok(None);
    };
    let read = || {
        let (at, id) = text.split_once('.')?;
        let at = Timestamp::from_millisecond(at.parse().ok()?).ok()?;
        Some((at, id.parse().ok()?))
    };
    match read() {
        Some(place) => Ok(Some(place)),
        None => Err(Failure::invalid(
            "`cursor` is none of ours: leave it out for the first page, then pass `next`",
        )),
    }
}
