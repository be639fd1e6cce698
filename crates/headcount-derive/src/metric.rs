//! `#[metric]`: a function without a body that declares a metric and gives it.
//!
//! The parameters become the fields of a label set that only this function knows, generic over their types. So
//! `#[derive(Labels)]` does the rest, attributes included, and the lifetimes of parameters need no names: in the
//! type of a static, those that are left out are `'static`, and a family of longer lifetimes is one of shorter
//! ones.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{
    Attribute, Data, DeriveInput, Expr, FnArg, Ident, LitStr, Meta, Pat, ReturnType, Token, TraitItemFn,
    Type, Visibility,
};

use crate::labels;

/// What `#[metric(…)]` says.
#[derive(Default)]
pub(crate) struct Options {
    name: Option<LitStr>,
    registry: Option<Expr>,
    limit: Option<Expr>,
    expire_after: Option<Expr>,
    removable: Option<Ident>,
    unit: Option<LitStr>,
    /// What the kind needs: a gauge's mode, a histogram's buckets, a set's states.
    of_kind: Option<Expr>,
}

impl Options {
    pub(crate) fn parse(input: syn::parse::ParseStream<'_>) -> syn::Result<Self> {
        let mut options = Self::default();
        while !input.is_empty() {
            let word: Ident = input.parse()?;
            if word == "removable" {
                options.removable = Some(word);
            } else {
                input.parse::<Token![=]>()?;
                options.set(&word, input)?;
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }

    /// Reads what an option is to be.
    fn set(&mut self, word: &Ident, input: syn::parse::ParseStream<'_>) -> syn::Result<()> {
        match word.to_string().as_str() {
            "name" => self.name = Some(input.parse()?),
            "registry" => self.registry = Some(input.parse()?),
            "limit" => self.limit = Some(input.parse()?),
            "expire_after" => self.expire_after = Some(input.parse()?),
            "unit" => self.unit = Some(input.parse()?),
            "mode" | "buckets" | "states" => self.of_kind = Some(input.parse()?),
            _ => {
                let known = "known are `name`, `unit`, `mode`, `buckets`, `states`, `limit`, `expire_after`, `removable` and `registry`";
                return Err(syn::Error::new(word.span(), format!("`{word}`: {known}")));
            }
        }
        Ok(())
    }
}

/// A bodyless function, and who sees it.
pub(crate) struct Declaration {
    visibility: Visibility,
    function: TraitItemFn,
}

impl syn::parse::Parse for Declaration {
    fn parse(input: syn::parse::ParseStream<'_>) -> syn::Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let mut function: TraitItemFn = input.parse()?;
        function.attrs.splice(..0, attributes);
        Ok(Self { visibility, function })
    }
}

pub(crate) fn declare(options: &Options, declaration: &Declaration) -> syn::Result<TokenStream> {
    let Declaration { visibility, function } = declaration;
    let (metric, help) = checked(function)?;
    let (attributes, signature) = (&function.attrs, &function.sig);
    let parts = signature.inputs.iter().map(Part::of).collect::<syn::Result<Vec<_>>>()?;
    let arguments = options.arguments(&signature.ident, &help);
    let (ident, output) = (&signature.ident, &signature.output);
    let inputs: Vec<_> = parts.iter().map(|Part { ident, ty, .. }| quote! { #ident: #ty }).collect();
    let (body, companion) = if parts.is_empty() {
        options.refuse_those_of_labels(ident)?;
        let metric = quote! {
            static METRIC: ::std::sync::LazyLock<#metric> =
                ::std::sync::LazyLock::new(|| ::headcount::macros::declare(#arguments));
            *METRIC
        };
        (metric, None)
    } else {
        let names: Vec<_> = parts.iter().map(|part| part.ident).collect();
        let family = family(metric, &parts, &arguments, options)?;
        let child = quote! { FAMILY.get(&HeadcountLabels { #(#names),* }) };
        match options.removable {
            None => (quote! { #family #child }, None),
            Some(_) => {
                let companion = companion(declaration, &family, &inputs, &names, &child);
                (quote! { #ident::headcount_get(#(#names),*) }, Some(companion))
            }
        }
    };
    Ok(quote! {
        #(#attributes)*
        #visibility fn #ident(#(#inputs),*) #output { #body }
        #companion
    })
}

/// The type and the help text of what is a declaration.
fn checked(function: &TraitItemFn) -> syn::Result<(&Type, String)> {
    let signature = &function.sig;
    let refuse = |what: &str| {
        let message = format!("metric `{}`: {what}", signature.ident);
        Err(syn::Error::new_spanned(signature, message))
    };
    if function.default.is_some() {
        return refuse("what is declared has no body: end it with `;`");
    }
    if !signature.generics.params.is_empty() {
        return refuse("it is one metric, so it cannot be generic; lifetimes of parameters are left out");
    }
    if signature.asyncness.is_some() || signature.constness.is_some() {
        return refuse("it is a plain function");
    }
    let ReturnType::Type(_, metric) = &signature.output else {
        return refuse("it returns its kind: `Counter`, `Gauge`, `Histogram` and the like");
    };
    match help(&function.attrs) {
        Some(help) => Ok((&**metric, help)),
        None => refuse("it needs a doc comment: that is its help text"),
    }
}

impl Options {
    /// One series has no limit, is not idle, and stays.
    fn refuse_those_of_labels(&self, ident: &Ident) -> syn::Result<()> {
        let of_labels = self.limit.iter().chain(&self.expire_after).map(ToTokens::to_token_stream);
        match of_labels.chain(self.removable.iter().map(ToTokens::to_token_stream)).next() {
            None => Ok(()),
            Some(option) => {
                let message = format!("metric `{ident}`: without labels it is one series");
                Err(syn::Error::new_spanned(option, message))
            }
        }
    }

    /// What creates the metric: its registry, name, help text, and what its kind needs.
    fn arguments(&self, ident: &Ident, help: &str) -> TokenStream {
        let registry = match &self.registry {
            Some(registry) => {
                quote! { ::std::result::Result::Ok::<&::headcount::Registry, _>(&#registry).copied() }
            }
            None => quote! { ::headcount::Registry::global() },
        };
        let registry = match &self.unit {
            Some(unit) => quote! { #registry.map(|registry| registry.with_unit(#unit)) },
            None => registry,
        };
        let name = self.name.as_ref().map_or_else(|| ident.unraw().to_string(), LitStr::value);
        let of_kind = match &self.of_kind {
            Some(of_kind) => quote! { #of_kind },
            None => quote! { ::headcount::macros::Unsaid },
        };
        quote! { #registry, #name, #help, #of_kind }
    }
}

/// The family as a static, with the type of its labels.
fn family(
    metric: &Type,
    parts: &[Part<'_>],
    arguments: &TokenStream,
    options: &Options,
) -> syn::Result<TokenStream> {
    let types = parts.iter().map(|part| part.ty);
    let (set, limit, idle) = (set(parts)?, options.limit.iter(), options.expire_after.iter());
    Ok(quote! {
        #set
        static FAMILY: ::std::sync::LazyLock<::headcount::Labelled<#metric, HeadcountLabels<#(#types),*>>> =
            ::std::sync::LazyLock::new(|| {
                ::headcount::macros::declare_labelled(#arguments) #(.limited_to(#limit))* #(.expire_after(#idle))*
            });
    })
}

/// What removes series: an enum that has the function's name, which a function leaves free for a type. So whoever
/// imports the one has the other, and types of parameters mean there what they mean here, as in a module they would not.
fn companion(
    Declaration { visibility, function }: &Declaration,
    family: &TokenStream,
    inputs: &[TokenStream],
    names: &[&Ident],
    child: &TokenStream,
) -> TokenStream {
    let (ident, output) = (&function.sig.ident, &function.sig.output);
    let conditions: Vec<_> =
        function.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg")).collect();
    let what = format!("Removes series of the metric [`{ident}`](fn@{ident}).");
    quote! {
        #(#conditions)*
        #[doc = #what]
        #[allow(non_camel_case_types, dead_code, missing_debug_implementations)]
        #visibility enum #ident {}

        #(#conditions)*
        const _: () = {
            #family
            #[allow(dead_code, non_local_definitions)]
            impl #ident {
                /// Removes the series with these labels; tells whether there was one.
                #visibility fn remove(#(#inputs),*) -> bool {
                    FAMILY.remove(&HeadcountLabels { #(#names),* })
                }

                /// Removes all series.
                #visibility fn clear() {
                    FAMILY.clear();
                }

                #[inline]
                fn headcount_get(#(#inputs),*) #output { #child }
            }
        };
    }
}

/// A parameter that is a label.
struct Part<'a> {
    attributes: &'a [Attribute],
    ident: &'a Ident,
    ty: &'a Type,
}

impl<'a> Part<'a> {
    fn of(input: &'a FnArg) -> syn::Result<Self> {
        let FnArg::Typed(typed) = input else {
            return Err(syn::Error::new_spanned(
                input,
                "a metric is declared by a function and not by a method",
            ));
        };
        match &*typed.pat {
            Pat::Ident(pattern) => {
                Ok(Self { attributes: &typed.attrs, ident: &pattern.ident, ty: &typed.ty })
            }
            pattern => {
                Err(syn::Error::new_spanned(pattern, "a parameter's name is a label's, and no pattern"))
            }
        }
    }
}

/// The label set, with its implementation. Its name is none that a parameter's type has.
fn set(parts: &[Part<'_>]) -> syn::Result<TokenStream> {
    let types: Vec<Ident> = (0..parts.len()).map(|n| format_ident!("T{n}")).collect();
    let fields = parts.iter().zip(&types).map(|(Part { attributes, ident, .. }, ty)| {
        quote! { #(#attributes)* #ident: #ty }
    });
    let mut set: DeriveInput = syn::parse2(quote! { struct HeadcountLabels<#(#types),*> { #(#fields),* } })?;
    let implementation = labels::derive(&set)?;
    // They have been read, and outside of a derive macro nobody knows them.
    if let Data::Struct(data) = &mut set.data {
        data.fields.iter_mut().for_each(|field| field.attrs.clear());
    }
    Ok(quote! { #set #implementation })
}

/// The first paragraph of the doc comment, as one line.
fn help(attributes: &[Attribute]) -> Option<String> {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(line), .. }) => Some(line.value()),
            _ => None,
        },
        _ => None,
    });
    let lines: Vec<String> = lines.map(|line| line.trim().to_owned()).collect();
    let paragraph = lines.split(String::is_empty).find(|lines| !lines.is_empty())?;
    Some(paragraph.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse::Parser;

    fn declared(of: &str) -> syn::Result<String> {
        declare(&Options::default(), &syn::parse_str(of)?).map(|tokens| tokens.to_string())
    }

    #[test]
    fn what_is_no_declaration_is_refused_with_its_name() {
        let refusal = |of: &str| declared(&format!("/// Help.\n{of}")).unwrap_err().to_string();
        assert!(refusal("fn f() -> Counter {}").starts_with("metric `f`: what is declared has no body"));
        assert!(refusal("fn f<'a>(a: &'a str) -> Counter;").starts_with("metric `f`: it is one metric"));
        assert!(refusal("async fn f() -> Counter;").starts_with("metric `f`: it is a plain function"));
        assert!(refusal("fn f();").starts_with("metric `f`: it returns its kind"));
        assert!(refusal("fn f(&self) -> Counter;").contains("not by a method"));
        assert!(declared("fn f() -> Counter;").unwrap_err().to_string().contains("needs a doc comment"));
        let field = refusal("fn f(#[label(rename = \"a-b\")] a: u8) -> Counter;");
        assert!(field.starts_with("field `a`: `a-b`: a label's name is"), "{field}");
    }

    #[test]
    fn options_of_labels_are_refused_without_labels() {
        for option in ["limit = 7", "expire_after = hour", "removable"] {
            let options = Options::parse.parse_str(option).unwrap();
            let declare = |of: &str| declare(&options, &syn::parse_str(of).unwrap());
            let refusal = declare("/// Help.\nfn f() -> Counter;").unwrap_err().to_string();
            assert_eq!(refusal, "metric `f`: without labels it is one series", "{option}");
            assert!(declare("/// Help.\nfn f(a: u8) -> Counter;").is_ok(), "{option}");
        }
    }

    #[test]
    fn the_help_text_is_the_first_paragraph_in_one_line() {
        let help = |of: &str| help(&syn::parse_str::<Declaration>(of).unwrap().function.attrs);
        assert_eq!(
            help("/// Requests\n/// answered.\n///\n/// More.\nfn f();"),
            Some("Requests answered.".into())
        );
        assert_eq!(help("#[inline]\nfn f();"), None);
    }
}
