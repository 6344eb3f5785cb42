//! `mainstay explain`

use mainstay_api::ClientError;
use mainstay_core::explain::{self as words, Explanation};

use crate::act::resolve;
use crate::args::Select;
use crate::event_text::local_time;
use crate::explain;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::names::{self, Meant};
use crate::output::style::{self, Paint};
use crate::output::table::wrap;
use crate::output::{Output, words::printable};
use crate::runtime::block_on;

/// Say why a service is as it is, and what to do
///
/// Its state and the reason, how its last runs ended and what that means, what its last output says, what it waits
/// for, when the next start comes, and who asked last. Works for a stack that is down, too.
#[derive(Debug, clap::Args)]
pub struct Explain {
    #[command(flatten)]
    select: Select,

    /// Which services [default: those that are not well]
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

/// Says it.
///
/// # Errors
/// No such stack or service.
pub fn run(args: &Explain, output: &mut Output) -> Outcome {
    let meant = names::meant_in_one(&args.select, &args.services)?;
    let place = &meant.place;
    let explained = block_on(async {
        match place.client().stack().await {
            Ok(stack) => {
                let mut services = stack.services.clone();
                if meant.services.is_empty() {
                    services.retain(|service| !crate::view::is_well(service));
                } else {
                    let wanted = resolve(place, &stack, &meant.services)?;
                    services.retain(|service| wanted.contains(&service.name));
                }
                let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
                let files = explain::Files::read(place, &names)?;
                let facts = services.iter().map(|service| files.live(&stack, service));
                Ok(facts.map(|facts| words::explain(&facts)).collect())
            }
            Err(ClientError::NotUp) => down(&meant),
            Err(error) => Err(Failure::api(error, &place.name)),
        }
    })?;
    if output.json {
        output.json(&serde_json::json!({ "stack": place.name, "services": explained }))?;
        return Ok(ExitStatus::Done);
    }
    for (nth, explanation) in explained.iter().enumerate() {
        if nth > 0 {
            output.text("\n")?;
        }
        let text = text(explanation, output.paint, output.width);
        output.text(&text)?;
    }
    if explained.is_empty() {
        output.line(&format!("{}: all services are well", place.name))?;
    }
    Ok(ExitStatus::Done)
}

/// The stack is not up; its files know how things were.
fn down(meant: &Meant) -> Result<Vec<Explanation>, Failure> {
    let place = &meant.place;
    let plan = place.plan()?.plan;
    let known = || plan.services.keys().map(|name| name.as_str());
    if meant.services.is_empty() {
        return Err(Failure::not_up(&place.name));
    }
    if let Some(name) = meant.services.iter().find(|name| !plan.services.contains_key(name.as_str())) {
        return Err(place.no_such_service(name, known().collect::<Vec<_>>()));
    }
    let names: Vec<&str> = meant.services.iter().map(String::as_str).collect();
    let files = explain::Files::read(place, &names)?;
    Ok(names.iter().map(|name| words::explain(&files.down(name))).collect())
}

/// One explanation, in paragraphs that fit the screen.
pub(super) fn text(it: &Explanation, paint: Paint, width: Option<usize>) -> String {
    let mut text = format!("{}\n", paint.apply(style::STRONG, &printable(&it.headline)));
    let room = |indent: usize| Some(width.unwrap_or(80).saturating_sub(indent));
    let say = |text: &mut String, lead: &str, words: &str| {
        let words = printable(words);
        for (nth, line) in wrap(&words, room(lead.chars().count())).into_iter().enumerate() {
            let lead = if nth == 0 { lead.to_owned() } else { " ".repeat(lead.chars().count()) };
            text.push_str(&format!("{lead}{line}\n"));
        }
    };
    for line in it.because.iter().chain(&it.next).chain(&it.asked) {
        say(&mut text, "  ", line);
    }
    let title = |text: &mut String, title: &str| {
        text.push_str(&format!("\n  {}\n", paint.apply(style::DIM, title)));
    };
    if !it.ends.is_empty() {
        title(&mut text, "Last ends");
        for end in &it.ends {
            say(&mut text, &format!("    {}  ", short_time(&end.end.at)), &end.text);
        }
    }
    if !it.output.is_empty() {
        title(&mut text, "Last output");
        for line in &it.output {
            text.push_str(&format!("    | {}\n", printable(line)));
        }
    }
    if !it.findings.is_empty() {
        title(&mut text, "What the output says");
        for finding in &it.findings {
            say(&mut text, "    ", &finding.what);
        }
    }
    if !it.to_do.is_empty() {
        title(&mut text, "What to do");
        for to_do in &it.to_do {
            match &to_do.command {
                Some(command) => {
                    say(&mut text, "    - ", &format!("{}:", to_do.text));
                    text.push_str(&format!("        {}\n", paint.apply(style::HINT, command)));
                }
                None => say(&mut text, "    - ", &to_do.text),
            }
        }
    }
    text
}

/// Without the milliseconds, which nobody needs here.
fn short_time(at: &str) -> String {
    let time = local_time(at);
    time.rsplit_once('.').map_or(time.clone(), |(short, _)| short.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::explain::{End, Facts};
    use mainstay_core::{Exit, StateName};
    use std::time::Duration;

    #[test]
    fn it_fits_the_screen() {
        let mut facts = Facts::new("shop", "api", StateName::Backoff);
        facts.reason = "exit code 127; restart 3 in a row in 2 s".to_owned();
        facts.since = Some(Duration::from_secs(2));
        facts.next_start = Some(Duration::from_secs(1));
        facts.last_exit = Some(Exit::Code(127));
        let after = Some(Duration::from_millis(20));
        let at = "no time".to_owned();
        facts.ends = vec![End { at, exit: facts.last_exit, after, ..End::default() }; 2];
        facts.output = vec![
            "an escape \u{1b}[31m".to_owned(),
            "./api: error while loading shared libraries: libpq.so.5: cannot open shared object file"
                .to_owned(),
        ];
        let text = text(&words::explain(&facts), Paint::plain(), Some(80));
        insta::assert_snapshot!(text);
        let mut own = text.lines().filter(|line| !line.contains(" | "));
        assert!(own.all(|line| line.chars().count() <= 80));
    }
}
