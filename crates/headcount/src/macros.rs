//! What the code that macros make calls. Not for use by hand: it changes without notice.

/// Calls `body`, of which it is said here that it runs once: so it may give away what it has borrowed.
#[inline]
pub fn call<R>(body: impl FnOnce() -> R) -> R {
    body()
}

/// The type of a value that never is.
#[must_use]
pub fn never<R>() -> R {
    unreachable!("stands in a branch that is never taken")
}

/// What is chosen by a result.
#[inline]
pub fn given<R, M>(result: &R, choose: impl FnOnce(&R) -> M) -> M {
    choose(result)
}

/// What is chosen by an error, if the result is one.
#[inline]
pub fn given_error<T, E, M>(result: &Result<T, E>, choose: impl FnOnce(&E) -> M) -> Option<M> {
    result.as_ref().err().map(choose)
}

/// Says of a closure what it will be called with.
#[inline]
pub fn prepared<R, M, F: FnOnce(&R) -> M>(choose: F) -> F {
    choose
}

/// As [`prepared`], for the error in a result of type `R`.
#[inline]
pub fn prepared_error<R: Fallible, M, F: FnOnce(&R::Error) -> M>(choose: F) -> F {
    choose
}

/// Whether a result is an error.
#[inline]
pub fn is_error<T, E>(result: &Result<T, E>) -> bool {
    result.is_err()
}

/// A result, whatever its name.
pub trait Fallible {
    /// Of what type the error is.
    type Error;
}

impl<T, E> Fallible for Result<T, E> {
    type Error = E;
}
