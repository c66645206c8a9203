//! Texts of a server, made fit for a terminal and an error message.

use crate::limits::TEXT_BYTES_MAX;

/// One line, bounded, without control characters: a server must not be able to write to somebody's terminal.
pub(crate) fn clean(text: &str) -> Box<str> {
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    text.get(..end)
        .unwrap_or_default()
        .chars()
        .map(|c| if printable(c) { c } else { ' ' })
        .collect::<String>()
        .into()
}

/// Control characters, and the characters that turn the direction of the text around them.
fn printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_endless_texts_do_not_get_through() {
        assert_eq!(&*clean("a\u{1b}[31mb\r\n\u{202e}c"), "a [31mb   c");
        assert!(clean(&"é".repeat(1000)).len() <= TEXT_BYTES_MAX);
    }
}
