//! What was typed into the form, kept as it was typed, and what it means.
//!
//! A file that is no text, or that has carriage returns (a browser would change them), is carried
//! through the form as it is and cannot be edited in place.

use axum::extract::Multipart;
use axum::http::HeaderMap;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use nightshift_app::Error;
use nightshift_app::use_case::issue::IssueView;
use nightshift_domain::budget::{self, Budget};
use nightshift_domain::check::{Acceptance, SealedFile};
use nightshift_domain::id::Number;

use super::Wrong;
use crate::page::Visit;
use crate::page::say;
use crate::page::visit::{foreign, is_own_origin};
use crate::page::words::Words;

/// The limit of the tests' time where none is given, in seconds.
const TIMEOUT_S: u64 = 600;
/// The most files that a form carries.
const MAX_FILES: usize = 200;

/// A form as it came.
pub(super) struct Sent {
    fields: Vec<(String, String)>,
    /// Name and content of the files that were uploaded.
    uploads: Vec<(String, Vec<u8>)>,
}

impl Sent {
    /// Reads a form that one of our own pages sent.
    pub(super) async fn read(
        visit: &Visit,
        headers: &HeaderMap,
        mut body: Multipart,
    ) -> Result<Self, Response> {
        if !is_own_origin(headers) {
            return Err(foreign());
        }
        let unread = |error: axum::extract::multipart::MultipartError| {
            visit.failed(Error::Invalid {
                detail: say::form_broken(error.body_text()).into(),
            })
        };
        let (mut fields, mut uploads) = (Vec::new(), Vec::new());
        while let Some(field) = body.next_field().await.map_err(unread)? {
            let name = field.name().unwrap_or_default().to_owned();
            let file = field.file_name().map(str::to_owned);
            let bytes = field.bytes().await.map_err(unread)?;
            match file {
                Some(file) if !file.is_empty() => uploads.push((file, bytes.to_vec())),
                Some(_) => {}
                None => fields.push((name, String::from_utf8_lossy(&bytes).into_owned())),
            }
        }
        let sent = Self { fields, uploads };
        if !visit.sent(sent.field("form_token")) {
            return Err(foreign());
        }
        Ok(sent)
    }

    fn field(&self, wanted: &str) -> &str {
        self.fields
            .iter()
            .find(|(name, _)| name == wanted)
            .map_or("", |(_, value)| value)
    }

    /// A text as a person meant it: browsers send line ends as two characters; NUL is no text.
    fn text(&self, wanted: &str) -> String {
        self.field(wanted).replace("\r\n", "\n").replace('\0', "")
    }

    /// The button that sent it.
    pub(super) fn button(&self) -> &str {
        self.field("do")
    }
}

/// What was typed.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    pub(super) title: String,
    pub(super) body: String,
    pub(super) agent: String,
    pub(super) priority: String,
    pub(super) labels: String,
    pub(super) assignee: String,
    pub(super) blocked_by: String,
    pub(super) run: String,
    pub(super) already_green: bool,
    pub(super) timeout_s: String,
    pub(super) files: Vec<DraftFile>,
    pub(super) folder: String,
    pub(super) budget: String,
    pub(super) budget_minutes: String,
    pub(super) version: i64,
}

/// A sealed file being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DraftFile {
    pub(super) path: String,
    pub(super) executable: bool,
    pub(super) content: Content,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// Text that can be edited in place.
    Text(String),
    /// Bytes that are carried along, in base64.
    Bytes(String),
}

impl Content {
    fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains(['\r', '\0']) => Self::Text(text.to_owned()),
            _ => Self::Bytes(BASE64.encode(bytes)),
        }
    }
}

/// The text of a sealed file, if it is one that can be shown and edited.
pub(crate) fn text_of(file: &SealedFile) -> Option<String> {
    let bytes = BASE64.decode(&file.content_base64).ok()?;
    match Content::of(&bytes) {
        Content::Text(text) => Some(text),
        Content::Bytes(_) => None,
    }
}

/// What the typed fields mean.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) labels: Vec<String>,
    pub(super) priority: i64,
    pub(super) blocked_by: Vec<Number>,
    pub(super) acceptance: Option<Acceptance>,
    pub(super) budget: Budget,
}

impl Draft {
    /// The beginning of a new one.
    pub(super) fn empty(agent: &str) -> Self {
        Self {
            agent: agent.to_owned(),
            priority: "2".to_owned(),
            timeout_s: TIMEOUT_S.to_string(),
            ..Self::default()
        }
    }

