//! Label sets as types: what `#[derive(Labels)]` and `#[derive(LabelValue)]` implement.
//!
//! A struct is a label set, each field a label. Values that can be numbered (enums, booleans, options of
//! them) are found by their number alone; others by comparison. Nothing here is text until a series is
//! created.

use std::borrow::Cow;
use std::fmt;

/// A set of labels: a struct whose fields are [values](LabelValue).
///
/// ```
/// use headcount::labels::{LabelValue, Labels, Value, product};
///
/// struct Request<'a> {
///     cached: bool,
///     route: &'a str,
/// }
///
/// // What the derive macro writes:
/// impl Labels for Request<'_> {
///     const COUNT: Option<usize> = product(&[<bool as LabelValue>::COUNT, <&str as LabelValue>::COUNT]);
///
///     fn names(prefix: &str, names: &mut Vec<String>) {
///         names.push(format!("{prefix}cached"));
///         names.push(format!("{prefix}route"));
///     }
///
///     fn index(&self) -> usize {
///         self.cached.index() * <&str as LabelValue>::COUNT.unwrap_or(1) + self.route.index()
///     }
///
///     fn visit<'a>(&'a self, visit: &mut impl FnMut(Value<'a>)) {
///         visit(self.cached.value());
///         visit(self.route.value());
///     }
/// }
///
/// assert_eq!(Request::COUNT, None);
/// ```
///
/// A field that is a label set itself adds its own labels: `names` and `visit` pass both arguments on to
/// it, the prefix with what is to stand before the names; `COUNT` and `index` treat it as one value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no set of labels",
    note = "a struct whose fields are labels derives `headcount::Labels`"
)]
pub trait Labels {
    /// How many different sets there are: the [`product`] over the fields. `None` if they cannot be numbered.
    const COUNT: Option<usize> = None;

    /// Appends the names of the labels, each with `prefix` before it.
    fn names(prefix: &str, names: &mut Vec<String>);

    /// The number of this set, below [`COUNT`](Self::COUNT): the fields' numbers as digits, the last field's
    /// the lowest. Not asked for if there is no `COUNT`.
    fn index(&self) -> usize {
        0
    }

    /// Calls `visit` with each value, in the order of the [names](Self::names).
    fn visit<'a>(&'a self, visit: &mut impl FnMut(Value<'a>));
}

/// What can be the value of a label.
///
/// ```
/// use headcount::labels::{LabelValue, Value};
///
/// #[derive(Clone, Copy)]
/// enum Method {
///     Get,
///     Post,
/// }
///
/// // What the derive macro writes:
/// impl LabelValue for Method {
///     const COUNT: Option<usize> = Some(2);
///     const TEXTS: &'static [&'static str] = &["get", "post"];
///
///     fn index(&self) -> usize {
///         *self as usize
///     }
///
///     fn value(&self) -> Value<'_> {
///         Value::Variant(self.index(), Self::TEXTS[self.index()])
///     }
/// }
///
/// assert_eq!(Some(Method::Post).value().to_string(), "post");
/// assert_eq!((Some(Method::Post).index(), None::<Method>.index()), (2, 0));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of a label",
    note = "an enum without fields, or a struct around one value, derives `headcount::LabelValue`"
)]
pub trait LabelValue {
    /// How many different values there are; `None` if they cannot be numbered.
    const COUNT: Option<usize> = None;

    /// The texts of all values, by their numbers: what makes a type one of states. Nothing, if there are none, or
    /// too many to list.
    const TEXTS: &'static [&'static str] = &[];

    /// The number of this value, below [`COUNT`](Self::COUNT). Not asked for if there is none.
    fn index(&self) -> usize {
        0
    }

    /// The value. The same value is always the same [`Value`], and shows as the same text.
    fn value(&self) -> Value<'_>;
}

/// The value of a label, in the form in which it is found fastest.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Text that is compared.
    Text(&'a str),
    /// Text that stays where it is: found by its address first.
    Literal(&'static str),
    /// One of the values of a type that can be numbered, and its text.
    Variant(usize, &'static str),
    /// A whole number.
    Unsigned(u64),
    /// A whole number, perhaps below 0.
    Signed(i64),
    /// No value: a series without this label.
    Absent,
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Literal(text) | Self::Variant(_, text) => f.write_str(text),
            Self::Unsigned(number) => number.fmt(f),
            Self::Signed(number) => number.fmt(f),
            // To Prometheus an empty label is one that is not there.
            Self::Absent => Ok(()),
        }
    }
}

