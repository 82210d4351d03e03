//! What a failed model call or a failed start means, whoever reports it.
//!
//! The words come from programs and providers and change with them; anything unknown stays
//! [`AgentFailure::Crashed`] with the words in it, so that nothing is hidden by a wrong guess.

use std::time::Duration;

use nightshift_domain::told::failure as say;

use super::line::shorten;
use super::outcome::{AgentFailure, Exit};

/// The failure an HTTP status of the model's provider stands for, if it stands for one.
pub(super) fn of_status(status: u64, detail: &str) -> Option<AgentFailure> {
    let detail = detail.to_owned();
    match status {
        401 | 403 => Some(AgentFailure::Unauthorized { detail }),
        402 => Some(AgentFailure::BudgetExhausted {
            detail: detail.into(),
        }),
        429 => Some(rate_limited(detail)),
        408 | 500..=599 => Some(AgentFailure::Overloaded { detail }),
        _ => None,
    }
}

/// The failure that these words of a program or a provider stand for, if they are known.
pub(super) fn of_words(words: &str) -> Option<AgentFailure> {
    let lower = words.to_lowercase();
    let detail = shorten(words, 2 << 10);
    if let Some(failure) = status_in(&lower).and_then(|code| of_status(code, &detail)) {
        return Some(failure);
    }
    let says = |known: &[&str]| known.iter().any(|word| lower.contains(word));
    if says(&[
        "rate limit",
        "quota",
        "too many requests",
        "resource_exhausted",
    ]) {
        return Some(rate_limited(detail));
    }
    if says(&[
        "unauthorized",
        "authentication failed",
        "invalid api key",
        "api key not valid",
    ]) {
        return Some(AgentFailure::Unauthorized { detail });
    }
    let unreachable = [
        "overloaded",
        "econnrefused",
        "econnreset",
        "enotfound",
        "fetch failed",
        "connection error",
        "socket hang up",
        "socket connection was closed",
        "unable to connect",
        "terminated",
        "timed out",
        "timeout",
        "premature close",
        "internal server error",
        "high demand",
    ];
    says(&unreachable).then_some(AgentFailure::Overloaded { detail })
}

/// The failure that an agent reports as its own words, where nothing else says that it failed: only what
/// begins as such a report does, so that words about a failure stay words.
pub(super) fn of_report(words: &str) -> Option<AgentFailure> {
    let begins = [
        "error",
        "api error",
        "[api error",
        "unexpected status",
        "exceeded retry limit",
        "stream disconnected",
        "request failed",
        "you've hit your usage limit",
    ];
    let lower = words.trim_start().to_lowercase();
    let is_report = begins.iter().any(|begin| lower.starts_with(begin));
    let limit = lower.starts_with("you've hit your usage limit");
    let failure = match limit {
        true => Some(rate_limited(shorten(words, 2 << 10))),
        false => of_words(words),
    };
    is_report.then_some(failure).flatten()
}

/// The HTTP status behind the words that usually stand before one.
fn status_in(lower: &str) -> Option<u64> {
    let before = [
        "\"code\":",
        "\"code\": ",
        "api error: ",
        "status: ",
        "status ",
        "http ",
        "last error: ",
    ];
    before.into_iter().find_map(|before| {
        let (_, rest) = lower.split_once(before)?;
        let code: u64 = rest.get(..3)?.parse().ok()?;
        let ends = rest[3..].chars().next().is_none_or(|c| !c.is_ascii_digit());
        (ends && (400..600).contains(&code)).then_some(code)
    })
}

/// A rate limit that says in words when it ends, or does not.
pub(super) fn rate_limited(detail: String) -> AgentFailure {
    AgentFailure::RateLimited {
        resets_at: None,
        retry_after: wait_in(&detail),
        detail,
    }
}

