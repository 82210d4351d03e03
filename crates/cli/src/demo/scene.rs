//! What the issues of the demo show, and what a reviewer must see in each.
//!
//! Invariant: an expectation that does not hold ends the demo with its reason; nothing is approved
//! that is not as it should be. Deliberately absent: calls to the server.

use nightshift_api::pull::Pull;
use nightshift_domain::check::{Colour, Outcome};
use nightshift_domain::facts::{FindingKind, Severity};

/// What an issue shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scene {
    /// Green in the first round.
    LandsAtOnce,
    /// Red in the first round, green in the second.
    IsRepaired,
    /// Waits for another issue, then green.
    IsBlocked,
    /// Asks, then green.
    Asks,
    /// Green, and not what was wanted: a test is gone and a protected file changed.
    LooksGood,
}

/// The issues, by the names of their files.
pub(crate) const SCENES: &[(&str, Scene)] = &[
    ("01-cents-round-half-up", Scene::LandsAtOnce),
    ("02-work-past-midnight", Scene::IsRepaired),
    ("03-invoice", Scene::IsBlocked),
    ("04-time-by-week", Scene::Asks),
    ("05-corrections", Scene::LooksGood),
    ("06-empty-ledger", Scene::LandsAtOnce),
];

/// What the reviewer does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decide {
    Approve,
    SendBack(&'static str),
}

impl Scene {
    /// Looks at a result as a reviewer would. The second value is what was seen, in words.
    pub(crate) fn review(self, pull: &Pull) -> Result<(Decide, String), String> {
        let round = pull.line.round;
        let alarms = alarms(pull);
        let alarmed = !alarms.is_empty();
        match (self, round, pull.line.verdict) {
            (Self::IsRepaired, 1, Some(Colour::Red)) => {
                let why = pull.proof.as_ref().map(|proof| proof.reasons.join("; "));
                Ok((
                    Decide::SendBack(
                        "An end before its start is on the next day: count round the clock.",
                    ),
                    format!("red, as it should be: {}", why.unwrap_or_default()),
                ))
            }
            (Self::LooksGood, 1, Some(Colour::Green)) if alarmed => {
                let test = [FindingKind::TestRemoved, FindingKind::TestWeakened];
                if !alarms.iter().any(|kind| test.contains(kind))
                    || !alarms.contains(&FindingKind::ProtectedPath)
                {
                    return Err(format!(
                        "the facts beside the change miss something: {alarms:?}"
                    ));
                }
                Ok((
                    Decide::SendBack(
                        "Put the test and the settings back as they were; only a line of the ledger \
                         may be negative.",
                    ),
                    "green, and the facts say: look at the test and the settings".to_owned(),
                ))
            }
            (Self::LooksGood | Self::IsRepaired, 2, Some(Colour::Green))
            | (Self::LandsAtOnce | Self::IsBlocked | Self::Asks, 1, Some(Colour::Green))
                if !alarmed =>
            {
                let proof = sealed_red_to_green(pull)?;
                let branch = match round {
                    1 => String::new(),
                    _ => format!(", round {round} on the same branch"),
                };
                Ok((Decide::Approve, format!("green: {proof}{branch}")))
            }
            (_, _, verdict) => Err(format!(
                "round {round} came back {} with alarms {alarms:?}, which this issue must not",
                verdict.map_or("without a verdict", Colour::as_str)
            )),
        }
    }
}

fn alarms(pull: &Pull) -> Vec<FindingKind> {
    let findings = pull.proof.iter().flat_map(|proof| &proof.findings);
    findings
        .filter(|finding| finding.severity == Severity::Alarm)
        .map(|finding| finding.kind)
        .collect()
}

fn sealed_red_to_green(pull: &Pull) -> Result<String, String> {
    let proof = pull.proof.as_ref().ok_or("it has no proof")?;
    if proof.head != pull.line.head {
        return Err("the proof is about another commit".to_owned());
    }
    let red = matches!(
        proof
            .acceptance_on_base
            .as_ref()
            .map(|result| &result.outcome),
        Some(Outcome::Failed { .. })
    );
    let green = proof
        .acceptance_on_head
        .as_ref()
        .is_some_and(|result| result.passed());
    let checks = !proof.checks.is_empty() && proof.checks.iter().all(|check| check.passed());
    match (red, green, checks) {
        (true, true, true) => Ok("sealed tests red without it, green with it".to_owned()),
        _ => Err(format!(
            "it is not proved: sealed tests red on base {red}, green on head {green}, checks green \
             {checks}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull() -> Pull {
        serde_json::from_str(include_str!("../../testdata/pull.json")).expect("the wire form")
    }

    #[test]
    fn nothing_is_approved_that_is_not_as_it_should_be() {
        // Red in round 2 with alarms: no scene lets that pass.
        for (_, scene) in SCENES {
            assert!(scene.review(&pull()).is_err(), "{scene:?}");
        }
        let mut good = pull();
        good.line.verdict = Some(Colour::Green);
        if let Some(proof) = &mut good.proof {
            proof.findings.clear();
            proof.checks[0].outcome = Outcome::Passed;
        }
        assert!(matches!(
            Scene::IsRepaired.review(&good),
            Ok((Decide::Approve, _))
        ));
        assert!(Scene::LandsAtOnce.review(&good).is_err(), "round 2");
        let mut unsealed = good.clone();
        if let Some(proof) = &mut unsealed.proof {
            proof.acceptance_on_base = None;
        }
        assert!(Scene::IsRepaired.review(&unsealed).is_err());
        let mut red = good;
        red.line.round = 1;
        red.line.verdict = Some(Colour::Red);
        assert!(matches!(
            Scene::IsRepaired.review(&red),
            Ok((Decide::SendBack(_), _))
        ));
    }
}
