//! Changed lines: the text of a patch, and its hunks as data.
//!
//! Bytes stay bytes. Lines are counted by the hunk's own header, so that no content can pass for
//! a header. A patch over the limit says which files are missing their lines. Deliberately absent:
//! colours, word differences, HTML.

use bytes::Bytes;
use nightshift_domain::git_name::ObjectId;

use crate::diff::{DiffOptions, FileDiff, Status, parse_records};
use crate::error::GitError;
use crate::refs::odd;
use crate::repository::Repository;
use crate::upload::ByteStream;

/// Where a line of a patch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineKind {
    /// On both sides.
    Context,
    /// On the new side only.
    Added,
    /// On the old side only.
    Deleted,
}

/// One line of a hunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it is.
    pub kind: LineKind,
    /// Its number on the old side, from 1.
    pub old_number: Option<u32>,
    /// Its number on the new side, from 1.
    pub new_number: Option<u32>,
    /// The content without its line feed. A carriage return is content.
    pub bytes: Bytes,
    /// The file ends here without a line feed.
    pub no_newline: bool,
}

/// Lines that changed, with context around.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// First line on the old side; 0 when it has none.
    pub old_start: u32,
    /// Lines on the old side.
    pub old_lines: u32,
    /// First line on the new side; 0 when it has none.
    pub new_start: u32,
    /// Lines on the new side.
    pub new_lines: u32,
    /// The line that git thinks names the place (a function), without line feed.
    pub heading: Bytes,
    /// The lines.
    pub lines: Vec<Line>,
}

/// A changed file with its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePatch {
    /// The change.
    pub file: FileDiff,
    /// The lines; `None` when the limit came first. Empty for a binary file or a pure rename.
    pub hunks: Option<Vec<Hunk>>,
}

/// A comparison with lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// The files, sorted by path.
    pub files: Vec<FilePatch>,
    /// Whether some files miss their lines because of the limit.
    pub truncated: bool,
}

impl Repository {
    /// Compares two commits or trees line by line; reads at most `limit` bytes of patch. Ask for
    /// the files that are missing with [`DiffOptions::paths`].
    pub async fn patch(
        &self,
        old: &ObjectId,
        new: &ObjectId,
        options: &DiffOptions,
        limit: u64,
    ) -> Result<Patch, GitError> {
        let context = format!("--unified={}", options.context);
        // One process compares once; how many lines changed is counted in what it prints.
        let call = self.diff_call(old, new, options, &["-z", "--raw", "-p", &context]);
        let (output, cut) = call.output_limit(limit).run_cut().await?;
        let text = Bytes::from(output.stdout);
        let is_cut = cut.is_some();
        let (listed, end) = match parse_records(&text) {
            // The limit came before the last record.
            Ok((_, end)) if is_cut && end >= text.len() => (Vec::new(), end),
            Err(_) if is_cut => (Vec::new(), text.len()),
            listed => listed?,
        };
        // A zero byte stands between the records and the patch.
        let at = end + usize::from(text.get(end) == Some(&0));
        let mut parser = Parser { text, at };
        let mut files = Vec::new();
        let mut truncated = is_cut && listed.is_empty();
        for mut file in listed {
            let hunks = if truncated {
                None
            } else {
                parser.file(&mut file, is_cut)?
            };
            truncated |= hunks.is_none();
            files.push(FilePatch { file, hunks });
        }
        if truncated {
            // Those that miss their lines are counted by git.
            let mut read = files.into_iter();
            let counted = self.diff(old, new, options).await?.files.into_iter();
            files = counted
                .map(|file| FilePatch {
                    file,
                    hunks: read.next().and_then(|read| read.hunks),
                })
                .collect();
        }
        Ok(Patch { files, truncated })
    }

    /// The patch as text that `git apply` reads, streamed and without a limit.
    pub fn patch_text(
        &self,
        old: &ObjectId,
        new: &ObjectId,
        options: &DiffOptions,
    ) -> Result<ByteStream, GitError> {
        let context = format!("--unified={}", options.context);
        let call = self.diff_call(old, new, options, &["-p", "--binary", &context]);
        ByteStream::start(call, tokio::io::empty(), self.git().limits().transport)
    }
}

/// Reads the output of `git diff-tree -p` from front to back.
struct Parser {
    text: Bytes,
    at: usize,
}

impl Parser {
    /// The hunks of the next file, `None` when the text was cut inside of it. Tells the file how many
    /// lines they change, and whether git takes it for binary.
    fn file(&mut self, file: &mut FileDiff, cut: bool) -> Result<Option<Vec<Hunk>>, GitError> {
        let hunks = self.hunks(file, cut)?;
        let lines = || hunks.iter().flatten().flat_map(|hunk| &hunk.lines);
        let count = |kind| lines().filter(|line| line.kind == kind).count() as u64;
        (file.additions, file.deletions) = (count(LineKind::Added), count(LineKind::Deleted));
        Ok(hunks)
    }

    fn hunks(&mut self, file: &mut FileDiff, cut: bool) -> Result<Option<Vec<Hunk>>, GitError> {
        // A type change is printed as a deletion and an addition.
        let sections = if file.status == Status::TypeChanged {
            2
        } else {
            1
        };
        let mut hunks = Vec::new();
        for _ in 0..sections {
            let Some(header) = self.peek() else {
                // With white space ignored git prints nothing for a file without other changes.
                return Ok(if cut { None } else { Some(hunks) });
            };
            if !header.starts_with(b"diff --git ") {
                return if cut {
                    Ok(None)
                } else {
                    Err(odd("diff-tree", &header))
                };
            }
            if !self.is_about(file, &header) {
                return Ok(Some(hunks));
            }
            self.next();
            while let Some(line) = self.peek() {
                if line.starts_with(b"diff --git ") {
                    break;
                }
                self.next();
                // No line of a hunk comes here: they are counted.
                file.binary |= line.starts_with(b"Binary files ");
                if line.starts_with(b"@@ ") {
                    match self.hunk(&line) {
                        Some(hunk) => hunks.push(hunk),
                        None if cut => return Ok(None),
                        None => return Err(odd("diff-tree", &line)),
                    }
                }
            }
            if cut && self.peek().is_none() {
                // No header follows, so it cannot be known whether this was all.
                return Ok(None);
            }
        }
        Ok(Some(hunks))
    }

