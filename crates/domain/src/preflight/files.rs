//! Files that an order names, found in the files that other changes touch.
//!
//! A heuristic for a warning, no more: words of the order that look like a path. Deliberately absent:
//! which files a change will touch in the end, which only the work shows.

/// The most words of an order that are taken for a path.
const MOST: usize = 50;
/// Shorter words say too little, such as `a.b`.
const LEAST: usize = 4;
/// The most files of one change that are told.
const TOLD: usize = 5;

/// The words of an order that may name a file or a folder.
#[must_use]
pub fn named(body: &str) -> Vec<&str> {
    let ends = |c: char| c.is_whitespace() || "`'\"()[]{}<>,;:|*".contains(c);
    let mut names: Vec<&str> = body
        .split(ends)
        .map(|word| {
            word.trim_start_matches("./")
                .trim_end_matches(['.', '!', '?'])
        })
        .filter(|word| word.len() >= LEAST && !word.starts_with('/') && is_path(word))
        .collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(MOST);
    names
}

/// Whether it has a folder, or an ending as names of files have.
fn is_path(word: &str) -> bool {
    let ending = word
        .rsplit_once('.')
        .map(|(stem, ending)| (stem, ending.len()));
    let has_ending = matches!(ending, Some((stem, 1..=8)) if !stem.is_empty());
    let has_folder = word.contains('/') && !word.contains("//");
    (has_ending || has_folder) && word.chars().any(char::is_alphabetic)
}

/// The paths among these that one of the names means: the whole path, its end from a slash on, or a
/// folder, written with a slash at its end.
#[must_use]
pub fn meant(names: &[&str], paths: &[String]) -> Vec<String> {
    let means = |name: &&str, path: &str| {
        let end = path.strip_suffix(name);
        end.is_some_and(|before| before.is_empty() || before.ends_with('/'))
            || (name.ends_with('/') && path.starts_with(name))
    };
    let meant = paths
        .iter()
        .filter(|path| names.iter().any(|name| means(name, path)));
    meant.take(TOLD).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_look_like_paths_are_taken() {
        let body = "Fix `src/parser.rs`, see (lib/net/): ./Makefile.am fails. Version 1.2.3 of \
                    e.g. https://example.com/x and src/parser.rs! Also config.toml. And so on...";
        assert_eq!(
            named(body),
            ["Makefile.am", "config.toml", "lib/net/", "src/parser.rs"]
        );
        assert!(named("Say hello to everybody, and/or nobody.") == ["and/or"]);
        assert!(named("").is_empty());
    }

    #[test]
    fn a_name_means_a_path_its_end_or_a_folder() {
        let paths = [
            "src/parser.rs",
            "src/xparser.rs",
            "lib/net/a.c",
            "parser.rs/x",
        ];
        let paths = paths.map(str::to_owned);
        for (name, expected) in [
            ("src/parser.rs", &paths[..1]),
            ("parser.rs", &paths[..1]),
            ("lib/net/", &paths[2..3]),
            ("net/a.c", &paths[2..3]),
            ("lib/net", &[]),
            ("rser.rs", &[]),
        ] {
            assert_eq!(meant(&[name], &paths), expected, "{name}");
        }
        let many: Vec<String> = (0..20).map(|n| format!("d/{n}")).collect();
        assert_eq!(meant(&["d/"], &many).len(), TOLD);
    }
}
