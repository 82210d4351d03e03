//! A strict reader of the HTML that the diff writes: it knows the few tags and attributes that
//! may appear and panics at anything else.

const TAGS: &[&str] = &[
    "a", "caption", "code", "details", "div", "h3", "h4", "mark", "p", "section", "span",
    "summary", "table", "tbody", "td", "th", "thead", "tr", "b",
];
const ATTRIBUTES: &[&str] = &[
    "aria-hidden",
    "aria-label",
    "aria-labelledby",
    "class",
    "colspan",
    "data-file",
    "data-image",
    "data-n",
    "data-path",
    "data-rows",
    "href",
    "id",
    "open",
    "role",
    "scope",
    "tabindex",
    "title",
];

/// A tag with what is inside of it.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) tag: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) inside: Vec<Inside>,
}

#[derive(Debug)]
pub(super) enum Inside {
    Text(String),
    Node(Node),
}

impl Node {
    /// Reads a page, or panics at what is not allowed.
    pub(super) fn read(page: &str) -> Self {
        let mut open = vec![Self::default()];
        let mut rest = page;
        while !rest.is_empty() {
            let here = open.last_mut().expect("a node is open");
            if let Some(tag) = rest.strip_prefix("</") {
                let (name, after) = tag.split_once('>').expect("a tag ends");
                assert_eq!(name, here.tag, "tags nest");
                rest = after;
                let done = open.pop().expect("a node is open");
                let above = open.last_mut().expect("not more ends than starts");
                above.inside.push(Inside::Node(done));
            } else if let Some(tag) = rest.strip_prefix('<') {
                let (node, after) = Self::start(tag);
                rest = after;
                open.push(node);
            } else {
                let end = rest.find('<').unwrap_or(rest.len());
                here.inside.push(Inside::Text(unescape(&rest[..end])));
                rest = &rest[end..];
            }
        }
        assert_eq!(open.len(), 1, "all tags are closed");
        open.pop().expect("the page")
    }

    fn start(tag: &str) -> (Self, &str) {
        let end = tag.find([' ', '>']).expect("a tag ends");
        let name = &tag[..end];
        assert!(TAGS.contains(&name), "the tag {name:?}");
        let mut node = Self {
            tag: name.to_owned(),
            ..Self::default()
        };
        let mut rest = &tag[end..];
        loop {
            if let Some(after) = rest.strip_prefix('>') {
                return (node, after);
            }
            rest = rest.strip_prefix(' ').expect("a blank before an attribute");
            let end = rest.find(['=', ' ', '>']).expect("an attribute ends");
            let name = rest[..end].to_owned();
            assert!(
                ATTRIBUTES.contains(&name.as_str()),
                "the attribute {name:?}"
            );
            rest = &rest[end..];
            let mut value = String::new();
            if let Some(quoted) = rest.strip_prefix("=\"") {
                let end = quoted.find('"').expect("a value ends");
                value = unescape(&quoted[..end]);
                rest = &quoted[end + 1..];
            }
            if name == "href" {
                assert!(
                    value.starts_with("/p/demo/") || value.starts_with("/raw/"),
                    "{value:?}"
                );
            }
            node.attributes.push((name, value));
        }
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn has_class(&self, class: &str) -> bool {
        self.attribute("class")
            .is_some_and(|all| all.split(' ').any(|own| own == class))
    }

    /// All nodes below that fit, in the order of the page.
    pub(super) fn all<'a>(&'a self, fits: &dyn Fn(&Self) -> bool) -> Vec<&'a Self> {
        let mut found = Vec::new();
        for inside in &self.inside {
            if let Inside::Node(node) = inside {
                if fits(node) {
                    found.push(node);
                }
                found.extend(node.all(fits));
            }
        }
        found
    }

    /// All text below, without that of nodes of this class.
    pub(super) fn text_without(&self, class: &str) -> String {
        let parts = self.inside.iter().map(|inside| match inside {
            Inside::Text(text) => text.clone(),
            Inside::Node(node) if node.has_class(class) => String::new(),
            Inside::Node(node) => node.text_without(class),
        });
        parts.collect()
    }

    pub(super) fn text(&self) -> String {
        self.text_without("no such class")
    }
}

fn unescape(text: &str) -> String {
    assert!(!text.contains(['<', '>', '"']), "raw in {text:?}");
    let mut out = String::new();
    let mut parts = text.split('&');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (name, rest) = part.split_once(';').expect("an ampersand starts an entity");
        out.push_str(match name {
            "amp" => "&",
            "lt" => "<",
            "gt" => ">",
            "quot" => "\"",
            _ => panic!("the entity {name:?}"),
        });
        out.push_str(rest);
    }
    out
}
