//! No file says anything about the machine that it was written on.
//!
//! The words that are looked for stand here in halves, so that this file passes its own rule.

use super::{Finding, Rule};
use crate::checkout::Checkout;

pub(super) const RULE: Rule = Rule {
    name: "local",
    reason: "a checkout builds on any machine, from any registry; a path or a host of one machine breaks on the next",
    check,
};

const HOMES: &[&str] = &[concat!("/ho", "me/"), concat!("/Use", "rs/")];
const FOLDERS: &[&str] = &[concat!("/ro", "ot"), concat!("/wo", "rk")];
/// Who may have a home: the user inside a sandbox.
const AGENT: &str = "agent";

const REGISTRIES: &[&str] = &[
    concat!("registry.", "npmjs.org"),
    concat!("registry.", "yarnpkg.com"),
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("://", "crates.io"),
    concat!("pypi", ".org"),
    concat!("files.", "pythonhosted.org"),
    concat!("deb.", "debian.org"),
    concat!("archive.", "ubuntu.com"),
    concat!("proxy.", "golang.org"),
];

fn check(checkout: &Checkout) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &checkout.files {
        for (number, line) in file.text.lines().enumerate() {
            if let Some(path) = machine_path(line) {
                let what = format!(
                    "{path} is a path of one machine; take it from the environment, or a temporary folder"
                );
                findings.push(Finding::new(&file.path, number + 1, what));
            }
            if let Some(host) = REGISTRIES.iter().find(|host| line.contains(**host)) {
                let what = format!(
                    "{host} is the host of a registry; name the package, the client knows its host"
                );
                findings.push(Finding::new(&file.path, number + 1, what));
            }
        }
    }
    findings
}

fn machine_path(line: &str) -> Option<&str> {
    let starts = |word: &'static str| {
        line.match_indices(word)
            .filter(|(at, _)| is_absolute(&line[..*at]))
            .map(|(at, _)| at)
    };
    let homes = HOMES
        .iter()
        .flat_map(|home| starts(home).map(move |at| (at, name(&line[at + home.len()..]))));
    let mut named = homes.filter(|(_, name)| !name.is_empty() && *name != AGENT);
    let folder = || {
        let ends = |(at, word): &(usize, &str)| {
            let after = line[at + word.len()..].chars().next();
            // A folder of work is only one with something in it; the other is a home as it stands.
            let open = if *word == FOLDERS[1] {
                after == Some('/')
            } else {
                after.is_none_or(|c| !is_name(c))
            };
            open.then_some(*at)
        };
        let all = FOLDERS
            .iter()
            .flat_map(|word| starts(word).map(move |at| (at, *word)));
        all.collect::<Vec<_>>().iter().find_map(ends)
    };
    let at = named.next().map(|(at, _)| at).or_else(folder)?;
    line[at..].split(|c: char| !is_name(c) && c != '/').next()
}

/// Whether a path that goes on after `before` begins there.
fn is_absolute(before: &str) -> bool {
    before
        .chars()
        .next_back()
        .is_none_or(|c| !is_name(c) && !matches!(c, '}' | ')' | '~' | '*' | '/' | ']' | '>'))
}

fn name(text: &str) -> &str {
    text.split(|c| !is_name(c)).next().unwrap_or_default()
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(line: &str) -> usize {
        RULE.findings(&Checkout::of(&[("docs/a.md", line)])).len()
    }

    #[test]
    fn paths_of_a_machine_are_found() {
        let [home, users] = [HOMES[0], HOMES[1]];
        let [root, work] = [FOLDERS[0], FOLDERS[1]];
        for line in [
            format!("see {root}/.cargo"),
            format!("HOME={root}"),
            format!("\"{root}\""),
            format!("cd {work}/main"),
            format!("{home}alice/x"),
            format!("`{users}bob`"),
            format!("{home}agent and {home}carol"),
        ] {
            assert_eq!(count(&line), 1, "{line}");
        }
    }

    #[test]
    fn other_paths_are_not() {
        let [home, root, work] = [HOMES[0], FOLDERS[0], FOLDERS[1]];
        for line in [
            format!("{home}agent/.codex"),
            format!("{home}<name>, {home}$USER, {home}"),
            format!("{work}space/src"),
            format!("$HOME{work}/x and {{dir}}{root} and a{root} and crates{work}/x"),
            format!("{root}s and {root}-ca.pem"),
            "https://example.com/a".to_owned(),
        ] {
            assert_eq!(count(&line), 0, "{line}");
        }
    }

    #[test]
    fn hosts_of_registries_are_found() {
        for host in REGISTRIES {
            assert_eq!(
                count(&format!("https://{host}/x").replace("https://://", "https://")),
                1,
                "{host}"
            );
        }
        assert_eq!(count("a crate on crates.io, a package of npm"), 0);
    }
}
