//! Signing in, filing, being refused: what a person meets.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::kit::Person;

#[test]
fn errors_have_their_codes_and_one_line() {
    let person = Person::alone();
    assert!(
        person
            .run(["issue", "list"])
            .fails(2)
            .contains("nightshift up")
    );
    let gone = [
        ("NIGHTSHIFT_SERVER", "http://127.0.0.1:1"),
        ("NIGHTSHIFT_TOKEN", "nst_x"),
    ];
    let line = person.run_env(["runners"], &gone).fails(5);
    assert!(
        line.contains("http://127.0.0.1:1") && !line.contains("nst_x"),
        "{line}"
    );
    assert_eq!(person.run(["issue", "list", "--no-such-option"]).code, 2);
    let refused = person.run(["serve", "--listen", "0.0.0.0:0"]).fails(2);
    assert!(refused.contains("--behind-tls"), "{refused}");
    let outside = person.run(["ask", "what now?"]).fails(2);
    assert!(outside.contains("NIGHTSHIFT_RUN"), "{outside}");
    let runner = person
        .run(["runner", "--server", "http://127.0.0.1:1"])
        .fails(4);
    assert!(runner.contains("--token-file"), "{runner}");
}

#[test]
fn a_person_signs_in_and_is_told_what_is_missing() {
    let person = Person::with_server();
    let settings = person.path(".config/nightshift/client.toml");
    let mode = fs::metadata(&settings)
        .expect("settings")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(
        person
            .run(["issue", "list"])
            .fails(3)
            .contains("project add")
    );
    // A server that is not the one the token was saved for does not get it.
    let other = [("NIGHTSHIFT_SERVER", "http://127.0.0.1:1")];
    assert!(
        person
            .run_env(["runners"], &other)
            .fails(4)
            .contains("no token")
    );
    let wrong = person.run_with(["login"], "nst_wrong").fails(4);
    assert!(!wrong.contains("nst_wrong"), "{wrong}");
    let url = [("NIGHTSHIFT_TOKEN", "nst_wrong")];
    person.run_env(["user", "list"], &url).fails(4);
    // Somebody without the right.
    person.run(["user", "new", "bob"]).ok();
    let bob = person.run(["token", "new", "--user", "bob"]).ok();
    let as_bob = [("NIGHTSHIFT_TOKEN", bob.trim())];
    person.run_env(["user", "new", "eve"], &as_bob).fails(4);
    person.run(["user", "new", "bob"]).fails(6);
    // A token that was revoked is worth nothing.
    let made = person.run(["token", "new", "short", "--json"]).json();
    let (id, secret) = (made["token"]["id"].as_str(), made["secret"].as_str());
    let own = [("NIGHTSHIFT_TOKEN", secret.expect("a secret"))];
    person.run_env(["user", "list"], &own).ok();
    person.run(["token", "revoke", id.expect("an id")]).ok();
    person.run_env(["user", "list"], &own).fails(4);
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o644)).expect("opened");
    assert!(person.run(["runners"]).fails(4).contains("chmod 600"));
}

#[test]
fn a_server_that_is_told_to_stop_stops_in_order() {
    let mut person = Person::with_server();
    kill(Pid::from_raw(person.server_id()), Signal::SIGTERM).expect("told");
    assert_eq!(person.server_ends(), Some(0));
    person.run(["runners"]).fails(5);
    // Its folder is free again, and what it knew is there.
    let token = person.run(["operator", "token", "--user", "alice"]).ok();
    assert!(token.starts_with("nst_"));
    person.run(["operator", "found", "mallory"]).fails(6);
    person
        .run(["operator", "token", "--user", "nobody"])
        .fails(3);
}

#[test]
fn a_runner_is_drained_by_its_name_and_taken_back() {
    let person = Person::with_server();
    person.run(["token", "new", "--runner", "night-one"]).ok();
    let said = person.run(["runner", "drain", "night-one"]).ok();
    assert!(
        said.contains("night-one takes no new jobs")
            && said.contains("nightshift runner drain night-one --undo"),
        "{said}"
    );
    let listed = |draining: bool| {
        let found = person.run(["runners", "--json"]).json();
        assert_eq!(found["items"][0]["draining"], draining, "{found}");
    };
    listed(true);
    assert!(person.run(["runners"]).ok().contains("draining"));
    let back = ["runner", "drain", "night-one", "--undo"];
    assert!(person.run(back).ok().contains("takes jobs again"));
    listed(false);
    let line = person.run(["runner", "drain", "nobody"]).fails(3);
    assert!(line.contains("nobody"), "{line}");
}

