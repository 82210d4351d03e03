//! The one place where xtask starts programs.
//!
//! Deliberately absent: a shell. Arguments are words.

#![expect(
    clippy::disallowed_methods,
    reason = "programs are started in one place per crate: here"
)]
#![expect(clippy::print_stderr, reason = "passes on what the program says")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

/// A program and its arguments, started at the top of the checkout.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Variables added to the inherited environment.
    pub env: &'a [(&'a str, &'a str)],
    /// The program, then its arguments.
    pub words: &'a [&'a str],
}

impl std::fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, value) in self.env {
            write!(f, "{name}='{value}' ")?;
        }
        f.write_str(&self.words.join(" "))
    }
}

impl Line<'_> {
    fn command(&self, root: &Path) -> Result<Command> {
        let Some((program, arguments)) = self.words.split_first() else {
            bail!("no program is named");
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(root)
            .stdin(Stdio::null());
        for name in std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()) {
            if is_of_this_package(&name) {
                command.env_remove(name);
            }
        }
        command.envs(self.env.iter().copied());
        Ok(command)
    }

    /// Runs it to its end with the output passed through; another exit code than 0 is an error.
    pub fn run(&self, root: &Path) -> Result<()> {
        let status = self.command(root)?.status();
        let status = status.with_context(|| format!("cannot start {self}"))?;
        ensure!(status.success(), "{self}\nended with {status}");
        Ok(())
    }

    /// Runs it to its end and returns its standard output; the errors pass through.
    pub fn output(&self, root: &Path) -> Result<String> {
        let output = self.command(root)?.stderr(Stdio::inherit()).output();
        let output = output.with_context(|| format!("cannot start {self}"))?;
        ensure!(
            output.status.success(),
            "{self}\nended with {}",
            output.status
        );
        String::from_utf8(output.stdout)
            .with_context(|| format!("{self} printed what is not UTF-8"))
    }

    /// Runs it with the output passed through; returns the last line of its standard error that
    /// `wanted` picks.
    pub fn run_and_keep(&self, root: &Path, wanted: fn(&str) -> bool) -> Result<Option<String>> {
        let child = self.command(root)?.stderr(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("cannot start {self}"))?;
        let mut kept = None;
        if let Some(stream) = child.stderr.take() {
            for line in BufReader::new(stream).split(b'\n') {
                let line = line.with_context(|| format!("cannot read what {self} says"))?;
                let line = String::from_utf8_lossy(&line).into_owned();
                eprintln!("{line}");
                if wanted(&line) {
                    kept = Some(line);
                }
            }
        }
        let status = child
            .wait()
            .with_context(|| format!("cannot wait for {self}"))?;
        ensure!(status.success(), "{self}\nended with {status}");
        Ok(kept)
    }
}

/// Whether `cargo run` set the variable for xtask itself. Some build scripts (ring's) are run
/// again when they see it, and with them half of the workspace is built again.
fn is_of_this_package(name: &str) -> bool {
    const OTHERS: &[&str] = &[
        "CARGO_BIN_NAME",
        "CARGO_CRATE_NAME",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_PRIMARY_PACKAGE",
    ];
    name.starts_with("CARGO_PKG_") || OTHERS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_does_not_see_which_package_started_it() {
        let root = crate::checkout::root();
        let env = Line {
            env: &[("CARGO_PROFILE", "x")],
            words: &["env"],
        };
        let text = env.output(&root).expect("env prints");
        assert!(
            std::env::var_os("CARGO_PKG_NAME").is_some(),
            "cargo runs the tests"
        );
        assert!(!text.contains("CARGO_PKG_NAME=") && !text.contains("CARGO_MANIFEST_DIR="));
        assert!(text.contains("CARGO_PROFILE=x") && text.contains("PATH="));
    }
}
