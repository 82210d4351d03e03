//! Every route × every kind of token: the exact status, as one table. A route without a row fails.

use nightshift_api::operations;
use nightshift_api::project::{NewToken, TokenPath};
use nightshift_api::runner::{End, WorkOrder};
use nightshift_api::{Needs, Nothing};
use nightshift_domain::access::Role;
use nightshift_domain::failure::Reason;
use nightshift_domain::job::Kind;
use nightshift_testkit::hand::report;
use nightshift_testkit::{Person, World};
use serde_json::{Value, json};
use std::time::Duration;

use crate::ask::Ask;

/// Who comes to the door.
struct Subject {
    name: &'static str,
    token: Option<String>,
}

/// Everything the requests are about.
struct Stage {
    world: World,
    alice: Person,
    live: WorkOrder,
    ended: WorkOrder,
    token: String,
    made: usize,
    subjects: Vec<Subject>,
}

/// One request: path, body.
struct Row {
    path: String,
    body: Value,
}

async fn stage() -> Stage {
    let world = World::new().await;
    world.project("tally").await;
    world.project("other").await;
    let alice = world.alice();
    let expired = {
        let new = NewToken {
            label: "short".to_owned(),
            user: None,
            runner: None,
            expires_in_days: Some(1),
        };
        alice
            .call::<operations::TokenCreate>(Nothing {}, new)
            .await
            .expect("a token")
    };
    world.after(Duration::from_secs(25 * 3_600)).await;
    let new = |label: &str| NewToken {
        label: label.to_owned(),
        user: None,
        runner: None,
        expires_in_days: None,
    };
    let revoked = alice
        .call::<operations::TokenCreate>(Nothing {}, new("gone"))
        .await
        .expect("a token");
    let path = TokenPath {
        token: revoked.token.id,
    };
    alice
        .call::<operations::TokenRevoke>(path, Nothing {})
        .await
        .expect("revoked");
    let spare = alice
        .call::<operations::TokenCreate>(Nothing {}, new("spare"))
        .await
        .expect("a token");
    let reader = world.person("reader", &[("tally", Role::Reader)]).await;
    let writer = world.person("writer", &[("tally", Role::Writer)]).await;
    let keeper = world.person("keeper", &[("tally", Role::Maintainer)]).await;
    let stranger = world
        .person("stranger", &[("other", Role::Maintainer)])
        .await;
    world.person("spare", &[]).await;

    // #1 is in review, with an ended run; #2 has a live one; "other" has a live one as well.
    let hand = world.hand("r1").await;
    let token = world
        .app
        .operator_token(None, Some("r1"), "table")
        .await
        .expect("a token");
    alice.files_ready("tally", "First").await;
    let ended = hand.claims_of(&[Kind::Author]).await.expect("a job");
    hand.authors(&ended, &[("a.txt", "a\n")])
        .await
        .expect("authored");
    let proof = hand.claims_of(&[Kind::Verify]).await.expect("a proof");
    hand.ends(
        &proof,
        End::Proved {
            report: report(&proof, true),
        },
        None,
    )
    .await
    .expect("proved");
    alice.files_ready("tally", "Second").await;
    let live = hand.claims_of(&[Kind::Author]).await.expect("a job");
    alice.files_ready("other", "Theirs").await;
    let foreign = hand.claims_of(&[Kind::Author]).await.expect("a job");
    let held = |name, token: &str| Subject {
        name,
        token: Some(token.to_owned()),
    };
    let subjects = vec![
        Subject {
            name: "nobody",
            token: None,
        },
        held("wrong", "nightshift-nonsense"),
        held("revoked", &revoked.secret),
        held("expired", &expired.secret),
        held("outsider", stranger.token()),
        held("reader", reader.token()),
        held("writer", writer.token()),
        held("maintainer", keeper.token()),
        held("admin", alice.token()),
        held("runner", token.reveal()),
        held("run", &live.token),
        held("ended-run", &ended.token),
        held("foreign-run", &foreign.token),
    ];
    Stage {
        alice,
        live,
        ended,
        token: spare.token.id.to_string(),
        made: 0,
        subjects,
        world,
    }
}

