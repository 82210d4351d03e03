//! How a change is looked at, as its address says it.
//!
//! Between which heads, how the lines are laid out, where a comment is being written. Deliberately
//! absent: what is shown.

use nightshift_app::Error;
use nightshift_app::use_case::change::ChangeQuery;
use nightshift_domain::git_name::{BadName, ObjectId};
use serde::Deserialize;

use crate::page::visit::url_part;

/// How the diff is looked at.
#[derive(Deserialize, Default, Clone)]
pub(crate) struct Look {
    from: Option<String>,
    to: Option<String>,
    split: Option<String>,
    space: Option<String>,
}

/// What an address asks for: how to look, and where.
#[derive(Deserialize, Default, Clone)]
pub(crate) struct Asked {
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) split: Option<String>,
    pub(super) space: Option<String>,
    pub(super) context: Option<u32>,
    pub(super) file: Option<usize>,
    #[serde(default)]
    pub(super) open: Vec<usize>,
    pub(super) comment: Option<String>,
}

impl Look {
    pub(super) fn pairs(&self) -> Vec<(&'static str, &str)> {
        [
            ("from", &self.from),
            ("to", &self.to),
            ("split", &self.split),
            ("space", &self.space),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
        .collect()
    }

    /// The address of the page that looks like this.
    fn address(&self, home: &str) -> String {
        let pairs: Vec<String> = self
            .pairs()
            .into_iter()
            .map(|(name, value)| format!("{name}={}", url_part(value)))
            .collect();
        if pairs.is_empty() {
            home.to_owned()
        } else {
            format!("{home}?{}", pairs.join("&"))
        }
    }
}

/// A comment that is being written, and on which lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Open {
    /// The file's place in the patch.
    pub(crate) file: usize,
    /// The first line.
    pub(crate) first: i64,
    /// The last line.
    pub(crate) last: i64,
    /// What is written so far.
    pub(crate) body: String,
}

impl Open {
    /// Reads `<file>.<line>` or `<file>.<first>-<last>`.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (file, lines) = text.split_once('.')?;
        let (first, last) = lines.split_once('-').unwrap_or((lines, lines));
        Some(Self {
            file: file.parse().ok()?,
            first: first.parse().ok()?,
            last: last.parse().ok()?,
            body: String::new(),
        })
    }
}

impl Asked {
    pub(super) fn look(&self) -> Look {
        Look {
            from: self.from.clone(),
            to: self.to.clone(),
            split: self.split.clone(),
            space: self.space.clone(),
        }
    }

    pub(super) fn of(look: &Look) -> Self {
        Self {
            from: look.from.clone(),
            to: look.to.clone(),
            split: look.split.clone(),
            space: look.space.clone(),
            ..Self::default()
        }
    }

    /// The parts of the address that say how to look, without those that say where.
    pub(super) fn address(&self, home: &str) -> String {
        self.look().address(home)
    }

    /// The same but for this, and without those that say where.
    pub(super) fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut next = Self {
            file: None,
            open: Vec::new(),
            comment: None,
            context: None,
            ..self.clone()
        };
        change(&mut next);
        next
    }

    /// The question that it is for the use case.
    pub(super) fn query(&self) -> Result<ChangeQuery, Error> {
        Ok(ChangeQuery {
            from: self.from.as_deref().map(commit).transpose()?,
            to: self.to.as_deref().map(commit).transpose()?,
            ignore_whitespace: self.space.is_some(),
            context: self.context,
        })
    }
}

/// Reads a commit that came with an address or a form.
pub(crate) fn commit(text: &str) -> Result<ObjectId, Error> {
    text.parse().map_err(|error: BadName| Error::Invalid {
        detail: error.said().into(),
    })
}
