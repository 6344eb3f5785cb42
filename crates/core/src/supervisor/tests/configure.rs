//! Files of programs that change while these run.

use crate::testing::{Bench, ms, probe, secs, service};
use crate::{
    ConfigFile, ConfigStage, EventKind, Exit, FileNotes, FilesOutcome, Input, OnChange, Piece, ProbeKind,
    ProgramConfig, ReloadStage, Request, SecretMarks, SecretText, ServicePlan, StateName, StopAction,
};

fn reading(content: &str, on_change: OnChange) -> ServicePlan {
    let mut plan = ServicePlan { ready: Some(probe()), ..service() };
    let file = ConfigFile { content: content.into(), ..ConfigFile::default() };
    plan.config.files.insert("/etc/app.json".to_owned(), file);
    plan.config.on_change = on_change;
    plan
}

fn hup(content: &str) -> ServicePlan {
    reading(content, OnChange::Signal(StopAction::Signal(1)))
}

fn up(plan: ServicePlan) -> Bench {
    let mut bench = Bench::new([("s", plan)]);
    bench.ask(Request::Up);
    assert_eq!(bench.deeds(), ["prepare s"], "its files come first");
    bench.prepared("s", None);
    come_up(&mut bench);
    bench.look();
    bench
}

fn come_up(bench: &mut Bench) {
    bench.made("s");
    bench.tick();
    bench.answer("s", ProbeKind::Ready, true);
}

/// What was told of files, and of the configuration as a whole.
fn stages(bench: &mut Bench) -> Vec<String> {
    let told = bench.told().into_iter().filter_map(|kind| match kind {
        EventKind::Config { stage, detail, .. } => Some(format!("{stage:?}: {detail}")),
        EventKind::Reload { stage, .. } => Some(format!("{stage:?}")),
        _ => None,
    });
    told.collect()
}

#[test]
fn a_new_file_is_told_and_the_process_stays() {
    let mut bench = up(hup("1"));
    let run = bench.run("s");
    bench.apply(2, [("s", hup("2"))]);
    assert_eq!(bench.deeds(), ["change the files of s and tell it"]);
    bench.pass(secs(1));
    assert!(bench.supervisor.applying().is_some(), "it is waited for");
    bench.answer("s", ProbeKind::Ready, true);
    bench.pass(ms(100));
    bench.look();
    bench.configured(None);
    bench.tick();
    assert_eq!(stages(&mut bench), ["Told: app.json is new"]);
    assert_eq!(bench.look(), ["ask s ready"], "at once, whatever the interval");
    bench.answer("s", ProbeKind::Ready, true);
    assert_eq!(stages(&mut bench), ["Taken: ready probe succeeds: 200 OK", "Applied"]);
    assert_eq!((bench.run("s"), bench.state("s")), (run, StateName::Ready));
}

#[test]
fn a_start_that_is_under_way_with_the_old_file_is_made_again_with_the_new_one() {
    let with = |content| reading(content, OnChange::Nothing);
    for made in [false, true] {
        let mut bench = up(with("1"));
        bench.exits("s", 1);
        bench.pass(secs(1));
        assert_eq!(bench.look(), ["forget 2", "prepare s"]);
        if made {
            bench.prepared("s", None);
        }
        bench.apply(2, [("s", with("2"))]);
        if made {
            bench.made("s");
            let run = bench.run("s");
            bench.look();
            bench.feed(Input::Exited { run, exit: Exit::Code(0), tree_empty: true });
        }
        assert!(bench.look().contains(&"prepare s".to_owned()), "its files were made already");
    }
}

#[test]
fn an_answer_to_a_question_from_before_says_nothing() {
    let mut bench = up(hup("1"));
    bench.pass(secs(1));
    assert_eq!(bench.look(), ["ask s ready"]);
    bench.apply(2, [("s", hup("2"))]);
    bench.configured(None);
    bench.answer("s", ProbeKind::Ready, true);
    assert!(bench.supervisor.applying().is_some());
    bench.tick();
    bench.answer("s", ProbeKind::Ready, true);
    assert_eq!(bench.supervisor.applying(), None);
}

#[test]
fn what_is_not_healthy_with_its_new_file_gets_the_old_one_and_is_told_again() {
    let mut bench = up(hup("1"));
    let run = bench.run("s");
    bench.apply(2, [("s", hup("2"))]);
    bench.configured(None);
    bench.look();
    for _ in 0..70 {
        bench.tick();
        if bench.asked.contains_key(&(run, ProbeKind::Ready)) && bench.configuring.is_none() {
            bench.answer("s", ProbeKind::Ready, false);
        }
        bench.pass(secs(1));
    }
    let deeds = bench.deeds();
    assert_eq!(deeds, ["change the files of s and tell it"], "the old one");
    let plan = bench.supervisor.plan().services.values().next().expect("s").config.clone();
    assert_eq!(plan.files["/etc/app.json"].content, "1".into());
    bench.configured(None);
    for _ in 0..2 {
        // A question from before is open still.
        bench.answer("s", ProbeKind::Ready, true);
        bench.tick();
    }
    let told = stages(&mut bench);
    assert_eq!(told.last().map(String::as_str), Some("TakenBack"), "{told:?}");
    assert_eq!(bench.run("s"), run);
}

