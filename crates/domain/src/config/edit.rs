//! Changes of the settings file's text: what is not touched keeps its place and its comments.
//!
//! The result is judged by the parser before anybody sees it: an edit either gives a good file or
//! says what is wrong at which key. A comment that a blank line parts from the table below it stays
//! where it is when tables move. Deliberately absent: where the text is kept.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, TableLike, Value as TomlValue};

use super::field::{SECTIONS, Section, Value, section};
use super::sheet::{as_value, value_of};
use super::{Config, ConfigError, quoted};
use crate::sentence::Sentence;
use crate::told::settings as say;

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// A key gets a value, or goes back to its default; a path without a key takes a row away.
    Set(Path, Option<Value>),
    /// A section that may stand several times gets these rows, in this order.
    Rows(String, Vec<NewRow>),
}

/// Where a value stands: `merge.method`, `check[test].timeout`, `check[test]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    section: String,
    /// The name of the row.
    row: Option<String>,
    key: Option<String>,
}

/// A row of a section that may stand several times.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewRow {
    /// Which row of the file it is; absent for a new one.
    pub was: Option<usize>,
    /// What changes in it; a key that is not named stays as it is.
    pub set: BTreeMap<String, Option<Value>>,
}

impl FromStr for Path {
    type Err = Sentence;

    fn from_str(text: &str) -> Result<Self, Sentence> {
        let (head, key) = match text.find(']') {
            Some(end) => {
                let rest = &text[end + 1..];
                (
                    &text[..end],
                    rest.strip_prefix('.').filter(|k| !k.is_empty()),
                )
            }
            None => text
                .split_once('.')
                .map_or((text, None), |(head, key)| (head, Some(key))),
        };
        let (name, row) = match head.split_once('[') {
            Some((name, row)) => (name, Some(row.to_owned())),
            None => (head, None),
        };
        let known = section(name).ok_or_else(|| {
            let names: Vec<_> = SECTIONS.iter().map(|section| section.name).collect();
            say::no_section(quoted(name), names.join(", "))
        })?;
        match (known.many, &row) {
            (true, None) => {
                let key = key.map_or_else(String::new, |key| format!(".{key}"));
                return Err(say::which(name, key));
            }
            (false, Some(_)) => return Err(say::only_one(name)),
            (false, None) if key.is_none() => return Err(say::which_key(name)),
            (true, Some(_)) | (false, None) => {}
        }
        if let Some(key) = key
            && known.field(key).is_none()
        {
            return Err(unknown_key(known, key));
        }
        Ok(Self {
            section: name.to_owned(),
            row,
            key: key.map(str::to_owned),
        })
    }
}

impl Path {
    /// The declaration of the key; `None` for a whole row.
    #[must_use]
    pub fn field(&self) -> Option<&'static super::field::Field> {
        section(&self.section)?.field(self.key.as_deref()?)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.section)?;
        if let Some(row) = &self.row {
            write!(f, "[{row}]")?;
        }
        match &self.key {
            Some(key) => write!(f, ".{key}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(path, _) => path.fmt(f),
            Self::Rows(section, _) => f.write_str(section),
        }
    }
}

/// The text with these changes, if the result is a good file.
///
/// # Errors
/// Everything that is wrong, each with its key.
pub fn apply(text: &str, edits: &[Edit]) -> Result<String, Vec<ConfigError>> {
    let mut draft = Draft::open(text).map_err(|error| vec![error])?;
    for edit in edits {
        draft.change(edit).map_err(|error| vec![error])?;
    }
    let text = draft.text();
    let wrong = Config::problems(&text);
    if wrong.is_empty() {
        Ok(text)
    } else {
        Err(wrong)
    }
}

/// A file being changed.
pub(super) struct Draft {
    document: DocumentMut,
    carriage_returns: bool,
    begins_blank: bool,
}

