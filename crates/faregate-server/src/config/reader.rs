//! Reading TOML with positions, so that every fault can be shown where it is and all of them at once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};

use faregate_types::Timestamp;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigCode, ConfigError, ConfigErrors};
use crate::gateway::limits::CONFIG_ERRORS_MAX;

/// The environment as the program was started with, or as a test wants it.
pub type Env = BTreeMap<String, String>;

/// One file on its way to a configuration.
pub(super) struct Reader<'a> {
    text: &'a str,
    env: &'a Env,
    errors: RefCell<Vec<(usize, ConfigError)>>,
}

/// One table. Every key that is asked for is remembered, so that [`Section::finish`] can name the others.
pub(super) struct Section<'r, 'a> {
    reader: &'r Reader<'a>,
    name: String,
    span: Range<usize>,
    table: &'r DeTable<'a>,
    asked: RefCell<BTreeSet<&'static str>>,
}

/// A text and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) value: String,
    pub(super) span: Range<usize>,
    pub(super) key: String,
}

/// A value that one section takes over from another.
#[derive(Clone, Copy, Debug)]
pub(super) enum Inherited<T> {
    /// It is not there.
    Absent,
    /// It is there and could not be read; that was said once.
    Faulty,
    /// This.
    Is(T),
}

impl<T> Inherited<T> {
    /// A part that was looked for: not there, faulty, or this.
    pub(super) fn found(part: Option<Option<T>>) -> Self {
        match part {
            None => Self::Absent,
            Some(None) => Self::Faulty,
            Some(Some(value)) => Self::Is(value),
        }
    }

    pub(super) const fn as_ref(&self) -> Inherited<&T> {
        match self {
            Self::Absent => Inherited::Absent,
            Self::Faulty => Inherited::Faulty,
            Self::Is(value) => Inherited::Is(value),
        }
    }

    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Inherited<U> {
        match self {
            Self::Absent => Inherited::Absent,
            Self::Faulty => Inherited::Faulty,
            Self::Is(value) => Inherited::Is(change(value)),
        }
    }
}

impl<T: Clone> Inherited<T> {
    /// Reads a text of `section`, if there is one.
    pub(super) fn read(
        section: &Section<'_, '_>,
        key: &'static str,
        read: impl FnOnce(&Text) -> Option<T>,
    ) -> Self {
        match section.text(key) {
            Some(text) => read(&text).map_or(Self::Faulty, Self::Is),
            None if section.has(key) => Self::Faulty,
            None => Self::Absent,
        }
    }

    /// This, or what is inherited.
    pub(super) fn or(self, above: &Self) -> Self {
        match self {
            Self::Absent => above.clone(),
            Self::Faulty | Self::Is(_) => self,
        }
    }

    pub(super) fn get(&self) -> Option<T> {
        match self {
            Self::Is(value) => Some(value.clone()),
            Self::Absent | Self::Faulty => None,
        }
    }

    /// What a part that may be absent comes to; `None` when it is faulty.
    #[expect(clippy::option_option, reason = "the outer one is the fault")]
    pub(super) fn optional(self) -> Option<Option<T>> {
        match self {
            Self::Absent => Some(None),
            Self::Faulty => None,
            Self::Is(value) => Some(Some(value)),
        }
    }

    /// The value; its absence is a fault of `key`.
    pub(super) fn expected(
        &self,
        section: &Section<'_, '_>,
        key: &'static str,
        message: &str,
    ) -> Option<T> {
        if matches!(self, Self::Absent) {
            section.missing(key, message);
        }
        self.get()
    }
}

impl<'a> Reader<'a> {
    pub(super) const fn new(text: &'a str, env: &'a Env) -> Self {
        Self {
            text,
            env,
            errors: RefCell::new(Vec::new()),
        }
    }

    pub(super) const fn env(&self) -> &Env {
        self.env
    }

    /// Parses the file. Faults of syntax are noted; then the second value is true.
    pub(super) fn parse(&self) -> (Spanned<DeTable<'a>>, bool) {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        let broken = !errors.is_empty();
        for error in errors {
            let span = error.span().unwrap_or_default();
            self.fault(ConfigCode::Syntax, &span, "", error.message());
        }
        (table, broken)
    }

    /// Notes a fault for a part that could not be read although nothing was said about it, so that it is never taken for
    /// one that is not there.
    pub(super) fn explained<T>(
        &self,
        part: Option<T>,
        span: &Range<usize>,
        key: &str,
    ) -> Option<T> {
        if part.is_none() && self.errors.borrow().is_empty() {
            self.fault(ConfigCode::Value, span, key, "this part could not be read");
        }
        part
    }

