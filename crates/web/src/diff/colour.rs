//! Syntax colours: which class each part of a line has.
//!
//! Both sides of a hunk are read as continuous text, from a fresh state at its first line; where
//! the sides agree they are read once. Colours never change text: only ranges and names of
//! classes leave this module, and any doubt (an unknown language, a line or a file too long, a
//! failing grammar, no time left) means no colours. Deliberately absent: themes, colours proper.

use std::ops::Range;
use std::sync::LazyLock;

use nightshift_app::git::{Hunk, LineKind};
use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};

use super::text::Text;

/// Most text of one file that is coloured, in bytes.
const MOST_BYTES: usize = 300 * 1024;
/// Longest line that is coloured, in bytes.
const LONGEST_LINE: usize = 2_000;

/// Parts of a line with their class, in order, without overlap.
pub(super) type Colours = Vec<(Range<usize>, &'static str)>;

static GRAMMARS: LazyLock<SyntaxSet> = LazyLock::new(two_face::syntax::extra_newlines);
static CLASSES: LazyLock<Vec<(Scope, Option<&'static str>)>> = LazyLock::new(classes);

/// Classes by scope; where two fit the longer scope wins. `None` ends what is around it: code
/// inside of a string is no string.
const SCOPES: &[(&str, Option<&str>)] = &[
    ("comment", Some("s-comment")),
    ("constant", Some("s-constant")),
    ("constant.character.escape", Some("s-escape")),
    ("constant.numeric", Some("s-number")),
    ("entity.name", Some("s-type")),
    ("entity.name.function", Some("s-function")),
    ("entity.name.section", Some("s-heading")),
    ("entity.name.tag", Some("s-tag")),
    ("entity.other.attribute-name", Some("s-attribute")),
    ("entity.other.inherited-class", Some("s-type")),
    ("invalid", None),
    ("keyword", Some("s-keyword")),
    ("keyword.operator", None),
    ("keyword.operator.word", Some("s-keyword")),
    ("markup.bold", Some("s-strong")),
    ("markup.heading", Some("s-heading")),
    ("markup.italic", Some("s-emphasis")),
    ("markup.raw", Some("s-string")),
    ("meta.annotation", Some("s-attribute")),
    ("meta.interpolation", None),
    ("meta.template.expression", None),
    ("source", None),
    ("storage", Some("s-keyword")),
    ("string", Some("s-string")),
    ("string.unquoted", None),
    ("support.class", Some("s-type")),
    ("support.function", Some("s-function")),
    ("support.macro", Some("s-function")),
    ("support.type", Some("s-type")),
    ("text", None),
    ("variable.annotation", Some("s-attribute")),
    ("variable.function", Some("s-function")),
    ("variable.language", Some("s-keyword")),
    ("variable.parameter", Some("s-variable")),
];

/// Loads the grammars, and of common languages the parts that every file needs, so that the first
/// change page need not wait for them. Takes about a second; a thread of its own is the place.
pub fn warm_colours() {
    warm(&[
        "rs", "ts", "tsx", "js", "py", "go", "java", "c", "cpp", "sh", "toml", "yaml", "json",
        "md", "html", "css", "sql",
    ]);
}

fn warm(endings: &[&str]) {
    let line = Text::of(b"let a = f(\"b\", 1); // c");
    for ending in endings {
        if let Some(grammar) = GRAMMARS.find_syntax_by_extension(ending) {
            Side::new(grammar).read(&line);
        }
    }
}

/// Colours the lines of a file, hunk by hunk; `None` when it is not coloured. `go_on` is asked
/// before each line whether time is left; the lines after that are plain.
pub(super) fn colour(
    path: &str,
    hunks: &[(&Hunk, Vec<Text>)],
    go_on: &dyn Fn() -> bool,
) -> Option<Vec<Vec<Colours>>> {
    let lines = || hunks.iter().flat_map(|(_, texts)| texts);
    let bytes: usize = lines().map(|text| text.shown.len()).sum();
    if bytes > MOST_BYTES || lines().any(|text| text.shown.len() > LONGEST_LINE) {
        return None;
    }
    let first = hunks
        .first()
        .filter(|(hunk, _)| hunk.new_start <= 1)
        .and_then(|(hunk, texts)| first_line(hunk, texts));
    let grammar = grammar(path, first)?;
    hunks
        .iter()
        .map(|(hunk, texts)| colour_hunk(grammar, hunk, texts, go_on))
        .collect()
}

/// The first line of the new side, or of the old one when the file is gone.
fn first_line<'a>(hunk: &Hunk, texts: &'a [Text]) -> Option<&'a str> {
    let on_new = hunk
        .lines
        .iter()
        .position(|line| line.kind != LineKind::Deleted);
    texts
        .get(on_new.unwrap_or(0))
        .map(|text| text.shown.as_str())
}

