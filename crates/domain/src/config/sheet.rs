//! The settings file as a form shows it: what stands at each key, as it would be typed.
//!
//! Lenient on purpose: a value that the parser refuses is shown as it stands, so that it can be
//! corrected in place. Only text that is no TOML cannot be shown.

use std::collections::BTreeMap;

use toml_edit::{Document, Item, TableLike, Value as TomlValue};

use super::field::{SECTIONS, Section, Value};
use super::{Config, ConfigError};
use crate::told::settings as say;

/// What is typed at the keys of one table; a key that is not given is absent.
pub type Row = BTreeMap<String, String>;

/// Every section with its rows; one that may stand once has exactly one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet(BTreeMap<&'static str, Vec<Row>>);

impl Sheet {
    /// Reads what stands in the file.
    ///
    /// # Errors
    /// Where it is no TOML.
    pub fn read(text: &str) -> Result<Self, ConfigError> {
        let Ok(document) = Document::parse(text) else {
            return Err(Config::parse(text).err().unwrap_or(ConfigError {
                field: None,
                line: None,
                message: say::no_toml().into(),
            }));
        };
        let rows = SECTIONS
            .iter()
            .map(|section| (section.name, rows_of(document.get(section.name), section)))
            .collect();
        Ok(Self(rows))
    }

    /// The rows of a section.
    #[must_use]
    pub fn rows(&self, section: &str) -> &[Row] {
        self.0.get(section).map_or(&[], Vec::as_slice)
    }
}

fn rows_of(item: Option<&Item>, section: &Section) -> Vec<Row> {
    let row = |table: &dyn TableLike| -> Row {
        let keys = section.fields.iter().filter_map(|field| {
            let item = table.get(field.key)?;
            Some((field.key.to_owned(), typed(item)))
        });
        keys.collect()
    };
    match item {
        Some(Item::ArrayOfTables(rows)) if section.many => rows.iter().map(|t| row(t)).collect(),
        Some(Item::Value(TomlValue::Array(rows))) if section.many => rows
            .iter()
            .map(|value| value.as_inline_table().map_or_else(Row::new, |t| row(t)))
            .collect(),
        Some(item) if !section.many => vec![item.as_table_like().map_or_else(Row::new, row)],
        _ if section.many => Vec::new(),
        _ => vec![Row::new()],
    }
}

fn typed(item: &Item) -> String {
    match value_of(item) {
        Some(value) => value.typed(),
        None => item.to_string().trim().to_owned(),
    }
}

/// The value that stands there, where it is of a kind that a key can take.
pub(super) fn value_of(item: &Item) -> Option<Value> {
    match item.as_value()? {
        TomlValue::String(text) => Some(Value::Text(text.value().clone())),
        TomlValue::Integer(number) => Some(Value::Number(*number.value())),
        TomlValue::Float(number) => Some(Value::Decimal(*number.value())),
        TomlValue::Boolean(flag) => Some(Value::Flag(*flag.value())),
        TomlValue::Array(list) => {
            let texts = list.iter().map(|one| one.as_str().map(str::to_owned));
            texts.collect::<Option<_>>().map(Value::List)
        }
        TomlValue::Datetime(_) | TomlValue::InlineTable(_) => None,
    }
}

/// A value as it is written.
pub(super) fn as_value(value: &Value) -> TomlValue {
    match value {
        Value::Flag(flag) => (*flag).into(),
        Value::Number(number) => (*number).into(),
        Value::Decimal(number) => (*number).into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(list) => TomlValue::Array(list.iter().map(String::as_str).collect()),
    }
}