    pub(super) fn root<'r>(&'r self, table: &'r Spanned<DeTable<'a>>) -> Section<'r, 'a> {
        Section {
            reader: self,
            name: String::new(),
            span: 0..0,
            table: table.get_ref(),
            asked: RefCell::default(),
        }
    }

    pub(super) fn fault(
        &self,
        code: ConfigCode,
        span: &Range<usize>,
        key: &str,
        message: impl Into<Box<str>>,
    ) {
        let mut errors = self.errors.borrow_mut();
        if errors.len() >= CONFIG_ERRORS_MAX {
            return;
        }
        let (line, column) = self.place(span.start);
        let key = if key.is_empty() { "file" } else { key };
        let error = ConfigError {
            code,
            line,
            column,
            key: key.into(),
            message: message.into(),
        };
        errors.push((span.start, error));
    }

    /// Line and column, from 1.
    pub(super) fn place(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.matches('\n').count().saturating_add(1);
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            .saturating_add(1);
        (line, column)
    }

    /// The faults noted so far, in the order of the file.
    pub(super) fn faults(self) -> Option<ConfigErrors> {
        let mut errors = self.errors.into_inner();
        errors.sort_by_key(|(offset, _)| *offset);
        let errors: Vec<ConfigError> = errors.into_iter().map(|(_, error)| error).collect();
        (!errors.is_empty()).then_some(ConfigErrors(errors))
    }

    /// Puts the environment in the place of each `${NAME}`.
    fn fill_in(&self, text: &str, span: &Range<usize>, key: &str) -> Option<String> {
        let (mut filled, mut rest) = (String::with_capacity(text.len()), text);
        while let Some((before, after)) = rest.split_once("${") {
            filled.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                self.fault(ConfigCode::Environment, span, key, "expected } after ${");
                return None;
            };
            let Some(value) = self.env.get(name) else {
                let message = format!("the environment has no {}", one_word(name));
                self.fault(ConfigCode::Environment, span, key, message);
                return None;
            };
            filled.push_str(value);
            rest = after;
        }
        filled.push_str(rest);
        Some(filled)
    }
}

impl<'r, 'a> Section<'r, 'a> {
    pub(super) const fn reader(&self) -> &'r Reader<'a> {
        self.reader
    }

    pub(super) const fn span(&self) -> &Range<usize> {
        &self.span
    }

