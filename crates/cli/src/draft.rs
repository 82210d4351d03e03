//! Texts that a person writes in the editor, and that must not get lost.
//!
//! Invariant: the file goes only when the server has the text ([`Draft::sent`]); on every other way
//! out its path is in the error. Deliberately absent: what the text means.

use std::fs;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use crate::clock;
use crate::environment::Environment;
use crate::failure::{Done, Exit, Failure};
use crate::program;

/// A text on its way.
#[derive(Debug)]
pub(crate) struct Draft {
    path: PathBuf,
    text: String,
}

impl Draft {
    /// Lets the person write, beginning with `start`. A text left as it was is not worth keeping.
    pub(crate) fn write(environment: &Environment, what: &str, start: &str) -> Done<Self> {
        if !std::io::stdin().is_terminal() && environment.editor.is_none() {
            return Err(Failure::usage(
                "there is no terminal to write on: give the text as an argument or a file, or `-` \
                 for standard input",
            ));
        }
        let folder = environment.state.join("drafts");
        let path = folder.join(format!("{what}-{}.md", clock::new_id()));
        let kept = |error: std::io::Error| {
            Failure::failed(format!("cannot use {}: {error}", path.display()))
        };
        fs::create_dir_all(&folder).map_err(kept)?;
        fs::write(&path, start).map_err(kept)?;
        let edited = program::edit(environment, &path);
        let text = fs::read_to_string(&path).map_err(kept)?;
        if text == start {
            fs::remove_file(&path).ok();
            edited?;
            return Err(Failure::new(
                Exit::Failed,
                "nothing was written, nothing is sent",
            ));
        }
        let draft = Self { path, text };
        match edited {
            Ok(()) => Ok(draft),
            Err(failure) => Err(draft.keep(failure)),
        }
    }

    /// What the person wrote.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The server has it.
    pub(crate) fn sent(self) {
        fs::remove_file(&self.path).ok();
    }

    /// The server does not have it: says where the text is.
    pub(crate) fn keep(&self, failure: Failure) -> Failure {
        failure.and(&format!("your text is kept in {}", self.path.display()))
    }
}

/// Everything below this line of an editor's text is for the person only.
const SCISSORS: &str = "------------------------ >8 ------------------------";

/// A start for the editor: nothing, and below the line what the person wants to look at.
pub(crate) fn below_scissors(about: &str) -> String {
    format!("\n{SCISSORS}\nWrite above this line; nothing below it is sent.\n\n{about}\n")
}

/// What stands above the line.
pub(crate) fn above_scissors(text: &str) -> &str {
    let end = text
        .lines()
        .take_while(|line| line.trim_end() != SCISSORS)
        .map(|line| line.len() + 1)
        .sum::<usize>();
    text[..end.min(text.len())].trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(state: &std::path::Path, editor: &str) -> Environment {
        Environment {
            state: state.to_owned(),
            editor: Some(editor.to_owned()),
            ..Environment::default()
        }
    }

    #[test]
    fn a_text_is_kept_until_it_is_sent() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = || {
            fs::read_dir(folder.path().join("drafts"))
                .expect("drafts")
                .count()
        };
        let writes = environment(folder.path(), "sh -c 'echo more >> \"$0\"'");
        let draft = Draft::write(&writes, "issue", "start\n").expect("written");
        assert_eq!(draft.text(), "start\nmore\n");
        let failure = draft.keep(Failure::failed("no"));
        assert!(failure.message.contains(&draft.path.display().to_string()));
        assert_eq!(files(), 1);
        draft.sent();
        assert_eq!(files(), 0);
        // An editor that fails after the person wrote something.
        let breaks = environment(folder.path(), "sh -c 'echo more >> \"$0\"; exit 1'");
        let failure = Draft::write(&breaks, "issue", "").expect_err("failed");
        assert!(
            failure.message.contains("your text is kept in"),
            "{failure}"
        );
        assert_eq!(files(), 1);
        // A text left as it was.
        let failure = Draft::write(&environment(folder.path(), "true"), "issue", "x");
        assert!(
            failure
                .expect_err("nothing")
                .message
                .starts_with("nothing was written")
        );
        assert_eq!(files(), 1);
    }

    #[test]
    fn what_is_below_the_line_is_not_sent() {
        let start = below_scissors("the verdict");
        assert_eq!(above_scissors(&start), "");
        assert_eq!(
            above_scissors(&format!("do it\n# so{start}")),
            "do it\n# so"
        );
        assert_eq!(above_scissors("no line"), "no line");
    }
}
