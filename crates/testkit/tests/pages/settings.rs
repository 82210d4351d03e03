//! The settings of a project on their page: filled in as a browser does it, with nothing but forms.

use nightshift_domain::access::Role;
use nightshift_testkit::World;

use crate::browser::{Answer, Browser};

const FILE: &str = "# Ours.\n\n[[check]]\nname = \"test\" # all of it\nrun = \"sh check.sh\"\n\n# Who works.\n[[agent]]\nname = \"own\"\nharness = \"command\"\ncommand = \"own {prompt}\"\nprompt = \"argument\"\n";
const PAGE: &str = "/p/tally/settings";

/// A form as a browser would send it.
struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the first form of the settings on a page.
    fn of(page: &str) -> Self {
        let (_, rest) = page.split_once("<form class=\"settings\"").expect("a form");
        let (form, _) = rest.split_once("</form>").expect("an end");
        let mut fields = Vec::new();
        for piece in form.split('<').skip(1) {
            let (tag, text) = piece.split_once('>').unwrap_or((piece, ""));
            let name = value_of(tag, "name");
            match (tag.split(' ').next().unwrap_or_default(), name) {
                ("input", Some(name)) => {
                    fields.push((name, value_of(tag, "value").unwrap_or_default()));
                }
                ("textarea", Some(name)) => {
                    // The parser of HTML leaves the first line end out.
                    let text = unescaped(text.strip_prefix('\n').unwrap_or(text));
                    fields.push((name, text.replace('\n', "\r\n")));
                }
                ("select", Some(name)) => fields.push((name, String::new())),
                ("option", _) if tag.ends_with(" selected") => {
                    fields.last_mut().expect("a select").1 =
                        value_of(tag, "value").unwrap_or_default();
                }
                _ => {}
            }
        }
        Self(fields)
    }

    fn at(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        &found
            .unwrap_or_else(|| panic!("no field {name}: {:?}", self.0))
            .1
    }

    /// With something typed into a field.
    fn typed(mut self, name: &str, value: &str) -> Self {
        let found = self.0.iter_mut().find(|(known, _)| known == name);
        found.unwrap_or_else(|| panic!("no field {name}")).1 = value.to_owned();
        self
    }

    /// Sent by a button.
    async fn press(&self, browser: &Browser, button: &str) -> Answer {
        let mut fields: Vec<(&str, &str)> = Vec::new();
        for (name, value) in self.0.iter().filter(|(name, _)| name != "form_token") {
            fields.push((name, value));
        }
        fields.push(("do", button));
        browser.post(PAGE, &fields).await
    }
}

fn value_of(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split('"').next().map(unescaped)
}

fn unescaped(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">");
    text.replace("&quot;", "\"").replace("&amp;", "&")
}

async fn form(browser: &Browser) -> Form {
    let page = browser.get(PAGE).await;
    assert_eq!(page.status, 200, "{}", page.text);
    Form::of(&page.text)
}

/// What stands beside a field as its mistake.
fn wrong<'a>(page: &'a str, id: &str) -> &'a str {
    let (_, rest) = page
        .split_once(&format!("id=\"{id}-wrong\">"))
        .unwrap_or_else(|| panic!("no field {id}: {page}"));
    rest.split_once("</div>").map_or("", |(text, _)| text)
}