#[test]
fn what_a_check_refuses_is_taken_back_and_nobody_is_restarted() {
    for on_change in [OnChange::Restart, OnChange::Nothing, OnChange::Event("e".into())] {
        let mut bench = up(reading("1", on_change.clone()));
        let run = bench.run("s");
        bench.apply(2, [("s", reading("2", on_change.clone()))]);
        bench.look();
        bench.configured(Some("the check says no"));
        let told = stages(&mut bench);
        assert_eq!(told.last().map(String::as_str), Some("TakenBack"), "{told:?}");
        assert_eq!(bench.supervisor.applying(), None, "{on_change}");
        assert_eq!((bench.run("s"), bench.state("s")), (run, StateName::Ready), "{on_change}");
        assert_eq!(bench.deeds(), [""; 0], "{on_change}");
    }
}

#[test]
fn one_that_is_restarted_for_it_is_so_when_the_file_is_there() {
    let mut bench = up(reading("1", OnChange::Restart));
    bench.apply(2, [("s", reading("2", OnChange::Restart))]);
    assert_eq!(bench.deeds(), ["change the files of s"]);
    bench.configured(None);
    assert_eq!(bench.deeds(), ["ctrl_c s"]);
    bench.exits("s", 0);
    bench.prepared("s", None);
    come_up(&mut bench);
    assert_eq!(stages(&mut bench), ["Applied"]);
}

#[test]
fn one_that_needs_a_new_process_all_the_same_is_not_told() {
    let mut bench = up(hup("1"));
    let mut plan = hup("2");
    plan.launch.command.push("more".into());
    bench.apply(2, [("s", plan)]);
    assert_eq!(bench.deeds(), ["change the files of s"]);
    bench.configured(None);
    assert_eq!(bench.deeds(), ["ctrl_c s"]);
}

#[test]
fn one_that_looks_itself_is_through_when_the_file_is_there() {
    let mut bench = up(reading("1", OnChange::Nothing));
    bench.apply(2, [("s", reading("2", OnChange::Nothing))]);
    assert_eq!(bench.deeds(), ["change the files of s"]);
    bench.configured(None);
    assert_eq!(stages(&mut bench), ["Written: app.json is new", "Applied"]);
}

#[test]
fn one_that_does_not_run_gets_its_files_at_its_start() {
    let mut bench = up(hup("1"));
    bench.stop("s");
    bench.exits("s", 0);
    bench.look();
    bench.apply(2, [("s", hup("2"))]);
    assert_eq!(bench.deeds(), [""; 0]);
    assert_eq!(bench.supervisor.applying(), None);
}

#[test]
fn the_next_daemon_asks_again_and_the_answer_to_the_one_before_is_late() {
    let mut bench = up(hup("1"));
    bench.apply(2, [("s", hup("2"))]);
    bench.look();
    bench.take_over();
    assert_eq!(bench.deeds(), ["change the files of s and tell it"]);
    let run = bench.configuring.expect("asked again");
    bench.configured(None);
    bench.take_over();
    assert_eq!(bench.deeds(), [""; 0], "it was told");
    bench.feed(Input::Configured { run, outcome: FilesOutcome::Refused("late".into()) });
    bench.pass(secs(1));
    bench.tick();
    bench.answer("s", ProbeKind::Ready, true);
    assert_eq!(bench.supervisor.applying(), None);
    assert_eq!(stages(&mut bench).last().map(String::as_str), Some("Applied"));
}

#[test]
fn one_that_ends_when_it_is_told_may_come_up_with_the_new_file_by_itself() {
    let mut bench = up(hup("1"));
    bench.apply(2, [("s", hup("2"))]);
    bench.configured(None);
    bench.exits("s", 1);
    bench.tick();
    bench.prepared("s", None);
    come_up(&mut bench);
    let told = bench.told();
    let applied = |kind: &EventKind| {
        matches!(kind, EventKind::Reload { stage: ReloadStage::Applied, .. })
            || matches!(kind, EventKind::Config { stage: ConfigStage::Taken, .. })
    };
    assert_eq!(told.iter().filter(|kind| applied(kind)).count(), 1, "{told:?}");
}

#[test]
fn a_changed_check_is_no_change_of_the_file() {
    let mut bench = up(hup("1"));
    let mut plan = hup("1");
    for file in plan.config.files.values_mut() {
        file.check = Some(vec!["check".into()]);
    }
    bench.apply(2, [("s", plan)]);
    assert_eq!(bench.deeds(), [""; 0]);
    assert_eq!(bench.supervisor.applying(), None);
}

/// The same with a secret, of which a value with this mark was read.
fn with_secret(mark: &str) -> ServicePlan {
    let mut plan = hup("1");
    for file in plan.config.files.values_mut() {
        file.content = SecretText::of([Piece::Secret("db", vec![])]);
    }
    plan.config.secrets = marks(mark);
    plan
}

