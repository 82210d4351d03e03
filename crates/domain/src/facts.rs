//! What the platform finds in a diff, whatever the agent says about it.
//!
//! Findings never block by themselves; they decide where the reviewer looks first. Deliberately
//! absent: parsing any language. The rules look at paths, at lines, and at numbers.

use serde::{Deserialize, Serialize};

use crate::sentence::{Kept, Sentence, beside};
use crate::told::finding as say;

/// A changed file as git sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// The path after the change; before it for a deleted file.
    pub path: String,
    /// The path before the change, where it was renamed.
    pub old_path: Option<String>,
    /// What happened.
    pub status: Status,
    /// Lines added.
    pub additions: u64,
    /// Lines removed.
    pub deletions: u64,
    /// Whether git calls it binary.
    pub binary: bool,
    /// Whether only line endings differ.
    pub eol_only: bool,
    /// Whether it is now a symbolic link or a submodule.
    pub special: Option<Special>,
    /// The lines added, without `+`; may be cut for large files.
    pub added: Vec<String>,
    /// The lines removed, without `-`; may be cut for large files.
    pub removed: Vec<String>,
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// New.
    Added,
    /// Gone.
    Deleted,
    /// Changed in place.
    Modified,
    /// Moved, perhaps changed.
    Renamed,
}

/// A tree entry that is no plain file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// Mode 120000.
    Symlink,
    /// Mode 160000.
    Submodule,
}

beside!(note, "note");

/// A thing the reviewer should see first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which rule found it.
    pub kind: FindingKind,
    /// How much it matters.
    pub severity: Severity,
    /// Where.
    pub path: String,
    /// One line in words.
    #[serde(flatten, with = "note")]
    pub note: Kept,
}

impl Finding {
    /// The same with its English text alone, as programs are told.
    #[must_use]
    pub fn plain(self) -> Self {
        let note = self.note.plain();
        Self { note, ..self }
    }
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Worth a look.
    Warning,
    /// Look here first.
    Alarm,
}

/// The rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// A test file is gone.
    TestRemoved,
    /// A test file lost assertions or gained skips.
    TestWeakened,
    /// A path that the project protects.
    ProtectedPath,
    /// Instructions or settings of agents, or of the platform, or of a CI system.
    ControlFile,
    /// A lock file of a package manager.
    LockFile,
    /// A line that looks like a secret.
    Secret,
    /// A binary file.
    Binary,
    /// Only line endings changed.
    LineEndings,
    /// A symbolic link or submodule.
    SpecialFile,
    /// A large change.
    Size,
}

/// Lines changed above which a change counts as large.
pub const LARGE_CHANGE: u64 = 1_000;

/// Looks through a change. The result is sorted: most severe first, then by path.
#[must_use]
pub fn findings(changes: &[FileChange], protected: &[String]) -> Vec<Finding> {
    let mut found = Vec::new();
    for change in changes {
        file_findings(change, protected, &mut found);
    }
    let lines: u64 = changes.iter().map(|c| c.additions + c.deletions).sum();
    if lines > LARGE_CHANGE {
        found.push(Finding {
            kind: FindingKind::Size,
            severity: Severity::Note,
            path: String::new(),
            note: say::large(lines, changes.len()).into(),
        });
    }
    found.sort_by(|a, b| {
        b.severity
            .cmp(&a.severity)
            .then_with(|| a.path.cmp(&b.path))
    });
    found
}

fn file_findings(change: &FileChange, protected: &[String], found: &mut Vec<Finding>) {
    let mut push = |kind, severity, note: Sentence| {
        found.push(Finding {
            kind,
            severity,
            path: change.path.clone(),
            note: note.into(),
        });
    };
    let paths: Vec<&str> = change
        .old_path
        .iter()
        .map(String::as_str)
        .chain([change.path.as_str()])
        .collect();
    if let Some(pattern) = protected
        .iter()
        .find(|pattern| paths.iter().any(|path| matches_glob(pattern, path)))
    {
        push(
            FindingKind::ProtectedPath,
            Severity::Alarm,
            say::protected(format!("{pattern:?}")),
        );
    }
    if paths.iter().any(|path| is_control_file(path)) {
        push(FindingKind::ControlFile, Severity::Alarm, say::steers());
    }
    if paths.iter().any(|path| is_lock_file(path)) {
        push(
            FindingKind::LockFile,
            Severity::Warning,
            say::dependencies(),
        );
    }
    if paths.iter().any(|path| is_test_path(path)) {
        test_findings(change, &mut push);
    }
    if let Some(what) = change.added.iter().find_map(|line| secret_in(line)) {
        push(FindingKind::Secret, Severity::Alarm, say::secret(what));
    }
    if change.binary && change.status != Status::Deleted {
        push(FindingKind::Binary, Severity::Warning, say::binary());
    }
    if change.eol_only {
        push(
            FindingKind::LineEndings,
            Severity::Warning,
            say::line_endings(),
        );
    }
    match change.special {
        Some(Special::Symlink) => push(FindingKind::SpecialFile, Severity::Warning, say::symlink()),
        Some(Special::Submodule) => {
            push(FindingKind::SpecialFile, Severity::Alarm, say::submodule());
        }
        None => {}
    }
}

