//! How the values of the domain become columns and come back.
//!
//! Whatever cannot be read back is `Error::Corrupt` and names its column. Deliberately absent:
//! which columns there are (that is each table's module).

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use jiff::Timestamp;
use nightshift_domain::id::ProjectId;
use nightshift_domain::sentence::Kept;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::error::Error;

/// Writes and reads the columns of one table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns(pub(crate) &'static str);

impl Columns {
    /// The error for a row that cannot be read.
    pub(crate) fn corrupt(self, column: &str, why: impl Display) -> Error {
        Error::Corrupt {
            what: self.0,
            detail: format!("{column}: {why}"),
        }
    }

    /// A value as JSON text.
    pub(crate) fn to_json<T: Serialize + ?Sized>(self, value: &T) -> Result<String, Error> {
        serde_json::to_string(value).map_err(|error| self.corrupt("JSON", error))
    }

    /// A value as JSON text, or nothing.
    pub(crate) fn to_json_option<T: Serialize>(
        self,
        value: Option<&T>,
    ) -> Result<Option<String>, Error> {
        value.map(|value| self.to_json(value)).transpose()
    }

    /// The word of an enum without fields, as serde writes it.
    pub(crate) fn to_word<T: Serialize>(self, value: &T) -> Result<String, Error> {
        match serde_json::to_value(value) {
            Ok(serde_json::Value::String(word)) => Ok(word),
            Ok(other) => Err(self.corrupt("word", format!("{other} is no word"))),
            Err(error) => Err(self.corrupt("word", error)),
        }
    }

    pub(crate) fn json<T: DeserializeOwned>(self, column: &str, text: &str) -> Result<T, Error> {
        serde_json::from_str(text).map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn json_option<T: DeserializeOwned>(
        self,
        column: &str,
        text: Option<&str>,
    ) -> Result<Option<T>, Error> {
        text.map(|text| self.json(column, text)).transpose()
    }

    /// A text that has its sentence in a column of its own, or none.
    pub(crate) fn kept(
        self,
        column: &str,
        text: String,
        said: Option<&str>,
    ) -> Result<Kept, Error> {
        Ok(Kept::whole(text, self.json_option(column, said)?)) // tidy-ok(said): as it was kept
    }

    pub(crate) fn word<T: DeserializeOwned>(self, column: &str, word: String) -> Result<T, Error> {
        serde_json::from_value(serde_json::Value::String(word))
            .map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn parse<T>(self, column: &str, text: &str) -> Result<T, Error>
    where
        T: FromStr,
        T::Err: Display,
    {
        text.parse().map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn parse_option<T>(
        self,
        column: &str,
        text: Option<&str>,
    ) -> Result<Option<T>, Error>
    where
        T: FromStr,
        T::Err: Display,
    {
        text.map(|text| self.parse(column, text)).transpose()
    }

    pub(crate) fn time(self, column: &str, milliseconds: i64) -> Result<Timestamp, Error> {
        Timestamp::from_millisecond(milliseconds).map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn time_option(
        self,
        column: &str,
        milliseconds: Option<i64>,
    ) -> Result<Option<Timestamp>, Error> {
        milliseconds
            .map(|milliseconds| self.time(column, milliseconds))
            .transpose()
    }

    pub(crate) fn hash(self, column: &str, bytes: Vec<u8>) -> Result<[u8; 32], Error> {
        let length = bytes.len();
        bytes
            .try_into()
            .map_err(|_| self.corrupt(column, format!("{length} bytes instead of 32")))
    }

    /// Reads what can be read of a sweep: a damaged row is logged and left out, so that it stops
    /// only itself.
    pub(crate) fn readable<R, T>(
        self,
        rows: Vec<R>,
        id: impl Fn(&R) -> Uuid,
        read: impl Fn(R) -> Result<T, Error>,
    ) -> Vec<T> {
        rows.into_iter()
            .filter_map(|row| {
                let id = id(&row);
                read(row).map_err(|error| self.skipped(id, &error)).ok()
            })
            .collect()
    }

    /// Logs a row that a sweep leaves out.
    pub(crate) fn skipped(self, id: Uuid, error: &Error) {
        tracing::error!(what = self.0, %id, %error, "left out a row that cannot be read");
    }
}

/// A time in milliseconds, never earlier than the time itself: a job must not look due before it is.
pub(crate) fn not_earlier(time: Timestamp) -> i64 {
    let floor = time.as_millisecond();
    if Timestamp::from_millisecond(floor).is_ok_and(|whole| whole < time) {
        floor + 1
    } else {
        floor
    }
}

/// Ids as a JSON list of 32 hexadecimal digits: both engines read that form.
pub(crate) fn id_list(ids: impl IntoIterator<Item = Uuid>) -> String {
    let ids: Vec<String> = ids
        .into_iter()
        .map(|id| format!("\"{}\"", id.simple()))
        .collect();
    format!("[{}]", ids.join(","))
}

/// Projects as a JSON list, each once: one named twice would bring its rows twice.
pub(crate) fn id_set(projects: &[ProjectId]) -> String {
    let once: BTreeSet<Uuid> = projects.iter().map(|id| id.0).collect();
    id_list(once)
}

/// Hashes as a JSON list of hexadecimal digits.
pub(crate) fn hash_list(hashes: &[[u8; 32]]) -> String {
    let hashes: Vec<String> = hashes
        .iter()
        .map(|hash| {
            let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("\"{digits}\"")
        })
        .collect();
    format!("[{}]", hashes.join(","))
}

/// Words as a JSON list.
pub(crate) fn word_list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    serde_json::Value::from_iter(words).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_between_milliseconds_rounds_up() {
        let at = |nanoseconds| Timestamp::from_nanosecond(nanoseconds).expect("a time");
        assert_eq!(not_earlier(at(5_000_000)), 5);
        assert_eq!(not_earlier(at(5_000_001)), 6);
    }

    #[test]
    fn lists_are_json() {
        assert_eq!(word_list(["a", "b\""]), r#"["a","b\""]"#);
        assert_eq!(id_list([Uuid::nil()]), format!("[\"{}\"]", "0".repeat(32)));
        assert_eq!(id_list([]), "[]");
        let nil = ProjectId(Uuid::nil());
        assert_eq!(id_set(&[nil, nil]), id_list([Uuid::nil()]));
    }
}
