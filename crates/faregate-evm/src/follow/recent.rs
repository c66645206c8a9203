//! A map that forgets what was not used for long, so that it never grows beyond its bound.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// Two generations: what is looked up lives in the young one. When that is full it becomes the old one, and the old one
/// is forgotten. Holds at most `entries_max` entries, and keeps at least the half that was used last.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Eq + Hash, V> Recent<K, V> {
    pub(crate) fn new(entries_max: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            half: (entries_max >> 1).max(1),
        }
    }

    /// An entry, which counts as used.
    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.insert(key, value);
        }
        self.young.get(key)
    }

    /// An entry to change. Does not count as used.
    pub(crate) fn peek_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        match self.young.get_mut(key) {
            Some(value) => Some(value),
            None => self.old.get_mut(key),
        }
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.old.remove(&key);
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    pub(crate) fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        self.young.remove(key);
        self.old.remove(key);
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&V) -> bool) {
        self.young.retain(|_, value| keep(value));
        self.old.retain(|_, value| keep(value));
    }

    pub(crate) fn len(&self) -> usize {
        self.young.len().saturating_add(self.old.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_in_its_bound_and_keeps_what_is_used() {
        let mut map = Recent::new(100);
        map.insert(0, 0);
        for key in 1..10_000_u32 {
            map.insert(key, key);
            assert_eq!(map.get(&0), Some(&0), "used all the time");
            assert_eq!(map.get(&key), Some(&key));
            assert!(map.len() <= 100, "{}", map.len());
            let last = key.saturating_sub(49);
            assert!(map.peek_mut(&last).is_some(), "the last half is there");
        }
        assert!(map.get(&1).is_none(), "forgotten");
    }

    #[test]
    fn an_entry_is_in_one_generation_only() {
        let mut map = Recent::new(4);
        for key in 0..3 {
            map.insert(key, 'a');
        }
        map.insert(0, 'b');
        assert_eq!(map.get(&0), Some(&'b'));
        map.remove(&0);
        assert_eq!(map.get(&0), None);
        map.retain(|_| false);
        assert_eq!(map.len(), 0);
    }
}