fn marks(mark: &str) -> SecretMarks {
    SecretMarks::from([("db".to_owned(), mark.to_owned())])
}

#[test]
fn a_secret_of_a_file_that_changed_is_told_and_what_was_written_is_noted() {
    let mut bench = up(with_secret("old"));
    assert_eq!(bench.supervisor.plan().services["s"].config.secrets, marks("old"));
    bench.apply(2, [("s", with_secret("new"))]);
    assert_eq!(bench.deeds(), ["change the files of s and tell it"]);
    // By the time that it was written it had another value again.
    let run = bench.configuring.expect("asked");
    let made = |mark| Input::FilesMade { run, secrets: marks(mark), contents: SecretMarks::new() };
    bench.feed(made("newest"));
    bench.configured(None);
    assert_eq!(bench.supervisor.plan().services["s"].config.secrets, marks("newest"));
    bench.feed(made("late"));
    assert_eq!(bench.supervisor.plan().services["s"].config.secrets, marks("newest"));
    bench.pass(secs(1));
    bench.tick();
    bench.answer("s", ProbeKind::Ready, true);
    assert_eq!(bench.supervisor.applying(), None);
    bench.apply(3, [("s", with_secret("newest"))]);
    assert_eq!(bench.deeds(), [""; 0], "nothing is different");
}

/// One whose file has a secret with a value that does not work, and for which everything goes back.
fn back_from_a_bad_secret() -> Bench {
    let mut plan = with_secret("old");
    plan.config.notes.contents = marks("old content");
    let mut bench = up(plan);
    let mut goal = with_secret("bad");
    goal.config.notes.contents = marks("old content");
    bench.apply(2, [("s", goal)]);
    let run = bench.configuring.expect("asked");
    bench.feed(Input::FilesMade { run, secrets: marks("bad"), contents: marks("bad content") });
    let run = bench.configuring.take().expect("asked");
    bench.feed(Input::Configured { run, outcome: FilesOutcome::NotTold("no answer".into()) });
    bench.look();
    let config = config(&bench);
    assert_eq!(config.notes, FileNotes { contents: marks("old content"), refused: marks("bad") });
    assert_eq!(config.secrets, marks("old"));
    bench
}

fn config(bench: &Bench) -> ProgramConfig {
    bench.supervisor.plan().services["s"].config.clone()
}

#[test]
fn a_value_that_does_not_work_is_noted_and_the_file_from_before_comes_back() {
    let mut bench = back_from_a_bad_secret();
    bench.take_over();
    assert_eq!(bench.deeds(), ["change the files of s and tell it"], "the next daemon does it again");
    let run = bench.configuring.expect("asked");
    bench.feed(Input::FilesMade { run, secrets: marks("old"), contents: marks("old content") });
    bench.configured(None);
    bench.pass(secs(1));
    bench.tick();
    bench.answer("s", ProbeKind::Ready, true);
    assert_eq!(bench.supervisor.applying(), None);
    assert_eq!(config(&bench).notes.refused, marks("bad"), "as long as it runs");

    // A start reads it again, and leaves it out; another one is taken.
    bench.exits("s", 1);
    bench.pass(secs(1));
    for (read, kept) in [("bad", "old"), ("good", "good")] {
        let run = bench.run("s");
        bench.feed(Input::SecretsRead { run, marks: marks(read) });
        assert_eq!(config(&bench).secrets, marks(kept));
    }
}

#[test]
fn a_value_that_did_not_work_is_tried_when_somebody_asks_for_it() {
    let mut bench = back_from_a_bad_secret();
    bench.configured(None);
    bench.pass(secs(1));
    bench.tick();
    bench.answer("s", ProbeKind::Ready, true);
    let mut goal = with_secret("bad");
    goal.config.notes = config(&bench).notes;
    bench.look();
    bench.apply(3, [("s", goal)]);
    assert_eq!(bench.deeds(), ["change the files of s and tell it"]);
    assert_eq!(config(&bench).notes.refused, SecretMarks::new());
}

#[test]
fn a_file_whose_content_from_before_is_lost_is_made_anew_and_that_is_known() {
    let mut bench = back_from_a_bad_secret();
    let run = bench.configuring.expect("asked");
    bench.feed(Input::FilesMade { run, secrets: marks("bad"), contents: marks("bad content") });
    bench.configured(None);
    let known = FileNotes { contents: marks("bad content"), refused: SecretMarks::new() };
    assert_eq!((config(&bench).secrets, config(&bench).notes), (marks("bad"), known));
}

#[test]
fn what_the_process_has_too_is_nothing_that_a_file_could_keep() {
    let plan = |mark: &str| {
        let mut plan = with_secret(mark);
        plan.launch.secret_environment.insert("DB".into(), SecretText::of([Piece::Secret("db", vec![])]));
        plan.launch.secrets = marks(mark);
        plan
    };
    let mut bench = up(plan("old"));
    bench.apply(2, [("s", plan("bad"))]);
    bench.configured(Some("the check says no"));
    assert_eq!(config(&bench).notes, FileNotes::default());
}
