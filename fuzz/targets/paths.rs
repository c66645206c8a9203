//! Paths and patterns: one reading each. What goes to the service behind is read as the path that was matched.
#![no_main]

use faregate_core::route::{RoutePattern, RouteTable, normalise_path};
use http::Method;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (pattern, path) = text.split_once('\n').unwrap_or(("GET /a/*", text));
    if let Ok(path) = normalise_path(path) {
        let again = normalise_path(path.wire()).expect("a normalised path is a path");
        assert_eq!((again.wire(), again.key()), (path.wire(), path.key()));
    }
    let (Ok(pattern), Ok(path)) = (RoutePattern::parse(pattern), normalise_path(path)) else {
        return;
    };
    let table = RouteTable::new([(pattern, ())]);
    let again = normalise_path(path.wire()).expect("a normalised path is a path");
    for method in [Method::GET, Method::HEAD, Method::POST] {
        let (first, second) = (
            table.find(&method, None, &path),
            table.find(&method, None, &again),
        );
        assert_eq!(first, second);
    }
});
