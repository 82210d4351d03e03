//! Which runner is handed which job: what the job needs beside its kind, and what a runner says that
//! it has.
//!
//! One answer for the claim, pre-flight and the reason why a job waits. Deliberately absent: where
//! runners are busy, and which of those that can is first.

use std::collections::BTreeMap;

use crate::config::{Config, Harness};
use crate::job::Kind;

/// What a job needs of its runner, beside that it takes such jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Needs {
    /// A sandbox of the image that the project names.
    pub image: bool,
    /// The program and the model endpoint of this harness.
    pub harness: Option<Harness>,
}

impl Needs {
    /// What a job of this kind needs under these settings, for an issue with this agent. An agent
    /// that is not defined needs nothing: its run ends with that.
    #[must_use]
    pub fn of(kind: Kind, config: &Config, agent: &str) -> Self {
        Self {
            image: config.environment.image.is_some(),
            harness: match kind {
                Kind::Author => config.agent(agent).map(|agent| agent.harness),
                Kind::Verify | Kind::Trial | Kind::Tryout => None,
            },
        }
    }

    /// All that can be needed; each once.
    pub fn all() -> impl Iterator<Item = Self> {
        let harnesses = || [None].into_iter().chain(Harness::ALL.map(Some));
        [false, true]
            .into_iter()
            .flat_map(move |image| harnesses().map(move |harness| Self { image, harness }))
    }

    /// Whether the project's image brings the program; that it does is seen when it is there.
    fn is_brought(self) -> bool {
        let brought = |harness| Harness::WITH_PROGRAM.contains(&harness);
        self.image && self.harness.is_some_and(brought)
    }
}

/// What a runner says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runner {
    /// Kinds of jobs that it takes, if it says so; else all.
    pub kinds: Option<Vec<String>>,
    /// Harnesses whose programs and endpoints it has, if it says so; else all.
    pub harnesses: Option<Vec<String>>,
    /// Whether its sandboxes can have an image that a project names.
    pub images: bool,
    /// Whether it is handed no new jobs, since somebody said so.
    pub draining: bool,
}

impl Runner {
    /// Whether it takes jobs of this kind.
    #[must_use]
    pub fn takes(&self, kind: Kind) -> bool {
        let kinds = self.kinds.as_ref();
        kinds.is_none_or(|kinds| kinds.iter().any(|own| own == kind.as_str()))
    }

    /// Whether it has what a job needs.
    #[must_use]
    pub fn can(&self, needs: Needs) -> bool {
        if needs.image && !self.images {
            return false;
        }
        let own = self.harnesses.as_ref();
        let has = |harness: Harness| {
            own.is_none_or(|own| own.iter().any(|name| name == harness.as_str()))
        };
        needs.is_brought() || needs.harness.is_none_or(has)
    }
}

/// What none of the runners has that a job needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// There is no runner.
    Runner,
    /// Every one that could is draining.
    Draining,
    /// None takes such jobs.
    Kind,
    /// None of those that do can have an image.
    Image,
    /// None of those that could has what the harness needs.
    Harness(Harness),
}

/// What these runners lack for a job, or `None` where one of them can do it.
#[must_use]
pub fn lack(runners: &[Runner], kind: Kind, needs: Needs) -> Option<Lack> {
    let all: Vec<&Runner> = runners.iter().collect();
    let open: Vec<&Runner> = runners.iter().filter(|one| !one.draining).collect();
    let lacks = lack_of(open, kind, needs)?;
    // Where one that is draining could, that is the reason, whatever the others lack.
    Some(lack_of(all, kind, needs).map_or(Lack::Draining, |_| lacks))
}

/// The same, as if none of them were draining.
fn lack_of(runners: Vec<&Runner>, kind: Kind, needs: Needs) -> Option<Lack> {
    if runners.is_empty() {
        return Some(Lack::Runner);
    }
    let mut able: Vec<&Runner> = runners.into_iter().filter(|one| one.takes(kind)).collect();
    if able.is_empty() {
        return Some(Lack::Kind);
    }
    able.retain(|one| one.images || !needs.image);
    if able.is_empty() {
        return Some(Lack::Image);
    }
    let harness = needs.harness?;
    let can = able.iter().any(|one| one.can(needs));
    (!can).then_some(Lack::Harness(harness))
}

