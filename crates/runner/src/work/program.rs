//! The program of an agent in an image: there it is the image's own that counts, not the machine's.
//!
//! Invariant: the version that is looked at is that of the very program that is started. Deliberately
//! absent: harnesses whose program is ours, or the project's own words.

use std::path::PathBuf;
use std::sync::Arc;

use nightshift_domain::failure::Reason;
use nightshift_domain::sentence::{Sentence, text};
use nightshift_domain::told::failure as say;

use super::Task;
use super::cut::Cut;
use super::image::unless_cut;
use crate::harness::{Harness, Kind, Needs, Program, Programs, Version};
use crate::sandbox::Image;

/// Says where the program `$1` is, and what it says its version is.
const LOOK: &str = r#"
command -v -- "$1" || exit 0
command -v node || echo
node --version 2>/dev/null || echo
"$1" --version 2>/dev/null </dev/null
exit 0
"#;

/// The programs for an agent of this harness in an image.
pub(super) async fn of(
    task: &Task,
    image: &Arc<Image>,
    harness: &'static dyn Harness,
) -> Result<Programs, Cut> {
    let mut programs = Programs::default();
    let Some(needs) = harness.needs() else {
        return Ok(programs);
    };
    let words = [needs.program];
    let asked = task.worker.host.image_ask(image, LOOK, &words);
    let said = unless_cut(task, asked).await??;
    let program = read(image.name(), &needs, &said.unwrap_or_default());
    let program = program.map_err(|why| Cut::failed(Reason::ProgramMissing, why))?;
    programs.set(harness.name(), program);
    Ok(programs)
}

/// What the script above said.
fn read(image: &str, needs: &Needs, said: &str) -> Result<Program, Sentence> {
    let name = needs.program;
    let add = say::add_to_image(needs.package);
    let mut lines = said.lines();
    let place = |line: Option<&str>| line.filter(|line| line.starts_with('/')).map(PathBuf::from);
    let path = place(lines.next()).ok_or_else(|| say::not_in_image(image, name, add.clone()))?;
    let node = place(lines.next());
    let node_version = version(lines.next().unwrap_or_default());
    let own_version = lines.find_map(version);
    if let Some(found) = own_version.filter(|found| *found < needs.since) {
        return Err(say::old_in_image(
            name,
            image,
            found.to_string(),
            needs.since.to_string(),
            add,
        ));
    }
    let interpreter = match needs.kind {
        Kind::Native { .. } | Kind::Codex => None,
        Kind::Node { since } => {
            let path = node.ok_or_else(|| say::no_node_in_image(name, image, text(since)))?;
            if let Some(found) = node_version.filter(|found| *found < Version([since, 0, 0])) {
                return Err(say::old_node_in_image(
                    name,
                    text(since),
                    image,
                    found.to_string(),
                ));
            }
            Some(Box::new(Program {
                version: node_version,
                ..Program::visible(path)
            }))
        }
    };
    Ok(Program {
        version: own_version,
        interpreter,
        ..Program::visible(path)
    })
}

/// The first version in a line of words.
fn version(line: &str) -> Option<Version> {
    line.split_whitespace().find_map(|word| {
        let word = word.trim_start_matches('v');
        word.trim_end_matches(['.', ',', ')']).parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::by_name;

    fn told(harness: &str, said: &str) -> Result<Program, String> {
        let needs = by_name(harness).expect("a harness").needs();
        read("base:1", &needs.expect("a program"), said).map_err(|said| said.to_string())
    }

    #[test]
    fn the_images_own_program_is_found_and_judged() {
        let claude = "/usr/bin/claude\n\n\n2.9.9 (Claude Code)\n";
        let found = told("claude-code", claude).expect("found");
        assert_eq!(
            found,
            Program {
                version: Some(Version([2, 9, 9])),
                ..Program::visible("/usr/bin/claude")
            }
        );
        for none in ["", "claude: not found\n", "alias claude='x'\n"] {
            let error = told("claude-code", none).expect_err("none");
            assert!(
                error.contains("npm install -g @anthropic-ai/claude-code"),
                "{error}"
            );
        }
        let old = told("claude-code", "/bin/claude\n\n\n0.0.1\n").expect_err("old");
        assert!(old.contains("has version 0.0.1"), "{old}");
        let mute = told("claude-code", "/bin/claude\n\n\nno version\n").expect("not judged");
        assert_eq!(mute.version, None);

        let gemini = "/opt/bin/gemini\n/opt/bin/node\nv22.1.0\n99.0.0\n";
        let found = told("gemini", gemini).expect("found");
        let node = found.interpreter.expect("what executes it");
        assert_eq!(node.path, PathBuf::from("/opt/bin/node"));
        let none = told("gemini", "/opt/bin/gemini\n\n\n99.0.0\n").expect_err("no node");
        assert!(none.contains("has no node"), "{none}");
        let old = "/opt/bin/gemini\n/opt/bin/node\nv8.0.0\n99.0.0\n";
        let old = told("gemini", old).expect_err("an old node");
        assert!(old.contains("has 8.0.0"), "{old}");
    }
}
