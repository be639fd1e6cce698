//! `#[derive(LabelValue)]`: enums whose variants are values, and structs that stand for what they hold.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DataEnum, DeriveInput, Fields, Type};

use crate::attribute::{Label, Place};
use crate::case::Case;

pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let body = match &input.data {
        Data::Enum(variants) => of_enum(input, variants)?,
        Data::Struct(data) => match &data.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => of_newtype(&fields.unnamed[0].ty),
            _ => return Err(refused(input)),
        },
        Data::Union(_) => return Err(refused(input)),
    };
    let (name, (generics, arguments, conditions)) = (&input.ident, input.generics.split_for_impl());
    Ok(quote! {
        #[automatically_derived]
        impl #generics ::headcount::labels::LabelValue for #name #arguments #conditions { #body }
    })
}

fn refused(input: &DeriveInput) -> syn::Error {
    let message = format!(
        "`{}`: a label's value is an enum without fields, or a struct around one value, `struct A(B)`",
        input.ident
    );
    syn::Error::new_spanned(&input.ident, message)
}

fn of_enum(input: &DeriveInput, variants: &DataEnum) -> syn::Result<TokenStream> {
    let case = Label::parse(&input.attrs, &Place::Enum, &format!("enum `{}`", input.ident))?.rename_all;
    let mut texts: Vec<String> = Vec::new();
    for variant in &variants.variants {
        let of = format!("variant `{}`", variant.ident);
        if !variant.fields.is_empty() {
            let message = format!("{of} has fields: only variants without any can be numbered");
            return Err(syn::Error::new_spanned(variant, message));
        }
        let text = match Label::parse(&variant.attrs, &Place::Variant, &of)?.rename {
            Some(text) => text.value(),
            None => case.unwrap_or(Case::Snake).apply(&variant.ident.to_string()),
        };
        if let Some(other) = texts.iter().position(|known| *known == text) {
            let other = &variants.variants[other].ident;
            let message = format!("{of} is `{text}`, and so is variant `{other}`");
            return Err(syn::Error::new_spanned(variant, message));
        }
        texts.push(text);
    }
    if texts.is_empty() {
        return Err(refused(input));
    }
    let (count, numbers) = (texts.len(), 0..texts.len());
    let names = variants.variants.iter().map(|variant| &variant.ident);
    Ok(quote! {
        const COUNT: ::std::option::Option<usize> = ::std::option::Option::Some(#count);
        const TEXTS: &'static [&'static str] = &[#(#texts),*];

        #[inline]
        fn index(&self) -> usize {
            match self { #(Self::#names => #numbers,)* }
        }

        #[inline]
        fn value(&self) -> ::headcount::labels::Value<'_> {
            let index = ::headcount::labels::LabelValue::index(self);
            ::headcount::labels::Value::Variant(index, Self::TEXTS[index])
        }
    })
}

fn of_newtype(inner: &Type) -> TokenStream {
    quote! {
        const COUNT: ::std::option::Option<usize> = <#inner as ::headcount::labels::LabelValue>::COUNT;
        const TEXTS: &'static [&'static str] = <#inner as ::headcount::labels::LabelValue>::TEXTS;

        #[inline]
        fn index(&self) -> usize {
            ::headcount::labels::LabelValue::index(&self.0)
        }

        #[inline]
        fn value(&self) -> ::headcount::labels::Value<'_> {
            ::headcount::labels::LabelValue::value(&self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(input: &str) -> String {
        derive(&syn::parse_str(input).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_value_is_refused_with_its_name() {
        assert_eq!(
            refusal("enum A { B, C(u8) }"),
            "variant `C` has fields: only variants without any can be numbered"
        );
        assert_eq!(
            refusal("enum A { B, #[label(rename = \"b\")] C }"),
            "variant `C` is `b`, and so is variant `B`"
        );
        assert_eq!(
            refusal("enum A { #[label(skip)] B }"),
            "variant `B`: `skip` is not known here, only `rename`"
        );
        assert!(
            refusal("#[label(rename_all = \"Snake\")] enum A { B }").starts_with("enum `A`: the cases are")
        );
        assert!(refusal("struct A { b: u8 }").starts_with("`A`: a label's value is"));
        assert!(refusal("enum A {}").starts_with("`A`: a label's value is"));
    }
}
