//! What notifications say, in one line.
//!
//! Deliberately absent: who is told, and of what.

use crate::sentence::sentences;

sentences! {
    pub;
    review_wanted(project, number, title) = "notice.review-wanted": "{project}#{number} waits for your decision: {title}";
    input_wanted(project, number, title) = "notice.input-wanted": "{project}#{number} has a question for you: {title}";
    failed(project, number, why) = "notice.failed": "{project}#{number} needs you: {why}";
    it_failed() = "notice.it-failed": "it failed";
    landed(project, number, title) = "notice.landed": "{project}#{number} landed: {title}";
}
