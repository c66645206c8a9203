//! Rows with numbers: only ever added, and never moved as a whole.

/// Rows that are moved at most when one is added.
const CHUNK_ROWS: usize = 1024;

/// A list in chunks. One more row never waits until all others are copied to a larger place.
#[derive(Debug)]
pub(super) struct Slab<T> {
    chunks: Vec<Vec<T>>,
    rows: u32,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            rows: 0,
        }
    }
}

impl<T> Slab<T> {
    /// How many there are, which is the number of the next one.
    pub(super) const fn len(&self) -> u32 {
        self.rows
    }

    /// Adds a row and gives its number; `None`, and nothing is added, when there are as many as there are numbers.
    pub(super) fn push(&mut self, row: T) -> Option<u32> {
        let number = self.rows;
        self.rows = number.checked_add(1)?;
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK_ROWS => chunk.push(row),
            Some(_) | None => self.chunks.push(vec![row]),
        }
        Some(number)
    }

    /// The row with this number.
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        let (chunk, place) = place(number)?;
        self.chunks.get(chunk)?.get(place)
    }

    /// The row with this number, to be changed.
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let (chunk, place) = place(number)?;
        self.chunks.get_mut(chunk)?.get_mut(place)
    }

    /// All of them, in the order of their numbers.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.chunks.iter().flatten()
    }
}

fn place(number: u32) -> Option<(usize, usize)> {
    let number = usize::try_from(number).ok()?;
    Some((
        number.checked_div(CHUNK_ROWS)?,
        number.checked_rem(CHUNK_ROWS)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_found_by_its_number() {
        let mut slab = Slab::default();
        assert_eq!(slab.get(0), None);
        let count = u32::try_from(CHUNK_ROWS * 2 + 1).unwrap();
        for number in 0..count {
            assert_eq!((slab.len(), slab.push(number)), (number, Some(number)));
        }
        *slab.get_mut(1024).unwrap() += 7;
        for number in 0..count {
            let expected = number + if number == 1024 { 7 } else { 0 };
            assert_eq!(slab.get(number), Some(&expected));
        }
        assert_eq!(slab.get(count), None);
        assert_eq!(slab.iter().count(), CHUNK_ROWS * 2 + 1);
    }
}
