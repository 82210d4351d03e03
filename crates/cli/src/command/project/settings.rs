//! `project settings`: shows the settings file, and changes it by a commit.
//!
//! Invariant: a change names the file it was made on; if somebody was faster, nothing is overwritten
//! and a text from the editor is kept.

use std::collections::BTreeMap;

use nightshift_api::project::ProjectPath;
use nightshift_api::settings::{EditSettings, SavedSettings, Settings};
use nightshift_api::{Nothing, operations};
use nightshift_domain::config::edit::Path;
use nightshift_domain::config::field::{Kind, SECTIONS, Value};
use nightshift_domain::config::sheet::Sheet;

use crate::connection::Connection;
use crate::draft::Draft;
use crate::failure::{Done, Failure};
use crate::screen::{Screen, Span, Style, bold, dim, green, plain, red, yellow};
use crate::words::{short_commit, stdin};

/// Which project, and what changes; without an option the settings are shown.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its name; otherwise the one that is meant here
    name: Option<String>,
    /// Set a key: `merge.method=rebase`, `check[NAME].run=make test` (a name that is not there makes
    /// a new one); nothing after `=` takes it back to its default, `check[NAME]=` removes it; a list
    /// has commas; may be said several times
    #[arg(long = "set", value_name = "KEY=VALUE", conflicts_with_all = ["file", "edit"])]
    set: Vec<String>,
    /// Take the whole text from a file; `-` reads standard input
    #[arg(long, value_name = "FILE", conflicts_with = "edit")]
    file: Option<String>,
    /// Change the text in your editor
    #[arg(long)]
    edit: bool,
    /// Message of the commit; otherwise it names the keys
    #[arg(long, short, value_name = "TEXT")]
    message: Option<String>,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
}

impl Args {
    pub(crate) async fn run(self, connection: &Connection) -> Done {
        let project = match self.name {
            Some(name) => name,
            None => connection.project().await?,
        };
        let path = ProjectPath { project };
        let before = connection
            .call::<operations::SettingsGet>(&path, &Nothing {}, &Nothing {})
            .await?;
        let edit = EditSettings {
            blob: before.blob.clone(),
            message: self.message,
            dry_run: self.dry_run,
            ..EditSettings::default()
        };
        let saved = if self.edit {
            in_editor(connection, &path, &before, edit).await?
        } else if let Some(file) = &self.file {
            let text = Some(text_of(file)?);
            send(connection, &path, &EditSettings { text, ..edit }).await?
        } else if !self.set.is_empty() {
            let set = keys(&self.set)?;
            send(connection, &path, &EditSettings { set, ..edit }).await?
        } else {
            return connection
                .output
                .answer(&before, |screen| whole(screen, &before));
        };
        connection
            .output
            .answer(&saved, |screen| tell(screen, &saved, self.dry_run))
    }
}

async fn send(
    connection: &Connection,
    path: &ProjectPath,
    edit: &EditSettings,
) -> Done<SavedSettings> {
    connection
        .call::<operations::SettingsSave>(path, &Nothing {}, edit)
        .await
}

async fn in_editor(
    connection: &Connection,
    path: &ProjectPath,
    before: &Settings,
    edit: EditSettings,
) -> Done<SavedSettings> {
    let draft = Draft::write(&connection.environment, "settings", &before.text)?;
    let text = Some(draft.text().to_owned());
    match send(connection, path, &EditSettings { text, ..edit }).await {
        Ok(saved) => {
            draft.sent();
            Ok(saved)
        }
        Err(failure) => Err(draft.keep(failure)),
    }
}

fn text_of(file: &str) -> Done<String> {
    if file == "-" {
        return stdin();
    }
    std::fs::read_to_string(file)
        .map_err(|error| Failure::failed(format!("cannot read {file}: {error}")))
}

