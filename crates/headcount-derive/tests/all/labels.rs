//! Structs as label sets: what the derive macros say of names, numbers and values.

use std::borrow::Cow;
use std::collections::HashSet;

use headcount::labels::Value;
use headcount::{LabelValue, Labels};

#[derive(Clone, Copy, Debug, LabelValue)]
enum Method {
    Get = 7,
    NotAllowed = 3,
}

#[derive(Clone, Copy, Debug, LabelValue)]
struct Cached(bool);

#[derive(Debug, LabelValue)]
struct Route<'a>(&'a str);

#[derive(Clone, Copy, Debug, Labels)]
#[label(prefix = "cache_")]
struct Cache {
    hit: Option<bool>,
    #[label(rename = "kind")]
    method: Method,
}

#[derive(Clone, Copy, Debug, Labels)]
struct Numbered {
    method: Method,
    #[label(flatten, prefix = "x_")]
    cache: Cache,
    cached: Cached,
}

#[derive(Debug, Labels)]
struct Everything<'a, T> {
    route: Route<'a>,
    cow: Cow<'a, str>,
    string: String,
    generic: T,
    #[label(skip)]
    _skipped: f64,
    #[label(flatten)]
    numbered: Numbered,
    signed: i8,
    r#type: Option<&'a str>,
}

#[derive(Debug, Labels)]
struct Nothing {}

fn names<L: Labels>() -> Vec<String> {
    let mut names = Vec::new();
    L::names("", &mut names);
    names
}

fn texts(labels: &impl Labels) -> Vec<String> {
    let mut texts = Vec::new();
    labels.visit(&mut |value| texts.push(value.to_string()));
    texts
}

#[test]
fn each_value_stands_at_the_place_of_its_name() {
    let cache = Cache { hit: Some(true), method: Method::Get };
    let numbered = Numbered { method: Method::NotAllowed, cache, cached: Cached(false) };
    let everything = Everything {
        route: Route("/a"),
        cow: Cow::Borrowed("cow"),
        string: "string".to_owned(),
        generic: 7_u16,
        _skipped: 1.5,
        numbered,
        signed: -1,
        r#type: None,
    };
    let expected = [
        ("route", "/a"),
        ("cow", "cow"),
        ("string", "string"),
        ("generic", "7"),
        ("method", "not_allowed"),
        ("x_cache_hit", "true"),
        ("x_cache_kind", "get"),
        ("cached", "false"),
        ("signed", "-1"),
        ("type", ""),
    ];
    assert_eq!(names::<Everything<'_, u16>>(), expected.map(|(name, _)| name));
    assert_eq!(texts(&everything), expected.map(|(_, text)| text));
    assert_eq!(<Everything<'_, u16> as Labels>::COUNT, None);
}

#[test]
fn sets_of_numbered_values_have_each_a_number_of_their_own() {
    let mut numbers = HashSet::new();
    for method in [Method::Get, Method::NotAllowed] {
        for hit in [None, Some(false), Some(true)] {
            for kind in [Method::Get, Method::NotAllowed] {
                for cached in [Cached(false), Cached(true)] {
                    let cache = Cache { hit, method: kind };
                    let index = Numbered { method, cache, cached }.index();
                    assert!(index < Numbered::COUNT.unwrap());
                    assert!(numbers.insert(index));
                }
            }
        }
    }
    assert_eq!(Numbered::COUNT, Some(numbers.len()));
}

#[test]
fn a_variant_is_found_by_its_place_and_not_by_its_discriminant() {
    assert_eq!([Method::Get, Method::NotAllowed].map(|method| method.index()), [0, 1]);
    assert!(matches!(Method::NotAllowed.value(), Value::Variant(1, "not_allowed")));
}

#[test]
fn a_set_without_labels_is_one_set() {
    assert_eq!((Nothing::COUNT, Nothing {}.index(), names::<Nothing>()), (Some(1), 0, Vec::new()));
    assert!(texts(&Nothing {}).is_empty());
}
