//! Runs, and words to them.

use nightshift_domain::sentences;

sentences! {
    no_run(id) = "refused.run-no-run": "no run {id} that you may see: `nightshift run list` shows yours";
    ended(id) = "refused.run-ended": "run {id} has ended already: there is nothing to stop";
    words_size(most) = "refused.run-words-size": "`text` must have 1 to {most} bytes";
    no_agent(id, kind) = "refused.run-no-agent": "run {id} is a {kind} run: no agent works in it";
    nobody_hears(id, number, phase) = "refused.run-nobody-hears": "run {id} has ended and #{number} is {phase}: nobody would hear it";
    words_many(most) = "refused.run-words-many": "{most} of your words wait for this run already: let the agent hear them first";
}
