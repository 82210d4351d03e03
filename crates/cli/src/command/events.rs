//! `events`: the log of everything that happened, and what happens now.

use futures_util::StreamExt as _;
use nightshift_api::operations::{self, EVENT_EXPORT, EVENT_STREAM};
use nightshift_api::project::{Event, EventQuery};
use nightshift_api::{Nothing, Page};

use crate::connection::Connection;
use crate::failure::Done;
use crate::follow::{Follow, Next};
use crate::view;

/// Which events.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Go on and show what happens, until interrupted
    #[arg(long, short)]
    follow: bool,
    /// Only those after this place in the log
    #[arg(long, value_name = "SEQ")]
    after: Option<i64>,
    /// The whole audit log, one JSON object a line, to be kept elsewhere
    #[arg(long, conflicts_with = "follow")]
    export: bool,
    /// Only what this person did (with --export)
    #[arg(long, value_name = "NAME", requires = "export")]
    person: Option<String>,
    /// Only this kind, such as pull.approved, or pull (with --export)
    #[arg(long, value_name = "KIND", requires = "export")]
    kind: Option<String>,
    /// Not before this time, such as 2026-01-31T08:00:00Z (with --export)
    #[arg(long, value_name = "TIME", requires = "export")]
    from: Option<String>,
    /// Before this time (with --export)
    #[arg(long, value_name = "TIME", requires = "export")]
    until: Option<String>,
    /// How many of the latest; with --after, of the next
    #[arg(long, short = 'n', default_value_t = 50)]
    limit: usize,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let project = connection.project_if_named();
        if self.export {
            return export(connection, project, &self).await;
        }
        let mut events = collect(connection, project.clone(), &self).await?;
        if self.after.is_none() {
            let from = events.len().saturating_sub(self.limit);
            events.drain(..from);
        }
        let output = connection.output;
        if output.json && !self.follow {
            return output.json(&Page {
                items: events,
                next: None,
            });
        }
        let mut last = self.after.unwrap_or(0);
        for event in &events {
            last = last.max(event.seq);
            show(connection, event)?;
        }
        if !self.follow {
            return Ok(());
        }
        let mut query = vec![("after", last.to_string())];
        query.extend(project.map(|project| ("project", project)));
        Follow::new(&connection.client, &EVENT_STREAM, "after")
            .run(&Nothing {}, query, |event| {
                if let Ok(event) = serde_json::from_str::<Event>(&event.data) {
                    show(connection, &event)?;
                }
                Ok(Next::GoOn)
            })
            .await
    }
}

/// Prints the log as it comes.
async fn export(connection: &Connection, project: Option<String>, args: &Args) -> Done {
    connection.token()?;
    let given = [
        ("project", project),
        ("person", args.person.clone()),
        ("kind", args.kind.clone()),
        ("from", args.from.clone()),
        ("until", args.until.clone()),
        ("after", args.after.map(|seq| seq.to_string())),
    ];
    let given = given.into_iter();
    let query: Vec<(&str, String)> = given.filter_map(|(name, v)| Some((name, v?))).collect();
    let lines = connection
        .client
        .stream(&EVENT_EXPORT, &Nothing {}, &query)
        .await?;
    let mut lines = std::pin::pin!(lines);
    while let Some(part) = lines.next().await {
        connection.output.bytes(&part?)?;
    }
    Ok(())
}

/// Reads the log forwards; it only knows what comes after a place.
async fn collect(
    connection: &Connection,
    project: Option<String>,
    args: &Args,
) -> Done<Vec<Event>> {
    let mut events = Vec::new();
    let mut after = args.after.unwrap_or(0);
    loop {
        let query = EventQuery {
            after,
            project: project.clone(),
            limit: Some(500),
        };
        let page = connection
            .call::<operations::EventList>(&Nothing {}, &query, &Nothing {})
            .await?;
        let full = page.items.len() >= 500;
        after = page.items.last().map_or(after, |event| event.seq);
        events.extend(page.items);
        if args.after.is_some() && events.len() >= args.limit {
            events.truncate(args.limit);
            return Ok(events);
        }
        if !full {
            return Ok(events);
        }
        if args.after.is_none() {
            let from = events.len().saturating_sub(args.limit);
            events.drain(..from);
        }
    }
}

fn show(connection: &Connection, event: &Event) -> Done {
    let output = connection.output;
    if output.json {
        return output.json_line(event);
    }
    let mut screen = output.screen();
    view::event::line(&mut screen, event);
    output.show(&mut screen)
}
