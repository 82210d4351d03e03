//! Filing, changing and working an issue.

use nightshift_domain::sentences;

sentences! {
    no_issue(number, project) = "refused.issue-no-issue": "no issue #{number} in {project}: `nightshift issue list` shows them";
    title() = "refused.issue-title": "`title` must be one line of 1 to 200 characters";
    body_large() = "refused.issue-body-large": "`body` is larger than 256 KiB: put long material into the repository and refer to it";
    labels() = "refused.issue-labels": "`labels`: at most 20, each 1 to 50 characters without a comma";
    budget_money() = "refused.issue-budget-money": "`budget_micro_usd` must be 1 to 1000000000000, a million US dollars";
    budget_time(most) = "refused.issue-budget-time": "`budget_minutes` must be 1 to {most}";
    priority() = "refused.issue-priority": "`priority` must be 0 (urgent) to 3 (low)";
    agent(agent, agents) = "refused.issue-agent": "`agent`: {agent} is not defined in .nightshift/config.toml; it knows {agents}";
    assignee(name) = "refused.issue-assignee": "`assignee`: no person named {name}";
    blockers_many(count, most) = "refused.issue-blockers-many": "`blocked_by`: {count} issues are too many; the limit is {most}";
    blocker_missing(number) = "refused.issue-blocker-missing": "`blocked_by`: there is no issue #{number}";
    blockers_cycle() = "refused.issue-blockers-cycle": "`blocked_by`: these issues would wait for each other for ever";
    tests_no_command() = "refused.issue-tests-no-command": "acceptance: `run` is empty; give the command that decides, such as `make accept`";
    tests_timeout() = "refused.issue-tests-timeout": "acceptance: `timeout_s` must be between 1 and 86400 seconds";
    tests_files(count, most) = "refused.issue-tests-files": "acceptance: {count} files are too many; the limit is {most}";
    tests_path(path) = "refused.issue-tests-path": "acceptance: {path} is no path inside the repository";
    tests_twice(path) = "refused.issue-tests-twice": "acceptance: {path} is there twice";
    tests_base64(path) = "refused.issue-tests-base64": "acceptance: the content of {path} is not base64";
    tests_large(bytes, most) = "refused.issue-tests-large": "acceptance: {bytes} bytes are too many; the limit is {most}";
    edited_meanwhile(number, version, based) = "refused.issue-edited-meanwhile": "#{number} is at version {version} and your edit is based on {based}: look at it again";
    order_fixed(number, phase) = "refused.issue-order-fixed": "#{number} is {phase}: the order cannot change under the agent; answer, send back, or cancel the run first";
    ended(number, phase) = "refused.issue-ended": "#{number} has ended ({phase}): reopen it or file a new one";
    tests_sealed(number) = "refused.issue-tests-sealed": "the acceptance tests of #{number} are sealed since its first result: close it and file a new issue to change them";
    answer_empty() = "refused.issue-answer-empty": "`text` is empty: say the answer";
    note_empty() = "refused.issue-note-empty": "`text` is empty: say the note";
    text_large() = "refused.issue-text-large": "`text` is larger than 64 KiB";
    park_until() = "refused.issue-park-until": "`until` must be a time from now on, within a year";
    no_base_to_try(project, branch) = "refused.issue-no-base-to-try": "{project} has no commit on {branch}: push one, then try";
    no_tests_to_try(number) = "refused.issue-no-tests-to-try": "#{number} has no sealed tests: add them with `nightshift issue edit {number} --acceptance DIR --acceptance-run CMD`";
    too_late_to_try(number, phase) = "refused.issue-too-late-to-try": "#{number} is {phase}: its tests are tried before its agent begins; the verdict runs them from then on";
    bad_host(host, why) = "refused.issue-bad-host": "`host`: {host}: {why}; write it as packages.example.com or *.example.com";
    nothing_runs(number, phase) = "refused.issue-nothing-runs": "#{number} has ended ({phase}): nothing of it runs any more";
    host_not_asked(host, rule) = "refused.issue-host-not-asked": "nobody asked for {host}, and {rule}";
    host_of_proof(host, rule) = "refused.issue-host-of-proof": "a proof misses {host}, and {rule}";
    hosts_many(most, number) = "refused.issue-hosts-many": "{most} hosts are decided for #{number} already: allow a whole domain (*.example.com), or put them into the project's settings";
    host_not_added(host, project, error) = "refused.issue-host-not-added": "{host} is not added, since the settings of {project} are broken: {error}; mend them (/p/{project}/settings), then allow it again, or allow it for this issue alone";
}