impl Stage {
    /// A new draft to be changed by one request.
    async fn victim(&mut self) -> i64 {
        self.made += 1;
        let new = nightshift_api::issue::NewIssue {
            title: format!("Victim {}", self.made),
            ..Default::default()
        };
        let filed = self.alice.files("tally", new).await.expect("an issue");
        filed.line.number
    }

    /// The request of an operation. Every operation must have one.
    async fn row(&mut self, id: &str, template: &str) -> Row {
        let mut body = json!({});
        let mut number = 1;
        let mut run = self.live.run.to_string();
        let mut query = String::new();
        match id {
            "health.get" | "openapi.get" | "me.get" | "user.list" | "token.list"
            | "project.list" | "project.get" | "member.list" | "issue.list" | "issue.get"
            | "pull.list" | "pull.get" | "pull.diff" | "queue.get" | "run.list" | "run.get"
            | "run.log" | "run.log.stream" | "event.list" | "event.stream" | "event.export"
            | "notification.list" | "notification.read" | "runner.list" | "token.revoke"
            | "session.link" => {}
            "user.create" => {
                self.made += 1;
                body = json!({ "name": format!("u{}", self.made) });
            }
            "token.create" => body = json!({ "label": "mine" }),
            "settings.get" | "server.get" => {}
            // Nobody's runner: whoever may revoke learns that.
            "runner.revoke" | "runner.drain" | "runner.resume" => {}
            // Nothing to change: whoever may change them learns that.
            "settings.save" => body = json!({ "set": { "merge.method": null } }),
            "project.create" => {
                self.made += 1;
                body = json!({ "name": format!("p{}", self.made) });
            }
            "desk.list" | "desk.unpark" => {}
            "view.list" | "view.remove" | "secret.list" | "secret.remove" => {}
            "secret.set" => body = json!({ "value": "swordfish-is-the-word" }),
            "view.save" => body = json!({ "filter": { "label": "x" } }),
            "desk.park" => body = json!({ "project": "tally", "number": 1 }),
            "identity.invite" | "identity.list" | "identity.remove" => {}
            "member.set" => body = json!({ "role": "reader" }),
            "member.remove" => {
                let path = nightshift_api::project::MemberPath {
                    project: "tally".to_owned(),
                    user: "spare".to_owned(),
                };
                let set = nightshift_api::project::SetMember { role: Role::Reader };
                self.alice
                    .call::<operations::MemberSet>(path, set)
                    .await
                    .expect("a member");
            }
            "issue.create" | "issue.check" => body = json!({ "title": "New" }),
            "issue.edit" => {
                number = self.victim().await;
                body = json!({ "labels": ["x"] });
            }
            "issue.ready" | "issue.draft" | "issue.retry" | "issue.reopen" | "issue.try" => {
                number = self.victim().await;
            }
            "pull.withdraw" => number = self.victim().await,
            "issue.answer" | "issue.note" | "issue.close" => {
                number = self.victim().await;
                body = json!({ "text": "words" });
            }
            // A head that is not the head: whoever may decide learns that it is stale.
            "pull.review" => {
                body = json!({ "head": "1".repeat(40), "decision": "send-back", "body": "no" });
            }
            // Of no agent of the issue: whoever may decide learns that there is no such proposal.
            "pull.guideline" => {
                body = json!({ "proposal": self.ended.run.to_string(), "accept": true });
            }
            "pull.apply" => body = json!({ "head": "1".repeat(40) }),
            "run.cancel" => run = self.ended.run.to_string(),
            "run.steer" => body = json!({ "text": "words" }),
            "run.ask" | "run.progress" => body = json!({ "text": "words" }),
            "run.hosts" => body = json!({ "hosts": ["packages.example.com"], "why": "words" }),
            "issue.host" => {
                number = self.victim().await;
                body = json!({ "host": "packages.example.com", "decision": "issue" });
            }
            "run.propose" => body = json!({ "text": "words" }),
            "run.split" => body = json!({ "title": "More", "body": "words" }),
            "runner.claim" => {
                body = json!({ "kinds": ["trial"], "slots": 1, "version": "t", "wait_s": 0 });
            }
            "runner.heartbeat" => body = json!({ "epoch": self.live.epoch }),
            "runner.complete" => {
                run = self.ended.run.to_string();
                let failure = json!({ "reason": Reason::AgentFailed, "detail": "no" });
                body = json!({ "epoch": 1, "end": { "end": "failed", "failure": failure } });
            }
            "runner.log.append" => {
                query = format!("?epoch={}&offset=0", self.live.epoch);
                body = Value::Null;
            }
            unknown => panic!("{unknown} has no row in the table of doors: add one"),
        }
        let path = template
            .replace("{project}", "tally")
            .replace("{number}", &number.to_string())
            .replace("{user}", "spare")
            .replace("{view}", "mine")
            .replace("{secret}", "KEY")
            .replace("{runner}", "nobody")
            .replace("{run}", &run)
            .replace("{token}", &self.token)
            .replace("{identity}", &self.token)
            .replace("{notification}", &self.live.run.to_string());
        assert!(!path.contains('{'), "{id}: {path}");
        Row {
            path: path + &query,
            body,
        }
    }

