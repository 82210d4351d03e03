//! Carries out what the desk asks of the server, by the API like anybody else.

use nightshift_api::client::CallError;
use nightshift_api::desk::{Desk, Park, Unpark};
use nightshift_api::issue::{IssuePath, Words};
use nightshift_api::operations::{self as op, PULL_DIFF};
use nightshift_api::pull::{Decision, NewReview};
use nightshift_api::{Nothing, Operation};

use super::page::page;
use super::state::{Ask, Name, Page, UNDO};
use crate::clock;
use crate::connection::Connection;
use crate::failure::Done;

/// What came of it.
pub(crate) enum Answer {
    Listed(Desk),
    Opened(Name, Page),
    Done(Ask),
    Refused(Ask, String),
}

/// How a page is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paper {
    pub(crate) colour: bool,
    pub(crate) width: u16,
}

/// Does what is asked.
pub(crate) async fn carry_out(connection: &Connection, ask: Ask, paper: Paper) -> Answer {
    let outcome = match &ask {
        Ask::Refresh => list(connection).await.map(Answer::Listed),
        Ask::Open(name) => open(connection, name, paper).await,
        other => decide(connection, other)
            .await
            .map(|()| Answer::Done(ask.clone())),
    };
    outcome.unwrap_or_else(|failure| Answer::Refused(ask, failure.message))
}

/// The list.
pub(crate) async fn list(connection: &Connection) -> Done<Desk> {
    call::<op::DeskList>(connection, &Nothing {}, &Nothing {}).await
}

async fn decide(connection: &Connection, ask: &Ask) -> Done {
    match ask {
        Ask::Approve(all) => {
            for (name, head) in all {
                review(connection, name, head, Decision::Approve, "").await?;
            }
        }
        Ask::SendBack(name, head, text) => {
            review(connection, name, head, Decision::SendBack, text).await?;
        }
        Ask::Answer(name, text) => {
            let words = Words { text: text.clone() };
            call::<op::IssueAnswer>(connection, &path(name), &words).await?;
        }
        Ask::Retry(name) => {
            call::<op::IssueRetry>(connection, &path(name), &Nothing {}).await?;
        }
        Ask::Park(name) => {
            let park = Park {
                project: name.0.clone(),
                number: name.1,
                until: None,
            };
            call::<op::DeskPark>(connection, &Nothing {}, &park).await?;
        }
        Ask::Unpark(name) => {
            let unpark = Unpark {
                project: Some(name.0.clone()),
                number: Some(name.1),
            };
            call::<op::DeskUnpark>(connection, &Nothing {}, &unpark).await?;
        }
        Ask::UnparkAll => {
            call::<op::DeskUnpark>(connection, &Nothing {}, &Unpark::default()).await?;
        }
        Ask::Withdraw(names) => {
            for name in names {
                call::<op::PullWithdraw>(connection, &path(name), &Nothing {}).await?;
            }
        }
        Ask::Refresh | Ask::Open(_) | Ask::Quit => {}
    }
    Ok(())
}

async fn review(
    connection: &Connection,
    name: &Name,
    head: &str,
    decision: Decision,
    body: &str,
) -> Done {
    let review = NewReview {
        head: head.to_owned(),
        decision,
        body: body.to_owned(),
        comments: Vec::new(),
        accept_unproven: false,
        hold_s: u8::try_from(UNDO.as_secs()).unwrap_or(u8::MAX),
    };
    call::<op::PullReview>(connection, &path(name), &review)
        .await
        .map(drop)
}

async fn open(connection: &Connection, name: &Name, paper: Paper) -> Done<Answer> {
    let path = path(name);
    let issue = call::<op::IssueGet>(connection, &path, &Nothing {}).await?;
    let made = match call::<op::PullGet>(connection, &path, &Nothing {}).await {
        Ok(pull) => {
            let diff = connection
                .client
                .bytes(&PULL_DIFF, &path, &[], None)
                .await?;
            let diff = String::from_utf8_lossy(&diff);
            page(
                &issue,
                Some((&pull, &diff)),
                paper.colour,
                paper.width,
                clock::now(),
            )
        }
        // A question before the first result.
        Err(failure) if failure.exit == crate::failure::Exit::NotFound => {
            page(&issue, None, paper.colour, paper.width, clock::now())
        }
        Err(failure) => return Err(failure),
    };
    Ok(Answer::Opened(name.clone(), made))
}

fn path(name: &Name) -> IssuePath {
    IssuePath {
        project: name.0.clone(),
        number: name.1,
    }
}

async fn call<O: Operation>(
    connection: &Connection,
    path: &O::Path,
    input: &O::Input,
) -> Done<O::Output>
where
    O::Query: Default,
{
    let query = O::Query::default();
    let answer: Result<O::Output, CallError> =
        connection.client.call::<O>(path, &query, input).await;
    Ok(answer?)
}
