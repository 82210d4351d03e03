//! What a pushing client says before its pack: commands and capabilities; and what it is answered.
//!
//! The parser takes any bytes and returns a request or a refusal; names are kept as sent beside
//! their checked form. Deliberately absent: push options and certificates (not advertised, refused
//! when sent), belief in the client's shallow marks.

use bytes::Bytes;
use nightshift_domain::git_name::{BranchName, ObjectId, RefName};
use tokio::io::AsyncRead;

use crate::error::{GitError, clean};
use crate::pkt_line::{self, Packet};
use crate::refs::{Ref, RefUpdate};

/// What this server offers to pushing clients.
const CAPABILITIES: &str = "report-status delete-refs side-band-64k quiet atomic ofs-delta object-format=sha1 agent=nightshift";
/// Longest name of a ref that is answered about, in bytes.
const NAME_LIMIT: usize = 1024;

/// One ref that a client wants to have moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The name as sent.
    pub sent_name: Bytes,
    /// The same, when it is a name that this platform uses.
    pub name: Option<RefName>,
    /// Where the client thinks the ref is; zero: absent.
    pub old: ObjectId,
    /// Where it wants it; zero: deleted.
    pub new: ObjectId,
}

impl Command {
    /// The update, when the name is acceptable.
    #[must_use]
    pub fn to_update(&self) -> Option<RefUpdate> {
        Some(RefUpdate {
            name: self.name.clone()?,
            old: self.old.clone(),
            new: self.new.clone(),
        })
    }
}

/// The head of a push.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PushRequest {
    /// The refs to be moved.
    pub commands: Vec<Command>,
    /// The client wants a report.
    pub report: bool,
    /// The client reads a multiplexed answer.
    pub side_band: bool,
}

impl PushRequest {
    /// Reads packets up to the first flush, at most `most_refs` commands.
    pub async fn read(
        input: &mut (impl AsyncRead + Unpin),
        most_refs: usize,
    ) -> Result<Self, GitError> {
        let mut request = Self::default();
        loop {
            match pkt_line::read(input).await? {
                Some(Packet::Flush) => return Ok(request),
                Some(Packet::Data(line)) => request.take(&line, most_refs)?,
                None if request.commands.is_empty() => return Ok(request),
                None => return Err(bad("it ends before its commands do")),
            }
        }
    }

    /// Adds one line.
    fn take(&mut self, line: &Bytes, most_refs: usize) -> Result<(), GitError> {
        if line.starts_with(b"shallow ") {
            // What the client lacks is no reason to believe that the server has it.
            return Ok(());
        }
        if line.starts_with(b"push-cert") {
            return Err(bad("signed pushes are not supported"));
        }
        if self.commands.len() >= most_refs {
            return Err(bad(&format!("it names more than {most_refs} refs")));
        }
        let (command, capabilities) = match line.iter().position(|b| *b == 0) {
            Some(end) if self.commands.is_empty() => (line.slice(..end), line.slice(end + 1..)),
            Some(_) => return Err(bad("a command holds a NUL")),
            None => (line.clone(), Bytes::new()),
        };
        let end = if command.ends_with(b"\n") { 1 } else { 0 };
        let command = command.slice(..command.len() - end);
        self.commands.push(parse_command(&command)?);
        for word in capabilities.split(|b| b.is_ascii_whitespace()) {
            match word {
                b"report-status" | b"report-status-v2" => self.report = true,
                b"side-band-64k" => self.side_band = true,
                b"push-options" => return Err(bad("push options are not supported")),
                word if word.starts_with(b"object-format=") && word != b"object-format=sha1" => {
                    return Err(bad("the repository names objects by SHA-1"));
                }
                // Others change nothing: a push is always atomic.
                _ => {}
            }
        }
        Ok(())
    }

    /// The answer: how reading the objects went, and one line per ref. `refused` gives the reason
    /// for a ref that did not move; `words` are shown to the person who pushed.
    pub(crate) fn report(
        &self,
        unpack: Result<(), &str>,
        refused: &[Option<String>],
        words: Option<&str>,
    ) -> Bytes {
        let mut status = Vec::new();
        let unpacked = match unpack {
            Ok(()) => "unpack ok\n".to_owned(),
            Err(reason) => format!("unpack {}\n", one_line(reason)),
        };
        pkt_line::write(&mut status, unpacked.as_bytes());
        for (command, refused) in self.commands.iter().zip(refused) {
            let name = &command.sent_name;
            let mut line = Vec::new();
            line.extend_from_slice(if refused.is_some() { b"ng " } else { b"ok " });
            line.extend_from_slice(name.get(..NAME_LIMIT).unwrap_or(name));
            if let Some(reason) = refused {
                line.extend_from_slice(format!(" {}", one_line(reason)).as_bytes());
            }
            line.push(b'\n');
            pkt_line::write(&mut status, &line);
        }
        pkt_line::flush(&mut status);
        let mut answer = Vec::new();
        if self.side_band {
            if let Some(words) = words {
                let words = format!("{}\n", clean(words.as_bytes(), 2_000));
                pkt_line::write_band(&mut answer, 2, words.as_bytes());
            }
            if self.report {
                pkt_line::write_band(&mut answer, 1, &status);
            }
            pkt_line::flush(&mut answer);
        } else if self.report {
            answer = status;
        }
        Bytes::from(answer)
    }
}

