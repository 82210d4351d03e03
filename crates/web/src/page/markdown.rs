//! Markdown of people and agents as safe HTML: GitHub's dialect, then sanitised.
//!
//! No image of elsewhere is loaded, no link opens without `rel=noopener`, no script survives.

use std::collections::HashSet;
use std::sync::LazyLock;

use ammonia::Builder;
use comrak::{Options, markdown_to_html};
use maud::Markup;

use super::layout::trusted;

static SANITISER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::default();
    builder
        .rm_tags(["img"])
        .add_tag_attributes("code", ["class"])
        .add_tag_attributes("input", ["type", "checked", "disabled"])
        .add_tags(["input"])
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .link_rel(Some("noopener noreferrer nofollow"));
    builder
});

/// Renders a text.
pub(crate) fn render(text: &str) -> Markup {
    let mut options = Options::default();
    options.extension.strikethrough = true;
    options.extension.table = true;
    options.extension.autolink = true;
    options.extension.tasklist = true;
    options.render.r#unsafe = false;
    trusted(
        SANITISER
            .clean(&markdown_to_html(text, &options))
            .to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_active_survives() {
        for evil in [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "[x](javascript:alert(1))",
            "[x](data:text/html,<script>alert(1)</script>)",
            "<a href=\"vbscript:x\">x</a>",
            "<svg/onload=alert(1)>",
            "<iframe src=//evil.test></iframe>",
            "![x](http://evil.test/pixel.png)",
            "<form action=//evil.test><input name=a></form>",
            "<style>*{display:none}</style>",
            "<a style=\"position:fixed\" href=\"http://a\">x</a>",
        ] {
            let html = render(evil).into_string().to_lowercase();
            // What stands outside of tags is text, whatever it says.
            let tags: String = html
                .split('<')
                .skip(1)
                .filter_map(|rest| rest.split_once('>').map(|(tag, _)| format!("<{tag}>")))
                .collect();
            for active in [
                "<script",
                "<svg",
                "onerror=",
                "onload=",
                "href=\"javascript",
                "href=\"data",
                "href=\"vbscript",
                "<iframe",
                "<img",
                "<form",
                "<style",
                "style=",
            ] {
                assert!(!tags.contains(active), "{evil} became {html}");
            }
        }
    }

    #[test]
    fn ordinary_text_is_rendered() {
        let html = render("a **b** `c`\n\n- [x] done").into_string();
        assert!(
            html.contains("<strong>b</strong>") && html.contains("<code>c</code>"),
            "{html}"
        );
    }
}
