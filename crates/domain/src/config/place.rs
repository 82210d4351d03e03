//! Where in the settings file a mistake stands: the key of a byte, and all mistakes at once.
//!
//! The parser stops at the first mistake. To find the next one, the first is mended in a copy that
//! is thrown away, and the copy is read again: there is one parser and one judgement.

use toml_edit::{Document, Item, TableLike, Value as TomlValue};

use super::edit::Draft;
use super::field::{Kind, Value, section};
use super::sheet::as_value;
use super::{Config, ConfigError};

/// The most mistakes that are told at once.
const MOST: usize = 20;

impl Config {
    /// Everything that is wrong with the file's text, from top to bottom; empty for a good one.
    #[must_use]
    pub fn problems(text: &str) -> Vec<ConfigError> {
        let mut found: Vec<ConfigError> = Vec::new();
        let mut copy = text.to_owned();
        while found.len() < MOST
            && let Err(mut error) = Self::parse(&copy)
        {
            let Some(field) = error.field.clone() else {
                if found.is_empty() {
                    found.push(error);
                }
                break;
            };
            if found
                .iter()
                .any(|known| known.field.as_ref() == Some(&field))
            {
                break;
            }
            if !found.is_empty() {
                error.line = line_of(text, &field);
            }
            found.push(error);
            match mend(&copy, &field, found.len()) {
                Some(next) => copy = next,
                None => break,
            }
        }
        found.sort_by_key(|error| error.line);
        found
    }
}

/// The key whose name or value has this byte, such as `check[1].timeout`.
pub(super) fn field_at(text: &str, byte: usize) -> Option<String> {
    let document = Document::parse(text).ok()?;
    find(document.as_table(), byte, "")
}

fn find(table: &dyn TableLike, byte: usize, above: &str) -> Option<String> {
    let within = |span: Option<std::ops::Range<usize>>| span.is_some_and(|s| s.contains(&byte));
    let mut around = None;
    for (name, item) in table.iter() {
        let path = if above.is_empty() {
            name.to_owned()
        } else {
            format!("{above}.{name}")
        };
        let inner = match item {
            Item::ArrayOfTables(rows) => rows.iter().enumerate().find_map(|(at, row)| {
                let path = format!("{path}[{at}]");
                find(row, byte, &path).or_else(|| within(row.span()).then_some(path))
            }),
            Item::Value(TomlValue::Array(rows)) => rows.iter().enumerate().find_map(|(at, row)| {
                let path = format!("{path}[{at}]");
                let row = row.as_inline_table()?;
                find(row, byte, &path).or_else(|| within(row.span()).then_some(path))
            }),
            Item::None | Item::Value(_) | Item::Table(_) => item
                .as_table_like()
                .and_then(|inner| find(inner, byte, &path)),
        };
        if inner.is_some() {
            return inner;
        }
        let on_key = table.key(name).is_some_and(|key| within(key.span()));
        if on_key || within(item.span()) {
            around = Some(path);
        }
    }
    around
}

/// The line of a key, or of what it would stand in.
fn line_of(text: &str, field: &str) -> Option<usize> {
    let document = Document::parse(text).ok()?;
    let at = |span: Option<std::ops::Range<usize>>| Some(super::line_of(text, span?.start));
    let mut line = None;
    let mut table: &dyn TableLike = document.as_table();
    for step in field.split('.') {
        let (name, row) = split(step);
        let Some(item) = table.get(name) else {
            return line;
        };
        let key = table.key(name).and_then(toml_edit::Key::span);
        line = at(key.or_else(|| item.span())).or(line);
        let inner = match (row, item) {
            (Some(row), Item::ArrayOfTables(rows)) => {
                let row = rows.get(row);
                line = row.and_then(|row| at(row.span())).or(line);
                row.map(|row| row as _)
            }
            (Some(row), Item::Value(TomlValue::Array(rows))) => {
                let row = rows.get(row).and_then(TomlValue::as_inline_table);
                row.map(|row| row as _)
            }
            _ => item.as_table_like(),
        };
        match inner {
            Some(inner) => table = inner,
            None => return line,
        }
    }
    line
}

/// `check[1]` as its name and its row.
pub(super) fn split(step: &str) -> (&str, Option<usize>) {
    step.strip_suffix(']')
        .and_then(|rest| rest.split_once('['))
        .and_then(|(name, at)| Some((name, Some(at.parse().ok()?))))
        .unwrap_or((step, None))
}

/// The text without this mistake, for the eyes of the parser only.
fn mend(text: &str, field: &str, so_far: usize) -> Option<String> {
    let mut draft = Draft::open(text).ok()?;
    let mut steps = field.split('.');
    let (name, row) = split(steps.next()?);
    let Some(known) = section(name) else {
        draft.drop_key(name);
        return Some(draft.text());
    };
    let Some(key) = steps.next() else {
        draft.drop_key(name);
        return Some(draft.text());
    };
    let table = draft.table(name, row)?;
    let stands = table.get(key).is_some();
    let value = known.field(key).filter(|field| field.needed || !stands);
    match value {
        Some(field) => {
            let has_command = table.get("command").is_some();
            let word = match field.kind {
                Kind::Choice(_) if has_command => "command".to_owned(),
                Kind::Choice(words) => words.first().map(|w| (*w).to_owned())?,
                Kind::Line
                | Kind::Text
                | Kind::Span
                | Kind::Number
                | Kind::Decimal
                | Kind::Flag
                | Kind::Lines => {
                    format!("sample-{so_far}")
                }
            };
            table.insert(key, Item::Value(as_value(&Value::Text(word))));
        }
        None => {
            table.remove(key);
        }
    }
    Some(draft.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        let lines = Config::problems(text).into_iter().map(|error| {
            let field = error.field.unwrap_or_else(|| "-".to_owned());
            let line = error.line.map_or("-".to_owned(), |line| line.to_string());
            // The list of what is known grows with every key.
            let message = error.message.as_str();
            let message = match message.split_once(", expected one of") {
                Some((unknown, _)) if unknown.starts_with("unknown field") => unknown,
                _ => message,
            };
            format!("{field} @{line}: {message}\n")
        });
        lines.collect()
    }

    #[test]
    fn each_mistake_is_at_its_key() {
        insta::assert_snapshot!(told("[merge\nmethod = 1"));
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        insta::assert_snapshot!(told(
            r#"
colour = "red"
[environment]
timeout = 5
cache = "Cargo.lock"
[[check]]
name = "a b"
run = ""
[[check]]
name = "test"
timeout = "soon"
[[chek]]
name = "x"
[[agent]]
name = "claude"
harness = "gpt"
[[agent]]
name = "own"
harness = "command"
prompt = "telepathy"
[[agent]]
name = "codex"
harness = "codex"
command = "codex"
[merge]
method = "force"
direct_push = "yes"
squash = true
[repair]
in_run = 300
after_verdict = "twice"
[budget]
issue = -2.0
issue_minutes = "many"
"#
        ));
    }
}
