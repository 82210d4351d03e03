//! What pages offer is what whoever reads them may do: every form on every page, as every role, is
//! sent and not forbidden; and every form that a route takes is offered to somebody.

use std::collections::{BTreeMap, BTreeSet};

use nightshift_api::Nothing;
use nightshift_api::desk::Park;
use nightshift_api::issue::NewIssue;
use nightshift_api::operations as op;
use nightshift_api::pull::{Decision, LineComment, NewReview};
use nightshift_api::run::{NewHostAsk, NewProposal, RunPath};
use nightshift_api::runner::{Complete, End};
use nightshift_api::secret::{SecretPath, SetSecret};
use nightshift_domain::access::Role;
use nightshift_domain::failure::{Failure, Reason};
use nightshift_domain::job::Kind;
use nightshift_domain::sentence::Kept;
use nightshift_domain::traffic::{HostUse, Traffic};
use nightshift_testkit::hand::report;
use nightshift_testkit::person::place;
use nightshift_testkit::{Hand, Person, World};

use crate::browser::{Browser, Form as _};

const ROUTES: &str = include_str!("../../../web/src/routes.rs");

/// Forms that no page of a signed-in person's own shows, or that every page shows.
const ELSEWHERE: &[(&str, &str)] = &[
    ("/sign-in", "for who is not signed in"),
    (
        "/desk/undo",
        "sent by the script, for what was just decided",
    ),
    (
        "/p/{project}/{number}/change/drop",
        "for one's own comments, while they are kept",
    ),
    ("/board/views/{view}", "for one's own views"),
    ("/board/views/{view}/remove", "for one's own views"),
    (
        "/account/identities/{identity}/remove",
        "for one's own, from a provider",
    ),
];

/// A form as a page shows it: where it goes, and what each of its buttons sends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Offer {
    action: String,
    fields: Vec<(String, String)>,
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split('"').next()
}

/// Whether an attribute without a value is there.
fn is_set(tag: &str, name: &str) -> bool {
    let bare = format!(" {name}");
    tag.match_indices(&bare).any(|(at, _)| {
        tag[at + bare.len()..].starts_with([' ', '>', '/']) || tag.len() == at + bare.len()
    })
}