    /// What is there.
    pub(super) fn of(view: &IssueView) -> Self {
        let row = &view.line.issue;
        let numbers: Vec<String> = view.blocked_by.iter().map(|n| format!("#{n}")).collect();
        let sealed = view.acceptance.as_ref();
        Self {
            title: row.title.clone(),
            body: row.body.clone(),
            agent: row.agent.clone(),
            priority: row.priority.to_string(),
            labels: row.labels.join(", "),
            assignee: row.assignee.clone().unwrap_or_default(),
            blocked_by: numbers.join(", "),
            run: sealed.map(|sealed| sealed.run.clone()).unwrap_or_default(),
            already_green: sealed.is_some_and(|sealed| sealed.already_green),
            timeout_s: sealed
                .map_or(TIMEOUT_S, |sealed| sealed.timeout_s)
                .to_string(),
            files: sealed.map_or_else(Vec::new, |sealed| {
                sealed.files.iter().map(DraftFile::of).collect()
            }),
            folder: String::new(),
            budget: row
                .budget
                .cost_micro_usd
                .map(|cost| budget::dollars(cost).replace('$', ""))
                .unwrap_or_default(),
            budget_minutes: row
                .budget
                .minutes
                .map(|minutes| minutes.to_string())
                .unwrap_or_default(),
            version: row.version,
        }
    }

    /// What was sent.
    pub(super) fn sent(sent: &Sent) -> Self {
        let mut files: Vec<DraftFile> = (0..MAX_FILES)
            .map_while(|at| DraftFile::sent(sent, at))
            .filter(|file| !file.is_blank())
            .collect();
        let folder = sent.text("folder").trim().trim_matches('/').to_owned();
        for (name, bytes) in &sent.uploads {
            let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
            let path = if folder.is_empty() {
                name.to_owned()
            } else {
                format!("{folder}/{name}")
            };
            files.retain(|file| file.path != path);
            files.push(DraftFile {
                path,
                executable: bytes.starts_with(b"#!"),
                content: Content::of(bytes),
            });
        }
        Self {
            title: sent.text("title"),
            body: sent.text("body"),
            agent: sent.text("agent"),
            priority: sent.text("priority"),
            labels: sent.text("labels"),
            assignee: sent.text("assignee"),
            blocked_by: sent.text("blocked_by"),
            run: sent.text("run"),
            already_green: sent.field("already_green") == "on",
            timeout_s: sent.text("timeout_s"),
            files,
            folder,
            budget: sent.text("budget"),
            budget_minutes: sent.text("budget_minutes"),
            version: sent.field("version").parse().unwrap_or_default(),
        }
    }

    /// Whether there is a command that decides.
    pub(super) fn has_tests(&self) -> bool {
        !self.run.trim().is_empty()
    }

    /// What it means, or every field that means nothing.
    pub(super) fn parsed(&self, words: &Words) -> Result<Parsed, Vec<Wrong>> {
        let mut wrong = Vec::new();
        let mut refuse = |field: &'static str, text: String| wrong.push(Wrong { field, text });
        if self.title.trim().is_empty() {
            refuse("title", words.get("issue.title-missing").to_owned());
        }
        let priority = self.priority.trim().parse().unwrap_or(2);
        let mut blocked_by = Vec::new();
        for part in parts(&self.blocked_by) {
            match part.trim_start_matches('#').parse() {
                Ok(number) => blocked_by.push(number),
                Err(_) => refuse(
                    "blocked_by",
                    words.fill("issue.no-number", &[("text", &part)]),
                ),
            }
        }
        let timeout_s = self.timeout_s.trim();
        let timeout_s = match timeout_s.parse() {
            _ if timeout_s.is_empty() => TIMEOUT_S,
            Ok(seconds) => seconds,
            Err(_) => {
                refuse("acceptance", words.get("issue.timeout-wrong").to_owned());
                TIMEOUT_S
            }
        };
        let cost = match self.budget.trim() {
            "" => None,
            text => {
                let cost = budget::parse_dollars(text);
                if cost.is_none() {
                    refuse("budget", words.get("issue.budget-wrong").to_owned());
                }
                cost
            }
        };
        let minutes = match self.budget_minutes.trim() {
            "" => None,
            text => {
                let minutes = text
                    .parse()
                    .ok()
                    .filter(|m| (1..=budget::MOST_MINUTES).contains(m));
                if minutes.is_none() {
                    refuse(
                        "budget_minutes",
                        words.get("issue.minutes-wrong").to_owned(),
                    );
                }
                minutes
            }
        };
        if self.files.iter().any(|file| file.path.trim().is_empty()) {
            refuse("acceptance", words.get("issue.path-missing").to_owned());
        }
        if self.run.trim().is_empty() && !self.files.is_empty() {
            refuse("acceptance", words.get("issue.command-missing").to_owned());
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let given = !self.run.trim().is_empty();
        Ok(Parsed {
            labels: self
                .labels
                .split([',', '、', '，'])
                .map(str::trim)
                .filter(|label| !label.is_empty())
                .map(str::to_owned)
                .collect(),
            priority,
            blocked_by,
            budget: Budget {
                cost_micro_usd: cost,
                minutes,
            },
            acceptance: given.then(|| Acceptance {
                run: self.run.trim().to_owned(),
                already_green: self.already_green,
                timeout_s,
                files: self.files.iter().map(DraftFile::sealed).collect(),
            }),
        })
    }
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || matches!(c, ',' | '、' | '，'))
        .filter(|part| !part.is_empty())
}

impl DraftFile {
    /// A pair to be filled.
    pub(super) fn blank() -> Self {
        Self {
            path: String::new(),
            executable: false,
            content: Content::Text(String::new()),
        }
    }

