//! Functions that are measured: what `#[timed]` and the like make of a body.
//!
//! Where the metric is known beforehand, a guard or a line before the body is all. Where it depends on the
//! result, the body becomes a closure, or an async block, that is called at once. It does not `move`: it takes
//! from the arguments what the body takes, so that the rest is there for the closure that chooses the metric.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Block, Expr, Ident, ItemFn, ReturnType, Stmt, Type, parse_quote};

/// What is measured of a function.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measurement {
    Time,
    Calls,
    InFlight,
    Errors,
}

/// How the attribute's argument gives the metric.
enum Metric {
    /// An expression, evaluated before the body.
    Known(Expr),
    /// A closure, evaluated after the body, that chooses by the result.
    Chosen(Expr),
    /// A block that ends in a closure: the block is evaluated before the body, the closure is called after it.
    Prepared(Expr),
}

pub(crate) fn function(
    measurement: Measurement,
    metric: Expr,
    mut function: ItemFn,
) -> syn::Result<TokenStream> {
    if let Some(token) = function.sig.constness {
        return Err(syn::Error::new(
            token.span,
            "a `const fn` may run at compile time, where nothing counts",
        ));
    }
    let metric = Metric::of(metric);
    if measurement == Measurement::InFlight
        && let Metric::Chosen(choice) | Metric::Prepared(choice) = &metric
    {
        let message = "what is in flight has no result yet: give an expression instead of a closure";
        return Err(syn::Error::new_spanned(choice, message));
    }
    let output = written_output(&function.sig.output);
    if function.sig.asyncness.is_some() {
        *function.block = wrap(measurement, &metric, &function.block, Body::Async(output));
    } else if let Some(inner) = boxed_future(&mut function.block) {
        *inner = wrap(measurement, &metric, inner, Body::Async(None));
    } else {
        *function.block = wrap(measurement, &metric, &function.block, Body::Sync(output));
    }
    Ok(function.into_token_stream())
}

/// What a body is, and the type of its result, if it is known.
enum Body {
    Sync(Option<Type>),
    Async(Option<Type>),
}

impl Metric {
    fn of(metric: Expr) -> Self {
        match &metric {
            Expr::Closure(_) => Self::Chosen(metric),
            Expr::Block(block)
                if matches!(block.block.stmts.last(), Some(Stmt::Expr(Expr::Closure(_), None))) =>
            {
                Self::Prepared(metric)
            }
            _ => Self::Known(metric),
        }
    }
}