/// A text that stays where it is, as a label: found by its address, without looking at it.
///
/// ```
/// use headcount::{Counter, Literal, metric};
///
/// /// Pages shown.
/// #[metric]
/// fn pages(name: Literal) -> Counter;
///
/// pages(Literal("start")).inc();
/// assert!(headcount::render().contains("pages_total{name=\"start\"} 1\n"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Literal(pub &'static str);

/// How many combinations there are of values of which there are so many each; `None` if they cannot be
/// numbered.
#[must_use]
pub const fn product(counts: &[Option<usize>]) -> Option<usize> {
    let mut product: usize = 1;
    let mut at = 0;
    while at < counts.len() {
        let Some(count) = counts[at] else { return None };
        let Some(more) = product.checked_mul(count) else { return None };
        product = more;
        at += 1;
    }
    Some(product)
}

impl LabelValue for str {
    #[inline]
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl LabelValue for String {
    #[inline]
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl LabelValue for Cow<'_, str> {
    #[inline]
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl LabelValue for Literal {
    #[inline]
    fn value(&self) -> Value<'_> {
        Value::Literal(self.0)
    }
}

impl LabelValue for bool {
    const COUNT: Option<usize> = Some(2);
    const TEXTS: &'static [&'static str] = &["false", "true"];

    #[inline]
    fn index(&self) -> usize {
        usize::from(*self)
    }

    #[inline]
    fn value(&self) -> Value<'_> {
        Value::Variant(self.index(), Self::TEXTS[self.index()])
    }
}

macro_rules! whole_numbers {
    ($variant:ident: $($number:ty)*) => {$(
        impl LabelValue for $number {
            #[inline]
            #[allow(clippy::cast_lossless, reason = "some of these types are as long as the widest")]
            fn value(&self) -> Value<'_> {
                Value::$variant(*self as _)
            }
        }
    )*};
}

whole_numbers!(Unsigned: u8 u16 u32 u64 usize);
whole_numbers!(Signed: i8 i16 i32 i64 isize);

impl<T: LabelValue> LabelValue for Option<T> {
    const COUNT: Option<usize> = match T::COUNT {
        Some(count) => count.checked_add(1),
        None => None,
    };

    #[inline]
    fn index(&self) -> usize {
        self.as_ref().map_or(0, |value| value.index() + 1)
    }

    #[inline]
    fn value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Absent, LabelValue::value)
    }
}

impl<T: LabelValue + ?Sized> LabelValue for &T {
    const COUNT: Option<usize> = T::COUNT;
    const TEXTS: &'static [&'static str] = T::TEXTS;

    #[inline]
    fn index(&self) -> usize {
        (**self).index()
    }

    #[inline]
    fn value(&self) -> Value<'_> {
        (**self).value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_show_as_prometheus_shows_them() {
        let check = |value: &dyn Fn() -> String, expected| assert_eq!(value(), expected);
        check(&|| "a\"b".value().to_string(), "a\"b");
        check(&|| Cow::Borrowed("x").value().to_string(), "x");
        check(&|| Literal("x").value().to_string(), "x");
        check(&|| true.value().to_string(), "true");
        check(&|| u64::MAX.value().to_string(), "18446744073709551615");
        check(&|| i64::MIN.value().to_string(), "-9223372036854775808");
        check(&|| None::<&str>.value().to_string(), "");
        check(&|| Some(7_u16).value().to_string(), "7");
    }

    #[test]
    fn only_finite_values_are_numbered() {
        assert_eq!(product(&[<Option<bool>>::COUNT, bool::COUNT]), Some(6));
        assert_eq!(product(&[bool::COUNT, u8::COUNT]), None);
        assert_eq!(product(&[Some(usize::MAX), Some(2)]), None);
        assert_eq!(product(&[]), Some(1));
        assert_eq!([None, Some(false), Some(true)].map(|value| value.index()), [0, 1, 2]);
    }
}
