//! What is mounted in a container of an image, seen from outside before its command is told.
//!
//! An image may have links where our places are to be, and an engine follows them, within the image:
//! the tree would then be somewhere else, or something else over it. Invariant: each of our places is
//! itself a mount, once, and nothing else that can be written is mounted. Deliberately absent: trust in
//! what the engine says about it; the kernel's own list is read.

use std::path::Path;

use super::plan::unescaped;

/// Below these the engine mounts what it likes; the walls cover what matters of it.
const ENGINES: &[&str] = &["/proc", "/sys", "/dev", "/run"];

/// Checks a process's `mountinfo` against the places that were asked for.
pub(super) fn check(mountinfo: &str, places: &[String]) -> Result<(), String> {
    let mounts: Vec<(String, bool)> = mountinfo
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(4);
            let place = unescaped(fields.next()?);
            let read_only = fields.next()?.split(',').any(|word| word == "ro");
            Some((place, read_only))
        })
        .collect();
    for place in places {
        match mounts.iter().filter(|(other, _)| other == place).count() {
            1 => {}
            0 => {
                return Err(format!(
                    "the image has a link, or no folder, where {place} is to be: remove it there"
                ));
            }
            _ => {
                return Err(format!(
                    "a link in the image leads something else to {place}: remove it there"
                ));
            }
        }
    }
    let below = |path: &str, top: &str| Path::new(path).starts_with(top);
    for (place, read_only) in &mounts {
        let known =
            place == "/" || places.contains(place) || ENGINES.iter().any(|top| below(place, top));
        let inside_ours = places.iter().any(|ours| below(place, ours));
        if !known && (!read_only || inside_ours) {
            return Err(format!(
                "something is mounted at {place} that nobody asked for: an image with a link where a file of /etc, /run or a volume is cannot be used"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(mounts: &[(&str, &str)]) -> Result<(), String> {
        let lines: Vec<String> = mounts
            .iter()
            .map(|(place, how)| format!("1 2 0:1 /x {place} {how},relatime - ext4 /dev/x rw"))
            .collect();
        let places = ["/workspace", "/nightshift", "/nightshift/bin/nightshift"];
        check(&lines.join("\n"), &places.map(str::to_owned))
    }

    const GOOD: [(&str, &str); 7] = [
        ("/", "ro"),
        ("/proc", "rw"),
        ("/sys/fs/cgroup", "ro"),
        ("/workspace", "rw"),
        ("/nightshift", "ro"),
        ("/nightshift/bin/nightshift", "ro"),
        ("/usr/share/hosts", "ro"),
    ];

    #[test]
    fn our_places_must_be_where_they_are_and_nothing_else() {
        assert_eq!(said(&GOOD), Ok(()));
        let without: Vec<_> = GOOD.into_iter().filter(|m| m.0 != "/workspace").collect();
        let gone = said(&without).expect_err("a link");
        assert!(gone.contains("/workspace is to be"), "{gone}");
        for (more, how) in [
            ("/evil", "rw"),
            ("/workspace", "ro"),
            ("/workspace/hosts", "ro"),
            ("/nightshift/sockets", "ro"),
        ] {
            let mut mounts = GOOD.to_vec();
            mounts.push((more, how));
            let refused = said(&mounts).expect_err(more);
            assert!(refused.contains(more), "{refused}");
        }
    }
}
