//! Editing the settings file: what was asked is so afterwards, and nothing else changed.

use proptest::prelude::*;

use super::super::field::{Kind, SECTIONS, Section, Value};
use super::super::sheet::Sheet;
use super::{Config, Edit, NewRow, Path, apply};

const FILE: &str = r#"# Settings of the house.
# Second line.

# The fast one.
[[check]]
name = "lint"   # short
run = 'make lint'

# The slow one.
[[check]]
run = "make test"
name = "test"
timeout = "20m" # it is slow

# Who works.
[[agent]]
name = "own"
harness = "command"
command = "own {prompt_file}"
prompt = "file"

[environment]
# Files that decide.
cache = [
  "Cargo.lock", # ours
  "package-lock.json", # theirs
]

# How it lands.
[merge]
method = "merge" # no squash here
# The end.
"#;

fn set(path: &str, value: Option<Value>) -> Edit {
    Edit::Set(path.parse().expect("a path"), value)
}

fn text(text: &str) -> Option<Value> {
    Some(Value::Text(text.to_owned()))
}

/// The lines that went and came, as a difference shows them.
fn changes(before: &str, after: &str) -> String {
    let mut out = String::new();
    let (old, new): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    // The longest common subsequence, by the book: the files are small.
    let mut best = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            best[i][j] = if old[i] == new[j] {
                best[i + 1][j + 1] + 1
            } else {
                best[i + 1][j].max(best[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || i < old.len() && best[i + 1][j] >= best[i][j + 1] {
            out.push_str(&format!("-{}\n", old[i]));
            i += 1;
        } else {
            out.push_str(&format!("+{}\n", new[j]));
            j += 1;
        }
    }
    out
}

fn edited(edits: &[Edit]) -> String {
    let after = apply(FILE, edits).expect("a good file");
    changes(FILE, &after)
}

#[test]
fn one_value_changes_one_line() {
    insta::assert_snapshot!(edited(&[set("merge.method", text("rebase"))]), @r#"
    -method = "merge" # no squash here
    +method = "rebase" # no squash here
    "#);
    insta::assert_snapshot!(edited(&[set("check[test].timeout", text("30m"))]), @r#"
    -timeout = "20m" # it is slow
    +timeout = "30m" # it is slow
    "#);
    insta::assert_snapshot!(edited(&[set("check[lint].run", text("make lint"))]), @"");
    insta::assert_snapshot!(edited(&[set("merge.method", None)]), @r#"-method = "merge" # no squash here"#);
}

#[test]
fn a_section_that_is_not_there_is_made() {
    let after = apply(FILE, &[set("repair.in_run", Some(Value::Number(0)))]);
    let made = "\n[repair]\nin_run = 0\n# The end.\n";
    assert_eq!(after, Ok(FILE.replace("# The end.\n", made)));
    assert_eq!(
        apply("", &[set("merge.four_eyes", Some(Value::Flag(true)))]),
        Ok("[merge]\nfour_eyes = true\n".to_owned())
    );
    assert_eq!(
        apply("", &[set("merge.four_eyes", None)]),
        Ok(String::new())
    );
}

#[test]
fn a_list_keeps_the_comments_of_what_stays() {
    let list = |items: &[&str]| Some(Value::List(items.iter().map(|i| (*i).to_owned()).collect()));
    let more = list(&["Cargo.lock", "package-lock.json", "go.sum"]);
    insta::assert_snapshot!(edited(&[set("environment.cache", more)]), @r#"
    +  "go.sum",
    "#);
    let less = list(&["package-lock.json"]);
    let after = apply(FILE, &[set("environment.cache", less.clone())]).expect("a good file");
    assert!(after.contains("# theirs"), "{after}");
    let read = Sheet::read(&after).expect("a sheet");
    assert_eq!(read.rows("environment")[0]["cache"], "package-lock.json");
    let flat = apply(
        "[merge]\nprotect = [\"a\", \"b\"]\n",
        &[set("merge.protect", list(&["b", "c", "a"]))],
    );
    assert_eq!(
        flat,
        Ok("[merge]\nprotect = [\"b\", \"c\", \"a\"]\n".to_owned())
    );
}

#[test]
fn rows_move_with_their_comments() {
    let rows = |order: &[Option<usize>]| {
        let rows = order.iter().map(|was| match was {
            Some(at) => NewRow::kept(*at),
            None => NewRow {
                was: None,
                set: [("name", "new"), ("run", "true")]
                    .map(|(key, value)| (key.to_owned(), text(value)))
                    .into(),
            },
        });
        Edit::Rows("check".to_owned(), rows.collect())
    };
    let after = |order: &[Option<usize>]| apply(FILE, &[rows(order)]).expect("a good file");
    insta::assert_snapshot!("swapped", after(&[Some(1), None, Some(0)]));
    insta::assert_snapshot!("none left", after(&[]));
    assert_eq!(after(&[Some(0), Some(1)]), FILE);
    let twice = apply(FILE, &[rows(&[Some(0), Some(0)])]).expect_err("twice");
    assert_eq!(twice[0].field.as_deref(), Some("check[0]"));
}

#[test]
fn a_row_is_named_to_be_changed_added_or_removed() {
    let added = apply(FILE, &[set("check[doc].run", text("make doc"))]).expect("a good file");
    let config = Config::parse(&added).expect("good");
    assert_eq!(
        config.checks.last().map(|check| check.name.as_str()),
        Some("doc")
    );
    let removed = apply(FILE, &[set("check[lint]", None)]).expect("a good file");
    assert_eq!(Config::parse(&removed).expect("good").checks.len(), 1);
    assert!(removed.starts_with("# Settings of the house."), "{removed}");
    let unknown = apply(FILE, &[set("check[nothing]", None)]).expect_err("unknown");
    assert_eq!(
        unknown[0].message.as_str(),
        "there is no check named \"nothing\""
    );
}

#[test]
fn other_ways_to_write_it_are_edited_too() {
    let inline = "check = [{ name = \"a\", run = \"x\" }, { name = \"b\", run = \"y\" }]\nmerge = { method = \"squash\" }\n";
    let after = apply(
        inline,
        &[
            set("check[b].run", text("z")),
            set("merge.method", text("merge")),
        ],
    );
    assert_eq!(
        after.as_deref(),
        Ok(
            "check = [{ name = \"a\", run = \"x\" }, { name = \"b\", run = \"z\" }]\nmerge = { method = \"merge\" }\n"
        )
    );
    let after = apply(inline, &[set("check[c].run", text("z"))]).expect("a good file");
    assert_eq!(Config::parse(&after).expect("good").checks.len(), 3);
    let dotted = "merge.method = \"merge\"\nmerge.four_eyes = true\n";
    let after = apply(dotted, &[set("merge.method", text("rebase"))]);
    assert_eq!(
        after.as_deref(),
        Ok("merge.method = \"rebase\"\nmerge.four_eyes = true\n")
    );
    let windows = "[merge]\r\n# why\r\nmethod = \"merge\"\r\n";
    let after = apply(windows, &[set("merge.method", text("rebase"))]);
    assert_eq!(
        after.as_deref(),
        Ok("[merge]\r\n# why\r\nmethod = \"rebase\"\r\n")
    );
}

#[test]
fn a_secret_is_named_changed_and_taken_out() {
    let steps = |steps: &[&str]| Some(Value::List(steps.iter().map(|s| (*s).to_owned()).collect()));
    let named = apply(FILE, &[set("secret[KEY].steps", steps(&["test"]))]).expect("a good file");
    let secrets = Config::parse(&named).expect("good").secrets;
    assert_eq!(
        (secrets[0].name.as_str(), secrets[0].author),
        ("KEY", false)
    );
    let more = [
        set("secret[KEY].steps", steps(&["agent", "setup"])),
        set("secret[KEY].author", Some(Value::Flag(true))),
    ];
    let changed = apply(&named, &more).expect("a good file");
    assert_eq!(
        Config::parse(&changed).expect("good").secrets[0].steps,
        ["agent", "setup"]
    );
    assert_eq!(
        apply(&changed, &[set("secret[KEY]", None)]).as_deref(),
        Ok(FILE)
    );
}

#[test]
fn a_path_says_what_it_cannot_mean() {
    let said = |path: &str| path.parse::<Path>().map(drop);
    for (path, part) in [
        ("nothing.x", "there is no section"),
        ("merge", "say which key"),
        ("merge.x", "it has method"),
        ("merge[a].method", "leave out"),
        ("check.run", "say which check"),
        ("check[a].x", "it has name, run, timeout"),
    ] {
        let error = said(path).expect_err(path);
        assert!(error.to_string().contains(part), "{path}: {error}");
    }
    assert!(said("check[a.b].run").is_ok() && said("check[a]").is_ok());
}

/// A good value of a key, from luck.
fn value(section: &str, kind: Kind) -> BoxedStrategy<Option<Value>> {
    let text = |text: &'static str| text.prop_map(|text| Some(Value::Text(text))).boxed();
    match kind {
        Kind::Line => text("[a-z][a-z0-9]{0,8}"),
        Kind::Text => text("[a-z][ -~\n\u{e4}\u{4e2d}]{0,30}"),
        Kind::Span => (1_u32..60, "[smh]")
            .prop_map(|(n, unit)| Some(Value::Text(format!("{}{unit}", n.min(24)))))
            .boxed(),
        Kind::Number => (1_i64..256).prop_map(|n| Some(Value::Number(n))).boxed(),
        Kind::Decimal => (1_i32..100_000)
            .prop_map(|cents| Some(Value::Decimal(f64::from(cents) / 100.0)))
            .boxed(),
        Kind::Flag => any::<bool>()
            .prop_map(|flag| Some(Value::Flag(flag)))
            .boxed(),
        Kind::Choice(words) => proptest::sample::select(words)
            .prop_map(|word| Some(Value::Text(word.to_owned())))
            .boxed(),
        Kind::Lines if section == "network" => {
            proptest::collection::vec("[a-z]{1,6}\\.example\\.(com|org)", 0..4)
                .prop_map(|list| Some(Value::List(list)))
                .boxed()
        }
        Kind::Lines if section == "environment" => {
            let path = "[a-z#][a-z# .]{0,8}[a-z](/[a-z#][a-z# .]{0,4}[a-z]){0,2}";
            proptest::collection::vec(path, 0..4)
                .prop_map(|list| Some(Value::List(list)))
                .boxed()
        }
        Kind::Lines => proptest::collection::vec("[a-z#/*. ]{1,12}", 0..4)
            .prop_map(|list| Some(Value::List(list)))
            .boxed(),
    }
}

/// Changes of keys that stand once, and of checks, each with what must be so afterwards.
fn asked() -> impl Strategy<Value = Vec<(String, Option<Value>)>> {
    let mut one: Vec<BoxedStrategy<(String, Option<Value>)>> = Vec::new();
    // Agents and secrets have rules of their own for what goes with what.
    let free = |section: &&Section| !["agent", "secret"].contains(&section.name);
    for section in SECTIONS.iter().filter(free) {
        // What is installed needs an image.
        let fields = section.fields.iter();
        for field in fields.filter(|field| !["name", "install"].contains(&field.key)) {
            let paths = match (section.many, field.needed) {
                (false, _) => vec![format!("{}.{}", section.name, field.key)],
                (true, _) => vec![
                    format!("{}[test].{}", section.name, field.key),
                    format!("{}[lint].{}", section.name, field.key),
                ],
            };
            for path in paths {
                let may_go = !field.needed;
                let value = (value(section.name, field.kind), any::<bool>())
                    .prop_map(move |(value, goes)| value.filter(|_| !(goes && may_go)));
                one.push((Just(path), value).boxed());
            }
        }
    }
    proptest::collection::vec(proptest::strategy::Union::new(one), 1..6)
}

proptest! {
    #[test]
    fn what_was_asked_is_so_and_the_rest_is_as_it_was(asked in asked()) {
        let edits: Vec<Edit> = asked.iter().map(|(path, value)| set(path, value.clone())).collect();
        let after = apply(FILE, &edits).map_err(|e| TestCaseError::fail(format!("{e:?}")))?;
        prop_assert!(Config::parse(&after).is_ok());
        let sheet = Sheet::read(&after).expect("a sheet");
        let before = Sheet::read(FILE).expect("a sheet");
        let mut last = std::collections::BTreeMap::new();
        for (path, value) in &asked {
            last.insert(path.clone(), value.clone());
        }
        for section in SECTIONS {
            for (at, row) in sheet.rows(section.name).iter().enumerate() {
                for field in section.fields {
                    let name = row.get("name").cloned().unwrap_or_default();
                    let path = if section.many {
                        format!("{}[{name}].{}", section.name, field.key)
                    } else {
                        format!("{}.{}", section.name, field.key)
                    };
                    let was = before.rows(section.name)[at].get(field.key).cloned();
                    let wanted = match last.get(&path) {
                        Some(value) => value.as_ref().map(Value::typed),
                        None => was,
                    };
                    prop_assert_eq!(row.get(field.key).cloned(), wanted, "{}", path);
                }
            }
        }
        // Comments on lines that nobody touched.
        for comment in [
            "# Settings of the house.\n# Second line.\n\n", "# The fast one.\n[[check]]",
            "name = \"lint\"   # short", "# The slow one.\n[[check]]", "# Who works.\n[[agent]]",
            "# How it lands.\n[merge]", "# The end.\n",
        ] {
            prop_assert!(after.contains(comment), "{} is lost: {}", comment, after);
        }
        // Twice is once.
        let settled: Vec<Edit> = last.iter().map(|(path, value)| set(path, value.clone())).collect();
        prop_assert_eq!(apply(&after, &settled), Ok(after));
    }

    #[test]
    fn rows_in_any_order_keep_what_they_say(order in Just(vec![0_usize, 1]).prop_shuffle(), keep in 0_usize..3, new in 0_usize..3) {
        let mut rows: Vec<NewRow> = order.into_iter().take(keep).map(NewRow::kept).collect();
        for at in 0..new {
            let set = [("name", format!("new{at}")), ("run", "true".to_owned())];
            let set = set.map(|(key, value)| (key.to_owned(), Some(Value::Text(value)))).into();
            rows.insert(at.min(rows.len()), NewRow { was: None, set });
        }
        let before = Sheet::read(FILE).expect("a sheet");
        let after = apply(FILE, &[Edit::Rows("check".to_owned(), rows.clone())])
            .map_err(|e| TestCaseError::fail(format!("{e:?}")))?;
        let sheet = Sheet::read(&after).expect("a sheet");
        prop_assert_eq!(sheet.rows("check").len(), rows.len());
        for (row, shown) in rows.iter().zip(sheet.rows("check")) {
            match row.was {
                Some(at) => prop_assert_eq!(shown, &before.rows("check")[at]),
                None => prop_assert!(shown["name"].starts_with("new")),
            }
        }
        for other in ["agent", "environment", "merge"] {
            prop_assert_eq!(sheet.rows(other), before.rows(other));
        }
        prop_assert!(after.contains("# Settings of the house.\n# Second line.\n\n"), "{}", after);
        prop_assert!(after.contains("# Who works.\n[[agent]]"), "{}", after);
    }
}
