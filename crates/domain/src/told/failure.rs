//! Why a run failed, in words: what the rules, use cases and runners write into its record.
//!
//! What a runner says crosses the wire as the text and the sentence, so these are where both sides
//! know them. Deliberately absent: the closed list of reasons, which decides what follows.

use crate::sentence::sentences;

sentences! {
    pub;
    as_said(text) = "failed.as-said": "{text}";
    with_last_words(what, tail) = "failed.with-last-words": "{what}; their last words:\n{tail}";
    its_last_words(what, tail) = "failed.its-last-words": "{what}; its last words:\n{tail}";
    out_of_reach(what, hosts) = "failed.out-of-reach": "{what}\nIt could not reach {hosts}: where it should, allow it on the issue's page or with `nightshift issue allow`, and the work goes on";
    out_of_reach_of_project(what, hosts) = "failed.out-of-reach-of-project": "{what}\nIt could not reach {hosts}: where it should, name it as network.allow in .nightshift/config.toml of the base";

    silent() = "failed.silent": "the runner sent no heartbeat until its lease ran out";
    tests_green(number) = "failed.tests-green": "the sealed tests pass on the base without any change, so they would prove nothing: correct them, or say that they are already green (`nightshift issue edit {number}`), and retry; a retry alone starts the agent as it is";
    tests_broken(why, number) = "failed.tests-broken": "the sealed tests do not run on the base: {why}: correct them (`nightshift issue edit {number}`) and retry; a retry alone starts the agent as it is";
    budget(what, number, option) = "failed.budget": "the issue's budget of {what}: raise it and the work goes on (`nightshift issue edit {number} {option}`), or close the issue";
    money_spent(whole, used, runs) = "failed.money-spent": "{whole} is spent ({used} in {runs})";
    time_spent(whole, used, runs) = "failed.time-spent": "{whole} minutes is spent ({used} min in {runs})";
    one_run() = "failed.one-run": "1 run";
    runs(count) = "failed.runs": "{count} runs";
    budget_of_run(money) = "failed.budget-of-run": "the run used what was left of the issue's budget ({money}): raise it and the work goes on, or close the issue";

    unborn(project, branch) = "failed.unborn": "the repository of {project} has no commit on {branch}: push one, then retry";
    issue_gone() = "failed.issue-gone": "the issue is gone";
    no_agent(agent, agents) = "failed.no-agent": "agent {agent} is not defined in .nightshift/config.toml; it knows {agents}: edit the issue or the file, then retry";
    tests_changed() = "failed.tests-changed": "the sealed tests were changed before they could be tried";
    secret_missing(name, project) = "failed.secret-missing": "the secret {name} that {project} names in .nightshift/config.toml has no value: set it with `nightshift secret set {name} -p {project}` or on the page of the issue; the work then goes on by itself";
    host_missing(hosts, number) = "failed.host-missing": "the trial of the merged tree was refused {hosts}: allow it for the project (`nightshift issue allow {number} HOST --for-project`) or deny it (`nightshift issue deny {number} HOST`), also on the desk; the merge queue then goes on with it, and lets the others pass meanwhile";
    secret_unopened(name, project) = "failed.secret-unopened": "the secret {name} of {project} was sealed with another key than the server has now: set it again with `nightshift secret set {name} -p {project}`; the work then goes on by itself";
    given_back() = "failed.given-back": "the project's settings or the issue's agent changed as the job was claimed, and this runner lacks what it needs now: it waits for one that has it";
    not_pushed() = "failed.not-pushed": "the result was not pushed";
    other_pushed() = "failed.other-pushed": "what was pushed is not what the runner says it pushed";
    not_on_top() = "failed.not-on-top": "what was pushed is not on top of the commit that the run started from";
    no_difference() = "failed.no-difference": "the result does not differ from the default branch";

    no_tests_sent() = "failed.no-tests-sent": "the server sent tests to be tried and none are there; do server and runner have the same version?";
    no_agent_sent() = "failed.no-agent-sent": "the server sent an author job without an agent; do server and runner have the same version?";
    result_refused(why) = "failed.result-refused": "the server refused the run's result: {why}; do server and runner have the same version?";
    runner_broke() = "failed.runner-broke": "the runner made an error of its own in this run; its log says more";
    log_unwritten(why) = "failed.log-unwritten": "the runner cannot write the run's log: {why}";
    released() = "failed.released": "the runner shuts down and gave the job back; another start follows by itself";
    log_limit(bytes) = "failed.log-limit": "the run wrote more than {bytes} bytes of log and was ended: let it print less";
    broker_lost(how) = "failed.broker-lost": "the run's only way out was lost ({how}); it is there again, and another start follows by itself";
    account_limited(why) = "failed.account-limited": "the model's provider limits the account: {why}";

    capped(cap) = "failed.capped": "the run {cap} and was ended";
    much_memory(limit) = "cap.memory": "used more than {limit} bytes of memory";
    many_processes(limit) = "cap.processes": "started more than {limit} processes";
    much_disk(limit) = "cap.disk-bytes": "wrote more than {limit} bytes to disk";
    many_files(limit) = "cap.disk-files": "made more than {limit} files";
    deep_folders(limit) = "cap.disk-depth": "nested directories more than {limit} deep";
    little_left(limit) = "cap.host-disk": "left less than {limit} bytes free on the runner's disk";
    much_output(limit) = "cap.output": "printed more than {limit} bytes";

    time_up_in(step) = "failed.time-up-in": "the run's time was used up while {step} ran";
    time_up_agent() = "failed.time-up-agent": "the run's time was used up while the agent worked: give the agent more, or the issue less to do";
    time_up_image() = "failed.time-up-image": "the run's time was used up before its image was there";
    time_up_workspace() = "failed.time-up-workspace": "the run's time was used up before its workspace was there";

    setup(ended) = "failed.setup": "the set-up command {ended}";
    install(ended) = "failed.install": "environment.install {ended}";
    no_change() = "failed.no-change": "the agent ended and changed nothing";
    no_change_words(words) = "failed.no-change-words": "the agent ended and changed nothing; its last words: {words}";
    nested_repository(place, path) = "failed.nested-repository": "the change holds a git repository of its own at {place}, whose files would be lost: let the agent remove {path}/.git, or add the files as plain ones";
    not_committed(said) = "failed.not-committed": "the working tree could not be committed: {said}";
    push_refused(said) = "failed.push-refused": "the server refused the change: {said}";
    push_failed(seconds, said) = "failed.push-failed": "the change could not be pushed for {seconds} s: {said}";
    tests_not_laid(how, said) = "failed.tests-not-laid": "the sealed files could not be laid over the tree ({how}): {said}";
    test_unusable(path, why) = "failed.test-unusable": "the acceptance test {path} cannot be laid over the tree: {why}; edit the issue";
    leaves_tree() = "failed.leaves-tree": "it leaves the tree";

    no_harness(harness, agent) = "failed.no-harness": "this runner has no harness {harness}: update the runner, or give the agent {agent} another";
    not_utf8(word) = "failed.not-utf8": "{word} is not UTF-8";
    no_settings(how, said) = "failed.no-settings": "the agent's settings could not be put into its home ({how}): {said}";
    workspace_gone() = "failed.workspace-gone": "the workspace is gone";
    not_adjusted(how, said) = "failed.not-adjusted": "the working tree could not be brought to its start commit ({how}): {said}";
    no_index(why) = "failed.no-index": "keeping the working tree's index: {why}";

    other_dialect(dialect, name) = "endpoint.other-dialect": "the built-in agent does not speak {dialect}, as the model endpoint {name} does: say under [use] in the runner's settings which endpoint native uses, one that speaks openai or anthropic";
    endpoint_undefined(quoted, name, harness) = "endpoint.undefined": "the runner uses the model endpoint {quoted} for {harness} but does not define it: add [endpoint.{name}] with its url and credential to the runner's settings";
    no_endpoint(harness) = "endpoint.none": "the runner has no model endpoint for {harness}: define one with its url and credential in the runner's settings and start the runner again";

    provider_limits(said) = "agent-failed.rate": "the model's provider limits this account's rate: {said}";
    provider_refuses(said) = "agent-failed.unauthorized": "the model's provider refused the credential ({said}): replace the agent's model key";
    provider_silent(said) = "agent-failed.unavailable": "the model's provider does not answer: {said}";
    session_lost(said) = "agent-failed.session-lost": "the agent's session is not known any more: {said}";
    agent_limit(said) = "agent-failed.limit": "the agent's limit is reached: {said}";
    not_executable(program, install) = "agent-failed.not-executable": "the program {program} cannot be executed in the sandbox: {install}";
    agent_refused(said) = "agent-failed.refused": "the agent was not started: {said}";
    agent_crashed(said) = "agent-failed.crashed": "the agent program failed: {said}";
    exited(code) = "agent-failed.exited": "it exited with code {code}";
    signalled(signal) = "agent-failed.signalled": "signal {signal} ended it";
    ended_with(how, words) = "agent-failed.ended-with": "{how}: {words}";
    ended_without(how) = "agent-failed.ended-without": "{how} without a word";
    no_result() = "agent-failed.no-result": "it ended without a result";
    no_turn() = "agent-failed.no-turn": "it ended without completing a turn";
    no_step() = "agent-failed.no-step": "it ended without a step";
    turn_open() = "agent-failed.turn-open": "the agent ended without ending its turn";
    model_refused() = "agent-failed.model-refused": "the model refused to go on";
    turn_ended(how) = "agent-failed.turn-ended": "the agent ended its turn as {how}";
    tokens_bound() = "agent-failed.tokens-bound": "the agent's bound on tokens is reached";
    calls_bound() = "agent-failed.calls-bound": "the agent's bound on model calls is reached";
    block(line, place, code) = "agent-failed.block": "the block at line {line} of the {place} exited with code {code}";
    in_issue() = "agent-failed.in-issue": "issue";
    in_comment() = "agent-failed.in-comment": "comment";
    see_sandbox(words) = "agent-failed.see-sandbox": "install it where the sandbox sees it, or correct the agent's settings ({words})";
    see_usr() = "agent-failed.see-usr": "install it where the sandbox sees it (/usr, or the runner's read-only directories), or correct the agent's command";
    see_image(image) = "agent-failed.see-image": "add it to the image {image} with environment.install in .nightshift/config.toml, or correct the agent's command";

    program_missing(program, harness, install) = "program.missing": "the program {program} of harness {harness} is not on this machine: {install}";
    program_old(program, harness, version, since, install) = "program.old": "the program {program} of harness {harness} has version {version}, and {since} or newer is needed: {install}";
    node_missing(program, harness, since) = "program.no-node": "the program {program} of harness {harness} is a script of Node.js, and no native `node` is in the runner's search path: install Node.js {since} or newer, then start the runner again";
    node_old(program, harness, since, version) = "program.old-node": "the program {program} of harness {harness} needs Node.js {since} or newer, and the runner's search path has Node.js {version}: install a newer one, then start the runner again";
    no_model(harness) = "program.no-model": "the agent has harness {harness} and no model, and its program has none of its own: add model = \"...\" to the agent, one that the runner's endpoint offers";
    no_command(example) = "program.no-command": "the agent has harness \"command\" but no command: give it one, for example {example}";
    no_acp_command(example) = "program.no-acp-command": "the agent has harness \"acp\" but no command: give it one that speaks the Agent Client Protocol on its standard streams, for example {example}";
    prompt_long(bytes, limit, file, prompt) = "program.prompt-long": "the prompt has {bytes} bytes and one argument of a program holds {limit}: let the command read {file} or standard input instead of {prompt}";
    prompt_nul(file) = "program.prompt-nul": "the prompt holds a NUL byte, which no argument of a program can hold: remove it from the issue, or let the command read {file}";
    block_unknown(line, place, found, expected) = "program.block": "the shell block at line {line} of the {place} says {found}: {expected}";
    npm_install(package) = "program.npm-install": "on the runner's machine run `npm install -g {package}`, then start the runner again";
    not_in_image(image, program, add) = "program.not-in-image": "the image {image} has no program {program}: {add}";
    old_in_image(program, image, found, since, add) = "program.old-in-image": "the program {program} of the image {image} has version {found}, and {since} or newer is needed: {add}";
    no_node_in_image(program, image, since) = "program.no-node-in-image": "the program {program} is a script of Node.js, and the image {image} has no node: add Node.js {since} or newer with environment.install, or to the image";
    old_node_in_image(program, since, image, found) = "program.old-node-in-image": "the program {program} needs Node.js {since} or newer, and the image {image} has {found}: add a newer one with environment.install, or to the image";
    add_to_image(package) = "program.add-to-image": "add it with environment.install in .nightshift/config.toml, such as `npm install -g {package}`, or to the image";

    image_unseen(image, why) = "image.unseen": "the project names the image {image}, and this runner cannot show its system: {why}";
    image_absent(image, way) = "image.absent": "the image {image} is not on the runner, and the runner's settings do not allow to pull it: {way}";
    image_made_here(image) = "image.made-here": "only that engine itself has such names: make it there, with `podman build --tag {image}` or `podman tag` (or docker's)";
    image_allow(repository, image) = "image.allow": "name it on the runner under [sandbox] pull = [{repository}] in runner.toml, or bring it there with `podman pull {image}` (or `docker pull`)";
    image_no_registry(image) = "image.no-registry": "it has no registry in its name, so it is never pulled: write the registry in environment.image, or bring an image of that name to the runner with `podman tag` (or `docker tag`) {image}";
    image_unfit(image, cause) = "image.unfit": "the image {image} cannot be used: {cause}; next: correct the image, or name another one as environment.image in .nightshift/config.toml";
    image_unpulled(image, cause) = "image.unpulled": "the image {image} could not be pulled: {cause}; next: see on the runner that its engine reaches the registry, and that a private one is named as [[sandbox.registry]] in the runner's settings";

    part(part, cause, fix) = "sandbox.part": "sandbox not started: {part}: {cause}; next: {fix}";
    busy() = "sandbox.busy": "sandbox not started: another step of this run still runs; next: wait for it or kill it";
    bad_place(path) = "sandbox.place": "sandbox not started: {path} may not be a place inside the sandbox; next: choose one under /home/agent or /opt";
    data_in_use(path) = "sandbox.data-in-use": "the data directory {path} is used by another runner; next: stop it or choose another directory";
    not_gone(seconds, pids) = "sandbox.not-gone": "processes of the sandbox are still alive {seconds} s after SIGKILL: {pids}; next: look for a hung file system or device on the runner";
    bubblewrap() = "sandbox-part.bubblewrap": "bubblewrap";
    engine() = "sandbox-part.engine": "container engine";
    namespaces() = "sandbox-part.namespaces": "namespaces";
    overlay() = "sandbox-part.overlay": "overlay mount";
    seccomp() = "sandbox-part.seccomp": "system call filter";
    cgroup() = "sandbox-part.cgroup": "control group";
    program() = "sandbox-part.program": "nightshift program";
    visible_path() = "sandbox-part.bind": "visible path";
    relay() = "sandbox-part.relay": "relay";
    command() = "sandbox-part.command": "command";
    fix_bubblewrap() = "sandbox-fix.bubblewrap": "install the package `bubblewrap` (0.8 or newer) or set its path in the runner's configuration";
    fix_engine() = "sandbox-fix.engine": "start Docker or Podman, let the runner's user open its socket, name that under [sandbox] in the runner's settings, and see with `nightshift doctor`; or take the engine \"bubblewrap\" there";
    fix_namespaces() = "sandbox-fix.namespaces": "allow unprivileged user namespaces (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns=0) or run the runner as root";
    fix_overlay() = "sandbox-fix.overlay": "use a local file system (ext4, xfs, btrfs) for the runner's data directory and a kernel of 5.11 or newer";
    fix_seccomp() = "sandbox-fix.seccomp": "use a kernel with CONFIG_SECCOMP_FILTER";
    fix_cgroup() = "sandbox-fix.cgroup": "run `nightshift doctor` and delegate the memory and pids controllers to the runner's service, or remove them";
    fix_program() = "sandbox-fix.program": "check that the path of the nightshift program exists and is executable by everyone";
    fix_bind() = "sandbox-fix.bind": "check that the path exists on the runner";
    fix_relay() = "sandbox-fix.relay": "run `nightshift doctor` on the runner";
    fix_command() = "sandbox-fix.command": "check that the program exists inside the sandbox (/usr and the read-only directories of the runner's configuration)";

    not_fetched(url, cause) = "workspace.fetch": "fetching from {url}: {cause}; next: check that the server runs and that this runner's token is valid";
    git_failed(verb, path, cause) = "workspace.git": "git {verb} in {path}: {cause}";
    not_checked_out(commit, exit, said) = "workspace.checkout": "checking out {commit} ended with {exit}: {said}";
    disk_full(free, needed, path) = "workspace.full": "the runner's disk is nearly full: {free} bytes free, {needed} needed; next: free space under {path}";
}