    async fn statuses(&mut self, id: &str, method: &str, template: &str) -> Vec<u16> {
        let mut statuses = Vec::new();
        for at in 0..self.subjects.len() {
            let row = self.row(id, template).await;
            let url = format!("{}{}", self.world.url, row.path);
            let mut ask = Ask::new(method, &url).token(self.subjects[at].token.as_deref());
            if id == "runner.log.append" {
                ask = ask.bytes(b"{}\n".to_vec());
            } else if method != "GET" && method != "DELETE" {
                ask = ask.json(&row.body);
            }
            statuses.push(ask.send().await.status);
        }
        statuses
    }

    /// What must be so whatever the snapshot says.
    fn check(&self, id: &str, needs: Needs, path: &str, statuses: &[u16]) {
        for (subject, status) in self.subjects.iter().zip(statuses) {
            let status = *status;
            let fits = match (needs, subject.name) {
                (Needs::Nobody, _) => status == 200,
                (_, "nobody" | "wrong" | "revoked" | "expired" | "ended-run") => status == 401,
                (Needs::Person, "runner" | "run" | "foreign-run") => status == 403,
                (Needs::Person, "outsider") if path.contains("{project}") => status == 404,
                (Needs::Person, "outsider") if path.contains("{run}") => status == 404,
                (Needs::Runner, "runner") => status == 200,
                (Needs::Runner, _) => status == 403,
                // A run asks once, and `run.ask` was its question.
                (Needs::Run, "run") if id == "run.hosts" => status == 409,
                (Needs::Run, "run") => status == 200,
                (Needs::Run, "foreign-run") => status == 404,
                (Needs::Run, _) => status == 403,
                (Needs::Person, _) => matches!(status, 200 | 403 | 404 | 409),
            };
            assert!(fits, "{id} for {}: {status}", subject.name);
        }
    }
}