fn test_findings(change: &FileChange, push: &mut impl FnMut(FindingKind, Severity, Sentence)) {
    let moved_to_test = change.status == Status::Renamed && is_test_path(&change.path);
    if change.status == Status::Deleted || (change.status == Status::Renamed && !moved_to_test) {
        push(FindingKind::TestRemoved, Severity::Alarm, say::test_gone());
        return;
    }
    let count = |lines: &[String], rule: fn(&str) -> bool| lines.iter().filter(|l| rule(l)).count();
    let lost = count(&change.removed, is_assertion);
    let won = count(&change.added, is_assertion);
    let skips = count(&change.added, is_skip).saturating_sub(count(&change.removed, is_skip));
    if skips > 0 {
        push(
            FindingKind::TestWeakened,
            Severity::Alarm,
            say::skips(skips),
        );
    }
    if lost > won {
        push(
            FindingKind::TestWeakened,
            Severity::Alarm,
            say::assertions_lost(lost, won),
        );
    } else if lost > 0 {
        push(
            FindingKind::TestWeakened,
            Severity::Warning,
            say::assertions_rewritten(lost),
        );
    }
}

/// Whether a path names a test, by the customs of the common languages.
#[must_use]
pub fn is_test_path(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let name = lower.rsplit('/').next().unwrap_or(&lower);
    let stem = name.split('.').next().unwrap_or(name);
    let in_test_dir = lower
        .split('/')
        .rev()
        .skip(1)
        .any(|dir| matches!(dir, "test" | "tests" | "__tests__" | "spec" | "specs"));
    in_test_dir
        || stem.starts_with("test_")
        || stem.ends_with("_test")
        || stem.ends_with("_tests")
        || stem.ends_with("_spec")
        || name.contains(".test.")
        || name.contains(".spec.")
        || path
            .rsplit('/')
            .next()
            .is_some_and(|name| name.ends_with("Test.java") || name.ends_with("Tests.cs"))
}

fn is_assertion(line: &str) -> bool {
    let line = line.trim_start();
    [
        "assert", "expect(", "expect!", "EXPECT_", "ASSERT_", ".should", "t.Error", "t.Fatal",
        "require.",
    ]
    .iter()
    .any(|mark| line.contains(mark))
        || line.contains(".Should(")
}

fn is_skip(line: &str) -> bool {
    [
        "#[ignore",
        "@skip",
        "@unittest.skip",
        "pytest.mark.skip",
        "pytest.skip(",
        ".skip(",
        "xit(",
        "xdescribe(",
        "@Disabled",
        "@Ignore",
        "t.Skip(",
    ]
    .iter()
    .any(|mark| line.contains(mark))
}

fn is_control_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let control_name = matches!(
        name,
        "AGENTS.md"
            | "CLAUDE.md"
            | "GEMINI.md"
            | ".mcp.json"
            | "opencode.json"
            | "opencode.jsonc"
            | ".cursorrules"
            | "CODEOWNERS"
            | ".gitlab-ci.yml"
            | "Jenkinsfile"
            | ".gitmodules"
            | ".gitattributes"
    );
    let control_dir = path.split('/').any(|part| {
        matches!(
            part,
            ".nightshift"
                | ".claude"
                | ".codex"
                | ".gemini"
                | ".qwen"
                | ".opencode"
                | ".copilot"
                | ".cursor"
                | ".github"
                | ".forgejo"
                | ".gitea"
                | ".githooks"
                | ".husky"
        )
    });
    control_name || control_dir || name.starts_with("azure-pipelines")
}

/// Whether a tool writes this file to pin versions.
#[must_use]
pub fn is_lock_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    matches!(
        name,
        "Cargo.lock"
            | "package-lock.json"
            | "npm-shrinkwrap.json"
            | "yarn.lock"
            | "pnpm-lock.yaml"
            | "bun.lockb"
            | "bun.lock"
            | "poetry.lock"
            | "uv.lock"
            | "Pipfile.lock"
            | "Gemfile.lock"
            | "go.sum"
            | "composer.lock"
            | "mix.lock"
            | "packages.lock.json"
            | "flake.lock"
    )
}

