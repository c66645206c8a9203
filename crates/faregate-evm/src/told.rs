//! A value that is told once, to everybody who waits for it, in the order in which they began to wait. (The listeners of a
//! watch channel are woken in any order; then a simulated run could not be repeated.)

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The one who tells. Dropped without a word, nobody will hear anything.
pub(crate) struct Teller<T>(Arc<Shared<T>>);

/// One who waits.
pub(crate) struct Told<T>(Arc<Shared<T>>);

struct Shared<T> {
    state: Mutex<State<T>>,
    bell: Notify,
}

enum State<T> {
    Open,
    Told(T),
    Gone,
}

/// A value to come.
pub(crate) fn channel<T>() -> (Teller<T>, Told<T>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State::Open),
        bell: Notify::new(),
    });
    (Teller(Arc::clone(&shared)), Told(shared))
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, end: State<T>) {
        let mut state = self.lock();
        if matches!(*state, State::Open) {
            *state = end;
            drop(state);
            self.bell.notify_waiters();
        }
    }
}

impl<T> Teller<T> {
    /// Only what is told first counts.
    pub(crate) fn tell(&self, value: T) {
        self.0.end(State::Told(value));
    }
}

impl<T> Drop for Teller<T> {
    fn drop(&mut self) {
        self.0.end(State::Gone);
    }
}

impl<T> Told<T> {
    /// True while it may still be told.
    pub(crate) fn is_open(&self) -> bool {
        matches!(*self.0.lock(), State::Open)
    }
}

impl<T: Clone> Told<T> {
    /// The value, if it was told.
    pub(crate) fn now(&self) -> Option<T> {
        match &*self.0.lock() {
            State::Told(value) => Some(value.clone()),
            State::Open | State::Gone => None,
        }
    }

    /// The value; `None` when nobody will tell it.
    pub(crate) async fn wait(&self) -> Option<T> {
        let bell = self.0.bell.notified();
        tokio::pin!(bell);
        // Before looking, so that nothing is missed in between.
        bell.as_mut().enable();
        if self.is_open() {
            bell.await;
        }
        self.now()
    }
}

impl<T> Clone for Told<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Teller<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Teller")
    }
}

impl<T> fmt::Debug for Told<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_hears_the_first_word_in_the_order_in_which_they_came() {
        let (teller, told) = channel();
        let order = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..40)
            .map(|number| {
                let (told, order) = (told.clone(), Arc::clone(&order));
                tokio::spawn(async move {
                    let value = told.wait().await;
                    order.lock().unwrap().push(number);
                    value
                })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(told.now(), None);
        teller.tell(7);
        teller.tell(8);
        for task in tasks {
            assert_eq!(task.await.unwrap(), Some(7));
        }
        assert_eq!(*order.lock().unwrap(), (0..40).collect::<Vec<_>>());
        assert_eq!((told.now(), told.wait().await), (Some(7), Some(7)));
    }

    #[tokio::test]
    async fn who_goes_without_a_word_is_not_waited_for() {
        let (teller, told) = channel::<u8>();
        let waiting = tokio::spawn({
            let told = told.clone();
            async move { told.wait().await }
        });
        tokio::task::yield_now().await;
        drop(teller);
        assert_eq!(waiting.await.unwrap(), None);
        assert_eq!(told.wait().await, None);
    }
}
