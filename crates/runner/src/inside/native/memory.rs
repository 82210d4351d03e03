//! The conversation on disk: one turn a line, in a folder that the runner keeps for the issue.
//!
//! Invariant: a turn is written before anything follows from it; a file that ends in the middle of a
//! line is good up to that line. Deliberately absent: a lock, since one start of an agent works at one
//! time.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::talk::{Turn, mend};

/// Where sessions are, in HOME.
pub(crate) const FOLDER: &str = ".nightshift-native";

/// A conversation and its file.
#[derive(Debug)]
pub(super) struct Memory {
    /// What names it in a later start.
    pub(super) id: String,
    /// What was said so far.
    pub(super) turns: Vec<Turn>,
    path: PathBuf,
    file: File,
}

impl Memory {
    /// An empty one.
    pub(super) fn fresh(folder: &Path) -> io::Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
        let id = hex::encode(bytes);
        fs::create_dir_all(folder)?;
        let path = place(folder, &id);
        let file = File::options().append(true).create_new(true).open(&path)?;
        Ok(Self {
            id,
            turns: Vec::new(),
            path,
            file,
        })
    }

    /// One of an earlier start; what was under way there is marked as not carried out.
    pub(super) fn resumed(folder: &Path, id: &str) -> io::Result<Self> {
        let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let path = place(folder, id);
        if !plain || !fs::symlink_metadata(&path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no such session"));
        }
        let bytes = fs::read(&path)?;
        let mut turns: Vec<Turn> = bytes
            .split(|byte| *byte == b'\n')
            .map_while(|line| serde_json::from_slice(line).ok())
            .collect();
        if !matches!(turns.first(), Some(Turn::Prompt { .. })) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty"));
        }
        mend(&mut turns);
        let file = File::options().append(true).open(&path)?;
        let mut memory = Self {
            id: id.to_owned(),
            turns,
            path,
            file,
        };
        memory.write_anew()?;
        Ok(memory)
    }

    /// Remembers a turn.
    pub(super) fn push(&mut self, turn: Turn) -> io::Result<()> {
        self.file.write_all(&line(&turn)?)?;
        self.turns.push(turn);
        Ok(())
    }

    /// Writes all turns, which were changed.
    pub(super) fn write_anew(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        for turn in &self.turns {
            bytes.extend(line(turn)?);
        }
        let new = self.path.with_extension("new");
        fs::write(&new, bytes)?;
        fs::rename(&new, &self.path)?;
        self.file = File::options().append(true).open(&self.path)?;
        Ok(())
    }
}

fn place(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.ndjson"))
}

fn line(turn: &Turn) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(turn)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inside::native::talk::Call;
    use serde_json::json;

    fn prompt(text: &str) -> Turn {
        Turn::Prompt {
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_conversation_goes_on_wherever_it_was_cut() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("deep");
        let mut memory = Memory::fresh(&folder).expect("a memory");
        let call = Call::new("1".to_owned(), "bash".to_owned(), json!({"command": "ls"}));
        memory.push(prompt("do it")).expect("written");
        memory
            .push(Turn::Answer {
                text: "I look.".to_owned(),
                calls: vec![call.clone()],
            })
            .expect("written");
        let (id, path) = (memory.id.clone(), memory.path.clone());
        drop(memory);
        let mut cut = fs::read(&path).expect("a file");
        cut.extend_from_slice(b"{\"turn\":\"prompt\",\"te");
        fs::write(&path, cut).expect("written");

        let mut memory = Memory::resumed(&folder, &id).expect("resumed");
        assert_eq!(memory.turns.len(), 3);
        assert_eq!(
            memory.turns[2],
            Turn::Results {
                results: vec![call.not_run()]
            }
        );
        memory.push(prompt("more")).expect("written");
        let turns = memory.turns.clone();
        drop(memory);
        let memory = Memory::resumed(&folder, &id).expect("resumed");
        assert_eq!(
            memory.turns, turns,
            "what was written behind the cut counts"
        );
    }

    #[test]
    fn what_is_no_session_is_lost() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        fs::write(folder.join("broken.ndjson"), "{").expect("written");
        std::os::unix::fs::symlink("/etc/passwd", folder.join("link.ndjson")).expect("a link");
        for id in ["", "none", "../x", "broken", "link"] {
            assert!(Memory::resumed(folder, id).is_err(), "{id:?}");
        }
    }
}
