//! When a provider that says "not now" may be asked again, read from its own words.
//!
//! Invariant: total; what cannot be read is no time. Deliberately absent: guessing.

use std::time::Duration;

use hyper::http::header::HeaderMap;
use jiff::Timestamp;
use serde_json::Value;

/// The longest wait that is believed.
const MOST: Duration = Duration::from_secs(8 * 24 * 3600);

/// How long to wait, if the answer says so. `Retry-After` goes before the reset times of the limits
/// that are used up, and those before what the body says.
pub(super) fn wait(headers: &HeaderMap, body: &[u8], now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let milliseconds = text("retry-after-ms")
        .and_then(|text| text.parse::<f64>().ok())
        .and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok());
    let said = milliseconds
        .or_else(|| text("retry-after").and_then(|text| retry_after(text, now)))
        .or_else(|| resets(headers, now))
        .or_else(|| in_body(body));
    said.map(|wait| wait.min(MOST))
}

fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            Some(until(at, now))
        }
    }
}

/// The latest reset of the limits of which nothing is left.
fn resets(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let mut latest = None;
    for (name, value) in headers {
        let name = name.as_str();
        let known = name.starts_with("anthropic-ratelimit-") || name.starts_with("x-ratelimit-");
        let Some(rest) = name.contains("reset").then_some(name).filter(|_| known) else {
            continue;
        };
        let left = headers
            .get(rest.replace("reset", "remaining"))
            .and_then(|left| left.to_str().ok())
            .and_then(|left| left.trim().parse::<f64>().ok());
        if left.is_some_and(|left| left >= 1.0) {
            continue;
        }
        let wait = value
            .to_str()
            .ok()
            .and_then(|text| moment(text.trim(), now));
        latest = latest.max(wait);
    }
    latest
}

/// A time, seconds of the epoch, or a span such as `6m0s`, `1.5s`, `20ms`.
fn moment(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(until(at, now));
    }
    if let Ok(number) = text.parse::<f64>() {
        // What is this large counts from 1970.
        return match number > 1e8 {
            true => {
                let seconds: i64 = format!("{number:.0}").parse().ok()?;
                let at = Timestamp::from_second(seconds).ok()?;
                Some(until(at, now))
            }
            false => Duration::try_from_secs_f64(number).ok(),
        };
    }
    span(text)
}

fn until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
}

fn span(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        seconds += number
            * match &rest[..letters] {
                "ms" => 0.001,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86400.0,
                _ => return None,
            };
        rest = &rest[letters..];
    }
    Duration::try_from_secs_f64(seconds).ok()
}

/// Gemini says it in the details of its error.
fn in_body(body: &[u8]) -> Option<Duration> {
    let said: Value = serde_json::from_slice(body).ok()?;
    let error = match &said {
        Value::Array(all) => all.first()?,
        one => one,
    };
    let details = error["error"]["details"].as_array()?;
    details
        .iter()
        .find_map(|detail| detail["retryDelay"].as_str().and_then(span))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(headers: &[(&'static str, &str)], body: &str) -> Option<f64> {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.insert(*name, value.parse().expect("a value"));
        }
        let now: Timestamp = "2026-03-02T01:00:00Z".parse().expect("a time");
        wait(&all, body.as_bytes(), now).map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn each_provider_is_understood() {
        let gemini = r#"{"error":{"code":429,"details":[{"@type":"x"},{"@type":"t/RetryInfo","retryDelay":"27s"}]}}"#;
        for (headers, body, wanted) in [
            (&[("retry-after", "20")][..], "", Some(20.0)),
            (
                &[("retry-after", "Mon, 02 Mar 2026 01:02:00 GMT")],
                "",
                Some(120.0),
            ),
            (
                &[("retry-after-ms", "1500"), ("retry-after", "2")],
                "",
                Some(1.5),
            ),
            (
                &[("retry-after", "Mon, 02 Mar 2020 01:02:00 GMT")],
                "",
                Some(0.0),
            ),
            (
                &[
                    ("anthropic-ratelimit-requests-remaining", "0"),
                    ("anthropic-ratelimit-requests-reset", "2026-03-02T01:00:30Z"),
                    ("anthropic-ratelimit-tokens-remaining", "900"),
                    ("anthropic-ratelimit-tokens-reset", "2026-03-02T09:00:00Z"),
                ],
                "",
                Some(30.0),
            ),
            (
                &[("anthropic-ratelimit-unified-reset", "1772413260")],
                "",
                Some(60.0),
            ),
            (
                &[
                    ("x-ratelimit-remaining-requests", "3"),
                    ("x-ratelimit-reset-requests", "1h"),
                    ("x-ratelimit-remaining-tokens", "0"),
                    ("x-ratelimit-reset-tokens", "6m0s"),
                ],
                "",
                Some(360.0),
            ),
            (&[("x-ratelimit-reset-requests", "20ms")], "", Some(0.02)),
            (&[], gemini, Some(27.0)),
            (&[("retry-after", "soon")], "", None),
            (&[("retry-after", "-1")], "", None),
            (&[("retry-after", "1e300")], "", None),
            (&[("x-ratelimit-reset-tokens", "6x")], "{", None),
            (&[("retry-after", "99999999")], "", Some(691_200.0)),
        ] {
            assert_eq!(seconds(headers, body), wanted, "{headers:?} {body}");
        }
    }
}
