//! Tests of whole files as HTML: what is written is read back by a strict reader.

mod hostile;
mod look;
mod page;
pub(super) mod sample;

use std::collections::BTreeMap;

use maud::Markup;
use nightshift_app::git::{FilePatch, Hunk};

use super::plan::Shape;
use super::{Comments, Layout, Options, Wording, render_file};
use sample::file;

/// A modified file with these hunks.
fn patch(path: impl Into<Vec<u8>>, hunks: Vec<Hunk>) -> FilePatch {
    FilePatch {
        file: file(path),
        hunks: Some(hunks),
    }
}

/// Renders with defaults that the test may change.
fn render<'a>(patch: &FilePatch, change: impl FnOnce(&mut Options<'a>)) -> String {
    static NONE: Comments = Comments {
        by_line: BTreeMap::new(),
    };
    render_with(patch, &NONE, change)
}

fn render_with<'a>(
    patch: &FilePatch,
    comments: &'a Comments,
    change: impl FnOnce(&mut Options<'a>),
) -> String {
    let mut options = Options {
        index: 0,
        shape: Shape::Open { coloured: true },
        layout: Layout::Unified,
        context: 3,
        page: "/p/demo/changes/7",
        comment: None,
        before: Some("/raw/old"),
        after: Some("/raw/new"),
        picture: None,
        comments,
        tools: None,
        wording: &Wording::ENGLISH,
        time: crate::diff::Time {
            colours: &|| true,
            marks: &|| true,
        },
    };
    change(&mut options);
    let markup: Markup = render_file(patch, &options);
    markup.into_string()
}
