//! Changes, decisions on them, comments and suggestions.

use nightshift_domain::sentences;

sentences! {
    no_pull(number, project) = "refused.change-no-pull": "#{number} of {project} has no pull request (yet): `nightshift issue show {number}` says where it stands";
    nothing_to_prove() = "refused.change-nothing-to-prove": "there is no change to prove";
    nothing_to_land() = "refused.change-nothing-to-land": "there is no change to land";
    no_head(id, number) = "refused.change-no-head": "{id} is no head of #{number}: `nightshift pr show {number}` lists them";
    no_round(id, number) = "refused.change-no-round": "{id} is no head of #{number}: choose one from the list of rounds";
    no_file(path, commit, number) = "refused.change-no-file": "no file {path} at {commit} in #{number}";
    file_large(path, most) = "refused.change-file-large": "{path} is larger than {most} bytes: fetch the branch with git";
    picture_large(path, most) = "refused.change-picture-large": "{path} is larger than {most} bytes, the most that is shown: download it";
    no_picture(path) = "refused.change-no-picture": "{path} is no picture that a browser shows: download it";
    comment_size() = "refused.change-comment-size": "a comment has 1 to 16384 bytes";
    no_comment() = "refused.change-no-comment": "no such comment of yours";
    head_moved(number, now, seen) = "refused.change-head-moved": "#{number} is at {now} now and your decision is about {seen}: look at the new one";
    send_back_empty() = "refused.change-send-back-empty": "`body` is empty: say in a sentence what should be different";
    review_large() = "refused.change-review-large": "a review has at most 64 KiB of text and 500 comments";
    not_yours(number) = "refused.change-not-yours": "the last decision on #{number} is not yours, or there is none: nothing to take back";
    agent_began(number) = "refused.change-agent-began": "the agent began to work on #{number} after your decision: cancel its run, or wait for its result";
    four_eyes(number) = "refused.change-four-eyes": "#{number} was filed by you, and this project wants a second pair of eyes (merge.four_eyes): ask another writer";
    being_proved(number, head) = "refused.change-being-proved": "#{number} is still being proved at {head}: wait for its verdict";
    red(number, head, reasons) = "refused.change-red": "#{number} is red at {head}: {reasons}; send it back";
    unproven(number, reasons) = "refused.change-unproven": "#{number}: {reasons}; approve with `accept_unproven` if you looked at it yourself";
    no_proposal(number, project, id) = "refused.change-no-proposal": "no agent of #{number} in {project} proposed {id}";
    proposal_taken(by, path) = "refused.change-proposal-taken": "{by} accepted it, and {path} has it: take it out there with git";
    unborn_guidelines(project, branch) = "refused.change-unborn-guidelines": "{project} has no commit on {branch} yet, and guidelines are a file there: push first";
    range_without_lines() = "refused.change-range-without-lines": "a suggestion needs the lines that it is about: comment on a line";
    range_order() = "refused.change-range-order": "the first line of a range comes before its last one, and both count from 1";
    at_path(path, why) = "refused.change-at-path": "{path}: {why}";
    no_change(number, project) = "refused.change-no-change": "#{number} of {project} has no change yet";
    branch_moved(number) = "refused.change-branch-moved": "the branch of #{number} moved just now: look at the new head and apply again";
    ended(number) = "refused.change-ended": "#{number} has ended";
    answer_first(number) = "refused.change-answer-first": "the agent of #{number} waits for an answer: answer it first";
    agent_at_work(number, round) = "refused.change-agent-at-work": "the agent is at work on #{number} (round {round}) and its result would collide with yours: wait for it, stop its run, or take your decision back before it starts";
    no_draft_suggestion() = "refused.change-no-draft-suggestion": "no such suggestion of yours: it was applied, dropped, or sent with a review";
    nothing_of_yours() = "refused.change-nothing-of-yours": "there is no suggestion of yours to apply";
    no_review() = "refused.change-no-review": "no such review, or none that has suggestions";
    no_suggestion(count, number) = "refused.change-no-suggestion": "the review has {count} suggestion(s), and no number {number}";
    review_without() = "refused.change-review-without": "the review has no suggestion to apply";
    looked_at_old(number, now, seen, found) = "refused.change-looked-at-old": "#{number} is at {now} now and you looked at {seen}: nothing was applied. {found}";
    then(one, other) = "refused.change-then": "{one}; {other}";
    look_again() = "refused.change-look-again": "look at the new head and apply again what still fits";
    sealed_test(path) = "refused.change-sealed-test": "{path} is a sealed test: the server's own copy is laid over the tree, so a change here would do nothing; edit the acceptance tests of the issue";
    lost_track(path, commit) = "refused.change-lost-track": "{path} changed too much since {commit} to follow its lines";
    lines_changed(path, lines, commit) = "refused.change-lines-changed": "{path}: {lines} changed since {commit}, so it does not fit any more";
    lines_same(path, lines) = "refused.change-lines-same": "{path}: {lines} did not change";
    lines_moved(path, lines, here) = "refused.change-lines-moved": "{path}: {lines} did not change and moved to {here}";
    lines_done(path, lines) = "refused.change-lines-done": "{path}: {lines} say so already";
    nothing_applied(why) = "refused.change-nothing-applied": "{why}: nothing was applied";
    changes_nothing() = "refused.change-changes-nothing": "these suggestions change nothing";
    not_a_file() = "refused.change-not-a-file": "there is no such file, or it is a folder or a submodule";
    a_link() = "refused.change-a-link": "it is a symbolic link, whose target has no lines";
    over_four() = "refused.change-over-four": "it is larger than 4 MiB";
}