/// The failure of a program that ended without a word of its protocol.
pub(super) fn of_end(program: &str, exit: Exit, last_words: Option<&str>) -> Option<AgentFailure> {
    let how = match exit {
        Exit::Stopped | Exit::Code(0) => return None,
        Exit::Code(code) => say::exited(code),
        Exit::Signal(signal) => say::signalled(signal),
    };
    if let Some(words) = last_words
        && is_missing(words)
    {
        return Some(AgentFailure::ProgramMissing {
            program: program.to_owned(),
            install: say::see_sandbox(words),
        });
    }
    Some(AgentFailure::Crashed {
        detail: match last_words {
            Some(words) => say::ended_with(how, words),
            None => say::ended_without(how),
        }
        .into(),
    })
}

/// Whether these are the words of a sandbox or shell that found no program to execute.
fn is_missing(words: &str) -> bool {
    words.starts_with("bwrap: execvp ")
}

/// The wait in "try again in 2 hours 5 minutes", "in 11.054s", if there is one.
fn wait_in(words: &str) -> Option<Duration> {
    let lower = words.to_lowercase();
    let (_, rest) = lower.split_once("again in ")?;
    let mut seconds = 0.0;
    let mut found = false;
    let mut rest = rest.trim_start();
    loop {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let Ok(number) = rest[..digits].trim_end_matches('.').parse::<f64>() else {
            break;
        };
        let after = rest[digits..].trim_start();
        let letters = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let unit = match &after[..letters] {
            "ms" => 0.001,
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86400.0,
            _ => break,
        };
        seconds += number * unit;
        found = true;
        rest = after[letters..].trim_start_matches([' ', ',']);
        rest = rest.strip_prefix("and ").unwrap_or(rest);
    }
    found
        .then(|| Duration::try_from_secs_f64(seconds).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_read_from_words() {
        let seconds = |words| wait_in(words).map(|wait| wait.as_millis());
        for (words, expected) in [
            ("Please try again in 11.054s. Visit", Some(11_054)),
            ("Try again in 3 days 4 hours 5 minutes.", Some(273_900_000)),
            ("try again in 2 hours, and 1 minute", Some(7_260_000)),
            ("try again in 250ms", Some(250)),
            ("try again in a while", None),
            ("try again at 8:20 PM", None),
            ("try again in 99999999999999999999999999 days", None),
            ("again in ", None),
        ] {
            assert_eq!(seconds(words), expected, "{words}");
        }
    }

    #[test]
    fn known_words_are_told_apart_and_others_are_left_alone() {
        for (words, expected) in [
            ("[API Error: 401 scripted 401]", "Unauthorized"),
            (
                "{\"error\":{\"code\":429,\"message\":\"x\"}}",
                "RateLimited",
            ),
            ("You exceeded your current quota", "RateLimited"),
            ("Last error: 503 no", "Overloaded"),
            ("[API Error: 402 pay]", "BudgetExhausted"),
            ("TypeError: fetch failed", "Overloaded"),
            ("API Error: 400 prompt is too long", ""),
            ("status 4040", ""),
            ("", ""),
        ] {
            let told = of_words(words).map_or(String::new(), |failure| format!("{failure:?}"));
            assert!(
                told.starts_with(expected) && (expected.is_empty() == told.is_empty()),
                "{words}: {told}"
            );
        }
    }

    #[test]
    fn an_end_without_protocol_says_how_it_ended() {
        assert_eq!(of_end("x", Exit::Code(0), None), None);
        assert_eq!(of_end("x", Exit::Stopped, Some("bye")), None);
        let told = |exit, words| of_end("x", exit, words).expect("a failure").to_string();
        assert_eq!(
            told(Exit::Code(3), Some("disk full")),
            "the agent program failed: it exited with code 3: disk full"
        );
        assert_eq!(
            told(Exit::Signal(9), None),
            "the agent program failed: signal 9 ended it without a word"
        );
        assert!(
            told(
                Exit::Code(1),
                Some("bwrap: execvp x: No such file or directory")
            )
            .starts_with("the program \"x\" cannot be executed in the sandbox")
        );
    }
}