/// The grammar by file name, by ending, then by an interpreter named in the first line.
fn grammar(path: &str, first: Option<&str>) -> Option<&'static SyntaxReference> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    let found = GRAMMARS
        .find_syntax_by_extension(name)
        .or_else(|| GRAMMARS.find_syntax_by_extension(ending?))
        .or_else(|| {
            let first = first.filter(|line| line.starts_with("#!") || line.starts_with("<?"))?;
            GRAMMARS.find_syntax_by_first_line(first)
        })?;
    (found.name != "Plain Text").then_some(found)
}

/// Where the reading of one side stands.
#[derive(Clone, PartialEq)]
struct Side {
    parser: ParseState,
    scopes: ScopeStack,
}

fn colour_hunk(
    grammar: &SyntaxReference,
    hunk: &Hunk,
    texts: &[Text],
    go_on: &dyn Fn() -> bool,
) -> Option<Vec<Colours>> {
    let mut old = Side::new(grammar);
    let mut new = old.clone();
    let mut agree = true;
    let mut colours = Vec::with_capacity(texts.len());
    for (line, text) in hunk.lines.iter().zip(texts) {
        if !go_on() {
            break;
        }
        match line.kind {
            LineKind::Context => {
                agree = agree || old == new;
                colours.push(new.read(text)?);
                if !agree {
                    old.read(text)?;
                }
            }
            LineKind::Added => {
                if agree {
                    old = new.clone();
                    agree = false;
                }
                colours.push(new.read(text)?);
            }
            LineKind::Deleted => {
                if agree {
                    old = new.clone();
                    agree = false;
                }
                colours.push(old.read(text)?);
            }
        }
    }
    Some(colours)
}

impl Side {
    fn new(grammar: &SyntaxReference) -> Self {
        Self {
            parser: ParseState::new(grammar),
            scopes: ScopeStack::new(),
        }
    }

    /// Reads one line; `None` when the grammar fails.
    fn read(&mut self, text: &Text) -> Option<Colours> {
        let line = format!("{}\n", text.shown);
        let end = text.shown.len();
        let ops = self.parser.parse_line(&line, &GRAMMARS).ok()?;
        let mut colours = Colours::new();
        let mut from = 0;
        for (at, op) in &ops {
            let at = (*at).min(end);
            self.paint(&text.shown, from..at, &mut colours);
            from = from.max(at);
            self.scopes.apply(op).ok()?;
        }
        self.paint(&text.shown, from..end, &mut colours);
        Some(colours)
    }

    fn paint(&self, line: &str, range: Range<usize>, colours: &mut Colours) {
        if line
            .get(range.clone())
            .is_none_or(|part| part.trim().is_empty())
        {
            return;
        }
        let Some(class) = self.class() else {
            return;
        };
        match colours.last_mut() {
            Some((last, same))
                if *same == class && line[last.end..range.start].trim().is_empty() =>
            {
                last.end = range.end;
            }
            _ => colours.push((range, class)),
        }
    }

    /// The class of the innermost scope that has one.
    fn class(&self) -> Option<&'static str> {
        let scopes = self.scopes.as_slice();
        scopes
            .iter()
            .rev()
            .find_map(|scope| class(*scope))
            .flatten()
    }
}

/// The class of one scope; outer `None`: it says nothing.
fn class(scope: Scope) -> Option<Option<&'static str>> {
    CLASSES
        .iter()
        .find(|(prefix, _)| prefix.is_prefix_of(scope))
        .map(|(_, class)| *class)
}