/// Says what kind of secret a line seems to hold. Prefixes are those that issuers publish.
fn secret_in(line: &str) -> Option<Sentence> {
    type Kind = fn() -> Sentence;
    const PREFIXES: &[(&str, usize, Kind)] = &[
        ("AKIA", 16, say::aws_key),
        ("ghp_", 36, say::github_token),
        ("github_pat_", 22, say::github_token),
        ("gho_", 36, say::github_token),
        ("ghs_", 36, say::github_token),
        ("glpat-", 20, say::gitlab_token),
        ("sk-ant-", 20, say::anthropic_key),
        ("sk-proj-", 20, say::openai_key),
        ("xoxb-", 20, say::slack_token),
        ("xoxp-", 20, say::slack_token),
        ("AIza", 35, say::google_key),
        ("nst_", 32, say::nightshift_token),
    ];
    if line.contains("-----BEGIN ") && line.contains("PRIVATE KEY-----") {
        return Some(say::private_key());
    }
    PREFIXES.iter().find_map(|(prefix, rest, what)| {
        line.match_indices(prefix)
            .any(|(at, _)| {
                let tail = &line[at + prefix.len()..];
                let starts_word = line[..at]
                    .chars()
                    .next_back()
                    .is_none_or(|c| !c.is_ascii_alphanumeric());
                let length = tail
                    .bytes()
                    .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
                    .count();
                starts_word && length >= *rest
            })
            .then(what)
    })
}

/// Matches a path against a pattern: `*` within a part, `**` over parts, `?` one character.
#[must_use]
pub fn matches_glob(pattern: &str, path: &str) -> bool {
    fn parts(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern.split_first(), path.split_first()) {
            (None, None) => true,
            (Some((&"**", rest)), _) => {
                parts(rest, path)
                    || path
                        .split_first()
                        .is_some_and(|(_, tail)| parts(pattern, tail))
            }
            (Some((first, rest)), Some((head, tail))) => {
                let first: Vec<char> = first.chars().collect();
                let head: Vec<char> = head.chars().collect();
                one(&first, &head) && parts(rest, tail)
            }
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
    fn one(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => {
                one(rest, text)
                    || text
                        .split_first()
                        .is_some_and(|(_, tail)| one(pattern, tail))
            }
            (Some(('?', rest)), Some((_, tail))) => one(rest, tail),
            (Some((a, rest)), Some((b, tail))) => a == b && one(rest, tail),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    parts(&pattern, &path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(path: &str) -> FileChange {
        FileChange {
            path: path.to_owned(),
            old_path: None,
            status: Status::Modified,
            additions: 1,
            deletions: 1,
            binary: false,
            eol_only: false,
            special: None,
            added: vec![],
            removed: vec![],
        }
    }

    fn kinds(change: FileChange) -> Vec<FindingKind> {
        findings(&[change], &["LICENSE".to_owned(), "docs/**".to_owned()])
            .into_iter()
            .map(|finding| finding.kind)
            .collect()
    }

    fn lines(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn a_plain_change_is_clean() {
        assert_eq!(kinds(change("src/main.rs")), vec![]);
    }

    #[test]
    fn each_rule_finds_its_case() {
        use FindingKind as K;
        let deleted = FileChange {
            status: Status::Deleted,
            ..change("tests/a.py")
        };
        let moved_away = FileChange {
            status: Status::Renamed,
            old_path: Some("tests/test_a.py".to_owned()),
            ..change("old/a.txt")
        };
        let weakened = FileChange {
            removed: lines(&["  assert x == 1"]),
            ..change("test_a.py")
        };
        let skipped = FileChange {
            added: lines(&["@unittest.skip('later')"]),
            ..change("a_test.py")
        };
        let secret = FileChange {
            added: lines(&[&format!("key = \"ghp_{}\"", "a1".repeat(18))]),
            ..change("src/a.rs")
        };
        let cases = [
            (deleted, K::TestRemoved),
            (moved_away, K::TestRemoved),
            (weakened, K::TestWeakened),
            (skipped, K::TestWeakened),
            (change("LICENSE"), K::ProtectedPath),
            (change("docs/a/b.md"), K::ProtectedPath),
            (change(".nightshift/config.toml"), K::ControlFile),
            (change("sub/AGENTS.md"), K::ControlFile),
            (change("Cargo.lock"), K::LockFile),
            (secret, K::Secret),
            (
                FileChange {
                    binary: true,
                    ..change("a.png")
                },
                K::Binary,
            ),
            (
                FileChange {
                    eol_only: true,
                    ..change("a.txt")
                },
                K::LineEndings,
            ),
            (
                FileChange {
                    special: Some(Special::Symlink),
                    ..change("a")
                },
                K::SpecialFile,
            ),
            (
                FileChange {
                    additions: 2_000,
                    ..change("a.rs")
                },
                K::Size,
            ),
        ];
        for (case, expected) in cases {
            assert_eq!(kinds(case.clone()), vec![expected], "{case:?}");
        }
    }

    #[test]
    fn an_ordinary_word_is_no_secret() {
        assert_eq!(
            secret_in("let task = desk-proj-name-of-a-long-thing;"),
            None
        );
        assert_eq!(secret_in("AKIA is a prefix"), None);
    }

    #[test]
    fn globs() {
        for (pattern, path, expected) in [
            (".nightshift/**", ".nightshift/config.toml", true),
            ("**/*.sql", "a/b/c.sql", true),
            ("**/*.sql", "c.sql", true),
            ("*.md", "docs/a.md", false),
            ("LICENSE*", "LICENSE-MIT", true),
            ("a?c", "abc", true),
        ] {
            assert_eq!(matches_glob(pattern, path), expected, "{pattern} {path}");
        }
    }
}
