//! Whatever a repository holds is text: properties, and a corpus of attacks on pages.

use maud::html;
use nightshift_app::git::{FilePatch, Hunk, LineKind, Mode, Status};
use proptest::prelude::*;

use super::super::plan::{Shape, Why};
use super::super::text::Text;
use super::super::{Comments, Layout, Wording};
use super::page::Node;
use super::sample::{file, hunk, side};
use super::{patch, render, render_with};

const ATTACKS: &[&str] = &[
    "<script>alert(1)</script>",
    "</td></tr></table><script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "\" onmouseover=\"alert(1)",
    "<svg/onload=alert(1)>",
    "&lt;script&gt;",
    "&#60;script&#62;",
    "&amp",
    "<!--",
    "-->",
    "]]>",
    "<style>*{display:none}</style>",
    "<a href=\"javascript:alert(1)\">",
    "javascript:alert(1)",
    "{{constructor.constructor('alert(1)')()}}",
    "<mark>",
    "</mark></span>",
    "<textarea>",
    "</title>",
    "<base href=//evil.example>",
    "\u{2028}<b>",
    "\u{202e}<i>",
    "<\0script>",
    "\u{feff}<script>",
    "＜script＞",
    "<scr\tipt>",
    "{0}{1}",
];

/// What must be read in the cell of a line: its text, with names in the place of odd characters.
fn expected(bytes: &[u8]) -> String {
    let text = Text::of_line(bytes);
    let mut out = String::new();
    let mut at = 0;
    for (range, odd) in &text.odd {
        out.push_str(&text.shown[at..range.start]);
        out.push_str(&odd.label());
        at = range.end;
    }
    out.push_str(&text.shown[at..]);
    out
}

fn contents(page: &Node) -> Vec<String> {
    let cells = page.all(&|node| node.tag == "tr" && node.has_class("hunk") || node.has_class("c"));
    cells
        .into_iter()
        .filter(|node| node.tag == "td" && !node.has_class("none"))
        .filter(|node| node.attribute("colspan").is_none())
        .map(|node| node.text_without("eof"))
        .collect()
}

/// All lines are there, in order, in both layouts; nothing else but the known tags.
fn check(patch: &FilePatch) {
    let lines: Vec<_> = patch
        .hunks
        .iter()
        .flatten()
        .flat_map(|hunk| &hunk.lines)
        .collect();
    let all: Vec<String> = lines.iter().map(|line| expected(&line.bytes)).collect();
    assert_eq!(contents(&Node::read(&render(patch, |_| {}))), all);

    let split = Node::read(&render(patch, |o| o.layout = Layout::Split));
    let of_side = |gone: LineKind| -> Vec<String> {
        let own = lines.iter().filter(|line| line.kind != gone);
        own.map(|line| expected(&line.bytes)).collect()
    };
    let rows =
        split.all(&|node| node.tag == "tr" && (node.has_class("chg") || node.has_class("ctx")));
    let cell = |row: &&Node, place: usize| {
        let cells = row.all(&|node| node.tag == "td");
        let cell = cells[place];
        (!cell.has_class("none")).then(|| cell.text_without("eof"))
    };
    let old: Vec<String> = rows.iter().filter_map(|row| cell(row, 2)).collect();
    let new: Vec<String> = rows.iter().filter_map(|row| cell(row, 5)).collect();
    assert_eq!(old, of_side(LineKind::Added));
    assert_eq!(new, of_side(LineKind::Deleted));
}

#[test]
fn attacks_are_shown_as_text() {
    for attack in ATTACKS {
        for path in ["a.html", "a.js", "a.rs", "a.md", "a.php", "a"] {
            let lines = [" x", "-x", "+x", "+y"].map(|line| format!("{line}{attack}"));
            let mut hunk = hunk(1, 1, &lines);
            hunk.heading = bytes::Bytes::from_static(attack.as_bytes());
            check(&patch(format!("{attack}/{path}"), vec![hunk]));
        }
    }
}

#[test]
fn attacks_in_paths_and_addresses_are_text() {
    for attack in ATTACKS {
        let mut moved = patch(format!("new{attack}"), Vec::new());
        moved.file.status = Status::Renamed;
        moved.file.old = Some(side(format!("old{attack}"), Mode::Symlink));
        let page = Node::read(&render(&moved, |_| {}));
        let heading = page.all(&|node| node.has_class("path"));
        assert_eq!(
            heading[0].text(),
            expected(format!("new{attack}").as_bytes())
        );

        let lines = hunk(9, 9, &["+a", " b", " c", " d"]);
        let address = format!("/p/demo/{attack}");
        Node::read(&render(&patch("a", vec![lines]), |o| {
            o.page = &address;
            o.comment = Some(&address);
            o.before = Some(attack);
        }));
    }
}