fn text_of(html: &str) -> String {
    let pairs = [
        ("&quot;", "\""),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ];
    pairs
        .iter()
        .fold(html.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// Every form of a page that is sent by POST and can be, once for each of its buttons.
fn offers(page: &str) -> Vec<Offer> {
    let mut found = Vec::new();
    for part in page.split("<form ").skip(1) {
        let form = part.split("</form>").next().unwrap_or_default();
        let tag = format!(" {}", form.split('>').next().unwrap_or_default());
        if attribute(&tag, "method") != Some("post") {
            continue;
        }
        let action = text_of(attribute(&tag, "action").expect("an action"));
        let (mut fields, mut buttons) = (Vec::new(), Vec::new());
        // What stands in a fieldset that is off is off.
        let mut off = 0_usize;
        for piece in form.split('<').skip(1) {
            let tag = piece.split('>').next().unwrap_or_default();
            let value = text_of(attribute(tag, "value").unwrap_or_default());
            let field = attribute(tag, "name").map(|name| (name.to_owned(), value));
            // Each page has another one.
            let field = field.filter(|(name, _)| name != "form_token");
            if tag.starts_with("fieldset") {
                off += usize::from(off > 0 || is_set(tag, "disabled"));
            } else if tag.starts_with("/fieldset") {
                off = off.saturating_sub(1);
            } else if off > 0 || is_set(tag, "disabled") {
            } else if tag.starts_with("input") {
                match attribute(tag, "type") {
                    Some("checkbox" | "radio") if !is_set(tag, "checked") => {}
                    Some("file") => {}
                    _ => fields.extend(field.map(|(name, value)| {
                        let is_empty = value.is_empty();
                        (name, if is_empty { "words".to_owned() } else { value })
                    })),
                }
            } else if tag.starts_with("textarea") || tag.starts_with("select") {
                fields.extend(field.map(|(name, _)| (name, "words".to_owned())));
            } else if tag.starts_with("button") && attribute(tag, "type") != Some("button") {
                buttons.push(field);
            }
        }
        for button in buttons {
            let mut fields = fields.clone();
            fields.extend(button);
            found.push(Offer {
                action: action.clone(),
                fields,
            });
        }
    }
    found
}

/// Addresses of the route list that take a form.
fn routes() -> BTreeSet<String> {
    let code = ROUTES.split("fn pages(").nth(1).expect("routes");
    let code = code.split("fn git_routes").next().expect("an end");
    let mut found = BTreeSet::new();
    for part in code.split(".route(").skip(1) {
        let address = part.split('"').nth(1).expect("an address");
        let handlers = part.split(".route(").next().expect("handlers");
        if handlers.contains("post(") {
            found.insert(address.to_owned());
        }
    }
    assert!(found.len() > 30, "{found:?}");
    found
}

/// Whether an address is one of this route.
fn is_of(route: &str, address: &str) -> bool {
    let (route, address): (Vec<_>, Vec<_>) =
        (route.split('/').collect(), address.split('/').collect());
    let same = |(one, other): (&&str, &&str)| one.starts_with('{') || one == other;
    route.len() == address.len() && route.iter().zip(&address).all(same)
}

const SETTINGS: &str =
    "[merge]\ndirect_push = true\n[[check]]\nname = \"test\"\nrun = \"sh check.sh\"\n";

async fn ends(hand: &Hand, order: &nightshift_api::runner::WorkOrder, end: End, refused: &[&str]) {
    let hosts = refused.iter().map(|host| HostUse {
        refused: 1,
        refused_because: Some("it is not among the hosts".to_owned()),
        ..HostUse::of((*host).to_owned())
    });
    let complete = Complete {
        epoch: order.epoch,
        end,
        usage: None,
        traffic: Some(Traffic {
            hosts: hosts.collect(),
            models: Vec::new(),
        }),
        session: None,
        attempt: None,
        handed: Vec::new(),
    };
    hand.completes(order, complete).await.expect("ended");
}

fn failed(reason: Reason) -> End {
    End::Failed {
        failure: Failure {
            reason,
            detail: Kept::quoted("as the test says"),
            retry_at: None,
        },
    }
}

fn words(text: &str) -> NewReview {
    NewReview {
        head: String::new(),
        decision: Decision::SendBack,
        body: text.to_owned(),
        comments: Vec::new(),
        accept_unproven: false,
        hold_s: 0,
    }
}

/// One issue for each thing that waits, and one for each that moves; whom they belong to is alice.
async fn stage() -> (World, Vec<String>) {
    let world = World::new().await;
    let main = world.project_with("tally", SETTINGS).await;
    let (alice, hand) = (world.alice(), world.hand("r1").await);
    let author = async |title: &str| {
        let number = alice.files_ready("tally", title).await;
        let order = hand.claims_of(&[Kind::Author]).await.expect("a job");
        assert_eq!(order.number, number);
        order
    };
    let mut pages = Vec::new();

    // 1: green and approved, and its trial misses a host.
    let order = author("trial").await;
    hand.authors(&order, &[("one.txt", "one\n")])
        .await
        .expect("authored");
    let proof = hand.claims_of(&[Kind::Verify]).await.expect("a proof");
    hand.proves(&proof, true).await.expect("proved");
    main.write("other.txt", "other\n");
    main.commit("meanwhile");
    main.push(&["HEAD:refs/heads/main"]).expect("pushed");
    alice.approves("tally", 1).await.expect("approved");
    world.settle().await;
    let trial = hand.claims_of(&[Kind::Trial]).await.expect("a trial");
    let red = End::Proved {
        report: report(&trial, false),
    };
    ends(&hand, &trial, red, &["trial.example.com:443"]).await;

    // 2: green, with a suggestion and a guideline.
    let order = author("review").await;
    let agent = Person::new("agent", &world.url, &order.token);
    let proposal = NewProposal {
        text: "Say hello.".to_owned(),
        source: None,
    };
    let run = RunPath { run: order.run.0 };
    agent
        .call::<op::RunPropose>(run, proposal)
        .await
        .expect("proposed");
    hand.authors(&order, &[("two.txt", "a\nb\nc\n")])
        .await
        .expect("authored");
    let proof = hand.claims_of(&[Kind::Verify]).await.expect("a proof");
    hand.proves(&proof, true).await.expect("proved");
    let head = alice.pull("tally", 2).await.line.head;
    let review = NewReview {
        head,
        comments: vec![LineComment {
            path: "two.txt".to_owned(),
            line: Some(2),
            first: None,
            body: "```suggestion\nB\n```".to_owned(),
        }],
        ..words("Louder.")
    };
    alice
        .call::<op::PullReview>(place("tally", 2), review)
        .await
        .expect("sent back");
    let order = hand.claims_of(&[Kind::Author]).await.expect("a round");
    hand.authors(&order, &[("more.txt", "more\n")])
        .await
        .expect("authored");
    let proof = hand.claims_of(&[Kind::Verify]).await.expect("a proof");
    hand.proves(&proof, true).await.expect("proved");

    // 3: a proof that misses a host.
    let order = author("proof").await;
    hand.authors(&order, &[("three.txt", "three\n")])
        .await
        .expect("authored");
    let proof = hand.claims_of(&[Kind::Verify]).await.expect("a proof");
    ends(
        &hand,
        &proof,
        failed(Reason::SetupFailed),
        &["proof.example.com:443"],
    )
    .await;

    // 4: a question for hosts.
    let order = author("question").await;
    let agent = Person::new("agent", &world.url, &order.token);
    let ask = NewHostAsk {
        hosts: vec!["asked.example.com".to_owned()],
        why: "The build fetches from there.".to_owned(),
    };
    let run = RunPath { run: order.run.0 };
    agent.call::<op::RunHosts>(run, ask).await.expect("asked");
    let authored = End::Authored {
        summary: "I asked.".to_owned(),
        self_checks: Vec::new(),
    };
    pages.push(format!("/runs/{}", order.run));
    ends(&hand, &order, authored, &[]).await;

    // 5: failed, with a host that it missed.
    let order = author("failed").await;
    ends(
        &hand,
        &order,
        failed(Reason::SetupFailed),
        &["author.example.com:443"],
    )
    .await;

    // 6: lands. 7: ended. 8: a draft with sealed tests. 9: one's own draft.
    let order = author("lands").await;
    hand.authors(&order, &[("six.txt", "six\n")])
        .await
        .expect("authored");
    let proof = hand.claims_of(&[Kind::Verify]).await.expect("a proof");
    hand.proves(&proof, true).await.expect("proved");
    alice.approves("tally", 6).await.expect("approved");
    let number = alice.files_ready("tally", "closed").await;
    let close = nightshift_api::issue::Words {
        text: "not needed".to_owned(),
    };
    alice
        .call::<op::IssueClose>(place("tally", number), close)
        .await
        .expect("closed");
    let sealed = NewIssue {
        title: "draft".to_owned(),
        acceptance: Some(nightshift_domain::check::Acceptance {
            run: "true".to_owned(),
            files: vec![nightshift_domain::check::SealedFile {
                path: "tests/check.sh".to_owned(),
                executable: false,
                content_base64: "dHJ1ZQo=".to_owned(),
            }],
            timeout_s: 60,
            already_green: false,
        }),
        ..NewIssue::default()
    };
    alice.files("tally", sealed).await.expect("a draft");
    // 9: lacks a secret. 10: at work, when that was.
    let order = author("at work").await;
    pages.push(format!("/runs/{}", order.run));
    main.write(
        ".nightshift/config.toml",
        &format!("{SETTINGS}[[secret]]\nname = \"KEY\"\nsteps = [\"test\"]\n"),
    );
    main.commit("a secret");
    main.push(&["HEAD:refs/heads/main"]).expect("pushed");
    alice.files_ready("tally", "secret").await;
    assert!(hand.claims_of(&[Kind::Author]).await.is_none());
    world.settle().await;
    let secret = alice.sees("tally", 10).await;
    assert_eq!(secret.secrets, ["KEY"], "{secret:?}");
    let spare = SecretPath {
        project: "tally".to_owned(),
        secret: "SPARE".to_owned(),
    };
    let value = SetSecret {
        value: "swordfish-is-the-word".to_owned(),
    };
    alice
        .call::<op::SecretSet>(spare, value)
        .await
        .expect("set");
    let park = Park {
        project: "tally".to_owned(),
        number: 5,
        until: None,
    };
    alice
        .call::<op::DeskPark>(Nothing {}, park)
        .await
        .expect("parked");
    (world, pages)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_form_that_a_page_offers_is_allowed_to_who_reads_it() {
    let (world, mut pages) = stage().await;
    for page in [
        "/",
        "/board",
        "/projects",
        "/runs",
        "/account",
        "/server",
        "/server/people",
        "/server/audit",
    ] {
        pages.push(page.to_owned());
    }
    for end in ["", "/new", "/settings", "/secrets"] {
        pages.push(format!("/p/tally{end}"));
    }
    for number in 1..=10 {
        pages.push(format!("/p/tally/{number}"));
    }
    for number in [1, 2, 3, 6] {
        pages.push(format!("/p/tally/{number}/change"));
    }
    pages.push("/p/tally/8/edit".to_owned());
    // A comment that is being written, which a link of the change opens; a filter to be kept.
    pages.push("/p/tally/2/change?comment=0.1".to_owned());
    pages.push("/board?label=x".to_owned());

    let roles = [
        ("reader", Some(Role::Reader)),
        ("writer", Some(Role::Writer)),
        ("keeper", Some(Role::Maintainer)),
        ("alice", None),
    ];
    let mut offered: BTreeMap<&str, BTreeSet<Offer>> = BTreeMap::new();
    let mut browsers = BTreeMap::new();
    for (name, role) in roles {
        if let Some(role) = role {
            world.person(name, &[("tally", role)]).await;
        }
        let browser = Browser::signed_in(&world, name).await;
        let mine = offered.entry(name).or_default();
        for page in &pages {
            let answer = browser.get(page).await;
            assert_ne!(answer.status, 500, "{page}: {}", answer.text);
            if answer.status == 200 {
                mine.extend(offers(&answer.text));
            }
        }
        browsers.insert(name, browser);
    }

    // Whoever may less is offered less, and nobody is offered nothing.
    let of = |name: &str, what: &str| {
        let fits = |offer: &&Offer| {
            offer.action == "/p/tally/1/act" && offer.fields.iter().any(|(_, value)| value == what)
        };
        offered[name].iter().filter(fits).count()
    };
    assert_eq!(
        ["reader", "writer", "keeper", "alice"].map(|name| of(name, "host-project")),
        [0, 0, 1, 1]
    );
    assert_eq!(
        ["reader", "writer", "keeper", "alice"].map(|name| of(name, "host-denied")),
        [0, 1, 1, 1]
    );

    let mut refused = Vec::new();
    // Least first, and what takes rights away last.
    for (name, _) in roles {
        let browser = &browsers[name];
        let token = browser.form_token().await;
        let mut offers: Vec<&Offer> = offered[name].iter().collect();
        offers.sort_by_key(|offer| {
            let ends = ["/members", "/revoke", "/runner-revoke"];
            ends.iter().any(|end| offer.action.ends_with(end))
        });
        for offer in offers {
            let address = offer.action.split('?').next().expect("an address");
            // This ends the session that asks; whoever has one may.
            if address == "/sign-out" {
                continue;
            }
            let mut fields: Vec<(&str, &str)> = vec![("form_token", &token)];
            let known = offer.fields.iter();
            fields.extend(known.map(|(name, value)| (name.as_str(), value.as_str())));
            let request = browser.request("POST", &offer.action).form(&fields);
            let answer = browser.send(request).await;
            if matches!(answer.status, 401 | 403 | 500) {
                refused.push(format!(
                    "{name}: {} {:?}: {}",
                    address, offer.fields, answer.status
                ));
            }
        }
    }
    assert_eq!(refused, [""; 0], "forms that are offered and forbidden");

    let all: Vec<&Offer> = offered.values().flatten().collect();
    let mut wrong = Vec::new();
    for route in routes() {
        let shown = all.iter().any(|offer| is_of(&route, &offer.action));
        let elsewhere = ELSEWHERE.iter().any(|(known, _)| *known == route);
        if shown == elsewhere {
            wrong.push(format!(
                "{route}: offered {shown}, said to be elsewhere {elsewhere}"
            ));
        }
    }
    assert_eq!(wrong, [""; 0]);
}
