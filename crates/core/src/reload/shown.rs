//! What of a changed value may be shown, and how.

use std::collections::BTreeSet;

use crate::words::clip;
use crate::{SecretText, ServicePlan};

/// So many lines of a file are shown at the most, of what was and of what becomes.
const MAX_LINES: usize = 6;
/// A shorter value of a variable is nobody's secret, and is found everywhere.
const SHORTEST: usize = 4;

/// The values of variables: they may be secret, and stand in rendered files.
pub(super) struct Variables(BTreeSet<String>);

impl Variables {
    /// Those of services.
    pub fn of<'a>(services: impl IntoIterator<Item = &'a ServicePlan>) -> Variables {
        let values = services.into_iter().flat_map(|plan| plan.launch.environment.values());
        Variables(values.filter(|value| value.len() >= SHORTEST).cloned().collect())
    }

    fn hide(&self, mut text: String) -> String {
        // The longest first: one may be a part of another one.
        let mut values: Vec<&String> = self.0.iter().filter(|value| text.contains(value.as_str())).collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        for value in values {
            text = text.replace(value.as_str(), "***");
        }
        text
    }
}

/// Whether this field is what is in a file.
pub(super) fn is_content(field: &str) -> bool {
    field.starts_with("config.files.") && field.ends_with(".content")
}

/// Of two contents of a file, the lines that are not in both, without values of variables.
pub(super) fn lines(was: &str, becomes: &str, variables: &Variables) -> (String, String) {
    let (was, becomes) = (SecretText::stored(was), SecretText::stored(becomes));
    let (was, becomes): (Vec<&str>, Vec<&str>) = (was.lines().collect(), becomes.lines().collect());
    let begin = was.iter().zip(&becomes).take_while(|(was, becomes)| was == becomes).count();
    let end = was[begin..].iter().rev().zip(becomes[begin..].iter().rev());
    let end = end.take_while(|(was, becomes)| was == becomes).count();
    let differs = |lines: &[&str]| {
        let lines = &lines[begin..lines.len() - end];
        let mut shown: Vec<String> =
            lines.iter().take(MAX_LINES).map(|line| clip(variables.hide((*line).to_owned()))).collect();
        if lines.len() > MAX_LINES {
            shown.push(format!("… and {} lines more", lines.len() - MAX_LINES));
        }
        clip(shown.join("\n"))
    };
    (differs(&was), differs(&becomes))
}

/// An address without what somebody is let in with: `http://user:***@host/`.
pub(super) fn without_password(text: &str) -> String {
    let hidden = || {
        let (scheme, rest) = text.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let (user, host) = authority.rsplit_once('@')?;
        let (name, _) = user.split_once(':')?;
        Some(format!("{scheme}://{name}:***@{host}{}", &rest[authority.len()..]))
    };
    hidden().unwrap_or_else(|| text.to_owned())
}