    /// The full name of a key of this section.
    pub(super) fn key(&self, key: &str) -> String {
        if self.name.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.name)
        }
    }

    pub(super) fn fault(&self, code: ConfigCode, key: &str, message: impl Into<Box<str>>) {
        let span = self
            .table
            .get(key)
            .map_or_else(|| self.span.clone(), Spanned::span);
        self.reader.fault(code, &span, &self.key(key), message);
    }

    pub(super) fn missing(&self, key: &str, message: &str) {
        self.fault(ConfigCode::Missing, key, message);
    }

    pub(super) fn has(&self, key: &'static str) -> bool {
        self.value(key).is_some()
    }

    pub(super) fn value(&self, key: &'static str) -> Option<&'r Spanned<DeValue<'a>>> {
        self.asked.borrow_mut().insert(key);
        self.table.get(key)
    }

    /// A text with the environment filled in. A text that is there and empty is a fault.
    pub(super) fn text(&self, key: &'static str) -> Option<Text> {
        let value = self.value(key)?;
        self.text_of(value, self.key(key))
    }

    pub(super) fn required(&self, key: &'static str, message: &str) -> Option<Text> {
        if !self.has(key) {
            self.missing(key, message);
        }
        self.text(key)
    }

    /// A text, or a list of texts.
    pub(super) fn texts(&self, key: &'static str) -> Option<Vec<Text>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Array(items) => {
                let texts = items.iter().enumerate().filter_map(|(index, item)| {
                    self.text_of(
                        item,
                        format!("{}[{}]", self.key(key), index.saturating_add(1)),
                    )
                });
                Some(texts.collect())
            }
            _ => Some(self.text_of(value, self.key(key)).into_iter().collect()),
        }
    }

    /// A text that stands anywhere in the file. `key` is its full name.
    pub(super) fn text_of(&self, value: &Spanned<DeValue<'a>>, key: String) -> Option<Text> {
        let span = value.span();
        let Some(text) = value.get_ref().as_str() else {
            let message = format!("expected a text, found {}", article(value.get_ref()));
            self.reader.fault(ConfigCode::Type, &span, &key, message);
            return None;
        };
        let value = self.reader.fill_in(text, &span, &key)?;
        if value.trim().is_empty() {
            self.reader.fault(
                ConfigCode::Value,
                &span,
                &key,
                "expected a text that is not empty",
            );
            return None;
        }
        Some(Text { value, span, key })
    }

    pub(super) fn number(&self, key: &'static str, allowed: RangeInclusive<u64>) -> Option<u64> {
        let value = self.value(key)?;
        let Some(digits) = value.get_ref().as_integer() else {
            let message = format!(
                "expected a whole number, found {}",
                article(value.get_ref())
            );
            self.fault(ConfigCode::Type, key, message);
            return None;
        };
        let number = u64::from_str_radix(digits.as_str(), digits.radix()).ok();
        let found = number.filter(|number| allowed.contains(number));
        if found.is_none() {
            let message = format!(
                "expected a number from {} to {}",
                allowed.start(),
                allowed.end()
            );
            self.fault(ConfigCode::Value, key, message);
        }
        found
    }

    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            let message = format!("expected true or false, found {}", article(value.get_ref()));
            self.fault(ConfigCode::Type, key, message);
        }
        flag
    }

    /// A moment with its offset from UTC, `2026-12-01T00:00:00Z`.
    pub(super) fn moment(&self, key: &'static str) -> Option<Timestamp> {
        let value = self.value(key)?;
        let found = value.get_ref().as_datetime().and_then(super::moment::secs);
        if found.is_none() {
            let message = "expected a date with time and offset such as 2026-12-01T00:00:00Z";
            self.fault(ConfigCode::Type, key, message);
        }
        found.map(Timestamp::from_secs)
    }

    /// A table below this one.
    pub(super) fn section(&self, key: &'static str) -> Option<Self> {
        let value = self.value(key)?;
        self.section_of(value, self.key(key))
    }

    /// A list of tables below this one. Names count from 1, like people.
    pub(super) fn sections(&self, key: &'static str) -> Vec<Self> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let Some(items) = value.get_ref().as_array() else {
            let message = format!(
                "expected [[{}]], found {}",
                self.key(key),
                article(value.get_ref())
            );
            self.fault(ConfigCode::Type, key, message);
            return Vec::new();
        };
        let sections = items.iter().enumerate().filter_map(|(index, item)| {
            self.section_of(
                item,
                format!("{}[{}]", self.key(key), index.saturating_add(1)),
            )
        });
        sections.collect()
    }

    /// A table that stands anywhere in the file. `name` is its full name.
    pub(super) fn section_of(&self, value: &'r Spanned<DeValue<'a>>, name: String) -> Option<Self> {
        let Some(table) = value.get_ref().as_table() else {
            let message = format!("expected a table, found {}", article(value.get_ref()));
            self.reader
                .fault(ConfigCode::Type, &value.span(), &name, message);
            return None;
        };
        Some(Self {
            reader: self.reader,
            name,
            span: value.span(),
            table,
            asked: RefCell::default(),
        })
    }

    /// Names every key that nobody asked for.
    pub(super) fn finish(self) {
        let asked = self.asked.into_inner();
        for key in self.table.keys() {
            let known = key.get_ref().as_ref();
            if asked.contains(known) {
                continue;
            }
            let shown = one_word(known);
            let name = if self.name.is_empty() {
                shown
            } else {
                format!("{}.{shown}", self.name)
            };
            let message = match nearest(known, &asked) {
                Some(near) => format!("unknown key; did you mean {near}?"),
                None => "unknown key".to_owned(),
            };
            self.reader
                .fault(ConfigCode::UnknownKey, &key.span(), &name, message);
        }
    }
}

pub(super) const fn article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A name from the file, made fit for one line of a message.
fn one_word(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// The known key that differs in at most two letters.
fn nearest(unknown: &str, known: &BTreeSet<&'static str>) -> Option<&'static str> {
    let distances = known.iter().map(|key| (distance(unknown, key), *key));
    distances
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, key)| key)
}

/// How many letters have to be put in, taken out or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, own) in a.chars().take(64).enumerate() {
        let mut last = i;
        let mut next = vec![i.saturating_add(1)];
        for (j, other) in b.iter().enumerate() {
            let change = last.saturating_add(usize::from(own != *other));
            let above = row.get(j.saturating_add(1)).copied().unwrap_or_default();
            let left = next.get(j).copied().unwrap_or_default();
            next.push(
                change
                    .min(above.saturating_add(1))
                    .min(left.saturating_add(1)),
            );
            last = above;
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_key_is_recognised() {
        let known = BTreeSet::from(["price", "pay_to", "match"]);
        assert_eq!(nearest("prize", &known), Some("price"));
        assert_eq!(nearest("payto", &known), Some("pay_to"));
        assert_eq!(nearest("upstream", &known), None);
        assert_eq!(distance("", "ab"), 2);
    }

    #[test]
    fn places_are_counted_like_people_do() {
        let env = Env::new();
        let reader = Reader::new("ab\nçd\n", &env);
        let places: Vec<_> = [0, 1, 3, 5, 99]
            .iter()
            .map(|offset| reader.place(*offset))
            .collect();
        assert_eq!(places, [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)]);
    }
}
