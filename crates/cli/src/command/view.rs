//! `view`: filters of the board, and of `issue list`, that are kept under a name.

use nightshift_api::view::{SaveView, View, ViewFilter, ViewPath};
use nightshift_api::{Nothing, operations};

use crate::connection::Connection;
use crate::failure::{Done, Exit, Failure};
use crate::screen::{dim, green, plain};

/// The commands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List your views
    List,
    /// Keep a filter under a name, or change the view that has it
    Save(Save),
    /// Remove a view
    Remove {
        /// Its name
        name: String,
    },
}

/// What a view shall be.
#[derive(Debug, clap::Args)]
pub(crate) struct Save {
    /// Its name
    name: String,
    /// Only issues of this agent
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Only issues with this label
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,
    /// Only issues whose title contains this
    #[arg(long, value_name = "WORDS")]
    text: Option<String>,
    /// Open the board with it
    #[arg(long)]
    default: bool,
    /// Open the board with all issues again
    #[arg(long, conflicts_with = "default")]
    no_default: bool,
    /// Give it this name instead
    #[arg(long, value_name = "NAME")]
    rename: Option<String>,
}

impl Command {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        match self {
            Self::List => list(connection).await,
            Self::Save(save) => save.run(connection).await,
            Self::Remove { name } => {
                let path = ViewPath { view: name };
                connection
                    .call::<operations::ViewRemove>(&path, &Nothing {}, &Nothing {})
                    .await?;
                connection.output.answer(&path, |screen| {
                    screen.line([plain(format!("the view {:?} is removed", path.view))]);
                })
            }
        }
    }
}

impl Save {
    async fn run(self, connection: &Connection) -> Done {
        // A new name alone, or where the board opens, changes nothing of what the view shows.
        let narrows = self.agent.is_some() || self.label.is_some() || self.text.is_some();
        let changes = self.default || self.no_default || self.rename.is_some();
        let save = SaveView {
            filter: (narrows || !changes).then(|| ViewFilter {
                project: connection.project_if_named(),
                agent: self.agent,
                label: self.label,
                text: self.text,
            }),
            name: self.rename,
            is_default: (self.default || self.no_default).then_some(self.default),
        };
        let path = ViewPath { view: self.name };
        let kept = connection
            .call::<operations::ViewSave>(&path, &Nothing {}, &save)
            .await?;
        connection.output.answer(&kept, |screen| {
            screen.line([plain(format!(
                "{:?} shows {}",
                kept.name,
                shown(&kept.filter)
            ))]);
        })
    }
}

async fn list(connection: &Connection) -> Done {
    let views = connection
        .call::<operations::ViewList>(&Nothing {}, &Nothing {}, &Nothing {})
        .await?;
    connection.output.answer(&views, |screen| {
        let rows = views.items.iter().map(|view| {
            let default = if view.is_default {
                green("the board opens with it")
            } else {
                dim("")
            };
            vec![plain(&view.name), plain(shown(&view.filter)), default]
        });
        if views.items.is_empty() {
            screen.line([dim(
                "no views yet: `nightshift view save NAME --label LABEL`",
            )]);
            return;
        }
        screen.table("", &["view", "shows", ""], rows.collect());
    })
}

/// The view of this name.
pub(crate) async fn named(connection: &Connection, name: &str) -> Done<View> {
    let views = connection
        .call::<operations::ViewList>(&Nothing {}, &Nothing {}, &Nothing {})
        .await?;
    let found = views.items.into_iter().find(|view| view.name == name);
    found.ok_or_else(|| {
        Failure::new(
            Exit::NotFound,
            format!("no view {name:?} of yours: `nightshift view list` shows them"),
        )
    })
}

/// A filter in words.
fn shown(filter: &ViewFilter) -> String {
    let parts = [
        ("project", &filter.project),
        ("agent", &filter.agent),
        ("label", &filter.label),
        ("text", &filter.text),
    ];
    let set = parts
        .iter()
        .filter_map(|(name, part)| Some(format!("{name} {:?}", part.as_ref()?)));
    set.collect::<Vec<_>>().join(", ")
}