/// The table with the longest scopes first.
fn classes() -> Vec<(Scope, Option<&'static str>)> {
    let mut classes: Vec<(Scope, Option<&'static str>)> = SCOPES
        .iter()
        .filter_map(|(scope, class)| Some((Scope::new(scope).ok()?, *class)))
        .collect();
    classes.sort_by_key(|(scope, _)| std::cmp::Reverse(scope.len()));
    classes
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample::hunk;
    use super::*;

    fn colours(path: &str, lines: &[&str]) -> Vec<Vec<(String, &'static str)>> {
        let hunk = hunk(1, 1, lines);
        let texts: Vec<Text> = hunk.lines.iter().map(|l| Text::of_line(&l.bytes)).collect();
        let all = colour(path, &[(&hunk, texts.clone())], &|| true).expect("a known language");
        let named = |(text, colours): (&Text, Colours)| {
            colours
                .into_iter()
                .map(|(range, class)| (text.shown[range].to_owned(), class))
                .collect()
        };
        texts.iter().zip(all[0].clone()).map(named).collect()
    }

    #[test]
    fn common_languages_have_colours() {
        for (path, line, part, class) in [
            ("a.rs", " let x = 1; // why", "// why", "s-comment"),
            ("a.ts", " const x = 'a';", "'a'", "s-string"),
            ("a.py", " def f(x):", "f", "s-function"),
            ("a.go", " return 12", "12", "s-number"),
            ("a.toml", " a = \"b\"", "\"b\"", "s-string"),
            ("Dockerfile", " FROM debian", "FROM", "s-keyword"),
            ("dir/Makefile", " # a", "# a", "s-comment"),
            ("a.sql", " -- a", "-- a", "s-comment"),
        ] {
            let found = colours(path, &[line]);
            assert!(
                found[0].iter().any(|(text, c)| text == part && *c == class),
                "{path}: {found:?}"
            );
        }
        let script = colours("bin/run", &[" #!/bin/sh", " echo 'a'"]);
        assert!(
            script[1].contains(&("'a'".to_owned(), "s-string")),
            "{script:?}"
        );
    }

    #[test]
    fn each_side_is_read_as_its_own_text() {
        let found = colours("a.rs", &["-/* open", "+let a = 1;", " let b = 2;", " */"]);
        assert_eq!(found[0], [("/* open".to_owned(), "s-comment")]);
        assert!(
            found[2]
                .iter()
                .any(|(text, class)| text == "let" && *class == "s-keyword")
        );
    }

    #[test]
    fn code_in_a_string_is_no_string() {
        let found = colours("a.js", &[" const a = `x ${1} y`;"]);
        assert!(
            found[0].contains(&("1".to_owned(), "s-number")),
            "{found:?}"
        );
    }

    #[test]
    fn no_colours_when_unknown_or_too_long() {
        let colour_one = |path: &str, line: &str, go_on: &dyn Fn() -> bool| {
            let hunk = hunk(1, 1, &[line]);
            let texts = hunk.lines.iter().map(|l| Text::of_line(&l.bytes)).collect();
            colour(path, &[(&hunk, texts)], go_on)
        };
        assert!(colour_one("a.rs", " let", &|| true).is_some());
        assert!(colour_one("a.unknown-ending", " let", &|| true).is_none());
        assert!(colour_one("a.txt", " let", &|| true).is_none());
        assert!(colour_one("a.rs", &" ".repeat(2_002), &|| true).is_none());
    }

    #[test]
    fn lines_are_plain_once_no_time_is_left() {
        warm(&["rs"]);
        let left = std::cell::Cell::new(1);
        let go_on = || left.replace(left.get() - 1) > 0;
        let hunk = hunk(1, 1, &[" let a", " let b"]);
        let texts = hunk.lines.iter().map(|l| Text::of_line(&l.bytes)).collect();
        let all = colour("a.rs", &[(&hunk, texts)], &go_on).expect("a known language");
        assert_eq!(all, [[vec![(0..3, "s-keyword")]]]);
    }

    #[test]
    fn every_scope_of_the_table_is_one() {
        assert_eq!(CLASSES.len(), SCOPES.len());
    }
}
