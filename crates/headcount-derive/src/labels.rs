//! `#[derive(Labels)]`: structs whose fields are labels.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Field, Fields, Ident, Type};

use crate::attribute::{Label, Place};

/// A field that is a label, or several.
struct Part<'a> {
    ident: &'a Ident,
    ty: &'a Type,
    /// The label's name, or what is to stand before the names of a label set that is flattened.
    name: String,
    flatten: bool,
}

pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let of = format!("struct `{}`", input.ident);
    let Data::Struct(data) = &input.data else {
        let message = format!("`{}`: a label set is a struct; an enum is a label's value", input.ident);
        return Err(syn::Error::new_spanned(&input.ident, message));
    };
    if let Fields::Unnamed(fields) = &data.fields {
        let message = format!("{of}: its fields have no names, so the labels would have none");
        return Err(syn::Error::new_spanned(fields, message));
    }
    let prefix =
        Label::parse(&input.attrs, &Place::Struct, &of)?.prefix.map_or_else(String::new, |p| p.value());
    let mut parts: Vec<Part<'_>> = Vec::new();
    for field in &data.fields {
        let Some(part) = Part::of(field, &prefix)? else { continue };
        if let Some(other) =
            parts.iter().find(|other| !other.flatten && !part.flatten && other.name == part.name)
        {
            let message = format!(
                "field `{}`: the label is called `{}`, and so is that of field `{}`",
                part.ident, part.name, other.ident
            );
            return Err(syn::Error::new_spanned(field, message));
        }
        parts.push(part);
    }
    Ok(implementation(input, &parts))
}

impl<'a> Part<'a> {
    /// The field as a label; `None` if it is none.
    fn of(field: &'a Field, prefix: &str) -> syn::Result<Option<Self>> {
        // A field without a name was refused.
        let Some(ident) = &field.ident else { return Ok(None) };
        let of = format!("field `{}`", ident.unraw());
        let refuse = |what: &str| Err(syn::Error::new_spanned(field, format!("{of}: {what}")));
        let label = Label::parse(&field.attrs, &Place::Field, &of)?;
        if label.skip {
            return Ok(None);
        }
        match (&label.rename, &label.prefix, label.flatten) {
            (Some(_), _, true) => {
                return refuse("what is flattened has names of its own: give it a `prefix`");
            }
            (_, Some(_), false) => return refuse("a `prefix` is for what is flattened: use `rename`"),
            _ => {}
        }
        let own = match (label.flatten, label.prefix, label.rename) {
            (true, own, _) => own.map_or_else(String::new, |own| own.value()),
            (false, _, Some(name)) => name.value(),
            (false, ..) => ident.unraw().to_string(),
        };
        let name = format!("{prefix}{own}");
        if !label.flatten && !is_label_name(&name) {
            let rule = "a label's name is of letters, digits and underscores, and begins with no digit and not \
                        with two underscores";
            return refuse(&format!("`{name}`: {rule}"));
        }
        if matches!(field.ty.to_token_stream().to_string().as_str(), "f32" | "f64") {
            return refuse("a float is no label: it would be a series for each value");
        }
        Ok(Some(Self { ident, ty: &field.ty, name, flatten: label.flatten }))
    }

    fn interface(&self) -> TokenStream {
        if self.flatten {
            quote_spanned! { self.ty.span() => ::headcount::labels::Labels }
        } else {
            quote_spanned! { self.ty.span() => ::headcount::labels::LabelValue }
        }
    }

    fn count(&self) -> TokenStream {
        let (ty, interface) = (self.ty, self.interface());
        quote_spanned! { ty.span() => <#ty as #interface>::COUNT }
    }
}

fn is_label_name(name: &str) -> bool {
    let is_word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_word && !name.is_empty() && !name.starts_with("__") && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn implementation(input: &DeriveInput, parts: &[Part<'_>]) -> TokenStream {
    let counts: Vec<_> = parts.iter().map(Part::count).collect();
    let names = parts.iter().map(|Part { ty, name, flatten, .. }| {
        if *flatten {
            quote! { <#ty as ::headcount::labels::Labels>::names(&::std::format!("{prefix}{}", #name), names); }
        } else {
            quote! { names.push(::std::format!("{prefix}{}", #name)); }
        }
    });
    let indices = parts.iter().zip(&counts).map(|(part, count)| {
        let (ident, interface) = (part.ident, part.interface());
        quote! { let index = index * #count.unwrap_or(1) + #interface::index(&self.#ident); }
    });
    let visits = parts.iter().map(|part| {
        let (ident, interface) = (part.ident, part.interface());
        if part.flatten {
            quote! { #interface::visit(&self.#ident, visit); }
        } else {
            quote! { visit(#interface::value(&self.#ident)); }
        }
    });
    let mut generics = input.generics.clone();
    if generics.type_params().next().is_some() {
        let conditions = generics.make_where_clause();
        for part in parts {
            let (ty, interface) = (part.ty, part.interface());
            conditions.predicates.push(syn::parse_quote!(#ty: #interface));
        }
    }
    let (name, (generics, arguments, conditions)) = (&input.ident, generics.split_for_impl());
    quote! {
        #[automatically_derived]
        impl #generics ::headcount::labels::Labels for #name #arguments #conditions {
            const COUNT: ::std::option::Option<usize> = ::headcount::labels::product(&[#(#counts),*]);

            fn names(prefix: &str, names: &mut ::std::vec::Vec<::std::string::String>) {
                let _ = (prefix, &names);
                #(#names)*
            }

            #[inline]
            fn index(&self) -> usize {
                let index = 0;
                #(#indices)*
                index
            }

            #[inline]
            fn visit<'headcount>(
                &'headcount self,
                visit: &mut impl FnMut(::headcount::labels::Value<'headcount>),
            ) {
                let _ = &visit;
                #(#visits)*
            }
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
    fn what_is_no_label_is_refused_with_the_name_of_the_field() {
        let field = |field: &str| refusal(&format!("struct A {{ a: u8, {field} }}"));
        assert!(field("#[label(rename = \"b-c\")] b: u8").starts_with("field `b`: `b-c`: a label's name is"));
        assert!(field("__b: u8").starts_with("field `__b`: `__b`: a label's name is"));
        assert!(field("b: f64").starts_with("field `b`: a float is no label"));
        assert!(field("#[label(flatten, rename = \"x\")] b: B").starts_with("field `b`: what is flattened"));
        assert!(field("#[label(prefix = \"x_\")] b: u8").starts_with("field `b`: a `prefix` is for"));
        assert_eq!(
            field("#[label(rename = \"a\")] b: u8"),
            "field `b`: the label is called `a`, and so is that of field `a`"
        );
        assert!(
            field("#[label(name = \"x\")] r#type: u8").starts_with("field `type`: `name` is not known here")
        );
    }

    #[test]
    fn what_is_no_label_set_is_refused_with_its_name() {
        assert!(refusal("enum A { B }").starts_with("`A`: a label set is a struct"));
        assert!(refusal("struct A(u8);").starts_with("struct `A`: its fields have no names"));
    }
}