#[test]
fn addresses_that_are_scripts_are_no_links() {
    let mut image = patch("a.png", Vec::new());
    image.file.binary = true;
    let page = render(&image, |o| {
        o.before = Some("javascript:alert(1)");
        o.after = Some("data:text/html,x");
    });
    assert!(!page.contains("href"), "{page}");
    let page = render(&patch("a", vec![hunk(9, 9, &["+a"])]), |o| {
        o.page = "javascript:alert(1)";
        o.comment = Some("javascript:alert(");
    });
    assert!(!page.contains("href"), "{page}");
}

#[test]
fn colours_and_marks_come_in_any_combination() {
    let lines = [
        "-let a = \"x <b> {y}\"; // <i>\r",
        "+let a = \"x <u> {z}\"; // <p>",
        " let c = '\u{202e}';",
    ];
    let patch = patch("a.rs", vec![hunk(1, 1, &lines)]);
    check(&patch);
    let page = Node::read(&render(&patch, |_| {}));
    let marks: Vec<String> = page
        .all(&|node| node.tag == "mark")
        .iter()
        .map(|node| node.text())
        .collect();
    assert_eq!(marks, ["b", "y", "i", "CR", "u", "z", "p"]);
    assert!(!page.all(&|node| node.has_class("s-string")).is_empty());
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        prop::sample::select(ATTACKS).prop_map(|text| text.as_bytes().to_vec()),
        "[ \t<>&\"'/*#{}();=a-c0-2]{0,20}".prop_map(String::into_bytes),
        "\\PC{0,12}".prop_map(String::into_bytes),
        prop::collection::vec(
            any::<u8>().prop_filter("no line feed", |b| *b != b'\n'),
            0..12
        ),
    ];
    let sign = prop::sample::select(b" +-".as_slice());
    (sign, prop::collection::vec(text, 0..3)).prop_map(|(sign, parts)| {
        let mut line = vec![sign];
        line.extend(parts.concat());
        line
    })
}

fn hunks() -> impl Strategy<Value = Vec<Hunk>> {
    let lines = prop::collection::vec(line(), 1..14);
    prop::collection::vec(lines, 1..3)
        .prop_map(|hunks| hunks.iter().map(|lines| hunk(4, 4, lines)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_line_is_there_in_order_and_as_text(
        hunks in hunks(),
        directory in "[ <>&\"'a/]{0,6}",
        name in prop::sample::select(&["a.rs", "a.html", "a.md", "a.js", "a.py", "a.c", "a"][..]),
    ) {
        check(&patch(format!("{directory}{name}"), hunks));
    }
}

#[test]
fn comments_are_never_lost() {
    let key = |line| (("a".to_owned(), line), vec![html! { b { "said " (line) } }]);
    let comments = Comments {
        by_line: [key(0), key(2), key(9)].into(),
    };
    let lines = [" a", "+b", " c"];
    for shape in [Shape::Open { coloured: false }, Shape::Later(Why::Large)] {
        for layout in [Layout::Unified, Layout::Split] {
            let patch = patch("a", vec![hunk(1, 1, &lines)]);
            let page = Node::read(&render_with(&patch, &comments, |o| {
                o.shape = shape;
                o.layout = layout;
            }));
            let said = page.all(&|node| node.tag == "b");
            let mut said: Vec<String> = said.iter().map(|node| node.text()).collect();
            said.sort();
            assert_eq!(said, ["said 0", "said 2", "said 9"]);
            let below = page.all(&|node| node.has_class("talk"));
            let open = shape == Shape::Open { coloured: false };
            assert_eq!(below.len(), usize::from(open));
        }
    }
}

#[test]
fn anchors_are_the_same_in_both_layouts_and_unique() {
    let lines = [" a", "-b", "-c", "+d", " e"];
    let patch = FilePatch {
        file: file("a"),
        hunks: Some(vec![hunk(7, 5, &lines)]),
    };
    let anchors = |layout| {
        let page = Node::read(&render(&patch, |o| {
            o.layout = layout;
            o.index = 3;
            o.wording = &Wording::CHINESE;
        }));
        let cells = page.all(&|node| node.tag == "td" && node.attribute("id").is_some());
        let mut ids: Vec<String> = cells
            .iter()
            .filter_map(|node| node.attribute("id").map(ToOwned::to_owned))
            .collect();
        ids.sort();
        ids
    };
    let expected = ["f3L5", "f3L6", "f3L7", "f3R8", "f3R9"];
    assert_eq!(anchors(Layout::Unified), expected);
    assert_eq!(anchors(Layout::Split), expected);
}
