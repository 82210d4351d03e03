//! What was typed into the form of the settings, kept as it was typed, and what it changes.
//!
//! A field that is left as the file has it changes nothing, whatever it means; so a form never
//! rewrites what nobody touched.

use std::collections::BTreeMap;

use nightshift_app::use_case::settings::SettingsView;
use nightshift_domain::config::edit::{Edit, NewRow};
use nightshift_domain::config::field::{SECTIONS, Section, section};
use nightshift_domain::config::sheet::{Row, Sheet};

/// The most rows of a section that a form carries.
const MOST_ROWS: usize = 200;

/// What was typed.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// The file that it is made on; empty for none.
    pub(super) blob: String,
    /// The message of the commit.
    pub(super) message: String,
    /// The whole text, for the form that takes it.
    pub(super) text: String,
    /// Whether the file can be shown as fields.
    pub(super) is_sheet: bool,
    rows: BTreeMap<&'static str, Vec<DraftRow>>,
}

/// A row of a section.
#[derive(Debug, Clone, Default)]
pub(super) struct DraftRow {
    /// Which row of the file it is; `None` for a new one.
    pub(super) was: Option<usize>,
    typed: Row,
}

impl DraftRow {
    /// What is typed at a key.
    pub(super) fn at(&self, key: &str) -> &str {
        self.typed.get(key).map_or("", String::as_str)
    }

    /// What was typed here, and theirs where nothing was.
    fn on(&self, began: &Self, theirs: &Self) -> Self {
        let keys = self.typed.keys().chain(theirs.typed.keys());
        let typed = keys.map(|key| {
            let mine = self.at(key);
            let kept = if mine == began.at(key) {
                theirs.at(key)
            } else {
                mine
            };
            (key.clone(), kept.to_owned())
        });
        Self {
            was: theirs.was,
            typed: typed.collect(),
        }
    }

    fn is_blank(&self) -> bool {
        self.was.is_none() && self.typed.values().all(|typed| typed.trim().is_empty())
    }
}

impl Draft {
    /// As the file has it.
    pub(super) fn of(view: &SettingsView) -> Self {
        Self {
            blob: view
                .blob
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            ..Self::read(&view.text)
        }
    }

    /// As a text has it.
    pub(super) fn read(text: &str) -> Self {
        let sheet = Sheet::read(text);
        let rows = |section: &Section| {
            let rows = sheet
                .as_ref()
                .map_or(&[][..], |sheet| sheet.rows(section.name));
            let rows = rows.iter().enumerate().map(|(at, row)| DraftRow {
                was: Some(at),
                typed: row.clone(),
            });
            rows.collect()
        };
        Self {
            text: text.to_owned(),
            is_sheet: sheet.is_ok(),
            rows: SECTIONS.iter().map(|s| (s.name, rows(s))).collect(),
            ..Self::default()
        }
    }