/// Whether jobs need something else once these settings are the others.
#[must_use]
pub fn differ(before: &Config, after: &Config) -> bool {
    let said = |config: &Config| -> BTreeMap<String, Harness> {
        let agents = config.agents.iter();
        agents
            .map(|agent| (agent.name.clone(), agent.harness))
            .collect()
    };
    let image = |config: &Config| config.environment.image.is_some();
    image(before) != image(after) || said(before) != said(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Option<Vec<String>> {
        Some(words.iter().map(|&word| word.to_owned()).collect())
    }

    fn with(harnesses: &[&str]) -> Runner {
        Runner {
            harnesses: words(harnesses),
            ..Runner::default()
        }
    }

    fn contained(harnesses: &[&str]) -> Runner {
        Runner {
            images: true,
            ..with(harnesses)
        }
    }

    fn draining(runner: Runner) -> Runner {
        Runner {
            draining: true,
            ..runner
        }
    }

    fn proofs(runner: Runner) -> Runner {
        Runner {
            kinds: words(&["verify", "trial"]),
            ..runner
        }
    }

    const fn needs(image: bool, harness: Option<Harness>) -> Needs {
        Needs { image, harness }
    }

    #[test]
    fn a_job_needs_what_its_project_and_its_agent_say() {
        let text = "[[agent]]\nname = \"claude\"\nharness = \"claude-code\"\n";
        let plain = Config::parse(text).expect("a file");
        let image = format!("[environment]\nimage = \"team/base:1\"\n{text}");
        let image = Config::parse(&image).expect("a file");
        let claude = Some(Harness::ClaudeCode);
        let cases = [
            (Kind::Author, &plain, "claude", needs(false, claude)),
            (
                Kind::Author,
                &plain,
                "script",
                needs(false, Some(Harness::Script)),
            ),
            (Kind::Author, &plain, "gone", needs(false, None)),
            (Kind::Author, &image, "claude", needs(true, claude)),
            // No other kind starts an agent.
            (Kind::Verify, &plain, "claude", needs(false, None)),
            (Kind::Trial, &image, "claude", needs(true, None)),
            (Kind::Tryout, &plain, "claude", needs(false, None)),
        ];
        for (kind, config, agent, expected) in cases {
            assert_eq!(Needs::of(kind, config, agent), expected, "{kind:?} {agent}");
        }
    }

    #[test]
    fn settings_differ_where_a_job_would_need_something_else() {
        let text = |image: &str, agents: &str| {
            let text = format!("[environment]\nsetup = \"make\"\n{image}\n{agents}");
            Config::parse(&text).expect("a file")
        };
        let agent = |name: &str, harness: &str| {
            format!("[[agent]]\nname = \"{name}\"\nharness = \"{harness}\"\n")
        };
        let image = "image = \"team/base:1\"";
        let (a, b) = (agent("a", "codex"), agent("b", "claude-code"));
        let plain = text("", &format!("{a}{b}"));
        let cases = [
            (text("", &format!("{b}{a}")), false),
            (text("timeout = \"5m\"", &format!("{a}{b}")), false),
            (text("", &format!("{a}{b}model = \"m\"\n")), false),
            (text(image, &format!("{a}{b}")), true),
            (text("", &a), true),
            (text("", &format!("{a}{}", agent("b", "codex"))), true),
            (text("", &format!("{a}{}", agent("c", "claude-code"))), true),
        ];
        for (other, expected) in cases {
            assert_eq!(differ(&plain, &other), expected, "{other:?}");
            assert_eq!(differ(&other, &plain), expected, "{other:?}");
        }
        let other = text("image = \"team/base:2\"", &a);
        assert!(
            !differ(&text(image, &a), &other),
            "only whether there is one"
        );
    }

    #[test]
    fn a_runner_can_do_what_it_has_or_what_an_image_brings() {
        let claude = Some(Harness::ClaudeCode);
        let native = Some(Harness::Native);
        let old = Runner::default();
        let cases = [
            // One that does not say has all but images.
            (&old, needs(false, claude), true),
            (&old, needs(true, claude), false),
            (&old, needs(true, None), false),
            (&with(&["claude-code"]), needs(false, claude), true),
            (&with(&["claude-code"]), needs(true, claude), false),
            (&with(&["codex"]), needs(false, claude), false),
            (&with(&["codex"]), needs(false, None), true),
            (&with(&[]), needs(false, Some(Harness::Script)), false),
            (&contained(&[]), needs(true, None), true),
            // The image brings the program, and no image is the built-in agent's endpoint.
            (&contained(&[]), needs(true, claude), true),
            (&contained(&[]), needs(false, claude), false),
            (&contained(&[]), needs(true, native), false),
            (&contained(&["native"]), needs(true, native), true),
        ];
        for (runner, needs, expected) in cases {
            assert_eq!(runner.can(needs), expected, "{runner:?} {needs:?}");
        }
    }

    #[test]
    fn what_is_lacking_is_named() {
        let claude = needs(false, Some(Harness::ClaudeCode));
        let in_image = needs(true, Some(Harness::ClaudeCode));
        let native_in_image = needs(true, Some(Harness::Native));
        let nothing = Needs::default();
        let no_claude = Some(Lack::Harness(Harness::ClaudeCode));
        let cases: [(&[Runner], Kind, Needs, Option<Lack>); 17] = [
            (&[], Kind::Author, nothing, Some(Lack::Runner)),
            (&[], Kind::Author, in_image, Some(Lack::Runner)),
            (&[Runner::default()], Kind::Author, claude, None),
            (
                &[draining(Runner::default())],
                Kind::Author,
                claude,
                Some(Lack::Draining),
            ),
            // Another one that can is enough; one that cannot is not why.
            (
                &[draining(Runner::default()), Runner::default()],
                Kind::Author,
                claude,
                None,
            ),
            (
                &[draining(Runner::default()), with(&["codex"])],
                Kind::Author,
                claude,
                Some(Lack::Draining),
            ),
            // What no runner could do lacks what it lacked.
            (
                &[draining(with(&["codex"])), with(&["codex"])],
                Kind::Author,
                claude,
                no_claude,
            ),
            (
                &[draining(with(&["codex"]))],
                Kind::Author,
                in_image,
                Some(Lack::Runner),
            ),
            (
                &[proofs(Runner::default())],
                Kind::Author,
                claude,
                Some(Lack::Kind),
            ),
            (&[with(&["codex"])], Kind::Author, claude, no_claude),
            (&[with(&["codex"])], Kind::Verify, nothing, None),
            // The program of a runner that takes no such jobs is none.
            (
                &[with(&["codex"]), proofs(with(&["claude-code"]))],
                Kind::Author,
                claude,
                no_claude,
            ),
            (
                &[with(&["codex"]), with(&["claude-code"])],
                Kind::Author,
                claude,
                None,
            ),
            (
                &[with(&["claude-code"])],
                Kind::Author,
                in_image,
                Some(Lack::Image),
            ),
            (&[contained(&[])], Kind::Author, in_image, None),
            (
                &[contained(&[]), with(&["native"])],
                Kind::Author,
                native_in_image,
                Some(Lack::Harness(Harness::Native)),
            ),
            (
                &[proofs(contained(&[])), with(&[])],
                Kind::Author,
                in_image,
                Some(Lack::Image),
            ),
        ];
        for (runners, kind, needs, expected) in cases {
            assert_eq!(
                lack(runners, kind, needs),
                expected,
                "{runners:?} {needs:?}"
            );
        }
    }

    /// The claim, which asks for each need whether the runner can, and the reason, which asks for
    /// all runners what they lack, are of one mind.
    #[test]
    fn nothing_is_lacking_exactly_where_a_runner_can() {
        let some = [
            Runner::default(),
            with(&[]),
            with(&["claude-code", "script"]),
            contained(&[]),
            contained(&["native"]),
            proofs(contained(&["native"])),
            draining(contained(&["native"])),
        ];
        for one in &some {
            for other in &some {
                for needs in Needs::all() {
                    let both = [one.clone(), other.clone()];
                    let can = |runner: &Runner| {
                        !runner.draining && runner.takes(Kind::Author) && runner.can(needs)
                    };
                    let none_lacks = lack(&both, Kind::Author, needs).is_none();
                    assert_eq!(none_lacks, both.iter().any(can), "{both:?} {needs:?}");
                }
            }
        }
        assert_eq!(Needs::all().count(), 22);
    }
}