fn line(id: &str, statuses: &[u16]) -> String {
    let cells: Vec<_> = statuses.iter().map(ToString::to_string).collect();
    format!("{id:<22}{}\n", cells.join("  "))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_answers_every_kind_of_token_as_the_table_says() {
    let mut stage = stage().await;
    let names: Vec<_> = stage.subjects.iter().map(|subject| subject.name).collect();
    let mut table = format!("{}\n", names.join(" "));
    let declared = operations::all()
        .into_iter()
        .map(|one| (one.id, one.method, one.path, one.needs));
    let raw = operations::RAW
        .iter()
        .map(|one| (one.id, one.method, one.path, one.needs));
    for (id, method, path, needs) in declared.chain(raw) {
        let statuses = stage.statuses(id, method.as_str(), path).await;
        stage.check(id, needs, path, &statuses);
        table.push_str(&line(id, &statuses));
    }
    for (id, method, path) in [
        ("git fetch", "GET", "info/refs?service=git-upload-pack"),
        ("git fetch (pack)", "POST", "git-upload-pack"),
        ("git push", "GET", "info/refs?service=git-receive-pack"),
        ("git push (pack)", "POST", "git-receive-pack"),
    ] {
        let mut statuses = Vec::new();
        for subject in &stage.subjects {
            let url = format!("{}/git/tally.git/{path}", stage.world.url);
            let mut ask = Ask::new(method, &url).token(subject.token.as_deref());
            if path == "git-upload-pack" {
                ask = ask.header("git-protocol", "version=2");
                ask = ask.bytes(b"0014command=ls-refs\n0000".to_vec());
            } else if method == "POST" {
                ask = ask.bytes(b"0000".to_vec());
            }
            statuses.push(ask.send().await.status);
        }
        table.push_str(&line(id, &statuses));
    }
    let mut statuses = Vec::new();
    for subject in &stage.subjects {
        let ask = Ask::new("GET", &format!("{}/api/v1/nothing", stage.world.url));
        statuses.push(ask.token(subject.token.as_deref()).send().await.status);
    }
    table.push_str(&line("no such address", &statuses));
    insta::assert_snapshot!(table);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_projects_objects_are_not_found_and_their_lists_are_empty() {
    let stage = stage().await;
    let url = &stage.world.url;
    let run = stage.live.run;
    let outsider = stage.subjects[4].token.as_deref();
    assert_eq!(stage.subjects[4].name, "outsider");
    let missing = Ask::new("GET", &format!("{url}/api/v1/projects/unknown/issues/1"));
    let missing = missing.token(outsider).send().await.json();
    for path in [
        "projects/tally".to_owned(),
        "projects/tally/issues".to_owned(),
        "projects/tally/issues/1".to_owned(),
        "projects/tally/pulls/1".to_owned(),
        "projects/tally/pulls/1/diff".to_owned(),
        "projects/tally/queue".to_owned(),
        "projects/tally/members".to_owned(),
        format!("runs/{run}"),
        format!("runs/{run}/log"),
        format!("runs/{run}/log/stream"),
        "runs?project=tally".to_owned(),
        "events?project=tally".to_owned(),
        "events/stream?project=tally".to_owned(),
    ] {
        let ask = Ask::new("GET", &format!("{url}/api/v1/{path}"));
        let answer = ask.token(outsider).send().await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
        if path.starts_with("projects/tally/issues/") {
            let told = |body: &Value| body["detail"].as_str().unwrap_or_default().to_owned();
            assert_eq!(
                told(&answer.json()).replace("tally", "unknown"),
                told(&missing),
                "a hidden project is told apart from none"
            );
        }
    }
    for (path, own) in [("projects", 1), ("runs", 1)] {
        let ask = Ask::new("GET", &format!("{url}/api/v1/{path}"));
        let page = ask.token(outsider).send().await.json();
        assert_eq!(page["items"].as_array().expect("items").len(), own);
        assert!(!page.to_string().contains("tally"), "{page}");
    }
    let ask = Ask::new("GET", &format!("{url}/api/v1/events?limit=500"));
    let events = ask.token(outsider).send().await.json();
    assert!(
        events["items"]
            .as_array()
            .expect("items")
            .iter()
            .all(|event| event["project"] == "other"),
        "{events}"
    );
    let ask = Ask::new(
        "GET",
        &format!("{url}/git/tally.git/info/refs?service=git-upload-pack"),
    );
    assert_eq!(ask.token(outsider).send().await.status, 404);
}
