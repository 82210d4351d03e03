//! `docs/cli.md` names every command, and the exit codes as the program does.

use super::kit::Person;

const DOCUMENT: &str = include_str!("../../../../docs/cli.md");

fn commands(person: &Person, above: &[String], found: &mut Vec<String>) {
    let words = above.iter().cloned().chain(["--help".to_owned()]);
    let help = person.run(words).ok();
    let listed = help
        .split("Commands:\n")
        .nth(1)
        .unwrap_or_default()
        .lines()
        .take_while(|line| line.starts_with("  "));
    for line in listed {
        let name = line.split_whitespace().next().expect("a name").to_owned();
        let mut words = above.to_vec();
        words.push(name);
        let before = found.len();
        commands(person, &words, found);
        // A command that has others below it is named by them.
        if found.len() == before || words == ["inbox"] {
            found.push(words.join(" "));
        }
    }
}

#[test]
fn every_command_is_documented() {
    let mut found = Vec::new();
    commands(&Person::alone(), &[], &mut found);
    assert!(found.len() > 40, "{found:?}");
    let missing: Vec<_> = found
        .iter()
        .filter(|name| {
            !DOCUMENT.contains(&format!("`{name}`")) && !DOCUMENT.contains(&format!("`{name} "))
        })
        .collect();
    assert!(missing.is_empty(), "not in docs/cli.md: {missing:?}");
}

#[test]
fn exit_codes_are_the_same_in_both_places() {
    let help = Person::alone().run(["--help"]).ok();
    let lines = help
        .split("Exit codes:\n")
        .nth(1)
        .expect("exit codes")
        .lines();
    let mut seen = 0;
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let (code, meaning) = line.trim().split_once("  ").expect("a code");
        assert!(
            DOCUMENT.contains(&format!("| {code} | {meaning} |")),
            "{line}"
        );
        seen += 1;
    }
    assert_eq!(seen, 7);
}

#[test]
fn completion_knows_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Person::alone().run(["completion", shell]).ok();
        assert!(script.contains("send-back"), "{shell}");
    }
}
