//! Text for a person: every byte of it is harmless to a terminal.
//!
//! Titles, logs and file names come from agents and from strangers. Invariant: nothing reaches a
//! screen but through [`Span`] and [`Screen::text`], which show control characters and characters
//! that reorder text as escapes. Deliberately absent: printing.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};

/// How a text stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Cyan,
}

impl Style {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Bold => Some("1"),
            Self::Dim => Some("2"),
            Self::Red => Some("31"),
            Self::Green => Some("32"),
            Self::Yellow => Some("33"),
            Self::Cyan => Some("36"),
        }
    }
}

/// A piece of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    style: Style,
    text: String,
}

impl Span {
    pub(crate) fn new(style: Style, text: impl AsRef<str>) -> Self {
        let text = clean(text.as_ref()).replace(['\n', '\t'], " ");
        Self { style, text }
    }
}

impl<T: AsRef<str>> From<T> for Span {
    fn from(text: T) -> Self {
        Self::new(Style::Plain, text)
    }
}

macro_rules! styles {
    ($($name:ident $style:ident),+) => {$(
        pub(crate) fn $name(text: impl AsRef<str>) -> Span {
            Span::new(Style::$style, text)
        }
    )+};
}
styles!(plain Plain, bold Bold, dim Dim, red Red, green Green, yellow Yellow, cyan Cyan);

/// What will be shown.
#[derive(Debug, Clone)]
pub(crate) struct Screen {
    out: String,
    colour: bool,
    width: Option<u16>,
}

impl Screen {
    /// An empty one. Tables fit into `width` columns if there is one.
    pub(crate) fn new(colour: bool, width: Option<u16>) -> Self {
        Self {
            out: String::new(),
            colour,
            width,
        }
    }

    /// What has been written.
    pub(crate) fn as_str(&self) -> &str {
        &self.out
    }

    /// Takes what has been written, and is empty again.
    pub(crate) fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    /// An empty line.
    pub(crate) fn gap(&mut self) {
        self.out.push('\n');
    }

    /// A line of pieces, one after another.
    pub(crate) fn line(&mut self, spans: impl IntoIterator<Item = Span>) {
        let mut line = String::new();
        for span in spans {
            self.paint(&mut line, &span);
        }
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    /// Text of several lines, each behind `margin`.
    pub(crate) fn text(&mut self, margin: &str, style: Style, text: &str) {
        for line in clean(text).trim_end_matches('\n').split('\n') {
            let span = Span {
                style,
                text: format!("{margin}{line}").trim_end().to_owned(),
            };
            let mut painted = String::new();
            self.paint(&mut painted, &span);
            self.out.push_str(&painted);
            self.out.push('\n');
        }
    }

    /// A heading.
    pub(crate) fn heading(&mut self, text: &str) {
        self.line([bold(text)]);
    }

    /// Rows of aligned columns. A header that begins with `>` is a column of numbers.
    pub(crate) fn table(&mut self, margin: &str, header: &[&str], rows: Vec<Vec<Span>>) {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        match self.width {
            Some(width) => {
                let width = width.saturating_sub(u16::try_from(margin.len()).unwrap_or(0));
                table.set_content_arrangement(ContentArrangement::Dynamic);
                table.set_width(width);
            }
            None => {
                table.set_content_arrangement(ContentArrangement::Disabled);
            }
        }
        if self.colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        let names = header.iter().map(|name| name.trim_start_matches('>'));
        if names.clone().any(|name| !name.is_empty()) {
            table.set_header(names.map(|name| self.cell(&dim(name))));
        }
        for row in rows {
            table.add_row(row.iter().map(|span| self.cell(span)).collect::<Vec<_>>());
        }
        for (index, name) in header.iter().enumerate() {
            if let Some(column) = table.column_mut(index) {
                column.set_padding((0, 2));
                if name.starts_with('>') {
                    column.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        for line in table.lines() {
            self.out.push_str(format!("{margin}{line}").trim_end());
            self.out.push('\n');
        }
    }

    /// Names and values, the values aligned; empty ones are left out.
    pub(crate) fn fields(&mut self, fields: &[(&str, Span)]) {
        let filled = fields.iter().filter(|(_, span)| !span.text.is_empty());
        let wide = filled.clone().map(|(name, _)| name.len()).max();
        for (name, span) in filled {
            let name = format!("{name:<width$}  ", width = wide.unwrap_or(0));
            let mut line = String::new();
            self.paint(
                &mut line,
                &Span {
                    style: Style::Dim,
                    text: name,
                },
            );
            self.paint(&mut line, span);
            self.out.push_str(&line);
            self.out.push('\n');
        }
    }

    fn paint(&self, out: &mut String, span: &Span) {
        match span.style.code().filter(|_| self.colour) {
            Some(code) => out.push_str(&format!("\u{1b}[{code}m{}\u{1b}[0m", span.text)),
            None => out.push_str(&span.text),
        }
    }

    fn cell(&self, span: &Span) -> Cell {
        let cell = Cell::new(&span.text);
        match span.style {
            Style::Plain => cell,
            Style::Bold => cell.add_attribute(Attribute::Bold),
            Style::Dim => cell.add_attribute(Attribute::Dim),
            Style::Red => cell.fg(Color::DarkRed),
            Style::Green => cell.fg(Color::DarkGreen),
            Style::Yellow => cell.fg(Color::DarkYellow),
            Style::Cyan => cell.fg(Color::DarkCyan),
        }
    }
}

/// Shows characters that steer a terminal, or the order of text, as escapes. Line ends and tabs
/// stay; a carriage return is a line end.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\t' => out.push(c),
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    out.push('\n');
                }
            }
            c if c.is_control() || reorders(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Characters that change the direction or hide: what is read is then not what is there.
fn reorders(c: char) -> bool {
    matches!(
        c,
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_steer_the_terminal() {
        let mut screen = Screen::new(false, None);
        screen.line([plain("a\u{1b}[2Jb\nc"), red("\u{202e}d")]);
        screen.text("| ", Style::Plain, "x\u{7}\r\ny\rz\u{9b}1m\n");
        screen.table("", &["T"], vec![vec![plain("\u{1b}]0;t\u{7}")]]);
        insta::assert_snapshot!(screen.as_str(), @r"
        a\u{1b}[2Jb c\u{202e}d
        | x\u{7}
        | y
        | z\u{9b}1m
        T
        \u{1b}]0;t\u{7}
        ");
    }

    #[test]
    fn tables_align_and_fit() {
        let rows = || {
            vec![
                vec![plain("1"), plain("short"), green("done")],
                vec![
                    plain("12"),
                    plain("a title that is too long for this terminal"),
                    plain(""),
                ],
            ]
        };
        let mut wide = Screen::new(false, None);
        wide.table("", &[">#", "title", "state"], rows());
        insta::assert_snapshot!(wide.as_str(), @"
         #  title                                       state
         1  short                                       done
        12  a title that is too long for this terminal
        ");
        let mut narrow = Screen::new(false, Some(40));
        narrow.table("  ", &[">#", "title", "state"], rows());
        assert!(narrow.as_str().lines().all(|line| line.len() <= 40));
    }

    #[test]
    fn colours_only_where_wanted() {
        let mut screen = Screen::new(true, None);
        screen.line([green("ok"), plain("!")]);
        assert_eq!(screen.as_str(), "\u{1b}[32mok\u{1b}[0m!\n");
    }
}