    /// Whether the section belongs to this file: git leaves out files whose only changes are
    /// ignored. Names with odd characters are quoted, so the object ids are compared.
    fn is_about(&self, file: &FileDiff, header: &[u8]) -> bool {
        let rest = &self.text[self.at..];
        for line in rest.split(|b| *b == b'\n').skip(1) {
            if line.starts_with(b"diff --git ") || line.starts_with(b"@@ ") {
                break;
            }
            if let Some(ids) = line.strip_prefix(b"index ") {
                let id = |side: Option<&crate::diff::Side>| {
                    side.map_or_else(ObjectId::zero, |side| side.id.clone())
                        .to_string()
                };
                let (old, new) = (id(file.old.as_ref()), id(file.new.as_ref()));
                // One half of a type change has the zero id on one side.
                let ids = String::from_utf8_lossy(ids);
                let Some((left, right)) = ids.split_once("..") else {
                    return true;
                };
                let right = right.get(..40).unwrap_or(right);
                return left == old || right == new;
            }
        }
        // Pure renames and changes of mode have no index line.
        let end = [b" b/", file.path().as_bytes()].concat();
        header.ends_with(&end) || header.ends_with(b"\"")
    }

    /// The hunk after its header line, `None` when it is not complete.
    fn hunk(&mut self, header: &[u8]) -> Option<Hunk> {
        let (old, new, heading) = parse_header(header)?;
        let mut hunk = Hunk {
            old_start: old.0,
            old_lines: old.1,
            new_start: new.0,
            new_lines: new.1,
            heading: Bytes::copy_from_slice(heading),
            lines: Vec::new(),
        };
        let (mut old_at, mut new_at) = (old.0, new.0);
        let (mut old_left, mut new_left) = (old.1, new.1);
        while old_left > 0 || new_left > 0 {
            let line = self.next()?;
            let kind = match line.first()? {
                b' ' => LineKind::Context,
                b'+' => LineKind::Added,
                b'-' => LineKind::Deleted,
                b'\\' => {
                    hunk.lines.last_mut()?.no_newline = true;
                    continue;
                }
                _ => return None,
            };
            let on_old = kind != LineKind::Added;
            let on_new = kind != LineKind::Deleted;
            hunk.lines.push(Line {
                kind,
                old_number: on_old.then_some(old_at),
                new_number: on_new.then_some(new_at),
                bytes: line.slice(1..),
                no_newline: false,
            });
            if on_old {
                old_left = old_left.checked_sub(1)?;
                old_at += 1;
            }
            if on_new {
                new_left = new_left.checked_sub(1)?;
                new_at += 1;
            }
        }
        if self.peek().is_some_and(|line| line.starts_with(b"\\")) {
            self.next();
            hunk.lines.last_mut()?.no_newline = true;
        }
        Some(hunk)
    }

    /// The next whole line, without its line feed.
    fn peek(&self) -> Option<Bytes> {
        let rest = self.text.get(self.at..)?;
        let end = rest.iter().position(|b| *b == b'\n')?;
        Some(self.text.slice(self.at..self.at + end))
    }

    fn next(&mut self) -> Option<Bytes> {
        let line = self.peek()?;
        self.at += line.len() + 1;
        Some(line)
    }
}

/// First line and number of lines.
type Range = (u32, u32);

/// `@@ -<start>[,<count>] +<start>[,<count>] @@[ <heading>]`.
fn parse_header(line: &[u8]) -> Option<(Range, Range, &[u8])> {
    let rest = line.strip_prefix(b"@@ -")?;
    let end = rest.windows(3).position(|part| part == b" @@")?;
    let heading = rest.get(end + 3..)?;
    let (old, new) = std::str::from_utf8(&rest[..end]).ok()?.split_once(" +")?;
    let range = |text: &str| -> Option<(u32, u32)> {
        match text.split_once(',') {
            Some((start, count)) => Some((start.parse().ok()?, count.parse().ok()?)),
            None => Some((text.parse().ok()?, 1)),
        }
    };
    let heading = heading.strip_prefix(b" ").unwrap_or(heading);
    Some((range(old)?, range(new)?, heading))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_with_and_without_counts_are_read() {
        let parsed = parse_header(b"@@ -1 +2,3 @@ fn main()");
        assert_eq!(parsed, Some(((1, 1), (2, 3), b"fn main()".as_slice())));
        assert_eq!(
            parse_header(b"@@ -0,0 +1 @@"),
            Some(((0, 0), (1, 1), b"".as_slice()))
        );
        assert_eq!(parse_header(b"@@ nonsense"), None);
    }

    #[test]
    fn content_cannot_pass_for_a_header() {
        let text = Bytes::from_static(b"-diff --git a/x b/x\n+@@ -1 +1 @@\n");
        let mut parser = Parser { text, at: 0 };
        let hunk = parser.hunk(b"@@ -1 +1 @@").expect("a whole hunk");
        assert_eq!(hunk.lines.len(), 2);
        assert_eq!(&hunk.lines[0].bytes[..], b"diff --git a/x b/x");
    }
}
