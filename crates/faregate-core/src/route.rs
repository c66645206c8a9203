//! Which route a request is for. One normalised matcher, used by every edge (x402 spec §1.1, "Route matching").
//!
//! A router behind the gate that reads a path differently gives the priced thing away, so there is one way to read a
//! path ([`normalise_path`]), one way to compare it ([`RoutePattern`]), and a path that another program could well read
//! differently is not routed at all ([`Lookup::Ambiguous`]).
//!
//! | rule | example |
//! |---|---|
//! | `METHOD path`, or a path for every method | `POST /a`, `/a` |
//! | `*` stands for any text, `[p]` and `:p` for one segment | `/v*/x`, `/w/[id]`, `/w/:id` |
//! | a trailing `/*` also matches the bare prefix (v1 of the peers lacked this; ours is v2's answer) | `/api/*` takes `/api` |
//! | letter case, repeated slashes, a trailing slash, query and fragment do not matter | `//A/?x=1` is `/a` |
//! | segments are percent-decoded once, an encoded slash stays one | `/%62` is `/b`, `/a%2Fb` is not `/a/b` |
//! | `GET` routes take `HEAD` too, so it is never a free way around | |
//! | first match wins | |
//!
//! ```
//! use faregate_core::route::{Lookup, RoutePattern, RouteTable, normalise_path};
//! use http::Method;
//!
//! let table = RouteTable::new([(RoutePattern::parse("GET /api/[id]/*").unwrap(), "priced")]);
//! let path = normalise_path("//API/7/x?page=2").unwrap();
//! assert_eq!(table.find(&Method::HEAD, None, &path), Lookup::Route(&"priced"));
//! ```

mod path;
mod pattern;
mod table;

pub use path::{NormalisedPath, PATH_BYTES_MAX, PathError, normalise_path};
pub use pattern::{PATTERN_BYTES_MAX, PatternError, RoutePattern};
pub use table::{Lookup, RouteTable, Shadow};
