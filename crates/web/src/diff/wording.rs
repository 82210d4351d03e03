//! All words a person reads in a diff, in one table per language.
//!
//! `{0}` and `{1}` stand for values. Deliberately absent: the choice of the language.

use maud::{Markup, html};

macro_rules! wording {
    ($($(#[$doc:meta])* $name:ident: $english:literal, $chinese:literal;)*) => {
        /// The words in one language.
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct Wording {
            $($(#[$doc])* pub(crate) $name: &'static str,)*
        }

        impl Wording {
            /// English.
            pub(crate) const ENGLISH: Self = Self { $($name: $english,)* };
            /// Chinese in traditional characters.
            pub(crate) const CHINESE: Self = Self { $($name: $chinese,)* };

            /// Names and texts, for the tests.
            #[cfg(test)] // tidy-ok(tests-apart): made by the macro that knows the names
            fn all(&self) -> Vec<(&'static str, &'static str)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

wording! {
    added: "added", "新增";
    deleted: "deleted", "刪除";
    modified: "changed", "修改";
    renamed: "renamed", "更名";
    copied: "copied", "複製";
    type_changed: "changed its kind", "類型變更";
    lines_added: "lines added: {0}", "新增行數：{0}";
    lines_deleted: "lines removed: {0}", "移除行數：{0}";
    lines: "Lines", "內容";
    comments: "Comments: {0}", "留言：{0}";
    /// Caption of the table; the path.
    caption: "Changed lines of {0}", "{0} 的變更";
    old_number: "Line before", "原行號";
    new_number: "Line after", "新行號";
    sign: "Change", "變更";
    content: "Content", "內容";
    before: "Before", "變更前";
    after: "After", "變更後";
    comment_on: "Comment on line {0}", "留言第 {0} 行";
    more: "Show more lines; not shown here: {0}", "顯示更多內容；此處未顯示行數：{0}";
    more_below: "Show more lines below", "顯示下方內容";
    no_newline: "no line feed at the end of the file", "檔案結尾沒有換行";
    elsewhere: "Comments on lines that are not shown here", "未顯示行的留言";
    /// Two paths, and a percentage.
    moved: "From {0} to {1}, {2} % alike.", "從 {0} 到 {1}，相似度 {2}%。";
    unchanged: "No line changed.", "內容沒有變更。";
    ignored: "What changed in the lines is ignored in this view.", "此檢視略過了內容的變更。";
    empty: "The file is empty.", "檔案是空的。";
    mode: "It was {0} and is {1} now.", "原為{0}，現為{1}。";
    is_mode: "It is {0}.", "這是{0}。";
    was_mode: "It was {0}.", "原為{0}。";
    plain: "a plain file", "一般檔案";
    executable: "an executable file", "可執行檔";
    symlink: "a symbolic link", "符號連結";
    target: "The line of a symbolic link is the path it points to.", "符號連結的內容是其指向的路徑。";
    directory: "a directory", "目錄";
    submodule: "a submodule, a commit of another repository", "子模組（另一個儲存庫的提交）";
    /// Two commits.
    moved_commit: "From commit {0} to {1}.", "從提交 {0} 到 {1}。";
    binary: "A binary file; its content is not shown.", "二進位檔案，不顯示內容。";
    image: "An image.", "圖片。";
    viewed: "Viewed already.", "已檢視過。";
    generated: "By its name a tool wrote it.", "依檔名判斷為工具產生。";
    large: "Too large to be opened with the page; rows: {0}.", "過大而未隨頁面展開；行數：{0}。";
    rest: "The files before it fill the page.", "前面的檔案已佔滿頁面。";
    missing: "Its lines are too many to be read with the others.", "內容過大，未與其他檔案一同讀取。";
    load: "Show the lines", "顯示內容";
    misleads: "Added lines hold characters that cannot be seen or that change the direction of reading. They are marked.",
        "新增的內容含有不可見或改變閱讀方向的字元，已標示。";
    lossy: "Some bytes are no UTF-8. They are marked.", "部分位元組不是 UTF-8，已標示。";
    odd_return: "carriage return at the end of the line", "行尾歸位字元";
    odd_control: "control character", "控制字元";
    odd_unseen: "character that cannot be seen", "不可見字元";
    odd_turn: "character that changes the direction of reading", "改變閱讀方向的字元";
    odd_byte: "byte that is no UTF-8", "不是 UTF-8 的位元組";
}

/// Puts values in their places; words are escaped, values are markup already.
pub(super) fn fill(words: &str, values: &[Markup]) -> Markup {
    html! {
        @for (at, part) in words.split('{').enumerate() {
            @if at == 0 {
                (part)
            } @else if let Some((place, rest)) = part.split_once('}') {
                @if let Some(value) = place.parse().ok().and_then(|at: usize| values.get(at)) {
                    (value)
                }
                (rest)
            }
        }
    }
}

/// The same with one number or name, as plain text for an attribute.
pub(super) fn fill_text(words: &str, value: &str) -> String {
    words.replace("{0}", value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_in_their_places() {
        let values = [html! { b { "x" } }, html! { "y" }];
        let filled = fill("<{1}> and {0}.", &values).into_string();
        assert_eq!(filled, "&lt;y&gt; and <b>x</b>.");
    }

    #[test]
    fn languages_have_the_same_places() {
        let places = |words: &str| -> Vec<bool> {
            ["{0}", "{1}", "{2}"]
                .map(|place| words.contains(place))
                .to_vec()
        };
        let languages = [Wording::ENGLISH.all(), Wording::CHINESE.all()];
        for ((name, english), (_, chinese)) in languages[0].iter().zip(&languages[1]) {
            assert!(!english.is_empty() && !chinese.is_empty(), "{name}");
            assert_eq!(places(english), places(chinese), "{name}");
        }
    }
}