/// The body of `GET …/info/refs?service=git-receive-pack` for these refs.
pub(crate) fn advertisement(refs: &[Ref]) -> Bytes {
    let mut body = Vec::new();
    pkt_line::write(&mut body, b"# service=git-receive-pack\n");
    pkt_line::flush(&mut body);
    let mut capabilities = format!("\0{CAPABILITIES}");
    if refs.is_empty() {
        let line = format!("{} capabilities^{{}}{capabilities}\n", ObjectId::zero());
        pkt_line::write(&mut body, line.as_bytes());
    }
    for Ref { name, target } in refs {
        pkt_line::write(
            &mut body,
            format!("{target} {name}{capabilities}\n").as_bytes(),
        );
        capabilities.clear();
    }
    pkt_line::flush(&mut body);
    Bytes::from(body)
}

/// `<old> SP <new> SP <name>`.
fn parse_command(line: &Bytes) -> Result<Command, GitError> {
    let id = |range: std::ops::Range<usize>| -> Option<ObjectId> {
        std::str::from_utf8(line.get(range)?).ok()?.parse().ok()
    };
    let spaces = line.get(40) == Some(&b' ') && line.get(81) == Some(&b' ');
    let (Some(old), Some(new), true) = (id(0..40), id(41..81), spaces) else {
        return Err(bad("a command is not two object ids and a name"));
    };
    let sent_name = line.slice(82..);
    if sent_name.is_empty() || sent_name.iter().any(u8::is_ascii_control) {
        return Err(bad(
            "the name of a ref is empty or holds a control character",
        ));
    }
    let name = usable_name(&sent_name);
    Ok(Command {
        sent_name,
        name,
        old,
        new,
    })
}

/// The name if it is one that people can type: a branch by the rules for new branches.
fn usable_name(sent: &[u8]) -> Option<RefName> {
    let name: RefName = std::str::from_utf8(sent).ok()?.parse().ok()?;
    let usable = match name.branch() {
        Some(branch) => branch.parse::<BranchName>().is_ok(),
        None => !name.as_str().contains("/-"),
    };
    usable.then_some(name)
}

fn one_line(text: &str) -> String {
    clean(text.as_bytes(), 300).replace('\n', "; ")
}

fn bad(why: &str) -> GitError {
    GitError::BadRequest(why.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<PushRequest, GitError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let mut input = bytes;
            PushRequest::read(&mut input, 3).await
        })
    }

    fn request(lines: &[&[u8]]) -> Vec<u8> {
        let mut wire = Vec::new();
        for line in lines {
            pkt_line::write(&mut wire, line);
        }
        pkt_line::flush(&mut wire);
        wire
    }

    fn command(name: &str) -> String {
        format!("{} {} {name}", ObjectId::zero(), "a".repeat(40))
    }

    #[test]
    fn commands_and_capabilities_are_read() {
        let first = format!(
            "{}\0 report-status side-band-64k push-x",
            command("refs/heads/a")
        );
        let shallow = format!("shallow {}", "b".repeat(40));
        let second = format!("{}\n", command("refs/heads/../x"));
        let wire = request(&[shallow.as_bytes(), first.as_bytes(), second.as_bytes()]);
        let read = read(&wire).expect("well formed");
        assert!(read.report && read.side_band);
        assert_eq!(read.commands.len(), 2);
        assert_eq!(
            read.commands[0]
                .to_update()
                .map(|u| u.name.to_string())
                .as_deref(),
            Some("refs/heads/a")
        );
        assert_eq!(
            read.commands[1].name, None,
            "the name is kept but is none of ours"
        );
        assert_eq!(read.commands[1].sent_name, "refs/heads/../x");
    }

    #[test]
    fn what_is_not_offered_is_refused() {
        let with = |capability: &str| format!("{}\0{capability}", command("refs/heads/a"));
        for bad in [
            with("push-options"),
            with("object-format=sha256"),
            "push-cert\0 x".to_owned(),
            command("refs/heads/a\x01"),
            command(""),
            command("refs/heads/a").replace('a', "A"),
            "short".to_owned(),
        ] {
            assert!(read(&request(&[bad.as_bytes()])).is_err(), "{bad:?}");
        }
        let second_nul = [with("x"), with("x")];
        assert!(
            read(&request(&[
                second_nul[0].as_bytes(),
                second_nul[1].as_bytes()
            ]))
            .is_err()
        );
        let line = command("refs/heads/a");
        assert!(
            read(&request(&[line.as_bytes(); 4])).is_err(),
            "over the limit of refs"
        );
    }

    proptest! {
        #[test]
        fn any_line_is_taken_or_refused(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _either = read(&request(&[&line]));
        }

        #[test]
        fn any_name_is_taken_or_refused(name in ".{0,80}", capabilities in "[ -~]{0,60}") {
            let line = format!("{}\0{capabilities}", command(&name));
            if let Ok(request) = read(&request(&[line.as_bytes()])) {
                let answer = request.report(Ok(()), &[Some("no\nok refs/heads/x".to_owned())], None);
                // A reason cannot forge a line of the report.
                prop_assert!(!String::from_utf8_lossy(&answer).contains("\nok "));
            }
        }
    }
}
