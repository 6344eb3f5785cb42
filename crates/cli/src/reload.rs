//! Changed configurations: what they change, in words, and how far they are.

use std::time::{Duration, Instant};

use mainstay_api::Client;
use mainstay_api::types::{Outcome as Became, Reloading};
use mainstay_config::{Diagnostics, Severity};
use mainstay_core::reload::{Action, Change, ReloadPlan};

use crate::args::Waiting;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::output::progress::Progress;
use crate::output::style::{self, Paint};
use crate::output::{Output, words};
use crate::stack::Place;

/// So wide is a terminal that everybody has.
const WIDTH: usize = 80;
/// The daemon is asked again at least so often.
const LOOK: Duration = Duration::from_secs(1);
/// Whoever waits for an answer sees so often for how long.
const TURN: Duration = Duration::from_millis(300);

/// What applying it does: a line for each service, and one for each field of it that changed.
pub fn text(reload: &ReloadPlan, paint: Paint) -> String {
    if reload.is_empty() {
        return "nothing is different\n".to_owned();
    }
    let mut text = String::new();
    for change in &reload.stack {
        text += &field(change, 2);
    }
    let width = reload.steps.iter().map(|step| step.service.as_str().len()).max().unwrap_or(0);
    for step in &reload.steps {
        let (mark, colour) = match step.action {
            Action::Start => ("+", style::GOOD),
            Action::Stop => ("-", style::BAD),
            Action::Restart => ("~", style::UNSURE),
            Action::Signal | Action::Live | Action::Nothing => ("~", style::DIM),
        };
        let what = paint
            .apply(colour, &format!("{mark} {:width$}  {}", step.service.as_str(), step.action.as_str()));
        text += &match step.changes.is_empty() {
            true => format!("{what}  {}\n", step.reason),
            false => format!("{what}\n"),
        };
        for change in &step.changes {
            text += &field(change, 4);
        }
    }
    let count = |action| reload.steps.iter().filter(|step| step.action == action).count();
    text += &format!(
        "{} to start, {} to restart, {} to stop; {} changed while running\n",
        count(Action::Start),
        count(Action::Restart),
        count(Action::Stop),
        count(Action::Signal) + count(Action::Live) + count(Action::Nothing)
    );
    text
}

/// A change on one line if it fits there, so far from the left; else what was and what becomes on lines of their own, as
/// a diff has them.
fn field(change: &Change, indent: usize) -> String {
    let Change { field, was, becomes, .. } = change;
    let short = match (was, becomes) {
        (None, None) => format!("{field} changed"),
        (Some(was), Some(becomes)) => format!("{field}: {was} -> {becomes}"),
        (None, Some(becomes)) => format!("{field}: {becomes}"),
        (Some(was), None) => format!("{field}: {was} -> none"),
    };
    let alone = was.is_none() && becomes.is_none();
    if alone || !short.contains('\n') && indent + short.chars().count() <= WIDTH {
        return format!("{:indent$}{}\n", "", words::printable(&short));
    }
    let mut text = format!("{:indent$}{}:\n", "", words::printable(field));
    for (mark, value) in [('-', was), ('+', becomes)] {
        for line in value.iter().flat_map(|value| value.lines()) {
            let line = cut(&words::printable(line), WIDTH - indent - 4);
            text += &format!("{:indent$}  {mark} {line}\n", "");
        }
    }
    text
}

/// A line of at most so many characters.
fn cut(line: &str, most: usize) -> String {
    match line.char_indices().nth(most) {
        Some(_) => line.chars().take(most - 1).chain(['…']).collect(),
        None => line.to_owned(),
    }
}

/// The first error, with its place: `mainstay.toml:14:9: unknown key`.
pub fn first_error(diagnostics: &Diagnostics) -> Option<String> {
    let error = diagnostics.iter().find(|diagnostic| diagnostic.severity == Severity::Error)?;
    Some(match &error.place {
        Some(place) => format!("{}:{}:{}: {}", place.file, place.line, place.column, error.message),
        None => error.message.clone(),
    })
}

