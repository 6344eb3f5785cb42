//! Profiles: which services belong to the stack this time.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_core::ServiceName;

use crate::context::Context;
use crate::elements::service::Draft;
use crate::nearest::{list, nearest};
use crate::source::{Origin, Shown, Span};

/// Services that are left out, and their profiles.
pub(crate) type Inactive = BTreeMap<ServiceName, Vec<String>>;

/// Takes out the services whose profiles nobody asked for. They have been checked all the same.
pub(crate) fn leave_out(
    cx: &mut Context<'_>,
    drafts: &mut BTreeMap<ServiceName, Draft>,
    asked: &[String],
) -> Inactive {
    let known: BTreeSet<String> =
        drafts.values().flat_map(|draft| draft.profiles.iter().map(|(name, _)| name.clone())).collect();
    for name in asked.iter().filter(|name| !known.contains(*name)) {
        let base_dir = cx.around.base_dir;
        let Some(source) = cx.add_source("--profile", name.as_bytes(), Shown::Lines, Origin::Set, base_dir)
        else {
            continue;
        };
        let names = || known.iter().map(String::as_str);
        let hint = match nearest(name, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "no service has `profiles`".to_owned(),
            None => format!("the profiles are {}", list(names(), "and")),
        };
        let span = Span { source, start: 0, end: name.len() };
        cx.error(span, format!("no service has the profile `{name}`")).hint(hint);
    }
    let mut inactive = Inactive::new();
    let had = !drafts.is_empty();
    drafts.retain(|name, draft| {
        let active = draft.profiles.is_empty() || draft.profiles.iter().any(|(name, _)| asked.contains(name));
        if !active {
            let names: Vec<String> = draft.profiles.iter().map(|(name, _)| name.clone()).collect();
            if let Some(group) = &draft.plan.instance_of {
                inactive.insert(group.clone(), names.clone());
            }
            inactive.insert(name.clone(), names);
        }
        active
    });
    if had && drafts.is_empty() {
        cx.error(
            Span { source: 0, start: 0, end: 0 },
            "every service belongs to a profile that nobody asked for",
        )
        .hint(format!("ask for one with --profile: {}", list(known.iter().map(String::as_str), "or")));
    }
    inactive
}