fn wrap(measurement: Measurement, metric: &Metric, body: &Block, kind: Body) -> Block {
    // Names that the body cannot see.
    let name = |name| Ident::new(name, Span::mixed_site());
    let (start, chosen, guard, result) = (name("start"), name("chosen"), name("guard"), name("result"));
    let known = match metric {
        Metric::Known(known) => quote! { let #chosen = &#known; },
        _ => TokenStream::new(),
    };
    let statements = &body.stmts;
    match (measurement, metric) {
        (Measurement::Time, Metric::Known(_)) => {
            return parse_quote!({ #known let #guard = #chosen.start_timer(); #(#statements)* });
        }
        (Measurement::InFlight, _) => {
            return parse_quote!({ #known let #guard = #chosen.in_flight(); #(#statements)* });
        }
        (Measurement::Calls, Metric::Known(_)) => {
            return parse_quote!({ #known #chosen.inc(); #(#statements)* });
        }
        _ => {}
    }
    let call = kind.call(statements);
    let given = match measurement {
        Measurement::Errors => quote! { ::headcount::macros::given_error },
        _ => quote! { ::headcount::macros::given },
    };
    let (prepare, choose) = match metric {
        Metric::Known(_) => (known, quote! { #chosen }),
        Metric::Chosen(choice) => (TokenStream::new(), quote! { #given(&#result, #choice) }),
        Metric::Prepared(choice) => {
            let prepared = match measurement {
                Measurement::Errors => quote! { ::headcount::macros::prepared_error },
                _ => quote! { ::headcount::macros::prepared },
            };
            let output = kind.output().map_or_else(|| quote! { _ }, |output| quote! { #output });
            let prepare = quote! { let #chosen = #prepared::<#output, _, _>(#choice); };
            (prepare, quote! { #given(&#result, #chosen) })
        }
    };
    match measurement {
        Measurement::Time => parse_quote!({
            #prepare
            let #start = ::std::time::Instant::now();
            let #result = #call;
            let #start = #start.elapsed();
            ::headcount::Observe::record(&#choose, #start);
            #result
        }),
        Measurement::Calls => parse_quote!({
            #prepare
            let #result = #call;
            #choose.inc();
            #result
        }),
        Measurement::Errors | Measurement::InFlight => {
            let count = match metric {
                Metric::Known(_) => quote! {
                    if ::headcount::macros::is_error(&#result) { #chosen.inc(); }
                },
                _ => quote! {
                    if let ::std::option::Option::Some(#chosen) = #choose { #chosen.inc(); }
                },
            };
            parse_quote!({ #prepare let #result = #call; #count #result })
        }
    }
}

impl Body {
    fn output(&self) -> Option<&Type> {
        match self {
            Self::Sync(output) | Self::Async(output) => output.as_ref(),
        }
    }

    /// An expression that runs the body and is its result.
    fn call(&self, statements: &[Stmt]) -> TokenStream {
        match self {
            Self::Sync(Some(output)) => {
                quote! { ::headcount::macros::call(|| -> #output { #(#statements)* }) }
            }
            Self::Sync(None) => quote! { ::headcount::macros::call(|| { #(#statements)* }) },
            // The block's type cannot be written. A return that never happens tells it.
            Self::Async(Some(output)) => quote! {
                async { if false { return ::headcount::macros::never::<#output>(); } #(#statements)* }.await
            },
            Self::Async(None) => quote! { async { #(#statements)* }.await },
        }
    }
}

/// The type of the result, if it may stand in a body: `impl Trait` may not.
fn written_output(output: &ReturnType) -> Option<Type> {
    match output {
        ReturnType::Default => Some(parse_quote!(())),
        ReturnType::Type(_, output) => {
            let mentions_impl = |tokens: TokenStream| contains_word(tokens, "impl");
            (!mentions_impl(output.to_token_stream())).then(|| (**output).clone())
        }
    }
}

fn contains_word(tokens: TokenStream, word: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        proc_macro2::TokenTree::Ident(ident) => ident == word,
        proc_macro2::TokenTree::Group(group) => contains_word(group.stream(), word),
        _ => false,
    })
}

/// The block of the future, if a body ends in `Box::pin(async move { … })`.
fn boxed_future(block: &mut Block) -> Option<&mut Block> {
    let Some(Stmt::Expr(Expr::Call(call), None)) = block.stmts.last_mut() else { return None };
    let Expr::Path(function) = &*call.func else { return None };
    if function.path.segments.last()?.ident != "pin" {
        return None;
    }
    match call.args.first_mut()? {
        Expr::Async(future) => Some(&mut future.block),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(measurement: Measurement, metric: &str, of: &str) -> String {
        let (metric, of) = (syn::parse_str(metric).unwrap(), syn::parse_str(of).unwrap());
        function(measurement, metric, of).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_measured_is_refused_with_the_reason() {
        let closure = refusal(Measurement::InFlight, "|result| A.with([result])", "fn f() {}");
        assert!(closure.contains("no result yet"), "{closure}");
        let prepared = refusal(Measurement::InFlight, "{ let a = 1; move |_| B }", "async fn f() {}");
        assert!(prepared.contains("no result yet"), "{prepared}");
        let constant = refusal(Measurement::Calls, "A", "const fn f() {}");
        assert!(constant.contains("compile time"), "{constant}");
    }
}