/// Waits for the answer to a request for which secrets are read: a command that says one may take its time.
pub async fn answer<T>(request: impl Future<Output = T>, output: &Output) -> T {
    let mut progress = Progress::new(output.json);
    let mut request = std::pin::pin!(request);
    loop {
        match tokio::time::timeout(TURN, &mut request).await {
            Ok(answer) => return answer,
            Err(_) => progress.show("reading secrets, comparing"),
        }
    }
}

/// Waits until it is applied, and says what was done.
///
/// # Errors
/// It does not work.
pub async fn follow(
    client: &Client,
    place: &Place,
    reloading: Reloading,
    waiting: Waiting,
    output: &mut Output,
) -> Outcome {
    let Reloading { revision, applying, reload } = reloading;
    if !output.json {
        output.text(&text(&reload, output.paint))?;
    }
    if !applying || waiting.no_wait {
        if output.json {
            output
                .json(&serde_json::json!({ "revision": revision, "applying": applying, "reload": reload }))?;
        }
        return Ok(ExitStatus::Done);
    }
    output.flush()?;
    let (begin, mut progress) = (Instant::now(), Progress::new(output.json));
    let mut stack = client.stack().await.map_err(|error| Failure::api(error, &place.name))?;
    while let Some(now) = stack.configuration.applying.as_ref().filter(|now| now.revision == revision) {
        if waiting.timeout.is_some_and(|limit| begin.elapsed() >= limit) {
            return Err(Failure::new(
                ExitStatus::Late,
                format!("revision {revision} is still being applied"),
            )
            .hint(format!("`mainstay status --stack {}` shows how it goes on", place.name)));
        }
        let names: Vec<&str> = now.waits_for.iter().map(|name| name.as_str()).collect();
        let way = if now.going_back.is_some() { "going back" } else { "applying" };
        progress.show(&format!("{way}: waits for {}; {} left", words::list(&names), now.left));
        stack =
            client.changes(stack.revision, LOOK).await.map_err(|error| Failure::api(error, &place.name))?;
    }
    drop(progress);
    let list = client.revisions().await.map_err(|error| Failure::api(error, &place.name))?;
    let became = list.into_iter().find(|known| known.revision == revision);
    if output.json {
        output.json(&serde_json::json!({ "revision": revision, "became": became, "reload": reload }))?;
    }
    match became {
        Some(became) if became.outcome == Became::Applied => {
            if !output.json {
                let time = words::duration(begin.elapsed());
                output.line(&format!("{}: revision {revision} runs, after {time}", place.name))?;
            }
            Ok(ExitStatus::Done)
        }
        Some(became) => {
            Err(Failure::failed(format!("revision {revision} was taken back: {}", became.detail)).hint(
                format!("everything is as before; `mainstay events --stack {}` tells more", place.name),
            ))
        }
        None => Err(Failure::failed(format!("nothing is known of revision {revision} any more"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(was: Option<&str>, becomes: Option<&str>) -> String {
        let (was, becomes) = (was.map(str::to_owned), becomes.map(str::to_owned));
        field(&Change { field: "ready.interval".to_owned(), action: Action::Live, was, becomes }, 4)
    }

    #[test]
    fn a_change_is_on_one_line_or_looks_like_a_diff() {
        assert_eq!(shown(Some("1 s"), Some("9 s")), "    ready.interval: 1 s -> 9 s\n");
        assert_eq!(shown(Some("1 s"), None), "    ready.interval: 1 s -> none\n");
        assert_eq!(shown(None, None), "    ready.interval changed\n");
        let lines = shown(Some("a\nb"), Some("c"));
        assert_eq!(lines, "    ready.interval:\n      - a\n      - b\n      + c\n");
        let long = shown(Some(&"x".repeat(100)), Some("y"));
        assert!(long.lines().all(|line| line.chars().count() <= WIDTH), "{long}");
        assert!(long.contains("x…\n      + y\n"), "{long}");
    }
}