fn file(checkout: &nightshift_testkit::Checkout) -> String {
    checkout.take("main");
    checkout.read(".nightshift/config.toml")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_form_changes_what_was_typed_and_nothing_else() {
    let world = World::new().await;
    let main = world.project_with("tally", FILE).await;
    let browser = Browser::signed_in(&world, "alice").await;
    let same = form(&browser).await.press(&browser, "save").await;
    assert_eq!(
        (same.status, same.location()),
        (303, "/p/tally/settings?saved=nothing"),
        "{}",
        same.text
    );
    assert_eq!(file(&main), FILE);
    let page = browser.get(same.location()).await.text;
    assert!(page.contains("Nothing to change"), "{page}");

    // Rows are added and moved without anything being saved.
    let more = form(&browser).await.press(&browser, "add.check").await;
    assert_eq!(more.status, 200, "{}", more.text);
    let filled = Form::of(&more.text)
        .typed("check.1.name", "lint")
        .typed("check.1.run", "make lint")
        .typed("merge.method", "rebase");
    let moved = filled.press(&browser, "up.check.1").await;
    let moved = Form::of(&moved.text);
    assert_eq!(
        (moved.at("check.0.name"), moved.at("check.1.was")),
        ("lint", "0")
    );
    assert_eq!(file(&main), FILE, "a button of the order saved something");

    let looked = moved.press(&browser, "preview").await;
    assert!(
        looked.text.contains("id=\"preview\"")
            && looked.text.contains("+run = &quot;make lint&quot;"),
        "{}",
        looked.text
    );
    assert_eq!(file(&main), FILE, "a look saved something");
    let saved = Form::of(&looked.text).press(&browser, "save").await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    let now = file(&main);
    assert_eq!(
        now,
        FILE.replace(
            "[[check]]\nname = \"test\"",
            "[[check]]\nname = \"lint\"\nrun = \"make lint\"\n\n[[check]]\nname = \"test\""
        ) + "\n[merge]\nmethod = \"rebase\"\n"
    );
    let head = main.git(&["rev-parse", "HEAD"]);
    assert!(saved.location().ends_with(&head), "{}", saved.location());
    let page = browser.get(saved.location()).await.text;
    assert!(
        page.contains(&head[..7]) && page.contains("+method = "),
        "{page}"
    );
    assert_eq!(
        main.git(&["log", "-1", "--format=%an: %s"]),
        "alice: settings: change check, merge.method"
    );
    let gone = Form::of(&page).press(&browser, "remove.check.1").await;
    let gone = Form::of(&gone.text);
    assert_eq!(gone.at("check.0.name"), "lint");
    gone.press(&browser, "save").await;
    assert!(!file(&main).contains("sh check.sh"));
    let unknown = browser.get("/p/tally/settings?saved=0000").await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistake_stands_beside_its_field_and_nothing_typed_is_lost() {
    let world = World::new().await;
    let main = world.project_with("tally", FILE).await;
    let browser = Browser::signed_in(&world, "alice").await;
    let typed = form(&browser)
        .await
        .typed("check.0.timeout", "soon")
        .typed("check.0.run", "")
        .typed("agent.0.harness", "codex")
        .typed("repair.in_run", "<b>many</b>")
        .typed("message", "tidy up");
    let answer = typed.press(&browser, "save").await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    for (id, part) in [
        ("check-0-timeout", "write it as"),
        ("check-0-run", "<code>run</code> is missing"),
        ("agent-0-command", "belongs to the harnesses"),
        ("repair-in_run", "expected a number"),
        ("merge-method", ""),
    ] {
        let told = wrong(&answer.text, id);
        assert!(told.contains(part), "{id}: {told}");
        assert_eq!(told.is_empty(), part.is_empty(), "{id}: {told}");
        assert!(
            part.is_empty() || answer.text.contains(&format!("href=\"#{id}\"")),
            "{id} is not in the summary"
        );
    }
    assert!(!answer.text.contains("<b>many"), "{}", answer.text);
    let again = Form::of(&answer.text);
    for name in ["check.0.timeout", "repair.in_run", "message"] {
        assert_eq!(again.at(name), typed.at(name), "{name} is lost");
    }
    assert_eq!(file(&main), FILE);
    // Put right where it stands, it is saved.
    let right = again
        .typed("check.0.timeout", "5m")
        .typed("check.0.run", "make test")
        .typed("agent.0.command", "")
        .typed("repair.in_run", "0");
    let saved = right.press(&browser, "save").await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    assert_eq!(main_message(&main), "tidy up");
    let long = "x".repeat(3_000);
    let answer = form(&browser)
        .await
        .typed("message", &long)
        .press(&browser, "save")
        .await;
    assert_eq!(answer.status, 422);
    let said = "<code>message</code> has 3000 bytes";
    assert!(answer.text.contains(said), "{}", answer.text);
}

fn main_message(main: &nightshift_testkit::Checkout) -> String {
    main.take("main");
    main.git(&["log", "-1", "--format=%s"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_slower_sees_both_and_saves_on_top() {
    let world = World::new().await;
    let main = world.project_with("tally", FILE).await;
    world
        .alice()
        .makes_person("kate", &[("tally", Role::Maintainer)])
        .await;
    let alice = Browser::signed_in(&world, "alice").await;
    let kate = Browser::signed_in(&world, "kate").await;
    let hers = form(&alice).await;
    let first = form(&kate)
        .await
        .typed("merge.method", "merge")
        .typed("check.0.timeout", "5m")
        .press(&kate, "save")
        .await;
    assert_eq!(first.status, 303);
    let more = hers
        .typed("check.0.run", "make mine")
        .typed("repair.in_run", "0")
        .press(&alice, "add.agent")
        .await;
    let late = Form::of(&more.text)
        .typed("agent.1.name", "claude")
        .typed("agent.1.harness", "claude-code")
        .press(&alice, "save")
        .await;
    assert_eq!(late.status, 409, "{}", late.text);
    assert!(late.text.contains("Somebody else changed"), "{}", late.text);
    let both = Form::of(&late.text);
    for (name, value) in [
        ("check.0.run", "make mine"),
        ("check.0.timeout", "5m"),
        ("merge.method", "merge"),
        ("repair.in_run", "0"),
        ("agent.1.name", "claude"),
    ] {
        assert_eq!(both.at(name), value, "{name}");
    }
    let saved = both.press(&alice, "save").await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    let now = file(&main);
    for part in [
        "make mine",
        "5m",
        "method = \"merge\"",
        "in_run = 0",
        "claude-code",
        "# all of it",
    ] {
        assert!(now.contains(part), "{part} is lost: {now}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_is_put_right_on_its_page() {
    let world = World::new().await;
    let hostile = "</textarea><script>alert(1)</script>";
    let broken = FILE.replace("\"own\"", "\"'<img src=x>\"")
        + &format!("instructions = '''\n{hostile}'''\n[merge]\nmethod = \"force\"\n");
    let main = world.project_with("tally", &broken).await;
    let browser = Browser::signed_in(&world, "alice").await;
    for path in ["/", "/projects", "/p/tally"] {
        let page = browser.get(path).await.text;
        assert!(
            page.contains("href=\"/p/tally/settings\""),
            "{path}: {page}"
        );
    }
    let page = browser.get(PAGE).await.text;
    assert!(
        wrong(&page, "agent-0-name").contains("is no agent name"),
        "{page}"
    );
    assert!(
        wrong(&page, "merge-method").contains("unknown variant"),
        "{page}"
    );
    assert!(
        !page.contains("<script>alert") && !page.contains("<img"),
        "{page}"
    );
    let form = Form::of(&page);
    assert_eq!(
        form.at("merge.method"),
        "force",
        "what stands there is shown"
    );
    assert_eq!(form.at("agent.0.instructions"), hostile);
    let saved = form
        .typed("merge.method", "squash")
        .typed("agent.0.name", "mine")
        .press(&browser, "save")
        .await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    assert!(file(&main).contains(hostile), "nobody touched it");
    assert!(!browser.get("/").await.text.contains("/p/tally/settings"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_text_is_edited_whole_where_fields_cannot() {
    let world = World::new().await;
    let main = world.project_with("tally", "[[check]\nname = 1\n").await;
    let browser = Browser::signed_in(&world, "alice").await;
    let page = browser.get(PAGE).await.text;
    assert!(
        page.contains("line 1") && page.contains("<details class=\"box\" id=\"text\" open>"),
        "{page}"
    );
    let form = Form::of(&page);
    assert_eq!(form.at("text"), "[[check]\r\nname = 1\r\n");
    let still = form
        .typed("text", "[[chek]]\r\nname = 1\r\n")
        .press(&browser, "save-text")
        .await;
    assert_eq!(still.status, 422, "{}", still.text);
    assert!(
        wrong(&still.text, "whole").contains("unknown field"),
        "{}",
        still.text
    );
    let text = "# Mine.\r\n[merge]\r\nfour_eyes = true\r\n";
    let fields = [
        ("blob", form_blob(&still.text)),
        ("text", text.to_owned()),
        ("do", "save-text".to_owned()),
    ];
    let fields = fields
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let saved = browser.post(PAGE, &fields).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    assert_eq!(file(&main), text.replace("\r\n", "\n"));
}

fn form_blob(page: &str) -> String {
    Form::of(page).at("blob").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_maintainers_save_and_everybody_reads_in_their_language() {
    let world = World::new().await;
    world.project_with("tally", FILE).await;
    world
        .alice()
        .makes_person("rita", &[("tally", Role::Writer)])
        .await;
    let rita = Browser::signed_in(&world, "rita").await;
    let page = rita.get(PAGE).await.text;
    assert!(
        page.contains("Only maintainers") && page.contains("<fieldset class=\"bare\" disabled>"),
        "{page}"
    );
    let sent = Form::of(&page).typed("merge.method", "merge");
    assert_eq!(sent.press(&rita, "save").await.status, 403);
    let request = rita.request("GET", PAGE).header("accept-language", "zh-TW");
    let page = rita.send(request).await.text;
    assert!(
        page.contains("lang=\"zh-Hant\"") && page.contains("受保護的路徑"),
        "{page}"
    );
    world.alice().makes_person("sam", &[]).await;
    let sam = Browser::signed_in(&world, "sam").await;
    assert_eq!(sam.get(PAGE).await.status, 404);
    assert_eq!(sent.press(&sam, "save").await.status, 404);
    let foreign = rita
        .request("POST", PAGE)
        .header("content-type", "application/x-www-form-urlencoded")
        .body("do=save&fields=1");
    assert_eq!(
        rita.send(foreign).await.status,
        403,
        "a form without our token"
    );
    // A project without a commit has nothing to be changed yet.
    let alice = Browser::signed_in(&world, "alice").await;
    world.alice().makes_project("fresh").await;
    let page = alice.get("/p/fresh/settings").await;
    assert!(
        page.status == 200 && page.text.contains("push first"),
        "{}",
        page.text
    );
}