#[test]
fn two_servers_do_not_share_a_folder() {
    let person = Person::with_server();
    let line = person.run(["serve", "--listen", "127.0.0.1:0"]).fails(1);
    assert!(line.contains("in use by another process"), "{line}");
}

#[test]
fn issues_are_filed_from_files_and_edited_in_the_editor() {
    let person = Person::with_server();
    person.write("p/README", "x");
    person.repository("p");
    person.run(["project", "add", "p"]).ok();
    person.write(
        "issues/b.md",
        "+++\ntitle = \"second \\u001b[2J\"\nblocked_by = [\"a\"]\n+++\nAfter the first.\n",
    );
    person.write("issues/seal/t.sh", "true");
    person.write(
        "issues/a.md",
        "+++\ntitle = \"first\"\nacceptance = \"seal\"\nacceptance_run = \"sh t.sh\"\n+++\nDo it.\n",
    );
    let filed = person
        .run(["issue", "new", "issues/b.md", "issues/a.md", "--json"])
        .json();
    assert_eq!(filed[0]["title"], "first");
    assert_eq!(filed[0]["acceptance_files"][0], "t.sh");
    assert_eq!(filed[1]["blocked_by"][0], filed[0]["number"]);
    let list = person.run(["issue", "list"]).ok();
    assert!(
        !list.contains('\u{1b}') && list.contains("\\u{1b}[2J"),
        "{list}"
    );
    // A mistake in one file files none.
    person.write("issues/c.md", "+++\ntitel = \"x\"\n+++\n");
    let line = person
        .run(["issue", "new", "issues/c.md", "issues/a.md"])
        .fails(2);
    assert!(
        line.contains("issues/c.md: line 2: unknown field `titel`"),
        "{line}"
    );
    let all = person.run(["issue", "list", "--json"]).json();
    assert_eq!(all["items"].as_array().map(Vec::len), Some(2));

    let editor = |script: &str| person.write("edit.sh", &format!("#!/bin/sh\n{script}\n"));
    editor("sed -i 's/^title = .*/title = \"first, edited\"/' \"$1\"");
    let with = [("EDITOR", "sh edit.sh")];
    let said = person.run_env(["issue", "edit", "1"], &with).ok();
    assert!(said.contains("#1 first, edited"), "{said}");
    // Somebody else is faster, while the editor is open.
    editor(&format!(
        "{} issue edit 1 --title mine >/dev/null; sed -i 's/edited/late/' \"$1\"",
        env!("CARGO_BIN_EXE_nightshift")
    ));
    let line = person.run_env(["issue", "edit", "1"], &with).fails(6);
    let kept = line
        .trim()
        .rsplit("your text is kept in ")
        .next()
        .expect("a path");
    assert!(
        fs::read_to_string(kept)
            .expect("the text")
            .contains("first, late")
    );
    assert_eq!(
        person.run(["issue", "show", "1", "--json"]).json()["title"],
        "mine"
    );
    // An issue written in the editor without a title is kept as well.
    editor("echo 'a long thought' >> \"$1\"");
    let line = person.run_env(["issue", "new"], &with).fails(2);
    assert!(
        line.contains("needs a title; your text is kept in"),
        "{line}"
    );
    person.run(["issue", "show", "77"]).fails(3);
    person.run(["issue", "answer", "1", "yes"]).fails(1);
    person.run(["issue", "ready", "1"]).ok();
    person
        .run(["issue", "cancel", "1", "--reason", "no longer"])
        .ok();
    person.run(["issue", "reopen", "1"]).ok();
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let person = Person::with_server();
    let mut child = person
        .command(["openapi"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("an end");
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(0), &b""[..])
    );
}
