//! How a file is to be shown, and what the page around it knows: addresses, comments, language.
//!
//! Deliberately absent: where any of it comes from.

use std::collections::BTreeMap;

use maud::Markup;

use super::plan::Shape;
use super::rows::Rows;
use super::wording::Wording;

/// Where the two sides stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One under the other.
    Unified,
    /// Side by side.
    Split,
}

/// Markup to put under lines: comments, drafts, forms.
#[derive(Debug, Clone, Default)]
pub(crate) struct Comments {
    /// By path and line of the new side; line 0 is the file as a whole.
    pub(crate) by_line: BTreeMap<(String, u32), Vec<Markup>>,
}

impl Comments {
    /// Those of one file.
    pub(super) fn below(&self, path: &str) -> Below<'_> {
        let all = (path.to_owned(), 0)..=(path.to_owned(), u32::MAX);
        let by_line = self
            .by_line
            .range(all)
            .map(|((_, line), said)| (*line, said.as_slice()))
            .collect();
        Below { by_line }
    }
}

/// The comments of one file, by line.
#[derive(Debug)]
pub(super) struct Below<'a> {
    by_line: BTreeMap<u32, &'a [Markup]>,
}

impl<'a> Below<'a> {
    /// Those on this line.
    pub(super) fn of(&self, line: u32) -> Option<&'a [Markup]> {
        self.by_line.get(&line).copied()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.by_line.values().map(|said| said.len()).sum()
    }

    /// Those on lines that are not among the rows, so that none is lost.
    pub(super) fn elsewhere(&self, rows: Option<&Rows<'_>>) -> Vec<(u32, &'a [Markup])> {
        let mut left = self.by_line.clone();
        for block in rows.iter().flat_map(|rows| &rows.blocks) {
            for cell in &block.cells {
                if let Some(line) = cell.line.new_number {
                    left.remove(&line);
                }
            }
        }
        left.into_iter().collect()
    }
}

/// How one file is shown.
pub(crate) struct Options<'a> {
    /// The file's place in the patch; anchors are made from it.
    pub(crate) index: usize,
    /// With lines or without.
    pub(crate) shape: Shape,
    /// Where the sides stand.
    pub(crate) layout: Layout,
    /// Lines around a change that the patch was asked for.
    pub(crate) context: u32,
    /// The address of this page, with its query and without fragment. More lines are asked for by
    /// adding `context=<lines>&file=<index>`, a closed file by adding `open=<index>`.
    pub(crate) page: &'a str,
    /// The start of the address on which a line is commented without scripts; `<index>.<line>` is
    /// added. Without it line numbers are no links.
    pub(crate) comment: Option<&'a str>,
    /// Where the content before the change can be had, for files without lines.
    pub(crate) before: Option<&'a str>,
    /// The same after the change.
    pub(crate) after: Option<&'a str>,
    /// The file as a picture, before and after.
    pub(crate) picture: Option<Markup>,
    /// What stands under lines.
    pub(crate) comments: &'a Comments,
    /// What stands in the head of the file: its viewed mark, its menu.
    pub(crate) tools: Option<Markup>,
    /// The words.
    pub(crate) wording: &'a Wording,
    /// How much time there is.
    pub(crate) time: Time<'a>,
}

/// Asked before each line whether there is time left; later lines go without.
#[derive(Clone, Copy)]
pub(crate) struct Time<'a> {
    /// For syntax colours that are not kept yet.
    pub(crate) colours: &'a dyn Fn() -> bool,
    /// For marks of words.
    pub(crate) marks: &'a dyn Fn() -> bool,
}

impl Options<'_> {
    /// This page with more in its query, at this file.
    pub(super) fn address(&self, query: &str) -> Option<String> {
        let page = href(self.page)?;
        let joint = if page.contains('?') { '&' } else { '?' };
        Some(format!("{page}{joint}{query}#f{}", self.index))
    }
}

/// The address, if following it can only ask a server for a page.
pub(super) fn href(address: &str) -> Option<&str> {
    let here = address.starts_with(['/', '?']) && !address.starts_with("//");
    let there = address.starts_with("https://") || address.starts_with("http://");
    let plain = !address.contains(|c: char| c.is_control() || c == '\\');
    ((here || there) && plain).then_some(address)
}

#[cfg(test)]
mod tests {
    use maud::html;

    use super::*;

    #[test]
    fn only_addresses_of_pages_are_links() {
        for good in ["/a/b?c=d", "?open=1", "https://raw.example/x"] {
            assert_eq!(href(good), Some(good));
        }
        for bad in [
            "javascript:alert(1)",
            " javascript:alert(1)",
            "java\nscript:alert(1)",
            "data:text/html,x",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "",
        ] {
            assert_eq!(href(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn comments_are_those_of_the_very_path() {
        let key = |path: &str, line| ((path.to_owned(), line), vec![html! { "x" }]);
        let comments = Comments {
            by_line: [key("a", 1), key("a", 7), key("a/b", 1), key("b", 1)].into(),
        };
        let below = comments.below("a");
        assert_eq!(below.count(), 2);
        assert!(below.of(7).is_some() && below.of(2).is_none());
        assert_eq!(below.elsewhere(None).len(), 2);
    }
}
