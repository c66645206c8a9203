//! The reference page of error codes, made from the one table in `faregate-types`.

use std::fmt::Write as _;

use faregate_types::{Code, Retry};

use crate::page;

const PAGE: &str = "docs/src/reference/codes.md";

/// Writes the page.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write() -> Result<String, String> {
    page::write(PAGE, &text())
}

/// Checks that the committed page is the table's.
///
/// # Errors
/// When they differ.
pub(crate) fn check() -> Result<String, String> {
    page::check(PAGE, &text(), "table says", "codes")
}

fn text() -> String {
    let mut text = String::from(
        "# Error codes\n\nEvery refusal carries one of these codes. They are stable: texts may change, codes do not.\n\
         *Blame* says whose move it is; *retry* says whether sending the same again can help; *status* is the HTTP status \
         on Faregate's own endpoints (a rail's own protocol wins: x402 verdicts are always 200).\n\n\
         | code | status | blame | retry | meaning |\n|---|---|---|---|---|\n",
    );
    for code in Code::ALL {
        let retry = match code.retry() {
            Retry::Never => "never".to_owned(),
            Retry::Same => "same".to_owned(),
            Retry::AfterSecs(secs) => format!("after {secs} s"),
        };
        // Writing to a String cannot fail.
        writeln!(
            text,
            "| <a id=\"{name}\"></a>`{name}` | {} | {} | {retry} | {} |",
            code.http_status(),
            code.blame(),
            code.meaning(),
            name = code.as_str()
        )
        .unwrap_or(());
    }
    text
}
