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
    } else if let Some(inner) = future(&mut function.block) {
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
    match (measurement, metric) {
        (Measurement::Errors, _) | (_, Metric::Chosen(_) | Metric::Prepared(_)) => {
            after(measurement, metric, &body.stmts, &kind)
        }
        (_, Metric::Known(metric)) => before(measurement, metric, &body.stmts),
    }
}

/// A name that the body cannot see.
fn hidden(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// The body after a line that measures, or begins to.
fn before(measurement: Measurement, metric: &Expr, body: &[Stmt]) -> Block {
    let (chosen, guard) = (hidden("chosen"), hidden("guard"));
    let measure = match measurement {
        Measurement::Time => quote! { let #guard = #chosen.start_timer(); },
        Measurement::InFlight => quote! { let #guard = #chosen.in_flight(); },
        Measurement::Calls | Measurement::Errors => quote! { #chosen.inc(); },
    };
    parse_quote!({ let #chosen = &#metric; #measure #(#body)* })
}

/// The body, and then what measures by its result.
fn after(measurement: Measurement, metric: &Metric, body: &[Stmt], kind: &Body) -> Block {
    let (start, chosen, result) = (hidden("start"), hidden("chosen"), hidden("result"));
    let (given, prepared) = match measurement {
        Measurement::Errors => (hidden("given_error"), hidden("prepared_error")),
        _ => (hidden("given"), hidden("prepared")),
    };
    let (prepare, choose) = match metric {
        Metric::Known(known) => (
            quote! { let #chosen = &#known; },
            quote! { ::headcount::macros::given_error(&#result, |_| #chosen) },
        ),
        Metric::Chosen(choice) => {
            (TokenStream::new(), quote! { ::headcount::macros::#given(&#result, #choice) })
        }
        Metric::Prepared(choice) => {
            let output = kind.output().map_or_else(|| quote! { _ }, ToTokens::to_token_stream);
            (
                quote! { let #chosen = ::headcount::macros::#prepared::<#output, _, _>(#choice); },
                quote! { ::headcount::macros::#given(&#result, #chosen) },
            )
        }
    };
    let call = kind.call(body);
    match measurement {
        Measurement::Time => parse_quote!({
            #prepare
            let #start = ::std::time::Instant::now();
            let #result = #call;
            let #start = #start.elapsed();
            ::headcount::Observe::record(&#choose, #start);
            #result
        }),
        Measurement::Errors => parse_quote!({
            #prepare
            let #result = #call;
            if let ::std::option::Option::Some(#chosen) = #choose {
                #chosen.inc();
            }
            #result
        }),
        Measurement::Calls | Measurement::InFlight => parse_quote!({
            #prepare
            let #result = #call;
            #choose.inc();
            #result
        }),
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

/// The block of the future, if a body ends in one: `async move { … }`, or `Box::pin` of it.
fn future(block: &mut Block) -> Option<&mut Block> {
    match block.stmts.last_mut() {
        Some(Stmt::Expr(Expr::Async(future), None)) => Some(&mut future.block),
        Some(Stmt::Expr(Expr::Call(call), None)) if is_pin(&call.func) => match call.args.first_mut()? {
            Expr::Async(future) => Some(&mut future.block),
            _ => None,
        },
        _ => None,
    }
}

fn is_pin(function: &Expr) -> bool {
    matches!(function, Expr::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "pin"))
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
