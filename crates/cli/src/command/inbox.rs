//! `inbox`: what waits for the person.

use nightshift_api::project::{Notification, NotificationPath, NotificationQuery};
use nightshift_api::{Nothing, operations};

use crate::clock;
use crate::connection::Connection;
use crate::failure::{Done, Exit, Failure};
use crate::screen::{Screen, dim, green, plain, red, yellow};
use crate::view::{age, counted};
use crate::words::Number;

/// Which notifications.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show those marked read as well
    #[arg(long)]
    all: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Mark those of an issue read
    Read {
        /// The issue
        #[arg(required_unless_present = "everything")]
        number: Option<Number>,
        /// All of them
        #[arg(long)]
        everything: bool,
    },
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let query = NotificationQuery { unread: !self.all };
        let mut page = connection
            .call::<operations::NotificationList>(&Nothing {}, &query, &Nothing {})
            .await?;
        let project = connection.project_if_named();
        page.items
            .retain(|item| project.as_ref().is_none_or(|name| *name == item.project));
        match self.command {
            None => connection
                .output
                .answer(&page, |screen| list(screen, &page.items)),
            Some(Command::Read { number, .. }) => read(connection, number, page.items).await,
        }
    }
}

async fn read(connection: &Connection, number: Option<Number>, all: Vec<Notification>) -> Done {
    let meant: Vec<_> = all
        .into_iter()
        .filter(|item| item.read_at.is_none())
        .filter(|item| number.is_none_or(|number| number.0 == item.number))
        .collect();
    if let (true, Some(number)) = (meant.is_empty(), number) {
        return Err(Failure::new(
            Exit::NotFound,
            format!("nothing unread about #{}; see `nightshift inbox`", number.0),
        ));
    }
    for item in &meant {
        let path = NotificationPath {
            notification: item.id,
        };
        connection
            .call::<operations::NotificationRead>(&path, &Nothing {}, &Nothing {})
            .await?;
    }
    connection.output.answer(&meant, |screen| {
        screen.line([plain(format!(
            "{} marked read",
            counted(meant.len(), "notification")
        ))]);
    })
}

fn list(screen: &mut Screen, items: &[Notification]) {
    if items.is_empty() {
        screen.line([dim("nothing waits for you")]);
        return;
    }
    let now = clock::now();
    let rows = items.iter().map(|item| {
        let notice = match item.notice.as_str() {
            "failed" => red(&item.notice),
            "landed" => green(&item.notice),
            _ => yellow(&item.notice),
        };
        vec![
            plain(format!("{}#{}", item.project, item.number)),
            notice,
            plain(&item.text),
            plain(age(item.created_at, now)),
        ]
    });
    screen.table("", &["issue", "notice", "", ">since"], rows.collect());
}
