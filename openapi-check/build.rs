//! Gives `schemas/openapi.json` to the generator; keeps the types that it makes, and what its client's methods take and
//! give. A document that it refuses fails the build.

use std::path::PathBuf;
use std::{env, fs};

use quote::ToTokens;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas/openapi.json");
    println!("cargo::rerun-if-changed={document}");
    println!("cargo::rerun-if-changed=build.rs");
    let document: openapiv3::OpenAPI = serde_json::from_str(&fs::read_to_string(document)?)?;
    progenitor_impl::validate_openapi(&document)?;
    let tokens = progenitor_impl::Generator::default().generate_tokens(&document)?;
    let file: syn::File = syn::parse2(tokens)?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo names no OUT_DIR")?);
    let types = file.items.iter().find_map(|item| match item {
        syn::Item::Mod(module) if module.ident == "types" => module.content.as_ref(),
        _ => None,
    });
    let (_, types) = types.ok_or("no types were made")?;
    fs::write(
        out.join("types.rs"),
        types.iter().map(|item| format!("{}\n", item.to_token_stream())).collect::<String>(),
    )?;
    fs::write(out.join("methods.txt"), methods(&file).join("\n"))?;
    Ok(())
}

/// The signatures of the client's methods that make a request.
fn methods(file: &syn::File) -> Vec<String> {
    let of_client = |item: &syn::Item| match item {
        syn::Item::Impl(item) if item.trait_.is_none() => Some(item.items.clone()),
        _ => None,
    };
    let mut methods: Vec<String> = file
        .items
        .iter()
        .filter_map(of_client)
        .flatten()
        .filter_map(|item| match item {
            syn::ImplItem::Fn(method) if method.sig.asyncness.is_some() => Some(words(&method.sig)),
            _ => None,
        })
        .collect();
    methods.sort();
    methods
}

/// A signature as people write it.
fn words(signature: &syn::Signature) -> String {
    let text = signature.to_token_stream().to_string();
    let text = [
        (" :: ", "::"),
        (":: ", "::"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
    ]
    .iter()
    .fold(text, |text, (from, to)| text.replace(from, to));
    text.replace(" ,", ",").replace(" : ", ": ").replace("& '", "&'").replace(", )", ")").replace(",)", ")")
}