/// The keys of the options, with the values that were typed.
fn keys(options: &[String]) -> Done<BTreeMap<String, Option<Value>>> {
    let mut set = BTreeMap::new();
    for option in options {
        let (key, typed) = option
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("{option:?}: write KEY=VALUE")))?;
        let path: Path = key
            .parse()
            .map_err(|error| Failure::usage(format!("{key:?}: {error}")))?;
        let value = match path.field() {
            Some(field) if field.kind == Kind::Lines => field.kind.read(&typed.replace(',', "\n")),
            Some(field) => field.kind.read(typed),
            None if typed.is_empty() => None,
            None => {
                return Err(Failure::usage(format!(
                    "{key:?} names no key: `{key}.KEY=VALUE`, or `{key}=` to remove it"
                )));
            }
        };
        set.insert(path.to_string(), value);
    }
    Ok(set)
}

fn whole(screen: &mut Screen, settings: &Settings) {
    let place = match &settings.commit {
        Some(commit) => format!("{} at {}", settings.path, short_commit(commit)),
        None => settings.path.clone(),
    };
    screen.line([bold(place)]);
    if let Some(locked) = &settings.locked {
        screen.line([yellow(locked)]);
    }
    if !settings.problems.is_empty() && settings.locked.is_none() {
        screen.line([red("the file is broken"), dim("  the last good one holds")]);
        for problem in &settings.problems {
            let line = problem
                .line
                .map_or_else(String::new, |line| format!("line {line}, "));
            let field = problem.field.as_deref().unwrap_or("the file");
            screen.line([plain(format!("  {line}{field}: ")), plain(&problem.message)]);
        }
    }
    match Sheet::read(&settings.text) {
        Ok(sheet) => table(screen, &sheet),
        Err(_) => screen.text("  ", Style::Plain, &settings.text),
    }
}

/// Every key, with what is given or the default.
fn table(screen: &mut Screen, sheet: &Sheet) {
    let mut lines: Vec<Vec<Span>> = Vec::new();
    for section in SECTIONS {
        for row in sheet.rows(section.name) {
            let name = row.get("name").map_or("", String::as_str);
            for field in section.fields {
                let key = if section.many {
                    format!("{}[{name}].{}", section.name, field.key)
                } else {
                    format!("{}.{}", section.name, field.key)
                };
                match row.get(field.key) {
                    _ if section.many && field.key == "name" => {}
                    Some(given) => {
                        lines.push(vec![plain(key), plain(given.trim().replace('\n', ", "))]);
                    }
                    None if section.many && field.default.is_empty() => {}
                    None => lines.push(vec![
                        dim(key),
                        dim(format!("{} (default)", or_dash(field.default))),
                    ]),
                }
            }
        }
    }
    screen.gap();
    screen.table("  ", &["", ""], lines);
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "–" } else { text }
}

fn tell(screen: &mut Screen, saved: &SavedSettings, dry: bool) {
    match &saved.commit {
        Some(commit) => screen.line([
            green("saved"),
            plain(format!(" as commit {}", short_commit(commit))),
        ]),
        None if dry && !saved.diff.is_empty() => {
            screen.line([yellow("nothing is saved: this is what would change")]);
        }
        None => screen.line([plain("nothing to change: the settings say so already")]),
    }
    if !saved.diff.is_empty() {
        screen.gap();
        for line in saved.diff.lines() {
            let style = match line.as_bytes().first() {
                Some(b'+') => Style::Green,
                Some(b'-') => Style::Red,
                Some(b'@') => Style::Cyan,
                _ => Style::Plain,
            };
            screen.text("", style, line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_sent_as_what_it_means() {
        let options = [
            "merge.protect=a/**,LICENSE",
            "merge.four_eyes=true",
            "merge.method=",
            "repair.in_run=3",
            "check[test].run=make test X=1",
            "check[old]=",
        ];
        let options: Vec<String> = options.iter().map(|o| (*o).to_owned()).collect();
        let sent = serde_json::to_value(keys(&options).expect("keys")).expect("JSON");
        assert_eq!(
            sent,
            serde_json::json!({
                "merge.protect": ["a/**", "LICENSE"],
                "merge.four_eyes": true,
                "merge.method": null,
                "repair.in_run": 3,
                "check[test].run": "make test X=1",
                "check[old]": null,
            })
        );
        for wrong in ["merge", "nothing.x=1", "check.run=x", "check[a]=x"] {
            assert!(keys(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