impl Draft {
    pub(super) fn open(text: &str) -> Result<Self, ConfigError> {
        let plain = text.replace("\r\n", "\n");
        match plain.parse() {
            Ok(document) => Ok(Self {
                document,
                carriage_returns: text.contains("\r\n"),
                begins_blank: plain.starts_with('\n'),
            }),
            Err(error) => {
                let error: toml_edit::TomlError = error;
                Err(Config::parse(text).err().unwrap_or(ConfigError {
                    field: None,
                    line: None,
                    message: say::not_toml(error.message()).into(),
                }))
            }
        }
    }

    pub(super) fn text(&self) -> String {
        let mut text = self.document.to_string();
        if !self.begins_blank {
            // What stood first is gone, and with it the reason for a blank line.
            text = text.trim_start_matches('\n').to_owned();
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        if self.carriage_returns {
            text = text.replace('\n', "\r\n");
        }
        text
    }

    pub(super) fn drop_key(&mut self, name: &str) {
        self.document.remove(name);
    }

    /// The table of a section, or of one of its rows, where it is one.
    pub(super) fn table(&mut self, name: &str, row: Option<usize>) -> Option<&mut dyn TableLike> {
        match (self.document.get_mut(name)?, row) {
            (Item::ArrayOfTables(rows), Some(at)) => rows.get_mut(at).map(|t| t as _),
            (Item::Value(TomlValue::Array(rows)), Some(at)) => rows
                .get_mut(at)
                .and_then(TomlValue::as_inline_table_mut)
                .map(|t| t as _),
            (item, None) => item.as_table_like_mut(),
            (Item::None | Item::Value(_) | Item::Table(_), Some(_)) => None,
        }
    }

    fn change(&mut self, edit: &Edit) -> Result<(), ConfigError> {
        match edit {
            Edit::Set(path, value) => self.set(path, value.as_ref()),
            Edit::Rows(name, rows) => match section(name).filter(|section| section.many) {
                Some(known) => self.rows(known, rows),
                None => Err(wrong(name.clone(), say::no_rows(quoted(name)))),
            },
        }
    }

    fn set(&mut self, path: &Path, value: Option<&Value>) -> Result<(), ConfigError> {
        let name = path.section.as_str();
        let Some(row) = &path.row else {
            let key = path.key.as_deref().unwrap_or_default();
            if value.is_some() && self.document.get(name).is_none() {
                self.document.insert(name, Item::Table(Table::new()));
            }
            if let Some(table) = self.table(name, None) {
                put(table, key, value);
            }
            return Ok(());
        };
        let names = self.names(name);
        let known = names.iter().position(|one| one.as_ref() == Some(row));
        let mut rows: Vec<NewRow> = (0..names.len()).map(NewRow::kept).collect();
        match (known, path.key.as_deref()) {
            (Some(at), None) => drop(rows.remove(at)),
            (Some(at), Some(key)) => {
                rows[at].set.insert(key.to_owned(), value.cloned());
            }
            (None, Some(key)) => {
                let mut new = NewRow::default();
                new.set
                    .insert("name".to_owned(), Some(Value::Text(row.clone())));
                new.set.insert(key.to_owned(), value.cloned());
                rows.push(new);
            }
            (None, None) => {
                return Err(wrong(
                    format!("{name}[{row}]"),
                    say::none_named(name, quoted(row)),
                ));
            }
        }
        match section(name) {
            Some(known) => self.rows(known, &rows),
            None => Ok(()),
        }
    }

    /// The names of a section's rows, in their order.
    fn names(&mut self, name: &str) -> Vec<Option<String>> {
        let text = |item: Option<&Item>| item.and_then(Item::as_str).map(str::to_owned);
        match self.document.get(name) {
            Some(Item::ArrayOfTables(rows)) => {
                rows.iter().map(|row| text(row.get("name"))).collect()
            }
            Some(Item::Value(TomlValue::Array(rows))) => rows
                .iter()
                .map(|row| {
                    let name = row.as_inline_table().and_then(|row| row.get("name"));
                    name.and_then(TomlValue::as_str).map(str::to_owned)
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    fn rows(&mut self, known: &Section, rows: &[NewRow]) -> Result<(), ConfigError> {
        let name = known.name;
        for (at, row) in rows.iter().enumerate() {
            if let Some(key) = row.set.keys().find(|key| known.field(key).is_none()) {
                return Err(wrong(
                    format!("{name}[{at}].{key}"),
                    unknown_key(known, key),
                ));
            }
        }
        let stands = self.names(name).len();
        let in_place =
            rows.len() == stands && rows.iter().enumerate().all(|(at, row)| row.was == Some(at));
        if !in_place {
            self.rearrange(name, rows, stands)?;
        }
        for (at, row) in rows.iter().enumerate() {
            let Some(table) = self.table(name, Some(at)) else {
                continue;
            };
            for field in known.fields {
                if let Some(value) = row.set.get(field.key) {
                    put(table, field.key, value.as_ref());
                }
            }
        }
        Ok(())
    }

    /// Gives a section as many rows, in this order; new ones are empty yet.
    fn rearrange(&mut self, name: &str, rows: &[NewRow], stands: usize) -> Result<(), ConfigError> {
        let mut seen = vec![false; stands];
        for row in rows.iter().filter_map(|row| row.was) {
            match seen.get_mut(row) {
                Some(used) if !*used => *used = true,
                Some(_) | None => {
                    return Err(wrong(format!("{name}[{row}]"), say::no_row()));
                }
            }
        }
        let old: Vec<Table> = match self.document.get(name).cloned() {
            Some(item) => match item.into_array_of_tables() {
                Ok(tables) => tables.into_iter().collect(),
                Err(_) => Vec::new(),
            },
            None => Vec::new(),
        };
        let comments: Vec<Comment> = old.iter().map(Comment::of).collect();
        let mut new = ArrayOfTables::new();
        for (slot, row) in rows.iter().enumerate() {
            let mut table = row
                .was
                .and_then(|at| old.get(at))
                .cloned()
                .unwrap_or_default();
            let own = row
                .was
                .and_then(|at| comments.get(at))
                .map_or("", |c| &c.own);
            table.set_position(old.get(slot).and_then(Table::position));
            match comments.get(slot) {
                Some(there) => {
                    let prefix = format!("{}{}{own}", there.lead, there.stay);
                    table.decor_mut().set_prefix(prefix);
                }
                None if row.was.is_some() => table.decor_mut().set_prefix(format!("\n{own}")),
                None => {}
            }
            new.push(table);
        }
        let last = old
            .get(rows.len().saturating_sub(1))
            .and_then(Table::position);
        let homeless: String = comments.iter().skip(rows.len()).map(|c| &*c.stay).collect();
        if new.is_empty() {
            self.document.remove(name);
        } else {
            self.document.insert(name, Item::ArrayOfTables(new));
        }
        if !homeless.is_empty() {
            self.keep(last, &homeless);
        }
        Ok(())
    }

    /// Puts a comment whose table is gone above the next one, or at the end.
    fn keep(&mut self, after: Option<isize>, comment: &str) {
        let mut next: Option<&mut Table> = None;
        for (_, item) in self.document.iter_mut() {
            let tables: Vec<&mut Table> = match item {
                Item::Table(table) => vec![table],
                Item::ArrayOfTables(rows) => rows.iter_mut().collect(),
                Item::None | Item::Value(_) => Vec::new(),
            };
            for table in tables {
                let sooner = next
                    .as_ref()
                    .is_none_or(|next| table.position() < next.position());
                if table.position() > after && sooner {
                    next = Some(table);
                }
            }
        }
        match next {
            Some(table) => {
                let there = Comment::of(table);
                let prefix = format!("{}{comment}{}{}", there.lead, there.stay, there.own);
                table.decor_mut().set_prefix(prefix);
            }
            None => {
                let end = self.document.trailing().as_str().unwrap_or_default();
                let end = format!("\n{}{end}", comment.trim_end_matches('\n'));
                self.document.set_trailing(end);
            }
        }
    }
}

impl NewRow {
    /// A row as it stands.
    #[must_use]
    pub fn kept(at: usize) -> Self {
        Self {
            was: Some(at),
            set: BTreeMap::new(),
        }
    }
}

/// What stands above a table.
struct Comment {
    /// Blank lines.
    lead: String,
    /// What a blank line parts from the table.
    stay: String,
    /// What goes with the table.
    own: String,
}

impl Comment {
    fn of(table: &Table) -> Self {
        let prefix = table.decor().prefix().and_then(|prefix| prefix.as_str());
        let prefix = prefix.unwrap_or_default();
        let rest = prefix.trim_start_matches(['\n', ' ', '\t']);
        let lead = &prefix[..prefix.len() - rest.len()];
        let parted = rest.rfind("\n\n").map_or(0, |at| at + 2);
        let (stay, own) = rest.split_at(parted);
        Self {
            lead: lead.to_owned(),
            stay: stay.to_owned(),
            own: own.to_owned(),
        }
    }
}

/// Sets a key, or takes it away; a value that is the same already stays as it is written.
fn put(table: &mut dyn TableLike, key: &str, value: Option<&Value>) {
    let Some(value) = value else {
        table.remove(key);
        return;
    };
    let Some(item) = table.get_mut(key) else {
        table.insert(key, Item::Value(as_value(value)));
        return;
    };
    if value_of(item).as_ref() == Some(value) {
        return;
    }
    let mut new = match (item.as_array(), value) {
        (Some(old), Value::List(wanted)) => TomlValue::Array(list(old, wanted)),
        _ => as_value(value),
    };
    if let Some(old) = item.as_value() {
        *new.decor_mut() = old.decor().clone();
    }
    *item = Item::Value(new);
}

/// A list with other items; those that stay keep their comments.
fn list(old: &Array, wanted: &[String]) -> Array {
    let text = |raw: Option<&toml_edit::RawString>| {
        raw.and_then(toml_edit::RawString::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let prefix = |value: &TomlValue| text(value.decor().prefix());
    let indent = old.iter().find_map(|value| {
        let prefix = prefix(value);
        prefix.rfind('\n').map(|at| prefix[at..].to_owned())
    });
    let end = text(Some(old.trailing()));
    let (mut said, rest) = match end.rfind('\n') {
        Some(at) => (end[..at].to_owned(), end[at..].to_owned()),
        None => (String::new(), end),
    };
    let mut left: Vec<Option<&TomlValue>> = old.iter().map(Some).collect();
    let mut new = Array::new();
    for (place, wanted) in wanted.iter().enumerate() {
        let found = left
            .iter_mut()
            .find(|one| one.and_then(TomlValue::as_str) == Some(wanted))
            .and_then(Option::take);
        let mut value = found.map_or_else(|| TomlValue::from(wanted.as_str()), Clone::clone);
        let before = match &indent {
            Some(indent) if found.is_none() => {
                Some(format!("{}{indent}", std::mem::take(&mut said)))
            }
            Some(_) => None,
            None if prefix(&value).contains('#') => None,
            None => Some(if place == 0 { "" } else { " " }.to_owned()),
        };
        if let Some(before) = before {
            value.decor_mut().set_prefix(before);
        }
        new.push_formatted(value);
    }
    new.set_trailing(format!("{said}{rest}"));
    new.set_trailing_comma(old.trailing_comma() && !new.is_empty());
    new
}

fn wrong(field: String, said: Sentence) -> ConfigError {
    ConfigError {
        field: Some(field),
        line: None,
        message: said.into(),
    }
}

fn unknown_key(known: &Section, key: &str) -> Sentence {
    let keys: Vec<_> = known.fields.iter().map(|field| field.key).collect();
    say::no_key(known.name, quoted(key), keys.join(", "))
}

#[cfg(test)]
mod tests;
