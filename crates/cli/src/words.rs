//! Values of the command line with a form of their own: issue numbers, runs, comments on lines,
//! text from an argument or from standard input.
//!
//! Invariant: a bad value says which form is expected. Deliberately absent: looking anything up.

use std::io::Read as _;
use std::str::FromStr;

use nightshift_api::pull::LineComment;
use nightshift_domain::budget::parse_dollars;
use uuid::Uuid;

use crate::failure::{Done, Failure};

/// The number of an issue and of its pull request: `12` or `#12`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number(pub(crate) i64);

impl FromStr for Number {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix('#').unwrap_or(text);
        match digits.parse() {
            Ok(number) if number > 0 => Ok(Self(number)),
            _ => Err("expected the number of an issue, such as 12".to_owned()),
        }
    }
}

/// Which run: its id, the last eight or more digits of it, or the latest of an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RunName {
    Id(Uuid),
    End(String),
    LatestOf(i64),
}

impl FromStr for RunName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(id) = Uuid::from_str(text) {
            return Ok(Self::Id(id));
        }
        if text.len() < SHORT
            && let Ok(number) = Number::from_str(text)
        {
            return Ok(Self::LatestOf(number.0));
        }
        if text.len() >= SHORT && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
            return Ok(Self::End(text.to_ascii_lowercase()));
        }
        Err(
            "expected the number of an issue, or the id of a run or its last eight digits"
                .to_owned(),
        )
    }
}

/// How many digits of an id are shown: its last ones, since the first ones are the time.
const SHORT: usize = 8;

/// An id for people.
pub(crate) fn short_id(id: &Uuid) -> String {
    let text = id.to_string();
    text[text.len() - SHORT..].to_owned()
}

/// A commit for people.
pub(crate) fn short_commit(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

/// A comment on a line, `path:line:text`, on some, `path:first-last:text`, or on a file, `path:text`.
pub(crate) fn line_comment(text: &str) -> Result<LineComment, String> {
    let form = || {
        "expected path:line:text, path:first-last:text, or path:text for a whole file".to_owned()
    };
    let (path, rest) = text.split_once(':').ok_or_else(form)?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = |text: &str| text.parse::<i64>().map_err(|_| form());
    let (first, line, body) = match rest.split_once(':') {
        Some((line, body)) if is_number(line) => (None, Some(number(line)?), body),
        Some((lines, body)) => match lines.split_once('-') {
            Some((first, last)) if is_number(first) && is_number(last) => {
                (Some(number(first)?), Some(number(last)?), body)
            }
            _ => (None, None, rest),
        },
        None => (None, None, rest),
    };
    let counts = line != Some(0) && first.is_none_or(|first| first > 0 && Some(first) <= line);
    if path.is_empty() || body.trim().is_empty() || !counts {
        return Err(form());
    }
    Ok(LineComment {
        path: path.to_owned(),
        line,
        first,
        body: body.trim().to_owned(),
    })
}

/// A text given as words; `-` is standard input. `None` if none was given.
pub(crate) fn given_text(words: Option<&str>) -> Done<Option<String>> {
    match words {
        None => Ok(None),
        Some("-") => stdin().map(Some),
        Some(text) => Ok(Some(text.to_owned())),
    }
}

/// All of standard input.
pub(crate) fn stdin() -> Done<String> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Failure::failed(format!("cannot read standard input: {error}")))?;
    Ok(text)
}

/// An amount of US dollars, in millionths.
pub(crate) fn dollars(text: &str) -> Result<u64, String> {
    parse_dollars(text).ok_or_else(|| {
        format!("{text:?} is no amount of US dollars: write it as 5 or 5.00, up to 1000000")
    })
}

/// The same, or 0.
pub(crate) fn dollars_or_none(text: &str) -> Result<u64, String> {
    match text.trim() {
        "0" | "none" => Ok(0),
        text => dollars(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_in_three_ways() {
        let id = "0190a8b0-0000-7000-8000-0000deadbeef";
        let uuid = Uuid::from_str(id).expect("an id");
        assert_eq!(RunName::from_str(id), Ok(RunName::Id(uuid)));
        assert_eq!(short_id(&uuid), "deadbeef");
        assert_eq!(
            RunName::from_str("DEADbeef"),
            Ok(RunName::End("deadbeef".to_owned()))
        );
        assert_eq!(RunName::from_str("#12"), Ok(RunName::LatestOf(12)));
        assert_eq!(RunName::from_str("12"), Ok(RunName::LatestOf(12)));
        assert_eq!(
            RunName::from_str("12345678"),
            Ok(RunName::End("12345678".to_owned()))
        );
        for bad in ["", "beef", "0", "-1", "../x", "xyzxyzxyz"] {
            assert!(RunName::from_str(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_comment_names_its_place() {
        let parse = |text: &str| line_comment(text).map(|c| (c.path, c.line, c.body));
        assert_eq!(
            parse("src/a.rs:12: use: a constant"),
            Ok((
                "src/a.rs".to_owned(),
                Some(12),
                "use: a constant".to_owned()
            ))
        );
        assert_eq!(
            parse("src/a.rs:too long: split it"),
            Ok(("src/a.rs".to_owned(), None, "too long: split it".to_owned()))
        );
        for bad in ["src/a.rs", ":1:x", "a:1:", "a:0:x", "a:"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