    /// As it was sent, and the button that sent it.
    pub(super) fn sent(fields: &[(String, String)], view: &SettingsView) -> (Self, String) {
        let mut draft = Self::of(view);
        let mut button = String::new();
        let mut sent: BTreeMap<(&'static str, usize), DraftRow> = BTreeMap::new();
        for (name, value) in fields {
            // Browsers send line ends as two characters; NUL is no text.
            let value = value.replace("\r\n", "\n").replace('\0', "");
            match name.as_str() {
                "do" if button.is_empty() || button == "save" => button = value,
                "blob" => draft.blob = value,
                "message" => draft.message = value,
                "text" if view.text.contains("\r\n") => draft.text = value.replace('\n', "\r\n"),
                "text" => draft.text = value,
                name => {
                    if let Some((known, row, key)) = place(name) {
                        let row = sent.entry((known.name, row)).or_default();
                        if key == "was" {
                            row.was = value.parse().ok();
                        } else if let Some(field) = known.field(key) {
                            row.typed.insert(field.key.to_owned(), value);
                        }
                    }
                }
            }
        }
        if fields.iter().any(|(name, _)| name == "fields") {
            for rows in draft.rows.values_mut() {
                rows.clear();
            }
            for ((name, _), row) in sent {
                draft.rows.entry(name).or_default().push(row);
            }
            for known in SECTIONS.iter().filter(|section| !section.many) {
                let rows = draft.rows.entry(known.name).or_default();
                rows.resize_with(1, DraftRow::default);
            }
        }
        (draft, button)
    }

    /// The rows of a section.
    pub(super) fn rows(&self, section: &str) -> &[DraftRow] {
        self.rows.get(section).map_or(&[], Vec::as_slice)
    }

    /// Adds, takes away or moves a row; says which field is worked on next.
    pub(super) fn turn(&mut self, verb: &str, what: &str) -> Option<String> {
        let (name, at) = what.split_once('.').unwrap_or((what, "0"));
        let known = section(name).filter(|section| section.many)?;
        let rows = self.rows.entry(known.name).or_default();
        let at: usize = at.parse().ok()?;
        match verb {
            "add" if rows.len() < MOST_ROWS => {
                rows.push(DraftRow::default());
                Some(format!(
                    "{name}-{}-{}",
                    rows.len() - 1,
                    known.fields.first()?.key
                ))
            }
            "remove" if at < rows.len() => {
                rows.remove(at);
                Some(format!("{name}-add"))
            }
            "up" if at > 0 && at < rows.len() => {
                rows.swap(at, at - 1);
                Some(format!("{name}-{}-up", at - 1))
            }
            "down" if at + 1 < rows.len() => {
                rows.swap(at, at + 1);
                Some(format!("{name}-{}-down", at + 1))
            }
            _ => None,
        }
    }

    /// Forgets new rows in which nothing was typed.
    pub(super) fn drop_blank_rows(&mut self) {
        for known in SECTIONS.iter().filter(|section| section.many) {
            if let Some(rows) = self.rows.get_mut(known.name) {
                rows.retain(|row| !row.is_blank());
            }
        }
    }

    /// What differs from the file.
    pub(super) fn edits(&self, text: &str) -> Vec<Edit> {
        let Ok(sheet) = Sheet::read(text) else {
            return Vec::new();
        };
        let mut edits = Vec::new();
        for known in SECTIONS {
            let shown = sheet.rows(known.name);
            let rows = self.rows(known.name).iter().map(|row| NewRow {
                was: row.was,
                set: changed(known, row, row.was.and_then(|at| shown.get(at))),
            });
            if known.many {
                let rows: Vec<NewRow> = rows.collect();
                let stands = rows.len() == shown.len()
                    && rows
                        .iter()
                        .enumerate()
                        .all(|(at, row)| row.was == Some(at) && row.set.is_empty());
                if !stands {
                    edits.push(Edit::Rows(known.name.to_owned(), rows));
                }
                continue;
            }
            let only = self.rows(known.name).first().cloned().unwrap_or_default();
            for (key, value) in changed(known, &only, shown.first()) {
                if let Ok(path) = format!("{}.{key}", known.name).parse() {
                    edits.push(Edit::Set(path, value));
                }
            }
        }
        edits
    }

    /// Takes what was typed over to another version of the file: what was not touched is theirs,
    /// what was is kept. Rows are the same if `base`, which both began with, had them.
    pub(super) fn put_on(&mut self, base: &Self, theirs: &Self) {
        for known in SECTIONS {
            let (base, theirs) = (base.rows(known.name), theirs.rows(known.name));
            let mine = self.rows.entry(known.name).or_default();
            let merged = if known.many {
                rows_on(mine, base, theirs)
            } else {
                let blank = DraftRow::default();
                let only = |rows: &[DraftRow]| rows.first().unwrap_or(&blank).clone();
                vec![only(mine).on(&only(base), &only(theirs))]
            };
            *mine = merged;
        }
        self.blob.clone_from(&theirs.blob);
        self.is_sheet = theirs.is_sheet;
    }
}

fn rows_on(mine: &[DraftRow], base: &[DraftRow], theirs: &[DraftRow]) -> Vec<DraftRow> {
    let mut left: Vec<Option<&DraftRow>> = theirs.iter().map(Some).collect();
    let mut merged = Vec::new();
    for row in mine {
        let Some(began) = row.was.and_then(|at| base.get(at)) else {
            merged.push(DraftRow {
                was: None,
                ..row.clone()
            });
            continue;
        };
        let same = left
            .iter_mut()
            .find(|other| other.is_some_and(|other| other.at("name") == began.at("name")))
            .and_then(Option::take);
        match same {
            Some(their) => merged.push(row.on(began, their)),
            // They took it away; if it was worked on here, it is a new one.
            None if row.typed == began.typed => {}
            None => merged.push(DraftRow {
                was: None,
                ..row.clone()
            }),
        }
    }
    let began = |name: &str| base.iter().any(|row| row.at("name") == name);
    merged.extend(
        left.into_iter()
            .flatten()
            .filter(|row| !began(row.at("name")))
            .cloned(),
    );
    merged
}

/// The keys of a row that are not as the file has them.
fn changed(
    known: &Section,
    row: &DraftRow,
    shown: Option<&Row>,
) -> BTreeMap<String, Option<nightshift_domain::config::field::Value>> {
    let differs = |key: &str| {
        let shown = shown
            .and_then(|row| row.get(key))
            .map_or("", String::as_str);
        row.at(key) != shown
    };
    let fields = known.fields.iter().filter(|field| differs(field.key));
    fields
        .map(|field| (field.key.to_owned(), field.kind.read(row.at(field.key))))
        .collect()
}

/// `merge.method` or `check.1.timeout` as section, row and key.
fn place(name: &str) -> Option<(&'static Section, usize, &str)> {
    let (first, rest) = name.split_once('.')?;
    let known = section(first)?;
    if !known.many {
        return Some((known, 0, rest));
    }
    let (row, key) = rest.split_once('.')?;
    let row: usize = row.parse().ok()?;
    (row < MOST_ROWS).then_some((known, row, key))
}
