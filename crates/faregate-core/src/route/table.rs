//! Many routes, first match wins.

use std::collections::BTreeMap;

use http::Method;

use super::path::{NormalisedPath, other_readings};
use super::pattern::RoutePattern;

/// Routes in the seller's order, each with what it stands for.
#[derive(Clone, Debug)]
pub struct RouteTable<T> {
    entries: Vec<(RoutePattern, T)>,
    /// Patterns without wildcards by the one key they match; the numbers are positions in `entries`, ascending.
    literals: BTreeMap<Box<str>, Vec<usize>>,
    /// Positions of the patterns with wildcards, ascending.
    wildcards: Vec<usize>,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup<'t, T> {
    /// The first route that matches.
    Route(&'t T),
    /// No route.
    Unmatched,
    /// The path has an encoded slash or a `;` parameter, and a program that reads these differently would find another
    /// route. Refused, so that nobody chooses between two prices.
    Ambiguous,
}

/// A route that never wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// The position of the route that takes everything first.
    pub by: usize,
    /// The position of the route that gets nothing.
    pub route: usize,
}

impl<T> RouteTable<T> {
    /// A table in this order.
    pub fn new(routes: impl IntoIterator<Item = (RoutePattern, T)>) -> Self {
        let entries: Vec<(RoutePattern, T)> = routes.into_iter().collect();
        let (mut literals, mut wildcards) = (BTreeMap::<_, Vec<usize>>::new(), Vec::new());
        for (position, (pattern, _)) in entries.iter().enumerate() {
            match pattern.literal() {
                Some(key) => literals.entry(key).or_default().push(position),
                None => wildcards.push(position),
            }
        }
        Self {
            entries,
            literals,
            wildcards,
        }
    }

    /// The route of a request. Allocates nothing for a path without `%2f` and `;`.
    #[must_use]
    pub fn find(
        &self,
        method: &Method,
        host: Option<&str>,
        path: &NormalisedPath<'_>,
    ) -> Lookup<'_, T> {
        let first = self.position(method, host, path.key());
        let mut others = other_readings(path.key());
        if others.any(|reading| self.position(method, host, &reading) != first) {
            return Lookup::Ambiguous;
        }
        match first.and_then(|position| self.entries.get(position)) {
            Some((_, value)) => Lookup::Route(value),
            None => Lookup::Unmatched,
        }
    }

    /// True when some route takes the path, whatever the method: the difference between 405 and 404.
    #[must_use]
    pub fn knows_path(&self, host: Option<&str>, path: &NormalisedPath<'_>) -> bool {
        self.position(&Method::OPTIONS, host, path.key()).is_some()
    }

    /// Every route that stands behind one that takes all its requests.
    #[must_use]
    pub fn shadows(&self) -> Vec<Shadow> {
        let mut shadows = Vec::new();
        for (route, (pattern, _)) in self.entries.iter().enumerate() {
            let before = self.entries.iter().take(route);
            if let Some(by) = before
                .enumerate()
                .find_map(|(by, (first, _))| first.covers(pattern).then_some(by))
            {
                shadows.push(Shadow { by, route });
            }
        }
        shadows
    }

    /// The routes in order.
    pub fn iter(&self) -> impl Iterator<Item = (&RoutePattern, &T)> {
        self.entries.iter().map(|(pattern, value)| (pattern, value))
    }

    fn position(&self, method: &Method, host: Option<&str>, key: &str) -> Option<usize> {
        let takes = |position: &&usize| {
            self.entries.get(**position).is_some_and(|(pattern, _)| {
                pattern.takes_method(method) && pattern.takes_host(host)
            })
        };
        let literal = self
            .literals
            .get(key)
            .and_then(|same| same.iter().find(takes))
            .copied();
        let wildcard = self
            .wildcards
            .iter()
            .take_while(|position| literal.is_none_or(|literal| **position < literal))
            .filter(takes)
            .find(|position| {
                self.entries
                    .get(**position)
                    .is_some_and(|(pattern, _)| pattern.matches_key(key))
            })
            .copied();
        wildcard.or(literal)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::normalise_path;
    use super::*;

    fn table(patterns: &[&str]) -> RouteTable<usize> {
        RouteTable::new(
            patterns
                .iter()
                .enumerate()
                .map(|(index, text)| (RoutePattern::parse(text).unwrap(), index)),
        )
    }

    #[test]
    fn the_first_match_wins() {
        let table = table(&[
            "POST /a", "GET /a/*", "/a", "/b", "GET /b", "HEAD /c", "/w/[id]", "/w/free",
        ]);
        for (method, path, expected) in [
            (Method::POST, "/a", Lookup::Route(&0)),
            (Method::GET, "/a", Lookup::Route(&1)),
            (Method::PUT, "/a", Lookup::Route(&2)),
            (Method::PUT, "/a/x", Lookup::Unmatched),
            (Method::GET, "/b", Lookup::Route(&3)),
            (Method::GET, "/c", Lookup::Unmatched),
            (Method::HEAD, "/c", Lookup::Route(&5)),
            (Method::GET, "/w/free", Lookup::Route(&6)),
            (Method::GET, "/", Lookup::Unmatched),
            // other readings: the same route, nothing, or another route
            (Method::GET, "/w/1;v=2", Lookup::Route(&6)),
            (Method::GET, "/w/a%2Fb", Lookup::Ambiguous),
            (Method::GET, "/b;x", Lookup::Ambiguous),
            (Method::GET, "/a%2Fb", Lookup::Ambiguous),
            (Method::GET, "/z;x%2Fb", Lookup::Unmatched),
            (Method::GET, "/a/x%2Fy", Lookup::Route(&1)),
        ] {
            assert_eq!(
                table.find(&method, None, &normalise_path(path).unwrap()),
                expected,
                "{method} {path}"
            );
        }
        let known = |path| table.knows_path(None, &normalise_path(path).unwrap());
        assert!(known("/c") && known("/a/x") && !known("/d"));
    }

    #[test]
    fn shadows_are_found() {
        let found = table(&["/a/*", "GET /a/b", "POST /c", "GET /c", "HEAD /c", "/a"]).shadows();
        let expected = [(0, 1), (3, 4), (0, 5)].map(|(by, route)| Shadow { by, route });
        assert_eq!(found, expected);
    }

    proptest! {
        #[test]
        fn the_index_agrees_with_a_walk(
            patterns in prop::collection::vec("(GET |POST |)(/(a|b|\\*|:p)){1,3}", 1..8),
            path in "(/[ab]){1,3}",
        ) {
            let patterns: Vec<RoutePattern> = patterns.iter().map(|text| RoutePattern::parse(text).unwrap()).collect();
            let table = RouteTable::new(patterns.iter().cloned().zip(0_usize..));
            let path = normalise_path(&path).unwrap();
            let walked = patterns.iter().position(|pattern| pattern.matches(&Method::GET, None, &path));
            let found = match table.find(&Method::GET, None, &path) {
                Lookup::Route(index) => Some(*index),
                Lookup::Unmatched | Lookup::Ambiguous => None,
            };
            prop_assert_eq!(found, walked);
        }
    }
}