    fn is_blank(&self) -> bool {
        self.path.trim().is_empty() && self.content == Content::Text(String::new())
    }

    fn of(file: &SealedFile) -> Self {
        let content = match text_of(file) {
            Some(text) => Content::Text(text),
            None => Content::Bytes(file.content_base64.clone()),
        };
        Self {
            path: file.path.clone(),
            executable: file.executable,
            content,
        }
    }

    /// The pair at this place of a form; `None` past the last one.
    fn sent(sent: &Sent, at: usize) -> Option<Self> {
        let path = format!("path-{at}");
        if !sent.fields.iter().any(|(name, _)| *name == path) {
            return None;
        }
        if sent.field(&format!("remove-{at}")) == "on" {
            return Some(Self::blank());
        }
        let bytes = sent.field(&format!("bytes-{at}"));
        Some(Self {
            path: sent.text(&path),
            executable: sent.field(&format!("executable-{at}")) == "on",
            content: if bytes.is_empty() {
                Content::Text(sent.text(&format!("content-{at}")))
            } else {
                Content::Bytes(bytes.to_owned())
            },
        })
    }

    fn sealed(&self) -> SealedFile {
        SealedFile {
            path: self.path.trim().to_owned(),
            executable: self.executable,
            content_base64: match &self.content {
                Content::Text(text) => BASE64.encode(text),
                Content::Bytes(bytes) => bytes.clone(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(pairs: &[(&str, &str)], uploads: &[(&str, &[u8])]) -> Sent {
        let own = |text: &str| text.to_owned();
        Sent {
            fields: pairs.iter().map(|(a, b)| (own(a), own(b))).collect(),
            uploads: uploads.iter().map(|(a, b)| (own(a), b.to_vec())).collect(),
        }
    }

    fn words() -> &'static Words {
        crate::page::words::by_code("en").expect("English")
    }

    #[test]
    fn a_form_means_what_was_typed() {
        let form = sent(
            &[
                ("title", "Greet"),
                ("labels", "a, b c,,"),
                ("blocked_by", "#3, 4 5"),
                ("priority", "1"),
                ("run", " make accept "),
                ("budget", "$2.50"),
                ("path-0", "tests/a.sh"),
                ("content-0", "one\r\ntwo\r\n"),
                ("executable-0", "on"),
                ("path-1", ""),
                ("content-1", ""),
                ("path-2", "gone"),
                ("remove-2", "on"),
            ],
            &[],
        );
        let parsed = Draft::sent(&form).parsed(words()).expect("a good form");
        assert_eq!(parsed.labels, ["a", "b c"]);
        assert_eq!(parsed.blocked_by, [3, 4, 5]);
        assert_eq!(parsed.priority, 1);
        assert_eq!(parsed.budget.cost_micro_usd, Some(2_500_000));
        let acceptance = parsed.acceptance.expect("tests");
        assert_eq!(
            (acceptance.run.as_str(), acceptance.timeout_s),
            ("make accept", 600)
        );
        assert_eq!(acceptance.files.len(), 1, "{:?}", acceptance.files);
        assert!(acceptance.files[0].executable);
        assert_eq!(text_of(&acceptance.files[0]).as_deref(), Some("one\ntwo\n"));
    }

    #[test]
    fn every_field_that_means_nothing_is_named() {
        let form = sent(
            &[
                ("title", " "),
                ("blocked_by", "#x"),
                ("timeout_s", "soon"),
                ("budget", "-1"),
                ("budget_minutes", "0"),
                ("path-0", ""),
                ("content-0", "text"),
            ],
            &[],
        );
        let wrong = Draft::sent(&form).parsed(words()).expect_err("a bad form");
        let fields: Vec<_> = wrong.iter().map(|wrong| wrong.field).collect();
        assert_eq!(
            fields,
            [
                "title",
                "blocked_by",
                "acceptance",
                "budget",
                "budget_minutes",
                "acceptance",
                "acceptance"
            ]
        );
    }

    #[test]
    fn uploads_replace_their_namesakes_and_bytes_stay_bytes() {
        let form = sent(
            &[
                ("title", "t"),
                ("run", "x"),
                ("folder", "/tests/"),
                ("path-0", "tests/a.sh"),
                ("content-0", "old"),
            ],
            &[("C:\\fake\\a.sh", b"#!/bin/sh\n"), ("b.bin", b"\xff\r\n\0")],
        );
        let draft = Draft::sent(&form);
        let paths: Vec<_> = draft.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["tests/a.sh", "tests/b.bin"]);
        assert_eq!(
            draft.files[0].content,
            Content::Text("#!/bin/sh\n".to_owned())
        );
        assert!(draft.files[0].executable);
        let sealed = draft.files[1].sealed();
        assert_eq!(
            BASE64.decode(&sealed.content_base64).expect("base64"),
            b"\xff\r\n\0"
        );
        assert_eq!(text_of(&sealed), None);
        assert_eq!(
            DraftFile::of(&sealed),
            draft.files[1],
            "it comes back as it went"
        );
    }
}
