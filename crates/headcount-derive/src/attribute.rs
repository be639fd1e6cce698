//! What `#[label(…)]` says, at a struct, an enum, a field or a variant.

use quote::ToTokens;
use syn::{Attribute, LitStr};

use crate::case::Case;

/// What may be said in one place; which of it makes sense there is for the caller to check.
#[derive(Default)]
pub(crate) struct Label {
    pub(crate) rename: Option<LitStr>,
    pub(crate) rename_all: Option<Case>,
    pub(crate) prefix: Option<LitStr>,
    pub(crate) skip: bool,
    pub(crate) flatten: bool,
}

/// The words that `#[label(…)]` knows, where it stands.
pub(crate) enum Place {
    Enum,
    Variant,
    Struct,
    Field,
}

impl Place {
    fn words(&self) -> &'static [&'static str] {
        match self {
            Self::Enum => &["rename_all"],
            Self::Variant => &["rename"],
            Self::Struct => &["prefix"],
            Self::Field => &["rename", "skip", "flatten", "prefix"],
        }
    }
}

impl Label {
    /// Reads it. `of` is how an error calls the place: "field `route`".
    pub(crate) fn parse(attributes: &[Attribute], place: &Place, of: &str) -> syn::Result<Self> {
        let mut label = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("label")) {
            attribute.parse_nested_meta(|meta| {
                let word = meta.path.to_token_stream().to_string();
                if !place.words().contains(&word.as_str()) {
                    let known = place.words().join("`, `");
                    return Err(meta.error(format!("{of}: `{word}` is not known here, only `{known}`")));
                }
                match word.as_str() {
                    "skip" => label.skip = true,
                    "flatten" => label.flatten = true,
                    "rename" => label.rename = Some(meta.value()?.parse()?),
                    "prefix" => label.prefix = Some(meta.value()?.parse()?),
                    _ => label.rename_all = Some(Case::parse(&meta.value()?.parse()?, of)?),
                }
                Ok(())
            })?;
        }
        Ok(label)
    }
}
